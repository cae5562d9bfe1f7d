"""What a module returns is compared with what the read-outs give: a wrong read-out is named, not believed."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.frameworks.random_modules import RandomNet
from tests.toolchain.frontends.modules.stand_ins import Leaky
from tests.toolchain.frontends.modules.test_readouts import EndingNet
from toolchain.errors import SourceMismatchError, ToolchainError
from toolchain.frontends.modules import fold, readouts
from toolchain.frontends.modules.readouts import Read
from toolchain.ir import Decode, Stage
from toolchain.workflow.build_facts import SourceFacts
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_module
from toolchain.workflow.predict import predict_build

ORDER = [5, 0, 4, 1, 3, 2]
SAMPLES = (np.random.default_rng(1).random((20, 9, 5)) < 0.4).astype(np.float64)


class Reading(EndingNet):
    """Neurons that never fire at the end, and a function of their potentials and of spikes before."""

    def __init__(self, end: Callable[..., Any]) -> None:
        super().__init__(lambda *_: None)
        self.read = end
        self.three = Leaky(0.5, 1e9, reset_mechanism="none", init_hidden=True)

    def forward(self, x: Tensor) -> Any:
        for each in (self.one, self.two, self.three):
            each.reset_mem()
        sent, potentials, currents = list[Tensor](), list[Tensor](), list[Tensor]()
        for frame in x.unbind(1):
            sent.append(self.two(self.out(self.one(self.fc(frame)))))
            currents.append(self.scores(sent[-1]))
            self.three(currents[-1])
            potentials.append(self.three.mem)
        return self.read(torch.stack(sent), torch.stack(potentials), torch.stack(currents))


def source_of(build: Build) -> SourceFacts:
    assert build.facts.source is not None
    return build.facts.source


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Any]] = {
    "sum": lambda s, _v, _c: s.sum(0),
    "all spikes": lambda s, _v, _c: s.transpose(0, 1),
    "mean, halved": lambda s, _v, _c: 0.5 * s.mean(0),
    "running sum": lambda s, _v, _c: sum(s.unbind(0)[1:], s[0]) / 3,
    "softmax of counts": lambda s, _v, _c: torch.softmax(s.sum(0), -1),
    "sigmoid, doubled": lambda s, _v, _c: 2 * torch.sigmoid(s.mean(0)),
    "last spikes": lambda s, _v, _c: s[-1],
    "order": lambda s, _v, _c: s.sum(0)[:, ORDER],
    "softmax in another order": lambda s, _v, _c: torch.log_softmax(s.sum(0), -1)[:, ORDER],
    "potentials": lambda _s, v, _c: v,
    "softmax of all potentials": lambda _s, v, _c: functional.log_softmax(v, -1),
    "mean of potentials": lambda _s, v, _c: v.mean(0),
    "sum of potentials": lambda _s, v, _c: 0.25 * v.sum(0),
    "last potentials": lambda _s, v, _c: v[-1],
    "largest potentials": lambda _s, v, _c: v.max(0).values * 3,
    "currents": lambda _s, _v, c: c,
    "sum of currents": lambda _s, _v, c: c.sum(0) * 2,
    "mean of currents": lambda _s, _v, c: c.mean(0),
    "last current": lambda _s, _v, c: c[-1],
    "another axis": lambda s, _v, _c: s.mean(0).unsqueeze(1),
    "squeezed": lambda s, _v, _c: s.mean(0).squeeze(),
    "samples and steps merged": lambda s, _v, _c: s.flatten(0, 1),
    "several": lambda s, v, c: {"counts": s.sum(0), "v": v[-1], "now": c[-1], "mean": c.mean(0)},
}


@pytest.mark.parametrize("number", ["double", "float"])
@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_equal_to_what_its_read_out_gives(way: str, number: str) -> None:
    net = Reading(WAYS[way])
    if number == "float":
        net = net.float()
    facts = source_of(compile_module(net, SAMPLES))
    assert facts.equal, facts.sentences
    assert facts.results
    assert all(each.values >= 20 * 6 for each in facts.results.values())
    assert not facts.unrecorded
    assert "what was returned as" in facts.sentences[0]


def test_counts_of_spikes_have_no_tolerance() -> None:
    facts = source_of(compile_module(Reading(WAYS["sum"]).float(), SAMPLES))
    assert facts.results["output"].tolerance == 0
    assert facts.results["output"].largest_error == 0


def _damaged(read: Read, how: str) -> Read:
    match how:
        case "order" if read.labels is not None:
            return replace(read, labels=read.labels[..., ::-1])
        case "decode":
            others = {Decode.MEAN_V: Decode.LAST_V, Decode.LAST_V: Decode.MEAN_V, Decode.MAX_V: Decode.MEAN_V}
            return replace(read, decode=others[read.decode])
        case "weights":
            return replace(read, weights=2 * np.eye(6)[::-1])
        case _:
            return replace(read, applied=(*read.applied, 2.0))


@pytest.mark.parametrize(
    ("way", "how"),
    [
        ("sum", "weights"),
        ("sum", "factor"),
        ("running sum", "factor"),
        ("softmax of counts", "weights"),
        ("all spikes", "weights"),
        ("order", "order"),
        ("order", "decode"),
        ("last potentials", "decode"),
        ("mean of potentials", "decode"),
        ("largest potentials", "decode"),
        ("mean of potentials", "factor"),
        ("last current", "order"),
        ("mean of currents", "decode"),
        ("currents", "order"),
        ("currents", "decode"),
    ],
)
def test_a_wrong_read_out_fails_the_verdict(way: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Any:
        reads, notes = readouts.reads_of(*arguments)
        return [_damaged(read, how) for read in reads], notes

    monkeypatch.setattr(fold, "reads_of", wrong)
    build = compile_module(Reading(WAYS[way]), SAMPLES)
    facts = source_of(build)
    assert not facts.equal
    assert all(each.first is None for each in facts.populations.values())
    first = facts.results["output"].first
    assert first is not None
    assert first.expected != first.got
    with pytest.raises(
        SourceMismatchError, match="not what the module returned: 'output' differs, for class"
    ):
        facts.require_equal()
    assert any("only what is read of them differs" in note for note in build.notes)


def test_the_difference_is_named_by_sample_class_and_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Any:
        reads, notes = readouts.reads_of(*arguments)
        weights = np.eye(6)
        weights[[2, 4]] = weights[[4, 2]]
        return [replace(read, weights=weights) for read in reads], notes

    net = Reading(WAYS["sum"])
    with torch.no_grad():
        counts = net(torch.from_numpy(SAMPLES)).numpy()
    sample = int(np.flatnonzero(counts[:, 2] != counts[:, 4])[0])
    monkeypatch.setattr(fold, "reads_of", wrong)
    facts = source_of(compile_module(net, SAMPLES))
    first = facts.results["output"].first
    assert first is not None
    assert (first.sample, first.step, first.place) == (sample, None, 2)
    assert (first.expected, first.got) == (counts[sample, 2], counts[sample, 4])
    assert f"for class 2 of sample {sample} the module returned {counts[sample, 2]:g}" in facts.sentences[0]


def test_what_reads_its_own_step_differently_is_named() -> None:
    class Alternating(Reading):
        def forward(self, x: Tensor) -> Any:
            sent = [self.one(self.fc(frame)) for frame in x.unbind(1)]
            return torch.stack([self.out(each) * (1 + step % 2) for step, each in enumerate(sent)])

    facts = source_of(compile_module(Alternating(lambda *_: None), SAMPLES))
    assert not facts.equal
    first = facts.results["output"].first
    assert first is not None
    assert first.step == 1
    assert f"sample {first.sample}, step 1 the module returned" in facts.sentences[0]


def test_potentials_of_neurons_that_fire_are_named_with_the_reset_as_cause() -> None:
    facts = source_of(compile_module(EndingNet(lambda _, v: v[-1]), SAMPLES))
    assert not facts.equal
    assert "read after their reset" in facts.sentences[-1]


def test_a_result_that_depends_on_the_number_of_samples_is_named() -> None:
    class Mixing(Reading):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x) * len(x)

    facts = source_of(compile_module(Mixing(WAYS["sum"]), SAMPLES))
    assert not facts.equal
    assert "treats samples differently" in facts.sentences[-1]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda s, _v, _c: torch.softmax(s.sum(0), 0), id="softmax over the samples"),
        pytest.param(lambda s, _v, _c: torch.softmax(s.sum(0).view(-1, 2, 3), -1), id="softmax in groups"),
        pytest.param(lambda s, _v, _c: torch.softmax(s.sum(0), -1)[:, :3], id="a part of a softmax"),
        pytest.param(lambda _s, v, _c: torch.softmax(v, -1).max(0).values, id="largest of softmax"),
    ],
)
def test_functions_of_scores_that_change_their_order_are_refused(end: Callable[..., Any]) -> None:
    with pytest.raises(ToolchainError, match="cannot be read out"):
        compile_module(Reading(end), SAMPLES)


@pytest.mark.parametrize(
    ("end", "names"),
    [
        (lambda s, v, c: {"a": (s.sum(0), v[-1]), "a1": c[-1]}, ["a", "a.1", "a1"]),
        (lambda s, _v, c: {"x": {"s": s.sum(0)}, "y": {"s": c[-1]}}, ["s", "y.s"]),
        (lambda s, _v, c: {1: s.sum(0), "1": c[-1]}, ["1", "1.2"]),
        (lambda s, v, c: {"one": c[-1], "fc": s.sum(0), "input": v[-1]}, ["one.2", "fc.2", "input.2"]),
        (lambda s, v, c: (s.sum(0), [c[-1], {"v": v[-1]}]), ["output", "output1", "v"]),
        (lambda _s, _v, c: (c[-1], c.mean(0)), ["output", "output1"]),
    ],
)
def test_every_result_has_a_name_of_its_own(end: Callable[..., Any], names: list[str]) -> None:
    build = compile_module(Reading(end), SAMPLES)
    assert [node.name for node in build.float_graph.outputs] == names
    assert source_of(build).equal
    assert list(source_of(build).results) == names


def test_weights_of_a_read_out_stay_where_its_name_was_in_use() -> None:
    """A result is called as a layer, so that its output gets another name."""
    net = Reading(lambda *_: None)
    net.read = lambda s, _v, _c: {"fc": net.scores(s.mean(0))}
    build = compile_module(net, SAMPLES)
    assert build.float_graph.outputs[0].name != "fc"
    assert build.float_graph.outputs[0].weights is not None
    assert source_of(build).equal


def test_a_result_of_the_same_neurons_is_named_in_the_notes() -> None:
    build = compile_module(Reading(lambda s, v, _: (s.sum(0), s.mean(0), v[-1])), SAMPLES)
    (note,) = [note for note in build.notes if "left out" in note]
    assert note == "the result 'output1' is left out, because what it is made of is read as 'output'"


@pytest.mark.parametrize(
    ("end", "example", "message"),
    [
        (lambda s, _v, _c: s.sum(0)[:, :0], SAMPLES, r"'output' cannot be read out: it has shape \[1, 0\]"),
        (lambda *_: None, SAMPLES, "tensors in a tuple, list or dictionary"),
        (lambda s, _v, _c: s, {}, "the example is an empty mapping"),
        (lambda s, _v, _c: s, np.float64(3), "the example 'input' is one number"),
    ],
)
def test_what_holds_nothing_is_refused_by_its_name(
    end: Callable[..., Any], example: Any, message: str
) -> None:
    with pytest.raises(ToolchainError, match=message):
        compile_module(Reading(end), example)


def test_a_sum_of_what_cannot_be_followed_is_refused_by_its_line() -> None:
    with pytest.raises(ToolchainError, match=r"cannot be read out: test_results.py:\d+ .* computes `tanh`"):
        compile_module(Reading(lambda s, _v, _c: 2 * torch.tanh(s.sum(0))), SAMPLES)


def _neurons(draw: random.Random, _: int) -> nn.Module:
    how = draw.choice(["subtract", "zero", "none"])
    delay = how != "zero" or draw.random() < 0.5
    threshold = draw.uniform(0.2, 1)
    if draw.random() < 0.4:
        how, threshold = "none", 1e9
    beta = draw.choice([0.0, 0.5, draw.uniform(0, 1)])
    return Leaky(beta, threshold, reset_mechanism=how, reset_delay=delay, init_hidden=True)


def _series(result: Any) -> list[Tensor]:
    """Return the results that a module of random read-outs returned, in order."""
    match result:
        case Tensor():
            return [result]
        case dict():
            return [each for value in result.values() for each in _series(value)]
        case _:
            return [each for value in result for each in _series(value)]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_read_outs_rank_the_classes_as_the_module_does_or_are_named(seed: int) -> None:
    x = (np.random.default_rng(seed).random((4, 8, 6)) < 0.4).astype(np.float64)
    net = RandomNet(_neurons, seed, readout=True).double().eval()
    try:
        build = compile_module(net, x)
    except ToolchainError:
        return
    facts = source_of(build)
    if not facts.equal:
        assert "read after their reset" in facts.sentences[-1], facts.sentences
        return
    with torch.no_grad():
        for neurons in net.neurons:
            assert isinstance(neurons, Leaky)
            neurons.reset_mem()
        first = _series(net(torch.from_numpy(x)))[0].numpy()
    name = build.float_graph.outputs[0].name
    scores = predict_build(build, stage=Stage.FLOAT).scores[name]
    assert facts.results[name].first is None
    if first.size == scores.size:
        returned = first.reshape(scores.shape)
        # A factor or a softmax keeps the order: what is clearly more there is not less here.
        more = returned[:, :, None] > returned[:, None, :] + 1e-6
        assert (scores[:, :, None] > scores[:, None, :] - 1e-9)[more].all()

"""Training in half precision: what is computed in it, what is not, and who is refused."""

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.graphs import feed_forward
from tests.networks import images, small_vgg
from tests.small_training import small_network, small_task
from toolchain.data import as_pictures, load_digits
from toolchain.errors import TrainingError, UnknownNameError
from toolchain.models import POOL, FeedForward, Readout, VggShape, build_vgg, integration
from toolchain.models.loops import network as loops
from toolchain.models.loops.tensor_passes import tensor_passes
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.training import Autocast, Callback, FitOptions, GraphNetwork, Optimizer, fit
from toolchain.training.autocast import check_autocast
from toolchain.training.pace import training_path
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.prepare import fit_options

HALF = FitOptions(6, 16, 0.01, device="cpu", autocast=Autocast.BFLOAT16)


class Types(Callback):
    """Notes in which types the parts of a network computed, and what was left of it for the optimizer."""

    def __init__(self) -> None:
        self.results: dict[str, set[torch.dtype]] = {}
        self.kept: set[torch.dtype] = set()

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        del epochs
        self._optimizer = optimizer
        for name, module in network.named_modules():
            module.register_forward_hook(lambda _, __, result, name=name: self._note(name, result))

    def _note(self, name: str, result: Any) -> None:
        tensors = result if isinstance(result, tuple) else (result,)
        kinds = {each.dtype for each in tensors if isinstance(each, Tensor)}
        self.results.setdefault(name, set()).update(kinds)

    def after_step(self, network: nn.Module) -> None:
        for parameter in network.parameters():
            assert parameter.grad is not None
            moments = [each for each in self._optimizer.state[parameter].values() if isinstance(each, Tensor)]
            self.kept |= {each.dtype for each in (parameter, parameter.grad, *moments)}


def picture_task(network: FeedForward, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 is brighter in the upper half."""
    labels = rng.integers(0, 2, 48)
    pictures = 0.5 * rng.random((48, *network.shape), np.float32)
    half = network.shape[1] // 2
    pictures[labels == 1, :, :half] += 0.5
    pictures[labels == 0, :, half:] += 0.5
    return pictures, labels


def test_convolutions_are_in_half_precision_and_all_else_is_not(rng: np.random.Generator) -> None:
    network, types = small_vgg(), Types()
    fit(network, *picture_task(network, rng), HALF, seed=0, callbacks=(types,))
    for name, module in network.named_modules():
        match module:
            case nn.Conv2d() | nn.Linear():
                assert types.results[name] == {torch.bfloat16}, name
            case _ if module in network.layers.values():
                assert types.results[name] == {torch.float32}, name
            case _:
                pass
    assert types.kept == {torch.float32}


@pytest.mark.parametrize("in_loops", [True, False])
def test_spikes_potentials_and_scores_are_float32(in_loops: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not in_loops:
        monkeypatch.setattr(integration, "loops_obstacle", lambda _: "asked")
    network = small_vgg()
    x = images(network).float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        record = network(x, record=True)
    for each in (record.scores, *record.spikes.values(), *record.v.values()):
        assert each.dtype is torch.float32
    record.scores.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype is torch.float32


@pytest.mark.parametrize("how", ["compiled", "operations", "step by step"])
@pytest.mark.parametrize("readout", [Readout.MEAN_V, Readout.SPIKE_COUNT])
def test_a_recurrent_network_multiplies_what_enters_in_half_precision(
    how: str, readout: Readout, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "operations":
        monkeypatch.setattr(loops, "passes_on", lambda _: tensor_passes)
    network = small_network()
    network.readout, network.compiled = readout, how != "step by step"
    x = torch.from_numpy(small_task(rng)[0]).float()
    exact, entering = network.scores(x), network.synapses["encode"](x)
    kinds: list[torch.dtype] = []
    network.synapses["encode"].register_forward_hook(lambda _, __, result: kinds.append(result.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = network.scores(x)
    assert kinds == [torch.bfloat16]
    assert scores.dtype is torch.float32
    assert entering.dtype is torch.float32
    scores.sum().backward()
    assert all(each.grad is None or each.grad.dtype is torch.float32 for each in network.parameters())
    if readout is Readout.MEAN_V:
        assert not torch.equal(scores, exact)


def test_recomputing_changes_nothing_under_autocast(rng: np.random.Generator) -> None:
    task, networks = small_task(rng), [small_network(), small_network()]
    for network, recompute in zip(networks, (False, True), strict=True):
        network.recompute = recompute
        fit(network, *task, HALF, seed=0)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_it_an_update_is_the_plain_one(rng: np.random.Generator) -> None:
    inputs, labels = small_task(rng)
    options = FitOptions(1, len(inputs), 0.01, device="cpu")
    network = small_network()
    plain = copy.deepcopy(network)
    fit(network, inputs, labels, options, seed=0)
    order = np.random.default_rng([0, 1]).permutation(len(inputs))
    optimizer = options.build(plain)
    for group in optimizer.param_groups:
        group["lr"] = group["share"] * options.rate(0.0)
    scores = plain.scores(torch.from_numpy(inputs[order]))
    nn.functional.cross_entropy(scores, torch.from_numpy(labels[order])).backward()
    nn.utils.clip_grad_norm_(plain.parameters(), options.gradient_clip)
    optimizer.step()
    for one, other in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_goes_on_in_its_own_precision_alone(tmp_path: Path, rng: np.random.Generator) -> None:
    task = small_task(rng)
    fit(small_network(), *task, HALF, seed=0, checkpoint=tmp_path)
    with pytest.raises(TrainingError, match="other options"):
        fit(small_network(), *task, FitOptions(6, 16, 0.01, device="cpu"), seed=0, checkpoint=tmp_path)
    assert len(fit(small_network(), *task, HALF, seed=0, checkpoint=tmp_path)) == 6


def test_living_channels_are_trained_in_half_precision(rng: np.random.Generator) -> None:
    network = small_vgg()
    pruning = ChannelPruning(network, ScaOptions(sparsity=0.5, masking=Masking.STRICT))
    options = FitOptions(
        8, 16, 0.02, gradient_clip=float("inf"), optimizer=Optimizer.SGD, device="cpu", autocast=HALF.autocast
    )
    records = fit(network, *picture_task(network, rng), options, seed=0, callbacks=(pruning,))
    assert records[-1].loss < records[0].loss
    assert all(parameter.dtype is torch.float32 for parameter in network.parameters())


@pytest.mark.slow
def test_digits_are_learnt_as_well_in_half_precision() -> None:
    digits = as_pictures(load_digits(0.3, 0))
    right: dict[Autocast, list[float]] = {each: [] for each in Autocast}
    for seed in range(4):
        for autocast, results in right.items():
            network = build_vgg(
                VggShape(plan=(8, POOL, 16, POOL), image=(1, 8, 8)), torch.Generator().manual_seed(seed)
            )
            options = FitOptions(5, 32, 0.01, device="cpu", autocast=autocast)
            fit(network, digits.train[:600], digits.train_labels[:600], options, seed=seed)
            with torch.inference_mode():
                guesses = network(torch.from_numpy(digits.test)).scores.argmax(1).numpy()
            results.append(100 * float(np.mean(guesses == digits.test_labels)))
    difference = np.subtract(right[Autocast.BFLOAT16], right[Autocast.OFF])
    assert min(right[Autocast.OFF]) > 80
    assert difference.any()
    # Student's 99 % for four seeds, and two of the 540 images.
    assert abs(difference.mean()) < 5.84 * difference.std(ddof=1) / 2 + 0.4


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    with pytest.raises(UnknownNameError, match="autocast 'float8'"):
        FitOptions(1, 1, 0.1, autocast=cast("Autocast", "float8"))
    assert FitOptions(1, 1, 0.1, autocast=cast("Autocast", "bfloat16")).autocast is Autocast.BFLOAT16
    with pytest.raises(TrainingError, match="numbers are float64"):
        fit(small_network().double(), *small_task(rng), HALF, seed=0)
    graph = feed_forward()
    x = np.zeros((4, 5, *graph.inputs[0].shape), np.float32)
    with pytest.raises(TrainingError, match="does not hold the integers"):
        fit(GraphNetwork(graph), x, np.zeros(4, np.int64), HALF, seed=0)
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    with pytest.raises(TrainingError, match="'an old card' computes no bfloat16"):
        check_autocast(Autocast.BFLOAT16, small_network(), gpu)
    check_autocast(Autocast.OFF, small_network(), gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    check_autocast(Autocast.BFLOAT16, small_network(), gpu)


def test_an_experiment_names_the_precision() -> None:
    experiment = parse_experiment({"training": {"autocast": "bfloat16"}})
    assert fit_options(experiment).autocast is Autocast.BFLOAT16
    assert fit_options(parse_experiment({})).autocast is Autocast.OFF


def test_the_path_of_a_training_says_its_precision() -> None:
    assert training_path(small_vgg(), Autocast.OFF) == "compiled loops"
    assert training_path(small_vgg(), Autocast.BFLOAT16) == "compiled loops; autocast to bfloat16"

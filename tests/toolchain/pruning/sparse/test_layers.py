"""Sparse training of convolutions and dense layers: the same promises, and zeros down to the integers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from targets.emulator.target import EmulatorTarget
from tests.exactness import check_equal
from tests.networks import small_preresnet
from tests.small_training import interrupt_after
from toolchain.errors import PruningError, UnknownNameError
from toolchain.execution import reference
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of
from toolchain.models import POOL, FeedForward, NeuronShape, VggShape, build_vgg
from toolchain.models.masked_layer import MaskedLayer
from toolchain.pruning.sparse import Allocation, Price, SparseMethod, SparseOptions, SparseTraining
from toolchain.pruning.sparse.report import write_sparse_report
from toolchain.training import Callback, FitOptions, Optimizer, Position, fit
from toolchain.training.feed_forward_files import load_feed_forward, save_feed_forward
from toolchain.workflow.compile import compile_module

_FIT = FitOptions(4, batch_size=16, learning_rate=0.02, weight_decay=0.1, device="cpu")
_METHODS = [each for each in SparseMethod if each is not SparseMethod.SYNFLOW]
_CONSTANT = (SparseMethod.SET, SparseMethod.RIGL, SparseMethod.DEEP_REWIRING, SparseMethod.STATIC)


def _network(seed: int = 0) -> FeedForward:
    shape = VggShape(
        plan=(8, POOL, 12), hidden=(16,), image=(1, 6, 6), classes=3, neurons=NeuronShape(vth=0.5)
    )
    return build_vgg(shape, torch.Generator().manual_seed(seed))


def _data(samples: int = 64) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Three sorts of bars, easy to tell apart."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, samples)
    x = rng.uniform(0, 0.3, (samples, 1, 6, 6)).astype(np.float32)
    for i, label in enumerate(labels):
        x[i, 0, 2 * label : 2 * label + 2] += 0.7
    return x, labels


def _options(method: SparseMethod, **changes: Any) -> SparseOptions:
    temperature = 1.0 if method.keeps_signs else 0.0
    known: dict[str, Any] = {"method": method, "fraction": 0.1, "interval": 2, "temperature": temperature}
    return SparseOptions(**known | changes)


class _Watcher(Callback):
    """Calls a function after every step."""

    def __init__(self, look: Callable[[FeedForward], None]) -> None:
        self._look = look

    def after_step(self, network: nn.Module) -> None:
        assert isinstance(network, FeedForward)
        self._look(network)


def _trained(
    network: FeedForward, pruning: SparseTraining, *more: Callback, options: FitOptions = _FIT, **others: Any
) -> None:
    fit(network, *_data(), options, seed=0, callbacks=(pruning, *more), **others)


def _weights(network: FeedForward) -> dict[str, Tensor]:
    parts = {block.name: network.parts[block.name] for block in network.blocks}
    return {
        name: module.weight.detach()
        for name, module in parts.items()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("method", _METHODS)
def test_absent_weights_are_zero_at_every_step(method: SparseMethod, optimizer: Optimizer) -> None:
    network = _network()
    pruning = SparseTraining(network, _options(method))
    counts: list[tuple[int, ...]] = []

    def look(now: FeedForward) -> None:
        counts.append(tuple(each.count for each in pruning.connections))
        for each in pruning.connections:
            assert not _weights(now)[each.name][~each.mask].any()

    fitted = FitOptions(
        4, batch_size=16, learning_rate=0.02, weight_decay=0.1, optimizer=optimizer, device="cpu"
    )
    _trained(network, pruning, _Watcher(look), options=fitted)
    assert pruning.names == ("conv1", "conv2", "hidden1", "classifier")
    assert sum(pruning.wanted) == round(0.1 * sum(pruning.before))
    if method in _CONSTANT:
        assert set(counts) == {pruning.wanted}
    if method is SparseMethod.GRADUAL:
        assert counts[0] > counts[len(counts) // 2] > counts[-1] == pruning.wanted
    renewed = sum(update.renewed for update in pruning.updates)
    assert (renewed > 0) == (method not in {SparseMethod.STATIC, SparseMethod.SNIP})
    assert not network.masked, "the network computes its layers itself again"


@pytest.mark.parametrize("method", [SparseMethod.DEEP_REWIRING, SparseMethod.SOFT_DEEP_REWIRING])
def test_deep_rewiring_never_changes_a_sign(method: SparseMethod) -> None:
    network = _network()
    signs: list[Tensor] = []

    def look(now: FeedForward) -> None:
        signs.append(torch.cat([each.sign().flatten() for each in _weights(now).values()]))

    _trained(network, SparseTraining(network, _options(method)), _Watcher(look))
    every = torch.stack(signs)
    assert not ((every > 0).any(0) & (every < 0).any(0)).any()


def test_gradients_of_absent_weights_are_those_of_autograd_and_move_nothing() -> None:
    network = _network().double().train()
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, interval=1))
    pruning.begin(network, torch.optim.SGD(network.parameters(), lr=0.1), epochs=2)
    x, y = (torch.from_numpy(each) for each in _data())
    before = network(x.double()).scores.detach()
    pruning.before_step(network, Position(1, 10, 1))
    scores = network(x.double()).scores
    assert torch.allclose(scores, before, rtol=1e-9, atol=1e-9)
    nn.functional.cross_entropy(scores, y).backward()
    gradients = {each.name: each.gradient.clone() for each in pruning.connections}
    network.zero_grad()
    masked, network.masked = network.masked, {}
    nn.functional.cross_entropy(network(x.double()).scores, y).backward()
    network.masked = masked
    old = {each.name: pruning.connections[i].mask.clone() for i, each in enumerate(pruning.connections)}
    for each in pruning.connections:
        assert torch.allclose(each.gradient, gradients[each.name], rtol=1e-9, atol=1e-12)
    pruning.after_backward(network)
    for each in pruning.connections:
        assert not each.gradient[~each.mask].any()
        came, absent = each.mask & ~old[each.name], ~each.mask & ~old[each.name]
        size = gradients[each.name].abs()
        if came.any() and absent.any():
            assert size[came].min() >= size[absent].max()


@pytest.mark.parametrize("method", [SparseMethod.GRADUAL, SparseMethod.SNIP])
@pytest.mark.parametrize("price", Price)
def test_one_threshold_for_all_layers_leaves_as_many_as_were_asked_for(
    method: SparseMethod, price: Price
) -> None:
    network = _network()
    pruning = SparseTraining(network, _options(method, allocation=Allocation.GLOBAL, price=price))
    _trained(network, pruning)
    assert sum(pruning.updates[-1].living) == round(0.1 * sum(pruning.before))
    assert all(pruning.updates[-1].living)


def test_synflow_is_refused() -> None:
    network = _network()
    with pytest.raises(PruningError, match="synflow prunes recurrent networks only"):
        _trained(network, SparseTraining(network, _options(SparseMethod.SYNFLOW)))


def test_a_convolution_gets_its_share_by_channels_and_kernel() -> None:
    pruning = SparseTraining(_network(), _options(SparseMethod.STATIC))
    # conv1 is full with 72; of the rest, in proportion to 8 + 12 + 3 + 3, 108 + 16, and 16 + 3.
    assert pruning.connections[1].ends == (12, 8, 3, 3)
    total = round(0.1 * (72 + 864 + 1728 + 48))
    wanted = dict(zip(pruning.names, pruning.wanted, strict=True))
    shares = {"conv1": 1 + 8 + 6, "conv2": 26, "hidden1": 124, "classifier": 19}
    for name, share in shares.items():
        assert abs(wanted[name] - total * share / sum(shares.values())) < 1
    uniform = SparseTraining(_network(), _options(SparseMethod.STATIC, allocation=Allocation.UNIFORM))
    assert uniform.wanted == (7, 86, 173, 5)


@pytest.mark.parametrize("method", _METHODS)
def test_a_training_that_was_interrupted_ends_with_the_same_numbers(
    method: SparseMethod, tmp_path: Path
) -> None:
    whole, parted, again = (_network() for _ in range(3))
    pruning = SparseTraining(whole, _options(method))
    _trained(whole, pruning)
    with pytest.raises(KeyboardInterrupt):
        _trained(
            parted,
            SparseTraining(parted, _options(method)),
            checkpoint=tmp_path,
            progress=interrupt_after(2),
        )
    continued = SparseTraining(again, _options(method))
    _trained(again, continued, checkpoint=tmp_path)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert continued.updates == pruning.updates
    for one, two in zip(pruning.connections, continued.connections, strict=True):
        assert torch.equal(one.mask, two.mask)


def test_a_step_that_is_interrupted_leaves_the_weights_that_are_present() -> None:
    network = _network()
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, interval=1))

    class Interrupt(Callback):
        def after_backward(self, network: nn.Module) -> None:
            del network
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network, *_data(), _FIT, seed=0, callbacks=(Interrupt(), pruning))
    assert tuple(int((each != 0).sum()) for each in _weights(network).values()) == pruning.wanted
    assert not network.masked


def test_a_pruned_network_stays_pruned_where_it_is_trained_on(tmp_path: Path) -> None:
    network = _network()
    first = SparseTraining(network, _options(SparseMethod.GRADUAL))
    _trained(network, first)
    save_feed_forward(network, tmp_path)
    loaded = load_feed_forward(tmp_path)
    absent = {name: each == 0 for name, each in _weights(loaded).items()}
    assert sum(int(each.sum()) for each in absent.values()) >= sum(first.before) - sum(first.wanted)
    second = SparseTraining(loaded, _options(SparseMethod.STATIC, fraction=1.0))
    _trained(loaded, second)
    for name, weight in _weights(loaded).items():
        assert not weight[absent[name]].any()
        assert weight.any()


def test_layers_can_be_chosen_by_the_names_of_their_blocks() -> None:
    network = _network()
    pruning = SparseTraining(network, _options(SparseMethod.SET, connections=("hidden1",)))
    _trained(network, pruning)
    assert pruning.names == ("hidden1",)
    assert not (_weights(network)["conv1"] == 0).any()
    with pytest.raises(UnknownNameError, match="did you mean 'conv1'"):
        SparseTraining(network, _options(SparseMethod.SET, connections=("conv11",)))


def test_a_network_without_weights_is_refused() -> None:
    network = _network()
    with torch.no_grad():
        for weight in _weights(network).values():
            weight.zero_()
    with pytest.raises(PruningError, match="no synapses that could be pruned"):
        SparseTraining(network, _options(SparseMethod.SET))


@pytest.mark.parametrize("build", [_network, small_preresnet], ids=["vgg", "preresnet"])
def test_absent_weights_are_zero_in_the_integers_and_the_emulator_equals_the_reference(
    build: Callable[[], FeedForward],
) -> None:
    """Norms are folded and weights are rounded together on samples: none of it gives a zero a value."""
    network = build()
    pruning = SparseTraining(network, _options(SparseMethod.RIGL, fraction=0.3))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (32, *network.shape)).astype(np.float32) / 255
    labels = rng.integers(0, network.scores, 32)
    fit(network, x, labels, _FIT, seed=0, callbacks=(pruning,))
    present = {name: int((each != 0).sum()) for name, each in _weights(network).items()}
    assert sum(present.values()) <= sum(pruning.wanted)
    compiled = compile_module(network, x[:8])
    for name, weight in _weights(network).items():
        real, whole = (_received(graph, name) for graph in (compiled.float_graph, compiled.fixed_graph))
        assert real.keys() == whole.keys()
        for population, count in real.items():
            # Small weights may become zero; no zero becomes anything.
            assert whole[population] <= count <= int((weight != 0).sum())
    stimulus = compiled.stimulus
    assert stimulus is not None
    check_equal(
        compiled.fixed_graph, reference.run(compiled.fixed_graph, stimulus), EmulatorTarget(), stimulus
    )


def _received(graph: Graph, name: str) -> dict[str, int]:
    """The weights other than zero that each population gets from a layer, of both signs."""
    counts: dict[str, int] = {}
    for population in graph.populations:
        for node in graph.synapses:
            if node.name in population.inputs and node.name.partition(".")[0] == name:
                size = int(np.count_nonzero(values_of(node.weights)))
                counts[population.name] = counts.get(population.name, 0) + size
    return counts


def test_the_page_shows_layers(tmp_path: Path) -> None:
    network = _network()
    pruning = SparseTraining(network, _options(SparseMethod.GRADUAL))
    _trained(network, pruning)
    write_sparse_report(tmp_path / "page.html", "Bars", pruning)
    text = (tmp_path / "page.html").read_text()
    assert "conv2: " in text
    assert "of 12 channels receive none" in text
    assert "of 16 neurons receive none" in text


def test_zeros_hold_where_a_training_diverges() -> None:
    network = _network()
    pruning = SparseTraining(network, _options(SparseMethod.SET))
    pruning.begin(network, torch.optim.SGD(network.parameters()), 2)
    with torch.no_grad():
        for weight in _weights(network).values():
            weight.fill_(1.0)
    pruning.end(network)
    assert tuple(int((each != 0).sum()) for each in _weights(network).values()) == pruning.wanted
    assert all(isinstance(each.layer, MaskedLayer) for each in pruning.connections)

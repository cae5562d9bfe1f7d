"""A module of another framework is trained on by `fit`, compiled, and trained on with its integers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pumice
from tests.toolchain.frontends.modules.stand_ins import Leaky
from toolchain.arrays import Array
from toolchain.errors import FrontendError, SourceMismatchError, UsageError
from toolchain.ir import Stage
from toolchain.ir.matrix import values_of
from toolchain.models import CubaLif, Spiking
from toolchain.training import GraphNetwork
from toolchain.workflow.trainable import trainable

OPTIONS = pumice.FitOptions(epochs=4, batch_size=16, learning_rate=0.02)


class Layers(nn.Module):
    """Two layers of Leaky neurons in a loop, the first with recurrence, a norm and dropout."""

    def __init__(self, *, time_first: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.rec = nn.Linear(8, 12), nn.Linear(12, 12, bias=False)
        self.out = nn.Linear(12, 3)
        self.norm, self.drop = nn.BatchNorm1d(12), nn.Dropout(0.5)
        self.one, self.two = Leaky(0.75), Leaky(0.9)
        self.time_first = time_first
        with torch.no_grad():
            self.fc.weight *= 3
            self.out.weight *= 3

    def forward(self, x: Tensor) -> Tensor:
        first, second, sent, counts = None, None, None, list[Tensor]()
        for frame in x.unbind(0 if self.time_first else 1):
            current = self.norm(self.fc(frame))
            current = current if sent is None else current + self.rec(sent)
            sent, first = self.one(self.drop(current), first)
            spikes, second = self.two(self.out(sent), second)
            counts.append(spikes)
        return torch.stack(counts).sum(0)


def task(samples: int = 48) -> tuple[Array, Array]:
    """Return spikes whose first, second or third channels are the most active, and which."""
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 3
    rates = np.full((samples, 8), 0.1)
    for shift in range(2):
        rates[np.arange(samples), 2 * labels + shift] = 0.8
    return (rng.random((samples, 10, 8)) < rates[:, None]).astype(np.float64), labels


def _before(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_a_module_is_trained_compiled_and_trained_on_with_its_integers() -> None:
    module, (x, labels) = Layers(), task()
    before = _before(module)
    network = trainable(module, x[:8])
    records = pumice.fit(network, x, labels, OPTIONS, seed=0)
    assert records[-1].loss < records[0].loss
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    held_out = pumice.Stimulus({"input": x[:16]}, labels[:16])
    build = pumice.compile(network, held_out, classes=("a", "b", "c"))
    assert build.float_graph.outputs[0].classes == ("a", "b", "c")
    with torch.no_grad():
        scores = network(torch.from_numpy(x[:16])).scores.numpy()
    assert np.array_equal(next(iter(pumice.predict(build, stage=Stage.FLOAT).scores.values())), scores)
    judged = pumice.compare(build, exact=("emulator",))
    assert judged.comparison.float_accuracy is not None
    repaired = pumice.repair(build, pumice.Stimulus({"input": x}, labels), pumice.RepairOptions.of_epochs(1))
    assert repaired.facts.repair is not None
    assert repaired.facts.repair.epochs == 1


def test_before_training_the_network_is_the_module_in_samples_before_steps() -> None:
    module, (x, _) = Layers(time_first=True).eval(), task(6)
    with torch.no_grad():
        expected = module(torch.from_numpy(np.moveaxis(x, 0, 1)).float())
        network = trainable(module, np.moveaxis(x, 0, 1))
        assert isinstance(network, GraphNetwork)
        assert torch.equal(network(torch.from_numpy(x)).scores, expected)
    assert expected.any()


def test_training_changes_weights_and_leaves_what_is_not_trained() -> None:
    x, labels = task()
    network = trainable(Layers(), x[:8])
    first = network.tuned()
    pumice.fit(network, x, labels, OPTIONS, seed=0, validation=(x[:9], labels[:9]))
    after = network.tuned()
    for one in first.synapses:
        changed: Any = after[one.name]
        if "reset" not in one.name:
            assert not np.array_equal(values_of(one.weights), values_of(changed.weights))
    for one in first.populations:
        other: Any = after[one.name]
        assert np.array_equal(one.vth, other.vth)
        assert one.reset is other.reset


def test_what_fit_trains_as_it_is_and_what_is_no_graph_are_refused() -> None:
    x, _ = task(4)
    layers = nn.Sequential(nn.Linear(8, 4), CubaLif(4))
    with pytest.raises(UsageError, match="give `fit` a Network or FeedForward as it is"):
        trainable(layers, x)
    with pytest.raises(UsageError, match="a str is no module"):
        trainable("net", x)  # pyright: ignore[reportArgumentType]

    class Looking(Layers):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.mean() > 0 else x

    with pytest.raises(FrontendError, match="looks at values of the data"):
        trainable(Looking(), x)


def test_a_module_that_its_graph_is_not_is_refused_with_the_difference() -> None:
    class Scaled(Layers):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * len(x)

    with pytest.raises(SourceMismatchError, match="not what the module returned"):
        trainable(Scaled(), task(12)[0])


class _OfTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(3, 8), nn.Linear(4, 8), nn.Linear(8, 2)
        self.inner, self.outer = Spiking(vth=1.0, dv=0.2), Spiking(vth=1.0, dv=0.2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        currents = (self.one(left[:, t]) + self.two(right[:, t]) for t in range(left.shape[1]))
        return torch.stack([self.outer(self.last(self.inner(each))) for each in currents], 1).sum(1)


def test_a_module_of_several_inputs_is_trained_on_and_repaired(rng: np.random.Generator) -> None:
    labels = np.arange(40) % 2
    given = {
        "left": rng.random((40, 7, 3)) < 0.4,
        "right": rng.random((40, 7, 4)) < 0.2 + 0.5 * labels[:, None, None],
    }
    torch.manual_seed(0)
    network = trainable(_OfTwo(), {name: each[:6] for name, each in given.items()})
    records = pumice.fit(network, given, labels, pumice.FitOptions(4, 10, 0.02), seed=0)
    assert records[-1].loss < records[0].loss
    build = pumice.compile(network, pumice.Stimulus(given, labels))
    repaired = pumice.repair(build, pumice.Stimulus(given, labels), pumice.RepairOptions.of_epochs(1))
    assert repaired.facts.repair is not None
    assert pumice.compare(repaired, exact=("emulator",)).exact["emulator"].equal

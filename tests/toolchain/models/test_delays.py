"""Learnt delays: what they compute while they are learnt, their gradient, and whole steps at the end."""

import numpy as np
import pytest
import torch
from torch import Tensor

from toolchain.errors import ArgumentError
from toolchain.frontends import from_torch
from toolchain.ir import Delay, Dense
from toolchain.models import Connection, CubaLif, MaskedSynapses, Network, SynapticDelays
from toolchain.training import FitOptions, fit


def _synapses(delays: object, longest: int | None = 6) -> MaskedSynapses:
    weight = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    return MaskedSynapses(weight, delays=delays, longest_delay=longest)


def _delays(synapses: MaskedSynapses) -> SynapticDelays:
    assert synapses.delays is not None
    return synapses.delays


def test_whole_steps_wait_as_long_as_they_say() -> None:
    steps = np.random.default_rng(1).integers(0, 7, (3, 4))
    synapses = _synapses(steps, None)
    x = torch.rand(2, 10, 4, dtype=torch.float64)
    weight = synapses.weight.detach()
    expected = torch.zeros(2, 10, 3, dtype=torch.float64)
    for t in range(10):
        for i, j in np.ndindex(3, 4):
            if t >= steps[i, j]:
                expected[:, t, i] += weight[i, j] * x[:, t - steps[i, j], j]
    assert torch.allclose(synapses(x), expected)


@pytest.mark.parametrize("shared", [True, False])
def test_the_gradient_of_a_delay_is_that_of_finite_differences(*, shared: bool) -> None:
    rng = np.random.default_rng(2)
    synapses = _synapses(2.3 if shared else rng.uniform(0, 6, (3, 4)))
    delays = _delays(synapses)
    delays.narrow(0.4)
    assert 0.25 < delays.width < 3
    x = torch.tensor(rng.random((2, 12, 4)))
    onto = torch.tensor(rng.normal(size=(2, 12, 3)))

    def loss() -> Tensor:
        return (synapses(x) * onto).sum()

    (analytic,) = torch.autograd.grad(loss(), [delays.position])
    position = delays.position.data
    for place in np.ndindex(*position.shape):
        start = position[place].item()
        sides = []
        for shift in (1e-6, -1e-6):
            position[place] = start + shift
            sides.append(loss().item())
        position[place] = start
        assert analytic[place].item() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_a_kernel_narrows_to_one_whole_step() -> None:
    delays = _delays(_synapses(np.full((3, 4), 2.4)))
    widths, peaks = [], []
    for part in np.linspace(0, 1, 21):
        delays.narrow(float(part))
        kernel = delays.kernel()
        assert torch.allclose(kernel.sum(-1), torch.ones(3, 4).double())
        widths.append(delays.width)
        peaks.append(kernel.max().item())
    assert widths == sorted(widths, reverse=True)
    assert peaks == sorted(peaks)
    assert widths[0] == 3.0
    assert widths[-1] == 0
    assert kernel.argmax(-1).unique().tolist() == [2]
    delays.narrow(0.0)
    # Whoever evaluates in between gets what would be deployed.
    assert delays.eval().kernel().max() == 1


def _network(synapses: MaskedSynapses, recurrent: MaskedSynapses) -> Network:
    return Network(
        inputs={"x": 4},
        layers={"a": CubaLif(3, dv=0.5), "out": CubaLif(2, dv=0.05, vth=float("inf"))},
        connections={
            Connection("in", "x", "a"): synapses,
            Connection("loop", "a", "a", delay=1): recurrent,
            Connection("decode", "a", "out"): MaskedSynapses(torch.randn(2, 3).double()),
        },
        output="out",
    ).double()


def test_training_moves_delays_and_ends_on_whole_steps() -> None:
    """Class 1 is a spike on channel 0 three steps before one on channel 1; coincidence needs the delay."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64)
    x = np.zeros((64, 12, 4))
    for i, label in enumerate(labels):
        first = rng.integers(0, 6)
        x[i, first, 0] = x[i, first + 3 + 2 * (label - 1), 1] = 1
    loop = MaskedSynapses(torch.zeros(3, 3).double(), delays=torch.zeros(3, 3), longest_delay=4)
    network = _network(_synapses(torch.zeros(3, 4)), loop)
    options = FitOptions(epochs=3, batch_size=16, learning_rate=0.02)
    fit(network, x, labels, options, seed=0)
    delays = _delays(network.synapses["in"])  # pyright: ignore[reportArgumentType]
    assert delays.width == 0
    assert (delays.position != 0).any()
    assert ((delays.position >= 0) & (delays.position <= 6)).all()
    # Trained or evaluated, it is the network of whole steps by now.
    stimulus = torch.tensor(x[:4])
    assert torch.equal(network.train()(stimulus).scores, network.eval()(stimulus).scores)
    dense = next(node for node in from_torch(network) if isinstance(node, Dense) and node.name == "in")
    assert dense.delays is not None
    assert np.array_equal(np.asarray(dense.delays), delays.steps.numpy())


def test_one_delay_of_a_connection_is_a_delay_of_its_source() -> None:
    network = _network(_synapses(2.4), _synapses_of_loop())
    nodes = {node.name: node for node in from_torch(network)}
    assert isinstance(nodes["in.delay"], Delay)
    assert nodes["in.delay"].steps == 2
    assert nodes["loop.delay"].steps == 1 + 3  # pyright: ignore[reportAttributeAccessIssue]


def _synapses_of_loop() -> MaskedSynapses:
    return MaskedSynapses(torch.ones(3, 3).double(), delays=3, longest_delay=4)


@pytest.mark.parametrize(
    ("delays", "longest", "argument"),
    [
        (7.0, 6, "delays"),
        (-1.0, 6, "delays"),
        (1.5, None, "delays"),
        (5000, None, "delays"),
        (np.zeros((4, 3)), 6, "delays"),
        (1.0, 0, "longest_delay"),
        (1.0, 2**20, "longest_delay"),
        (None, 6, "longest_delay"),
        (float("nan"), 6, "delays"),
    ],
)
def test_delays_that_make_no_sense_are_refused_by_name(
    delays: object, longest: int | None, argument: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        _synapses(delays, longest)
    assert caught.value.argument == argument


def test_delays_that_rest_are_not_touched() -> None:
    delays = _delays(_synapses(np.full((3, 4), 2.4)))
    before = delays.position._version
    delays.narrow(1.0)
    assert delays.position._version == before
    with torch.no_grad():
        delays.position.fill_(9.0)
    delays.narrow(1.0)
    assert delays.position.unique().tolist() == [6.0]

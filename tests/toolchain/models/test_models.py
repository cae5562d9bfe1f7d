"""PyTorch and the float reference are one definition: equal in float64 to 1e-9, spikes exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.networks import part
from toolchain.errors import FeedbackError, FrontendError
from toolchain.execution import reference
from toolchain.fidelity import scores
from toolchain.frontends import from_torch
from toolchain.models import (
    Connection,
    CubaLif,
    HrsnnShape,
    LearntDelays,
    MaskedSynapses,
    Network,
    Readout,
    Surrogate,
    build_hrsnn,
)
from toolchain.models.hrsnn import BETA_LIMITS, gamma_betas
from toolchain.models.surrogates import spike
from toolchain.models.topology import dale_weights, small_world, spectral_radius
from toolchain.reset import Reset


def _random_network(rng: np.random.Generator, readout: Readout) -> Network:
    """Two layers with self-loops, a feedback over two steps and a skip, all parameters per neuron."""

    def tensor(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.tensor(rng.normal(size=shape) * scale)

    def layer(size: int) -> CubaLif:
        dv = rng.uniform(0.02, 0.6, size)
        return CubaLif(
            size,
            du=torch.tensor(rng.uniform(0.2, 1.0, size)),
            dv=torch.tensor(dv),
            vth=torch.tensor(rng.uniform(0.5, 2.0, size)),
            bias=torch.tensor(rng.normal(size=size) * 0.05),
        ).double()

    mask = torch.tensor(rng.random((9, 9)) < 0.3)
    return Network(
        inputs={"input": 5},
        layers={"a": layer(9), "b": layer(7), "out": CubaLif(3, dv=0.1, vth=float("inf")).double()},
        connections={
            Connection("in", "input", "a"): MaskedSynapses(tensor(9, 5)),
            Connection("aa", "a", "a", delay=1): MaskedSynapses(tensor(9, 9, scale=0.5), mask),
            Connection("ab", "a", "b"): MaskedSynapses(tensor(7, 9)),
            Connection("bb", "b", "b", delay=3): MaskedSynapses(tensor(7, 7, scale=0.5)),
            Connection("ba", "b", "a", delay=2): MaskedSynapses(tensor(9, 7, scale=0.5)),
            Connection("skip", "input", "b", delay=1): MaskedSynapses(tensor(7, 5)),
            Connection("bo", "b", "out"): MaskedSynapses(tensor(3, 7)),
        },
        output="out",
        readout=readout,
    ).double()


@pytest.mark.parametrize("seed", range(6))
def test_a_random_network_equals_its_graph_in_float64(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = _random_network(rng, Readout.MEAN_V)
    x = rng.random((3, 40, 5)) < 0.4
    with torch.inference_mode():
        activity = network(torch.tensor(x).double(), record=True)
    trace = reference.run(from_torch(network), x)
    for name in ("a", "b", "out"):
        assert np.array_equal(activity.spikes[name].numpy().astype(bool), trace.spikes[name])
        assert np.abs(activity.v[name].numpy() - trace.v[name]).max() <= 1e-9
        assert np.abs(activity.u[name].numpy() - trace.u[name]).max() <= 1e-9
    assert trace.spikes["a"].any()
    assert trace.spikes["b"].any()


@pytest.mark.parametrize("readout", Readout)
def test_scores_are_what_the_host_decodes(readout: Readout, rng: np.random.Generator) -> None:
    network = _random_network(rng, readout)
    x = rng.random((2, 15, 5)) < 0.4
    with torch.inference_mode():
        expected = network(torch.tensor(x).double()).scores.numpy()
    graph = from_torch(network)
    assert np.abs(scores(graph, reference.run(graph, x), graph.outputs[0]) - expected).max() <= 1e-9


def test_a_connection_backwards_needs_a_delay() -> None:
    layers = {"a": CubaLif(2), "b": CubaLif(2)}
    forward = {
        Connection("in", "input", "a"): MaskedSynapses(torch.ones(2, 2)),
        Connection("ab", "a", "b"): MaskedSynapses(torch.ones(2, 2)),
        Connection("ba", "b", "a"): MaskedSynapses(torch.ones(2, 2)),
    }
    with pytest.raises(FeedbackError, match="a -> b -> a"):
        Network(inputs={"input": 2}, layers=layers, connections=forward, output="b")


@pytest.mark.parametrize(
    ("arrow", "output", "message"),
    [
        (Connection("w", "input", "c"), "a", "names layer 'c'"),
        (Connection("w", "a", "input", 1), "a", "ends in input"),
        (Connection("w", "input", "a"), "z", "output layer 'z'"),
    ],
)
def test_a_connection_or_output_that_does_not_exist_is_named(
    arrow: Connection, output: str, message: str
) -> None:
    with pytest.raises(FrontendError, match=message):
        Network(
            inputs={"input": 2},
            layers={"a": CubaLif(2)},
            connections={arrow: MaskedSynapses(torch.ones(2, 2))},
            output=output,
        )


@pytest.mark.parametrize("surrogate", Surrogate)
def test_a_surrogate_is_a_step_forward_and_smooth_backward(surrogate: Surrogate) -> None:
    x = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
    y = spike(x, surrogate, 10.0)
    y.sum().backward()
    assert y.tolist() == [0, 0, 1]
    assert x.grad is not None
    assert x.grad[1] == 1
    assert 0 < x.grad[0] == x.grad[2] < 0.2


def test_spikes_pass_gradients_to_weights_in_the_past() -> None:
    network = build_hrsnn(HrsnnShape(channels=4, classes=2, neurons=20), np.random.default_rng(0))
    network(torch.ones(2, 6, 4)).scores.sum().backward()
    for synapses in network.synapses.values():
        assert isinstance(synapses, MaskedSynapses)
        assert synapses.weight.grad is not None
        assert synapses.weight.grad.abs().sum() > 0


def test_masked_synapses_stay_absent() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    synapses = MaskedSynapses(torch.ones(2, 2), mask)
    synapses(torch.ones(1, 2)).sum().backward()
    assert synapses.count == 3
    assert synapses.weight.grad is not None
    assert synapses.weight.grad[0, 1] == 0


def test_time_constants_are_gamma_distributed_and_clipped() -> None:
    shape = HrsnnShape(channels=1, classes=1, neurons=20_000, tau_mean_ms=20.0, tau_shape=3.0)
    betas = gamma_betas(shape, np.random.default_rng(0))
    tau = -1 / np.log(betas)
    assert tau.mean() == pytest.approx(20.0, rel=0.02)
    assert tau.var() == pytest.approx(20.0**2 / 3, rel=0.05)
    assert betas.min() >= BETA_LIMITS[0]
    assert betas.max() <= BETA_LIMITS[1]


def test_the_pool_has_the_neurons_that_were_asked_for_and_learns_from_the_same_distribution() -> None:
    plain = HrsnnShape(channels=4, classes=2, neurons=50, dt_ms=2.0)
    shape = replace(
        plain,
        reset=Reset.SUBTRACT,
        reset_amount=0.5,
        refractory_ms=4.0,
        adaptation=0.1,
        adaptation_tau_ms=100.0,
        train=("dv", "vth", "adaptation_decay"),
        delays=LearntDelays.SYNAPSE,
    )
    before = build_hrsnn(plain, np.random.default_rng(0)).layer("hidden")
    network = build_hrsnn(shape, np.random.default_rng(0))
    hidden = network.layer("hidden")
    assert torch.equal(hidden.dv, before.dv)
    assert torch.equal(hidden.vth, before.vth)
    assert hidden.effective_amount is not None
    assert torch.allclose(hidden.effective_amount, 0.5 * before.vth)
    assert hidden.refractory is not None
    assert hidden.refractory.tolist() == [2] * 50
    assert hidden.adaptation is not None
    assert hidden.adaptation_decay is not None
    assert torch.allclose(hidden.adaptation, 0.1 * before.vth)
    assert torch.allclose(hidden.adaptation_decay, torch.tensor(1 - np.exp(-2 / 100)).float())
    for name, learnt in (("encode", True), ("recur", True), ("decode", False)):
        delays = part(network, f"synapses.{name}", MaskedSynapses).delays
        assert (delays is not None) is learnt
        assert delays is None or not delays.steps.any()


@pytest.mark.parametrize(("density", "rewiring"), [(0.1, 0.1), (0.3, 1.0), (1.0, 0.0), (0.01, 0.5)])
def test_a_small_world_has_its_density_and_no_self_loops(density: float, rewiring: float) -> None:
    adjacency = small_world(100, density, rewiring, np.random.default_rng(0))
    assert (adjacency.sum(axis=1) == round(density * 99)).all()
    assert not adjacency.diagonal().any()


def test_an_untrained_hrsnn_has_the_gain_and_signs_it_was_asked_for() -> None:
    shape = HrsnnShape(channels=8, classes=3, neurons=80, gain=0.7, inhibitory=0.25)
    network = build_hrsnn(shape, np.random.default_rng(1))
    recurrent = part(network, "synapses.recur", MaskedSynapses).effective.detach().double().numpy()
    assert np.abs(np.linalg.eigvals(recurrent)).max() == pytest.approx(0.7, rel=1e-4)
    for column in recurrent.T:
        signs = set(np.sign(column[column != 0]))
        assert len(signs) <= 1, "a neuron is excitatory or inhibitory, not both"


def test_a_clustered_network_has_its_density_clusters_and_time_constants() -> None:
    shape = HrsnnShape(
        channels=4,
        classes=2,
        neurons=500,
        density=0.1,
        cluster_tau_ms=(5.0, 10.0, 20.0, 40.0, 80.0),
        tau_shape=50.0,
    )
    rng = np.random.default_rng(0)
    network = build_hrsnn(shape, rng)
    present = part(network, "synapses.recur", MaskedSynapses).mask
    assert present is not None
    mask = present.numpy()
    cluster = shape.cluster
    assert np.bincount(cluster).tolist() == [100] * 5
    assert mask.mean() == pytest.approx(0.1, rel=0.05)
    assert not mask.diagonal().any()
    same = cluster[:, None] == cluster
    assert mask[~same].mean() / mask[same].mean() == pytest.approx(0.1, rel=0.1)
    tau = -1 / np.log(1 - network.layer("hidden").dv.double().numpy())
    assert [tau[cluster == c].mean() for c in range(5)] == pytest.approx([5, 10, 20, 40, 80], rel=0.1)


def test_the_spectral_radius_is_the_same_by_both_solvers(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(450, 450)) * (rng.random((450, 450)) < 0.1)
    assert spectral_radius(weights) == pytest.approx(np.abs(np.linalg.eigvals(weights)).max(), rel=2e-2)
    assert spectral_radius(np.zeros((500, 500))) == 0


def test_weights_of_a_source_have_one_sign(rng: np.random.Generator) -> None:
    weights = dale_weights(rng.random((80, 80)) < 0.3, 0.25, 4.0, rng)
    signs = [set(np.sign(column[column != 0])) for column in weights.T]
    assert all(len(each) == 1 for each in signs)
    assert {-1.0} in signs
    assert {1.0} in signs

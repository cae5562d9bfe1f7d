"""Read-outs on pools that are not trained by gradients: ridge, logistic layer, host decoder, STDP."""

import numpy as np
import pytest
import torch

from tests.networks import part
from toolchain.errors import ArgumentError, TrainingError
from toolchain.models import Connection, CubaLif, HrsnnShape, MaskedSynapses, Network, Readout, build_hrsnn
from toolchain.training import StdpOptions, fit_linear_layer, fit_ridge, learn_stdp
from toolchain.training.readouts import filtered_spikes


def _network(readout: Readout = Readout.LAST_V, gain: float = 10.0) -> Network:
    shape = HrsnnShape(channels=6, classes=3, neurons=40, density=0.2, input_density=1.0, gain=gain)
    return build_hrsnn(shape, np.random.default_rng(0), readout=readout)


def _samples(rng: np.random.Generator, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Class c fires channels 2 c and 2 c + 1."""
    labels = np.arange(count) % 3
    rates = np.full((count, 1, 6), 0.05)
    for c in range(3):
        rates[labels == c, :, 2 * c : 2 * c + 2] = 0.7
    return rng.random((count, 20, 6)) < rates, labels


def test_ridge_finds_a_linear_map_and_shrinks_with_strength(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 8))
    weights, offset = rng.normal(size=(2, 8)), np.array([3.0, -1.0])
    y = x @ weights.T + offset
    found = fit_ridge(x, y, 1e-9)
    assert found.weights == pytest.approx(weights, abs=1e-6)
    assert found.offset == pytest.approx(offset, abs=1e-6)
    assert found(x) == pytest.approx(y, abs=1e-5)
    assert np.linalg.norm(fit_ridge(x, y, 1.0).weights) < 0.7 * np.linalg.norm(weights)


def test_ridge_strength_means_the_same_at_any_scale(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(300, 5)), rng.normal(size=(300, 1))
    small, large = fit_ridge(x, y, 0.1), fit_ridge(1000 * x, y, 0.1)
    assert large.weights * 1000 == pytest.approx(small.weights)


def test_ridge_refuses_what_it_cannot_fit(rng: np.random.Generator) -> None:
    with pytest.raises(ArgumentError, match="features: expected finite numbers"):
        fit_ridge(np.full((4, 2), np.nan), np.zeros((4, 1)), 1.0)
    with pytest.raises(TrainingError, match="no feature of the read-out varies"):
        fit_ridge(np.ones((4, 2)), np.zeros((4, 1)), 1.0)


def test_filtered_spikes_are_what_a_readout_neuron_adds_up(rng: np.random.Generator) -> None:
    network, (x, _) = _network().double(), _samples(rng, 5)
    beta = float(1 - network.layer("readout").dv[0])
    features = filtered_spikes(network, "hidden", x, beta)
    with torch.inference_mode():
        scores = network(torch.from_numpy(x).double()).scores.numpy()
    assert features @ part(
        network, "synapses.decode", MaskedSynapses
    ).weight.detach().numpy().T == pytest.approx(scores, abs=1e-9)


def test_a_fitted_layer_tells_the_classes_apart(rng: np.random.Generator) -> None:
    network = _network()
    x, labels = _samples(rng, 120)
    fit_linear_layer(network, "hidden", x[:60], labels[:60])
    with torch.inference_mode():
        scores = network(torch.from_numpy(x[60:]).float()).scores
    assert (scores.argmax(dim=1).numpy() == labels[60:]).mean() > 0.9


def test_a_fitted_layer_needs_its_readout_its_classes_and_spikes(rng: np.random.Generator) -> None:
    x, labels = _samples(rng)
    with pytest.raises(TrainingError, match="expected read-out last_v"):
        fit_linear_layer(_network(Readout.MEAN_V), "hidden", x, labels)
    with pytest.raises(TrainingError, match="every one of 3 classes"):
        fit_linear_layer(_network(), "hidden", x, labels % 2)
    with pytest.raises(TrainingError, match="does not tell samples apart"):
        fit_linear_layer(_network(), "hidden", np.zeros_like(x), labels)


def _pair(order: tuple[int, int]) -> tuple[Network, np.ndarray]:
    """Neuron 0 excites neuron 1; inputs make them fire in a given order, five steps apart."""
    network = Network(
        inputs={"input": 2},
        layers={
            "hidden": CubaLif(2, du=1.0, dv=0.5, vth=1.0),
            "readout": CubaLif(1, du=1.0, dv=0.1, vth=float("inf")),
        },
        connections=dict(
            zip(
                build_connections(),
                [
                    _synapses([[5.0, 0.0], [0.0, 5.0]]),
                    _synapses([[0.0, 0.0], [0.1, 0.0]]),
                    _synapses([[1.0, 1.0]]),
                ],
                strict=True,
            )
        ),
        output="readout",
    )
    x = np.zeros((1, 20, 2), dtype=bool)
    x[0, 5, order[0]] = x[0, 10, order[1]] = True
    return network, x


def build_connections() -> tuple[Connection, ...]:
    return (
        Connection("encode", "input", "hidden"),
        Connection("recur", "hidden", "hidden", delay=1),
        Connection("decode", "hidden", "readout"),
    )


def _synapses(values: list[list[float]]) -> MaskedSynapses:
    return MaskedSynapses(torch.tensor(values))


def test_stdp_by_hand_on_two_neurons() -> None:
    options = StdpOptions(potentiation=0.1, depression=0.2, bound=3.0)
    trace = np.exp(-5 / 20)
    before, x = _pair((0, 1))
    learn_stdp(before, "hidden", x, options)
    # The source fired five steps before the target: grows towards 0.3.
    assert part(before, "synapses.recur", MaskedSynapses).weight[1, 0].item() == pytest.approx(
        0.1 + 0.1 * (0.3 - 0.1) * trace, rel=1e-6
    )
    after, x = _pair((1, 0))
    learn_stdp(after, "hidden", x, options)
    assert part(after, "synapses.recur", MaskedSynapses).weight[1, 0].item() == pytest.approx(
        0.1 - 0.2 * 0.1 * trace, rel=1e-6
    )


def test_stdp_keeps_signs_bounds_and_absent_synapses(rng: np.random.Generator) -> None:
    network = _network()
    before = part(network, "synapses.recur", MaskedSynapses).effective.detach().numpy().copy()
    learn_stdp(network, "hidden", _samples(rng)[0], StdpOptions(potentiation=0.2, depression=0.1))
    after = part(network, "synapses.recur", MaskedSynapses).effective.detach().numpy()
    assert np.array_equal(before == 0, after == 0)
    assert np.array_equal(before[before < 0], after[before < 0])
    limit = 3 * before[before > 0].mean()
    assert (after[before > 0] != before[before > 0]).any()
    assert ((after[before > 0] > 0) & (after[before > 0] <= max(limit, before.max()) * 1.0001)).all()


def test_stdp_then_a_supervised_readout_learns(rng: np.random.Generator) -> None:
    network = _network()
    x, labels = _samples(rng, 120)
    learn_stdp(network, "hidden", x[:60], StdpOptions())
    fit_linear_layer(network, "hidden", x[:60], labels[:60])
    with torch.inference_mode():
        scores = network(torch.from_numpy(x[60:]).float()).scores
    assert (scores.argmax(dim=1).numpy() == labels[60:]).mean() > 0.85


def test_stdp_refuses_layers_it_does_not_know(rng: np.random.Generator) -> None:
    x, _ = _samples(rng, 3)
    with pytest.raises(TrainingError, match="'readout' is not"):
        learn_stdp(_network(), "readout", x, StdpOptions())
    silent = _network(gain=0.0)
    with pytest.raises(TrainingError, match="no excitatory recurrent synapse"):
        learn_stdp(silent, "hidden", x, StdpOptions())
    filtered = _network()
    filtered.layer("hidden").du.fill_(0.5)
    with pytest.raises(TrainingError, match="without a current filter"):
        learn_stdp(filtered, "hidden", x, StdpOptions())

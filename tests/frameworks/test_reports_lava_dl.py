"""Public reports about Lava-DL's netx: the network of each, and what it is here."""

from pathlib import Path

import numpy as np
import pytest

from tests.toolchain.interchange.netx_graphs import Values, conv, cuba, dense, even, save
from toolchain import ir
from toolchain.errors import FrontendError
from toolchain.execution import reference
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.ir.imported import Imported

pytestmark = pytest.mark.frameworks


def _imported(tmp_path: Path, layers: list[Values]) -> Imported:
    return from_netx(save(tmp_path / "network.net", layers))


def test_92_a_classifier_of_flowers_keeps_its_classes_or_says_which_weights_netx_would_change(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Iris in SLAYER, a third of it right after netx, which clips weights beyond 8 bits without an error."""
    hidden, last = even(rng, 24, 4), even(rng, 3, 24)
    layers = [dense(hidden, **cuba(60)), dense(last, **cuba(60))]
    fixed = _imported(tmp_path, layers).fixed
    assert fixed is not None
    held = [np.asarray(node.weights) for node in fixed.synapses if isinstance(node, ir.FixedDense)]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(held, (hidden, last), strict=True))
    wide = hidden * 15
    with pytest.raises(
        FrontendError, match=r"layer 0 \('dense'\) has a 'weight' of .*, of which netx would make"
    ):
        _imported(tmp_path, [dense(wide, **cuba(60)), layers[1]])


def test_149_a_vector_enters_through_an_input_layer_with_neurons(tmp_path: Path) -> None:
    """MNIST of the bootstrap tutorial: netx took a second extent of a shape that has one."""
    first: Values = {
        "type": "input",
        "shape": [784],
        "weight": np.array([76.0]),
        "bias": np.array([64.0]),
        **cuba(),
    }
    fixed = _imported(tmp_path, [first, dense(np.full((10, 784), 2))]).fixed
    assert fixed is not None
    assert fixed.inputs[0].shape == (784,)
    trace = reference.run(fixed, np.full((1, 3, 784), 0.5))
    assert np.array_equal(trace.spikes["layer0"][0], [[True] * 784] * 3)


def test_226_the_longest_delay_need_not_be_62(tmp_path: Path, rng: np.random.Generator) -> None:
    """Axonal delays in netx: a buffer for 62 steps met matrices for fewer, and the sizes did not fit."""
    delays = rng.integers(0, 6, 8)
    found = _imported(tmp_path, [{"type": "input", "shape": [8]}, dense(np.eye(8) * 250, delay=delays)])
    assert found.fixed is not None
    x = np.zeros((1, 9, 8), bool)
    x[0, 0] = True
    spikes = reference.run(found.fixed, x).spikes["layer1"][0]
    assert np.array_equal(spikes.argmax(axis=0), delays)
    clipped = _imported(tmp_path, [{"type": "input", "shape": [1]}, dense(np.array([[250]]), delay=70)])
    assert "delays of layer 1 beyond 62 steps are 62, as in netx" in clipped.notes


def test_260_kernels_are_not_transposed(tmp_path: Path) -> None:
    """One pixel of nine per class: netx exchanged rows and columns of the kernels."""
    kernels = np.zeros((9, 1, 3, 3), int)
    kernels.reshape(9, 9)[range(9), range(9)] = 100
    layers = [
        {"type": "input", "shape": [1, 3, 3]},
        conv(kernels, (9, 1, 1), **{"neuron/iDecay": [4096] * 9}),
    ]
    fixed = _imported(tmp_path, layers).fixed
    assert fixed is not None
    pixels = np.eye(9, dtype=bool).reshape(9, 1, 1, 3, 3)
    spikes = reference.run(fixed, pixels).spikes["layer1"].reshape(9, 9)
    assert np.array_equal(spikes, np.eye(9, dtype=bool))
    (node,) = (node for node in fixed.synapses if isinstance(node, ir.FixedConv2d))
    assert np.array_equal(node.weights, kernels)


def test_327_recurrent_layers_are_read_with_a_decay_per_neuron(tmp_path: Path) -> None:
    """Two recurrent layers of the example that came with it: a decay per neuron, weights of 6 and 4."""
    decays = {"neuron/iDecay": np.full(5, 2048), "neuron/vDecay": np.full(5, 614), "neuron/vThMant": 60}
    layers = [
        dense(np.full((5, size), 6), type="dense_rec", weight_rec=np.full((5, 5), 4), **decays)
        for size in (6, 5)
    ]
    fixed = _imported(tmp_path, layers).fixed
    assert fixed is not None
    for node in fixed.populations:
        assert isinstance(node, ir.FixedLif)
        assert node.du.tolist() == [2047] * 5
        assert node.dv.tolist() == [614] * 5
    spikes = reference.run(fixed, np.ones((1, 40, 6), bool)).spikes
    assert all(spikes[name].any() for name in ("layer0", "layer1"))

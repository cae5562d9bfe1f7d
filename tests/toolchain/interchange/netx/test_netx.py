"""netx in and out: integers as Lava-DL's own reader has them, written and read without a change."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.graphs import Registers, rest_with
from tests.real_data import real_data
from tests.toolchain.interchange.netx_graphs import (
    Values,
    conv,
    cuba,
    dense,
    even,
    fixed_of,
    graphs_of,
    save,
    small,
)
from toolchain import fixedpoint, ir
from toolchain.errors import CorruptArtifactError, FrontendError, PreconditionError
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import check_integers, first_mismatch
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.interchange.netx.to_netx import netx_layers
from toolchain.ir import Decode, same_structure
from toolchain.target.registry import load_target


def test_a_file_is_the_network_that_netx_would_build(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = small(rng)
    found = from_netx(save(tmp_path / "net.net", layers))
    assert found.fixed is not None
    image = rng.random((1, 12, 2, 6, 6)) < 0.3
    trace = reference.run(found.fixed, image)
    kernel, matrix, last = (layers[i]["weight"].astype(int) for i in (1, 3, 4))
    state = [np.zeros((2, n), int) for n in (48, 10, 4)]
    for t in range(12):
        frame = image[0, t].astype(int)
        slide: Any = np.lib.stride_tricks.sliding_window_view  # several axes are not in its types
        patches = slide(frame, (3, 3), axis=(1, 2))
        first = np.einsum("oikl,iyxkl->oyx", kernel[..., 0], patches).reshape(48)
        s1 = _step(state[0], first, np.repeat([5, -3, 0], 16), 123, 80)
        s2 = _step(state[1], matrix @ s1, layers[3]["bias"].astype(int), 123, 80)
        _step(state[2], last @ s2, 0, 0, 2**17 - 1)
        assert np.array_equal(trace.spikes["layer1"][0, t].ravel(), s1)
        assert np.array_equal(trace.spikes["layer3"][0, t], s2)
        assert np.array_equal(trace.v["layer4"][0, t], state[2][1])
    assert found.fixed.outputs[0].decode is Decode.LAST_V
    assert any("has no neurons" in note for note in found.notes)
    check_integers(found.graph, found.fixed)


def _step(state: NDArray[Any], a: Any, bias: Any, decay: int, vth: int) -> NDArray[Any]:
    """Lava's fixed-point LIF with a current that forgets at once."""
    current = np.asarray(a, np.int32)
    du, dv, theta, offset = (np.broadcast_to(np.int32(x), current.shape) for x in (4095, decay, vth, 0))
    registers = Registers(du, dv, theta, offset + np.asarray(bias, np.int32) * 64)
    before = rest_with(state[0].astype(np.int32), state[1].astype(np.int32))
    after, spikes = fixedpoint.lif_step(before, current, registers)
    state[0], state[1] = after.u, after.v
    return spikes.astype(int)


def test_an_input_layer_adds_a_weighted_value_and_a_bias(tmp_path: Path) -> None:
    first = {"type": "input", "shape": [2], "weight": np.array([40.0]), "bias": np.array([36.0])} | cuba(
        25, 1024
    )
    found = from_netx(save(tmp_path / "net.net", [first, dense(np.array([[2, 4], [-6, 8]]))]))
    assert found.fixed is not None
    trace = reference.run(found.fixed, np.array([[[0.5, -0.25]] * 3]))
    assert trace.u["layer0"][0, 0].tolist() == [20 * 64, -10 * 64]
    assert trace.v["layer0"][0, 0].tolist() == [0, 26 * 64 * 0]
    check_integers(found.graph, found.fixed)


def test_odd_weights_of_both_signs_are_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    weights, kernel = np.array([[3, -5], [7, 1]]), rng.integers(-9, 10, (2, 1, 2, 2)) | 1
    layers = [
        {"type": "input", "shape": [1, 2, 3]},
        conv(kernel, (2, 1, 2)),
        {"type": "flatten"},
        dense(np.tile(weights, (1, 2))),
        dense(weights * 31),
    ]
    fixed = from_netx(save(tmp_path / "net.net", layers)).fixed
    assert fixed is not None
    halves = [node for node in fixed.synapses if isinstance(node, ir.FixedConv2d)]
    assert np.array_equal(sum(node.weights for node in halves), kernel)
    first, *halves = (node for node in fixed.synapses if isinstance(node, ir.FixedDense))
    assert (first.exponent, np.asarray(first.weights)[0, 0]) == (-1, 6)
    assert [node.name for node in halves] == ["layer4.weights.excitatory", "layer4.weights.inhibitory"]
    assert np.array_equal(sum(np.asarray(node.weights) for node in halves), weights * 31)


def test_what_is_read_runs_on_lava_with_the_same_integers(tmp_path: Path, rng: np.random.Generator) -> None:
    fixed = fixed_of(from_netx(save(tmp_path / "net.net", small(rng))))
    image = rng.random((2, 8, 2, 6, 6)) < 0.3
    traces = [load_target(name).build(fixed).run(image, record=QUANTITIES) for name in ("emulator", "lava")]
    assert first_mismatch(*traces) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "pool"}, "is not read: netx does not run poolings"),
        ({"type": "concat"}, "netx does not run skips"),
        ({"type": "average"}, "netx does not run averages"),
        ({"type": "banana"}, "of a type that netx does not know"),
        ({"type": "input"}, "is an input, but is not the first layer"),
        ({"neuron/type": "SDNN"}, "has neurons 'SDNN', expected CUBA or LOIHI"),
        ({"neuron/messageBits": 8}, "graded spikes .'messageBits'."),
        ({"neuron/gradedSpike": True}, "graded spikes .'gradedSpike'."),
        ({"neuron/refDelay": 3}, "'refDelay' 3; netx passes it over"),
        ({"neuron/iDecay": 0}, "iDecay = 0, the register holds 1 .. 4096"),
        ({"neuron/vDecay": 4096}, "vDecay = 4096"),
        ({"neuron/vDecay": 10.5}, "expected whole numbers as 'neuron/vDecay', got 10.5"),
        ({"neuron/vDecay": np.array([1, 2, 3])}, "vDecay of shape .3,., expected one"),
        ({"neuron/iDecay": np.array([1, 5000])}, "iDecay = 5000"),
        ({"neuron/vThMant": 2**18}, "vThMant"),
        ({"weight": np.array([[300.0, -2.0], [2.0, 2.0]])}, "it clips 300 to 254"),
        ({"weight": np.array([[-64.0, -2.0], [-2.0, -2.0]])}, "it makes -62 of -64"),
        ({"weight": np.array([[-255.0, 0.0], [-2.0, -2.0]])}, "it makes 0 of -255"),
        ({"weight": np.zeros((3, 2))}, "'weight' of shape .3, 2., expected .2, 2."),
        ({"weight": np.zeros((1, 4))}, "'weight' of shape .1, 4., expected .2, 2."),
        ({"weight": np.array([[np.nan, 1.0], [1.0, 1.0]])}, "expected numbers as 'weight'"),
        ({"weight": np.full((2, 2), 2.0**40)}, "'weight' below 2.31"),
        ({"inFeatures": 3}, "says 'inFeatures' .3., but before it are .2."),
        ({"delay": np.array([-1, 2])}, "a 'delay' of -1 steps"),
        ({"delay": np.zeros((2, 3))}, "'delay' of shape .2, 3."),
        ({"bias": np.array([5000.0, 0.0])}, "'bias' of 0 .. 5000, the register holds -4096 .. 4095"),
        ({"bias": np.zeros(3)}, "'bias' of shape .3,., expected one per channel .2,."),
        ({"shape": [0]}, "'shape' .0,., expected"),
        ({"type": "dense_rec"}, "has no 'weight_rec'"),
        ({"type": "dense_rec", "weight_rec": np.eye(2), "delay": 1}, "a 'delay', which netx mixes up"),
        ({"type": "dense_rec", "weight": np.full((2, 2), 255), "weight_rec": -np.eye(2)}, "clips 255 to 254"),
    ],
)
def test_what_netx_does_not_run_is_refused_by_layer(
    tmp_path: Path, change: Mapping[str, Any], said: str
) -> None:
    layers = [{"type": "input", "shape": [2]}, dense(np.array([[2, 4], [-6, 8]]), **change)]
    with pytest.raises(FrontendError, match=rf"^layer 1 \('\w+'\) .*{said}"):
        from_netx(save(tmp_path / "bad.net", layers))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [3, 4, 5]}, "says 'shape' .3, 4, 5., but its convolution makes .3, 4, 4."),
        ({"stride": 0}, "expected one or two numbers of 1 or more as 'stride'"),
        ({"padding": np.array([1, 2, 3])}, "of 0 or more as 'padding'"),
        ({"groups": 3}, "in 3 groups over 2 channels"),
        (
            {"bias": np.zeros((3, 4, 4))},
            "'bias' of shape .3, 4, 4., expected one per channel .3,. or one per ",
        ),
        ({"bias": np.zeros(1)}, "'bias' of shape .1,."),
        ({"delay": 1}, "a 'delay', which netx drops"),
        ({"kernelSize": [3, 2]}, "says 'kernelSize' .3, 2., but its 'weight' says .3, 3."),
        ({"neuron/vDecay": np.zeros((3, 4, 4), int)}, "vDecay of shape"),
        ({"weight": np.full((3, 2, 3, 3), 300)}, "which 8 bits and a sign do not hold"),
    ],
)
def test_a_convolution_that_netx_does_not_run_is_refused_by_layer(
    change: Mapping[str, Any], said: str, rng: np.random.Generator
) -> None:
    layers = [{"type": "input", "shape": [2, 6, 6]}, conv(even(rng, 3, 2, 3, 3), (3, 4, 4)) | {**change}]
    with pytest.raises(FrontendError, match=rf"^layer 1 \('conv'\) .*{said}"):
        graphs_of(layers)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"bias": np.zeros(2)}, "expected one 'bias' for all that enters, got 2"),
        ({"weight": 0}, "'weight' of 0: nothing would enter"),
        ({"delay": 1}, "a 'delay', which netx drops"),
    ],
)
def test_an_input_layer_that_netx_does_not_run_is_refused(first: Values, said: str) -> None:
    layers = [{"type": "input", "shape": [2], **cuba(), **first}, dense(np.array([[2, 4], [-6, 8]]))]
    with pytest.raises(FrontendError, match=rf"^layer 0 \('input'\) .*{said}"):
        graphs_of(layers)


def test_layers_that_netx_does_not_join_are_refused(rng: np.random.Generator) -> None:
    image = {"type": "input", "shape": [2, 6, 6]}
    unjoined = [image, conv(even(rng, 3, 2, 3, 3), (3, 4, 4)), dense(even(rng, 5, 48))]
    with pytest.raises(FrontendError, match=r"layer 2 \('dense'\) reads images .* without a layer 'flatten'"):
        graphs_of(unjoined)
    bare = conv(even(rng, 3, 2, 3, 3), (3, 4, 4))
    with pytest.raises(FrontendError, match=r"layer 1 \('conv'\) has no 'neuron'"):
        graphs_of([image, {name: value for name, value in bare.items() if "/" not in name}])
    with pytest.raises(FrontendError, match=r"layer 0 \('conv'\) is a convolution, and no layer before it"):
        graphs_of([bare])
    with pytest.raises(FrontendError, match=r"layer 1 \('flatten'\) says 'shape' of 71 values"):
        graphs_of([image, {"type": "flatten", "shape": [71]}])
    with pytest.raises(FrontendError, match=r"layer 1 \('dense'\) has a 'bias' but no neurons"):
        graphs_of([image, {"type": "dense", "shape": [1], "weight": even(rng, 1, 72), "bias": np.ones(1)}])
    without = {"type": "dense", "shape": [2], "weight": even(rng, 2, 72)}
    with pytest.raises(FrontendError, match=r"layer 2 \('dense'\) reads 'layer1', which has no neurons"):
        graphs_of([image, without, dense(even(rng, 3, 2))])
    with pytest.raises(FrontendError, match="no layer has neurons"):
        graphs_of([image])


def test_registers_differ_per_neuron_and_per_channel_in_lavas_order(rng: np.random.Generator) -> None:
    each, channel = rng.integers(1, 4096, (4, 5, 3)), rng.integers(0, 4096, 3)
    bias = rng.integers(-4096, 4096, (4, 5, 3))
    more = {"neuron/iDecay": each, "neuron/vDecay": channel, "bias": bias}
    layers = [{"type": "input", "shape": [2, 7, 6]}, conv(even(rng, 3, 2, 3, 3), (3, 5, 4), **more)]
    fixed = fixed_of(graphs_of(layers))
    (node,) = (node for node in fixed.populations if isinstance(node, ir.FixedLif))
    assert np.array_equal(node.du, each.transpose() - 1)
    assert np.array_equal(node.dv, np.broadcast_to(channel[:, None, None], (3, 5, 4)))
    assert np.array_equal(node.bias, bias.transpose() * 64)
    assert same_structure(fixed, fixed_of(graphs_of(netx_layers(fixed))))


def test_an_input_layer_does_not_filter_what_enters() -> None:
    first = {"type": "input", "shape": [1], "weight": 40} | cuba(vth=10**5, decay=0, current=1024)
    fixed = fixed_of(graphs_of([first, dense(np.array([[2]]))]))
    trace = reference.run(fixed, np.array([[[1.0], [0.0], [0.0]]]))
    assert trace.v["layer0"][0, :, 0].tolist() == [40 * 64] * 3
    filtering = fixed.map(
        lambda node: (
            replace(node, du=node.du // 2)
            if isinstance(node, ir.FixedLif) and node.name == "layer0"
            else node
        )
    )
    with pytest.raises(PreconditionError, match="'layer0' filters the graded input by its current"):
        netx_layers(filtering)


def test_a_first_layer_without_shape_says_nothing() -> None:
    weights = np.array([[2, 4], [-6, 8]])
    found, same = (
        graphs_of([{"type": "input"}, dense(weights)]),
        graphs_of([{"type": "input", "shape": [2]}, dense(weights)]),
    )
    assert same_structure(fixed_of(found), fixed_of(same))


def test_a_weight_exponent_that_netx_never_reads_is_told() -> None:
    found = graphs_of([{"type": "input", "shape": [2]}, dense(np.array([[2, 4]]), **{"neuron/wgtExp": 2})])
    assert any("'wgtExp' of layer 1 is not 0" in note for note in found.notes)


def test_what_is_no_chain_of_layers_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifactError, match="no layers"):
        from_netx(save(tmp_path / "empty.net", []))
    untyped = dense(np.eye(2))
    del untyped["type"]
    with pytest.raises(CorruptArtifactError, match="type of layer 0"):
        from_netx(save(tmp_path / "untyped.net", [untyped]))


def test_the_public_image_network_has_the_kernels_and_biases_of_its_file() -> None:
    fixed = fixed_of(from_netx(real_data("netx", "tiny.net")))
    with h5py.File(real_data("netx", "tiny.net")) as file:
        kernels, entered = (np.asarray(file[name]) for name in ("layer/1/weight", "layer/0/bias"))
    assert (kernels.shape, entered.shape) == ((24, 3, 5, 5, 1), (1,))
    found = [node.weights for node in fixed.synapses if isinstance(node, ir.FixedConv2d)]
    first, second = (node for node in fixed.populations[:2] if isinstance(node, ir.FixedLif))
    assert np.array_equal(found[1], kernels[..., 0])
    assert (first.bias == 64 * entered[0]).all()
    assert second.bias.shape == (24, 6, 6)

"""Lava on images: float equality, groups, residual blocks, what its own model of a convolution cannot do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.exactness import check_equal
from tests.graphs import chain, fixed_lif
from tests.networks import images, small_preresnet
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import SignMode
from toolchain.frontends import from_torch
from toolchain.ir import Decode, Graph, Origin
from toolchain.passes import QuantizeGraph


def _depthwise(groups: int) -> Graph:
    rng = np.random.default_rng(0)
    weights = 2 * rng.integers(-60, 60, (groups, 1, 2, 2), np.int32)
    shape = (groups, 2, 2)
    ones = np.ones(shape, np.int32)
    neurons = ir.FixedLif(
        name="p",
        inputs=("conv",),
        du=ones * 4095,
        dv=ones * 100,
        vth=ones * 50,
        bias_mantissa=ones * 0,
        bias_exponent=ones * 0,
        scale=np.ones(shape),
        origin=Origin.whole("p", groups * 4),
    )
    conv = ir.FixedConv2d(
        name="conv",
        inputs=("x",),
        weights=weights,
        exponent=1,
        sign_mode=SignMode.MIXED,
        groups=groups,
    )
    output = ir.Output(name="output", inputs=("p",), decode=Decode.SPIKE_COUNT)
    return Graph((ir.Input(name="x", shape=(groups, 3, 3)), conv, neurons, output))


def test_our_model_of_a_convolution_has_as_many_groups_as_wanted(rng: np.random.Generator) -> None:
    graph, x = _depthwise(130), rng.random((2, 4, 130, 3, 3)) < 0.4
    expected = reference.run(graph, x)
    check_equal(graph, expected, LavaTarget(), x)


def test_lavas_own_model_is_not_asked_for_what_it_would_get_wrong() -> None:
    with pytest.raises(TargetError, match="'conv'.*up to 127 and cannot hold 130"):
        LavaTarget(models=Models.STOCK).build(_depthwise(130))
    LavaTarget(models=Models.STOCK).build(_depthwise(127))


def _convolution(shape: tuple[int, int, int], targets: int, **geometry: Any) -> Graph:
    weights = np.full((targets, shape[0], 3, 3), 2, np.int32)
    conv = ir.FixedConv2d(
        name="conv", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED, **geometry
    )
    rows, columns = conv.window.positions(shape[1:])
    size = targets * rows * columns
    flat = fixed_lif("p", ("conv",), size)
    maps = {name: values.reshape(targets, rows, columns) for name, values in flat.per_neuron.items()}
    return chain(conv, replace(flat, **maps), shape=shape)


@pytest.mark.parametrize(
    ("shape", "targets", "geometry"),
    [
        ((128, 3, 3), 2, {}),
        ((2, 3, 3), 128, {}),
        ((1, 3, 128), 1, {}),
        ((1, 128, 3), 1, {}),
        ((1, 3, 100), 1, {"padding": (0, 14)}),
        ((1, 3, 100), 1, {"stride": (1, 128)}),
    ],
)
def test_lavas_own_model_cannot_count_more(
    shape: tuple[int, int, int], targets: int, geometry: dict[str, Any]
) -> None:
    """With NumPy 2 it raises at the first step, or finds that the image has no pixel: better said before."""
    with pytest.raises(TargetError, match="cannot hold 128"):
        LavaTarget(models=Models.STOCK).build(_convolution(shape, targets, **geometry))


def test_float_networks_of_images_equal_the_reference_to_rounding() -> None:
    network = small_preresnet()
    graph = from_torch(network)
    x = np.repeat(images(network, 2).numpy()[:, None], 4, axis=1)
    expected = reference.run(graph, x)
    got = LavaTarget().build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9


def test_a_residual_block_waits_where_its_paths_are_unequal() -> None:
    network = small_preresnet()
    graph = QuantizeGraph(steps=4)(from_torch(network))
    program = LavaTarget().build(graph)
    offsets = program.plan.schedule.offsets
    assert offsets["s2b1_spikes1"] - offsets["s1b1_spikes2"] == 3, (
        "a path of one connection waits for one of three"
    )
    assert any(item.relay for item in program.plan.network.populations)
    x = np.repeat(images(network, 2).numpy()[:, None], 4, axis=1)
    expected, got = reference.run(graph, x), program.run(x, record=QUANTITIES)
    assert first_mismatch(expected, got) is None
    assert all(spikes.any() for name, spikes in expected.spikes.items() if name != "readout")

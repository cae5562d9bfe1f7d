"""When samples have shown enough: what the observations are for decides, not how they look."""

from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import recurrent, spikes
from tests.nodes import node_of
from toolchain import ir
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.fixedpoint import SignMode
from toolchain.ir import Graph
from toolchain.passes import Calibration, SplitSigns
from toolchain.passes.quantization.population import QuantizeOptions
from toolchain.passes.quantization.rounding import Rounding, remaining_error, round_together
from toolchain.passes.quantization.scales import Incoming
from toolchain.passes.quantization.settling import has_settled


@pytest.fixture(scope="module")
def graph() -> Graph:
    return SplitSigns()(recurrent(np.random.default_rng(0)))


@pytest.fixture(scope="module")
def seen(graph: Graph) -> Calibration:
    x = spikes(np.random.default_rng(1), 60, 30, 6)
    return Calibration.observe(graph, Stimulus.of(x), reference.run(graph, x))


def _times(ranges: dict[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    return {name: values * factor for name, values in ranges.items()}


def test_what_did_not_change_has_settled(graph: Graph, seen: Calibration) -> None:
    assert has_settled(QuantizeOptions(), graph, seen, seen)


def test_ranges_far_from_their_registers_decide_on_nothing(graph: Graph, seen: Calibration) -> None:
    half = replace(seen, v_low=_times(dict(seen.v_low), 0.1), u_peak=_times(dict(seen.u_peak), 0.1))
    assert has_settled(QuantizeOptions(), graph, half, seen)


def test_ranges_that_fill_a_register_must_have_stopped_growing(graph: Graph, seen: Calibration) -> None:
    """Nothing is proved of potentials that do not leak."""
    node = node_of(graph, "hidden", ir.Lif)
    slow = graph.map(lambda each: replace(node, dv=np.zeros(node.dv.shape)) if each is node else each)
    far, nearly, half = (
        replace(seen, v_low=_times(dict(seen.v_low), factor)) for factor in (1e5, 0.7e5, 0.5e5)
    )
    options = QuantizeOptions(compensate_decays=False)
    assert has_settled(options, slow, nearly, far)
    assert not has_settled(options, slow, half, far)


def test_decays_must_come_out_the_same(graph: Graph, seen: Calibration) -> None:
    other = replace(seen, v_mean=_times(dict(seen.v_mean), 0.01))
    assert not has_settled(QuantizeOptions(), graph, other, seen)
    assert has_settled(QuantizeOptions(compensate_decays=False), graph, other, seen)


def test_weights_rounded_on_half_must_be_right_for_all(graph: Graph, seen: Calibration) -> None:
    """Moments of other sources: what cancels on these does not on those."""
    odd = {name: np.diag(np.linspace(0.01, 10.0, len(moments))) for name, moments in seen.drives.items()}
    other = replace(seen, drives=odd)
    assert not has_settled(QuantizeOptions(weight_bits=4), graph, other, seen)
    assert has_settled(QuantizeOptions(weight_bits=4, rounding=Rounding.NEAREST), graph, other, seen)


def test_the_error_that_integers_leave_is_the_objective_of_joint_rounding(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(4, 9))
    item, x = Incoming(weights, SignMode.MIXED, 5), rng.random((200, 9))
    scale = item.limit / np.abs(weights).max(axis=1)
    integers, left = round_together([item], [1], scale, x.T @ x)
    assert np.allclose(remaining_error([item], [1], scale, x.T @ x, integers), left)

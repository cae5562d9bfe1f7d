"""Lava: float equality, windows, relays, stock dynamics, every choice of models."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.lava.declared import CAPABILITIES
from targets.lava.plan import plan_processes
from targets.lava.runtime.documents import LavaRun
from targets.lava.runtime.jobs import beyond_stock
from targets.lava.runtime.models import Models
from targets.lava.runtime.simulation import connected_parts
from targets.lava.target import LavaTarget
from tests.graphs import (
    chain,
    dense,
    feed_forward,
    fixed_dense,
    fixed_lif,
    lif,
    recurrent,
    spikes,
    union,
    varied,
    wired,
)
from tests.random_graphs import random_fixed, random_recipe, random_stimuli
from tests.real_graphs import check_close, in_reals
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import LackingNeuronsError, TargetUnavailableError
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph
from toolchain.passes import FoldDelays
from toolchain.reset import Reset


@pytest.mark.slow
@pytest.mark.parametrize("models", [Models.MIXED, Models.LAYERS])
def test_float_graphs_of_all_neurons_equal_the_reference_to_rounding(models: Models) -> None:
    recipes = [replace(random_recipe(np.random.default_rng(seed)), firing=True) for seed in range(5)]
    cases = [(in_reals(random_fixed(recipe)), random_stimuli(recipe, 2, 12)) for recipe in recipes]
    graph = union([graph for graph, _ in cases])
    x = {f"g{i}-{name}": values for i, (_, stimuli) in enumerate(cases) for name, values in stimuli.items()}
    check_close(reference.run(graph, x), LavaTarget(models=models).build(graph).run(x, record=QUANTITIES))


def _refractory() -> Graph:
    """Lava's own refractory neurons, recurrent, one population late and with biases."""
    rng = np.random.default_rng(0)
    links = {"w": ("x", "p", 0), "r": ("p", "p", 2), "w2": ("p", "q", 0)}
    graph = wired({"p": 6, "q": 3}, links, channels=4, weights=lambda shape: rng.normal(size=shape))
    bias = {"p": rng.uniform(0, 0.3, 6), "q": np.array([0.4, 0, 0.1])}
    return graph.map(
        lambda node: (
            replace(
                node,
                vth=np.full(node.vth.shape, 0.4),
                bias=bias[node.name],
                refractory=np.full(node.vth.shape, 3),
            )
            if isinstance(node, ir.Lif)
            else node
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("models", Models)
def test_refractory_neurons_of_real_numbers_are_those_of_lava(models: Models) -> None:
    graph, x = _refractory(), spikes(np.random.default_rng(1), 2, 30, 4)
    expected = reference.run(graph, x)
    assert min(fired.mean() for fired in expected.spikes.values()) > 0.05
    check_close(expected, LavaTarget(models=models).build(graph).run(x, record=QUANTITIES))


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"reset": Reset.NONE}, "a reset of kind 'none'"),
        ({"reset": Reset.SUBTRACT, "reset_amount": 1.0, "max_spikes": 3}, "a reset of kind 'subtract'"),
        ({"adaptation": 1.0, "adaptation_decay": 0.5}, "thresholds that spikes raise"),
        ({"refractory": [1, 2]}, "refractory periods of several lengths"),
        ({"refractory": 2, "dv": [0.1, 0.2]}, "a refractory period beside several decays"),
    ],
)
def test_lava_itself_refuses_neurons_that_it_has_not(changes: dict[str, Any], lacks: str) -> None:
    graph = chain(dense("w", "x", np.ones((2, 1))), lif("p", ("w",), 2, **changes))
    with pytest.raises(LackingNeuronsError, match=r"'p' has .*target 'lava'") as caught:
        LavaTarget(models=Models.STOCK).build(graph)
    assert lacks in caught.value.lacking["p"]


def test_lavas_refractory_neurons_have_no_model_of_integers() -> None:
    graph = chain(fixed_dense("w", "x", np.full((2, 1), 64)), fixed_lif("p", ("w",), 2, refractory=2))
    with pytest.raises(LackingNeuronsError, match="a refractory period of 2 steps in integers"):
        LavaTarget(models=Models.STOCK).build(graph)
    idle = graph.map(
        lambda node: replace(node, refractory=np.zeros(2)) if isinstance(node, ir.FixedLif) else node
    )
    LavaTarget(models=Models.STOCK).build(idle)


@pytest.mark.parametrize("real", [False, True])
def test_what_is_exported_knows_the_limits_that_the_target_declares(*, real: bool) -> None:
    """It needs nothing of ours, and so has the rules of Lava's own neurons once more."""
    verdicts: set[bool] = set()
    for seed in range(40):
        recipe = replace(random_recipe(np.random.default_rng(seed)), sizes=(3,), firing=seed % 4 > 0)
        graph = in_reals(random_fixed(recipe)) if real else random_fixed(recipe)
        if real and seed % 8 == 0:
            graph = graph.map(lambda node: replace(node, refractory=[2, 2, 2]) if node.name == "p0" else node)
        plan = plan_processes(graph)
        rules = CAPABILITIES[Models.STOCK].neurons(graph.stage)
        assert rules is not None
        lacking = {node.name for node in graph.populations if rules.lacking(node)}
        assert set(beyond_stock(plan.network, plan.weights)) == lacking
        verdicts.add(bool(lacking))
    assert verdicts == {False, True}


@pytest.mark.parametrize("seed", range(2))
def test_float_graphs_equal_the_reference_to_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, x = recurrent(rng), spikes(rng, 3, 30, 6)
    expected, got = reference.run(graph, x), LavaTarget().build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9
        assert np.abs(expected.u[name] - got.u[name]).max() <= 1e-9


def test_a_float_graph_that_waits_and_reads_real_values_equals_the_reference(
    rng: np.random.Generator,
) -> None:
    """Relays in floating point, delays per synapse after folding, a graded input."""

    graph, x = FoldDelays()(varied(recurrent(rng), rng)), rng.normal(size=(2, 15, 6))
    program = LavaTarget().build(graph)
    assert any(item.relay for item in program.plan.network.populations)
    expected, got = reference.run(graph, x), program.run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9
    assert expected.spikes["hidden"].any()


def test_samples_start_from_rest_even_without_a_gap_between_them() -> None:
    """Without delays the windows touch: nothing but the window itself can bring a neuron to rest."""
    graph = Graph(
        (
            ir.Input(name="x", shape=(2,)),
            ir.FixedDense(
                name="w", inputs=("x",), weights=np.array([[4, 2]]), exponent=0, sign_mode=SignMode.MIXED
            ),
            fixed_lif("p", ("w",), 1, du=0, dv=0, vth=2**17 - 1, bias_mantissa=9),
            ir.Output(name="o", inputs=("p",), decode=Decode.LAST_V),
        )
    )
    assert plan_processes(graph).network.gap == 0
    x = np.ones((3, 4, 2), bool)
    trace = LavaTarget().build(graph).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None


def test_two_parts_that_are_not_connected_both_run() -> None:
    graph = union([feed_forward(), feed_forward()])
    x = {"g0-x": np.ones((1, 5, 2)), "g1-x": np.zeros((1, 5, 2))}
    expected, got = reference.run(graph, x), LavaTarget().build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-12


@pytest.mark.parametrize(("models", "parts"), [(Models.STOCK, 1), (Models.MIXED, 1), (Models.LAYERS, 2)])
def test_populations_that_share_only_an_input_are_apart_where_it_is_no_process(
    models: Models, parts: int
) -> None:
    """One of the two would never run."""
    sizes = {"a": 1, "b": 2}
    network = plan_processes(wired(sizes, {"wa": ("x", "a", 0), "wb": ("x", "b", 0)})).network
    found = connected_parts(network, models)
    assert len(found) == parts
    assert sorted(name for names in found for name in names) == sorted(network.process_names(models))


def test_relays_are_shared_by_all_readers_of_a_source() -> None:
    graph = conformance.graph()
    late = graph.map(lambda n: replace(n, steps=4) if isinstance(n, ir.Delay) else n)
    relays = [item.name for item in plan_processes(late).network.populations if item.relay]
    assert relays
    assert relays == sorted(set(relays))


_STOCK = """
import sys
import numpy as np
import targets.lava
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from lava.utils.weightutils import SignMode

data = np.load(sys.argv[1])
source = RingBuffer(data=data["x"].T.astype(np.int32))
dense = Dense(weights=data["weights"], weight_exp=2, sign_mode=SignMode.MIXED)
lif = LIF(shape=(4,), du=int(data["du"]), dv=int(data["dv"]), vth=int(data["vth"]))
source.s_out.connect(dense.s_in)
dense.a_out.connect(lif.a_in)
steps = data["x"].shape[0] + 1
monitors = {name: Monitor() for name in ("u", "v")}
for name, monitor in monitors.items():
    monitor.probe(getattr(lif, name), steps)
lif.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
found = {name: m.get_data()[lif.name][name].astype(np.int64) for name, m in monitors.items()}
lif.stop()
np.savez(sys.argv[2], **found)
"""


def test_our_lif_process_equals_lavas_own_lif_watched_by_lavas_own_monitor(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(-127, 128, (4, 3)) * 2
    x = rng.random((25, 3)) < 0.5
    registers: dict[str, Any] = {"du": 700, "dv": 90, "vth": 900}
    np.savez(tmp_path / "in.npz", weights=weights, x=x, **registers)
    (tmp_path / "stock.py").write_text(_STOCK)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "stock.py"), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    graph = Graph(
        (
            ir.Input(name="x", shape=(3,)),
            ir.FixedDense(name="w", inputs=("x",), weights=weights, exponent=2, sign_mode=SignMode.MIXED),
            fixed_lif("p", ("w",), 4, **registers),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    trace = LavaTarget().build(graph).run(x[None], record=QUANTITIES)
    with np.load(tmp_path / "out.npz") as stock:
        # The connection is one step late: Lava's step t + 1 is step t here.
        assert np.array_equal(stock["u"][1:], trace.u["p"][0])
        assert np.array_equal(stock["v"][1:], trace.v["p"][0])
    assert trace.spikes["p"].any()


@pytest.mark.parametrize("models", [Models.STOCK, Models.LAYERS])
def test_float_graphs_run_on_every_choice_of_models(rng: np.random.Generator, models: Models) -> None:
    graph, x = FoldDelays()(varied(recurrent(rng), rng)), rng.normal(size=(2, 15, 6))
    expected, got = reference.run(graph, x), LavaTarget(models=models).build(graph).run(x, record=QUANTITIES)
    for name in expected.v:
        assert np.array_equal(expected.spikes[name], got.spikes[name])
        assert np.abs(expected.v[name] - got.v[name]).max() <= 1e-9


def test_a_window_leaves_room_for_the_latest_population_and_the_longest_delay() -> None:
    network = plan_processes(conformance.graph()).network
    windows = LavaRun(Models.MIXED, samples=3, steps=10).windows(network)
    assert windows.period == 10 + network.gap
    assert windows.total == 2 * windows.period + 10 + network.latest


def test_without_lava_the_target_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.lava.target.lava_version", lambda: None)
    with pytest.raises(TargetUnavailableError, match="--ignore-requires-python lava-nc==0.10.0"):
        LavaTarget().build(feed_forward())


def test_a_numpy_that_lava_cannot_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"lava-nc": "0.10.0", "numpy": "2.4.1"}
    monkeypatch.setattr("importlib.metadata.version", versions.__getitem__)
    with pytest.raises(TargetUnavailableError, match="numpy<2.4"):
        LavaTarget().check()

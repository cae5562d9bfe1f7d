"""Lyapunov Noise Pruning against its baselines: many seeds, equal sizes, equal gain.

Training is not equal: on digits, activity pruning trains for an epoch after each of its rounds and keeps
those weights, so it has 30 epochs where every other arm has 20. On the series no network is trained, and
its retraining does nothing. Operations are not equal either, in spite of the names of three arms: their
synapses are scaled once, as if recurrent operations grew in proportion.

Run it with `make lnp-study`; it takes about two and a half hours of one core. `lnp_tables.py` writes tables
and sentences into the pages of studies.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lnp_tasks import HISTORY, HORIZON, NEURONS, TASKS, Task
from study import Campaign, Given, Key, Row, carry_out

import toolchain
from toolchain.data import SeriesCode, lorenz63
from toolchain.fidelity.metrics import normalised_error, valid_prediction_time
from toolchain.models import Network, Readout, build_hrsnn
from toolchain.pruning import (
    ActivityOptions,
    LnpOptions,
    PruningStep,
    RecurrentPool,
    Selection,
    erdos_renyi,
    pool_of,
    prune_at_random,
    prune_by_activity,
    prune_pool,
    with_pool,
    without_recurrence,
)
from toolchain.pruning.lnp import (
    CentralityRule,
    DelocalizationRule,
    Importance,
    KeepRule,
    NeuronCriterion,
    Preference,
)
from toolchain.pruning.magnitude import prune_by_magnitude
from toolchain.target.registry import load_target
from toolchain.workflow.forecast import (
    ForecastOptions,
    fit_forecaster,
    predict_closed_loop,
    predict_open_loop,
)

KEPT_NEURONS, KEPT_SYNAPSES, ITERATIONS = 220, 0.06, 10
DEPLOYED_STARTS = 200
CLUSTERS = (5.0, 10.0, 20.0, 40.0, 80.0)
DEPLOYMENT = "deployment"
# The machine that the committed lines were measured on.
MEASURED_ON = "2 cores, one thread per process, Python 3.11.7"


@dataclass(frozen=True)
class Case:
    """One untrained network and what is asked of its pruned versions."""

    task: Task
    network: Network
    pool: RecurrentPool
    cluster: np.ndarray
    seed: int

    @property
    def synapses(self) -> int:
        return round(KEPT_SYNAPSES * self.pool.synapses)

    def rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])


# ---------------------------------------------------------------- arms


def _options(**more: Any) -> LnpOptions:
    """Return the paper's choices, whatever our defaults are, but for what is given."""
    return replace(LnpOptions.published(KEPT_NEURONS, KEPT_SYNAPSES, ITERATIONS), **more)


def _selected(case: Case, options: LnpOptions) -> Selection:
    result = prune_pool(case.pool, options, case.rng(1))
    return Selection(result.pool, result.indices)


def _lnp(**more: Any) -> Callable[[Case], Selection]:
    return lambda case: _selected(case, _options(**more))


def _random(case: Case, synapses: int | None = None) -> Selection:
    return prune_at_random(case.pool, KEPT_NEURONS, synapses or case.synapses, case.rng(2))


def _erdos_renyi(case: Case, synapses: int | None = None) -> Selection:
    neurons = np.sort(case.rng(3).choice(NEURONS, KEPT_NEURONS, replace=False))
    return erdos_renyi(case.pool, neurons, synapses or case.synapses, case.rng(4))


def _no_recurrence(case: Case) -> Selection:
    return without_recurrence(case.pool, _selected(case, _options()).indices)


ONE_TO_FOUR = frozenset(PruningStep)
BY_WEIGHT = replace(KeepRule.published(), importance=Importance.WEIGHT)
QUIET = CentralityRule(NeuronCriterion.ACTIVITY)
ARMS: dict[str, Callable[[Case], Selection]] = {
    "unpruned": lambda case: Selection(case.pool, np.arange(case.pool.size)),
    "LNP": _lnp(),
    "LNP with Step IV": _lnp(steps=ONE_TO_FOUR),
    "random": _random,
    "Erdős–Rényi": _erdos_renyi,
    "LNP's neurons, no recurrence": _no_recurrence,
    "LNP, keep alike (no L, no covariance)": _lnp(keep=replace(KeepRule.published(), sharpness=0.0)),
    "LNP, inverted": _lnp(keep=replace(KeepRule.published(), sharpness=-1.0)),
    "LNP, |w| for L (Moore–Chaudhuri)": _lnp(keep=BY_WEIGHT),
    "LNP, leaves first in Step III": _lnp(delocalization=DelocalizationRule(prefer=Preference.LEAVES)),
    "LNP, quiet neurons go in Step II": _lnp(centrality=QUIET),
    "LNP, quiet neurons go, leaves first": _lnp(
        centrality=QUIET, delocalization=DelocalizationRule(prefer=Preference.LEAVES)
    ),
    "LNP, |w| for L, quiet neurons go, leaves first": _lnp(
        keep=BY_WEIGHT,
        centrality=QUIET,
        delocalization=DelocalizationRule(prefer=Preference.LEAVES),
    ),
    "Steps I, III, |w| for L, leaves first": _lnp(
        steps=frozenset({PruningStep.NOISE, PruningStep.DELOCALIZATION}),
        keep=BY_WEIGHT,
        delocalization=DelocalizationRule(prefer=Preference.LEAVES),
    ),
    "random synapses, all neurons": lambda case: prune_at_random(
        case.pool, NEURONS, case.synapses, case.rng(2)
    ),
    "strongest synapses, all neurons": lambda case: prune_by_magnitude(case.pool, NEURONS, case.synapses),
    "Step I": _lnp(steps=frozenset({PruningStep.NOISE})),
    "Steps I, II": _lnp(steps=frozenset({PruningStep.NOISE, PruningStep.CENTRALITY})),
    "Steps I, III": _lnp(steps=frozenset({PruningStep.NOISE, PruningStep.DELOCALIZATION})),
    "LNP, 1 iteration": _lnp(iterations=1),
    "LNP, 30 iterations": _lnp(iterations=30),
    "LNP, 100 iterations": _lnp(iterations=100),
}
ACTIVITY = ("AP", "AP, magnitude")
NETWORKS = {"homogeneous": {"tau_shape": 1e6}, "clustered": {"cluster_tau_ms": CLUSTERS}}
NOISY = {f"{arm}{kind}" for arm in ("unpruned", "LNP", "AP", "AP, magnitude") for kind in ("", ", clustered")}
EQUAL_OPERATIONS = ("random", "Erdős–Rényi", "AP, magnitude")


def case_of(task: Task, seed: int, changes: dict[str, Any]) -> Case:
    shape = replace(task.shape, **changes)
    network = build_hrsnn(shape, np.random.default_rng([seed, 0]), readout=Readout.LAST_V)
    for name in network.layers:
        network.layer(name).slope = 2.0
    pool = pool_of(network, "hidden", shape.cluster)
    return Case(task, network, pool, shape.cluster, seed)


def _by_activity(case: Case, synapses: int | None) -> Network:
    options = ActivityOptions(KEPT_NEURONS, synapses, ITERATIONS)
    return prune_by_activity(
        case.network,
        "hidden",
        options,
        case.task.activity,
        lambda network: case.task.retrain(network, case.seed),
    )[0]


def at_equal_gain(case: Case, network: Network) -> Network:
    """Give the pool of a pruned network the spectral radius of the unpruned one."""
    pool = pool_of(network, "hidden").with_gain(case.task.shape.gain)
    return with_pool(network, "hidden", np.arange(pool.size), pool)


def _pruned(case: Case, arm: str, synapses: int) -> Network:
    """Return the network of an arm with a number of synapses."""
    if arm == "AP, magnitude":
        return at_equal_gain(case, _by_activity(case, synapses))
    if arm == "AP":
        network = _by_activity(case, None)
        pool = pool_of(network, "hidden")
        survivors = np.sort(case.rng(5).choice(pool.synapses, min(synapses, pool.synapses), replace=False))
        return at_equal_gain(
            case, with_pool(network, "hidden", np.arange(pool.size), pool.with_synapses(survivors))
        )
    if synapses == case.synapses:
        selection = ARMS[arm](case)
    else:
        selection = (_random if arm == "random" else _erdos_renyi)(case, synapses)
    return at_equal_gain(case, with_pool(case.network, "hidden", selection.indices, selection.pool))


# ---------------------------------------------------------------- the runs


def points(seeds: int) -> Iterator[Key]:
    """Yield the points of a number of seeds."""
    for seed in range(seeds):
        for task in TASKS:
            if task == "digits":
                arms = ["unpruned", "LNP", "AP, magnitude", "random", "LNP's neurons, no recurrence"]
            else:
                arms = [*ARMS, *ACTIVITY, *(f"{arm}, equal operations" for arm in EQUAL_OPERATIONS)]
                arms += [
                    f"{arm}, {kind}" for kind in NETWORKS for arm in ("unpruned", "LNP", "AP, magnitude")
                ]
            for arm in arms:
                yield task, arm, seed
        yield DEPLOYMENT, "LNP, clustered", seed


def needs(key: Key) -> list[Key]:
    """Return the points that say how many synapses make operations equal."""
    task, arm, seed = key
    if not arm.endswith(", equal operations"):
        return []
    return [(task, "LNP", seed), (task, arm.removesuffix(", equal operations"), seed)]


def _run(key: Key, rows: Mapping[Key, Row]) -> dict[str, float]:
    task_name, arm, seed = key
    task = TASKS[task_name]()
    kind = next((kind for kind in NETWORKS if arm.endswith(f", {kind}")), None)
    case = case_of(task, seed, NETWORKS[kind] if kind else {})
    base = arm.removesuffix(f", {kind}") if kind else arm.removesuffix(", equal operations")
    synapses = case.synapses
    if arm.endswith(", equal operations"):
        wanted, got = (rows[each]["figures"]["recurrent_operations"] for each in needs(key))
        synapses = round(synapses * wanted / max(got, 1e-9))
        synapses = int(np.clip(synapses, 1, 0.15 * case.pool.synapses))
    network = _pruned(case, base, synapses)
    pool = pool_of(network, "hidden")
    return {
        "neurons": pool.size,
        "synapses": pool.synapses,
        **task.measure(network, seed, noisy_too=arm in NOISY),
    }


def deploy(seed: int) -> dict[str, float]:
    """Return float and integer figures of the pruned, clustered Lorenz63 predictor; does Lava agree?"""
    series = lorenz63()
    values, code = series.normalised, SeriesCode(3, steps=10, bits=8)
    case = case_of(TASKS["lorenz63"](), seed, NETWORKS["clustered"])
    selection = _selected(case, _options())
    network = with_pool(case.network, "hidden", selection.indices, selection.pool)
    network.input_code = code.input_code
    rng = case.rng(8)
    calibration = code.encode_all(values[:4000].reshape(16, 250, 3), rng)
    build = toolchain.compile(network, calibration[:1], target="lava", calibration=calibration)
    emulator = load_target("emulator")
    float_program, fixed_program = (emulator.build(graph) for graph in (build.float_graph, build.fixed_graph))
    forecaster = fit_forecaster(float_program, code, values[: series.train], ForecastOptions("hidden"), rng)
    begins = (
        series.validation
        + HISTORY
        + np.arange(DEPLOYED_STARTS)
        * ((series.test - series.validation - HISTORY - HORIZON) // DEPLOYED_STARTS)
    )
    history = np.stack([values[i - HISTORY : i] for i in begins])
    future = np.stack([values[i : i + HORIZON] for i in begins])
    result: dict[str, float] = {}
    for name, program in (("float", float_program), ("fixed", fixed_program)):
        predicted = predict_closed_loop(forecaster, program, history, HORIZON, rng)
        error = normalised_error(future, predicted, np.ones(3))
        result[f"vpt_{name}"] = float(valid_prediction_time(error).mean())
        result[f"rmse_{name}"] = float(np.sqrt(np.mean(np.minimum(error, 10) ** 2)))
        ahead = predict_open_loop(forecaster, program, history[:20], rng)[:, 60:-1]
        result[f"one_step_{name}"] = float(np.sqrt(np.mean((ahead - history[:20, 61:]) ** 2)))
    part = history[:2, :30]
    on_lava = predict_open_loop(forecaster, load_target("lava").build(build.fixed_graph), part, rng)
    result["lava_equal"] = float(
        np.array_equal(on_lava, predict_open_loop(forecaster, fixed_program, part, rng))
    )
    return result


def measure(key: Key, given: Given) -> Row:
    """Return the figures of an arm."""
    figures = deploy(key[2]) if key[0] == DEPLOYMENT else _run(key, given.rows)
    return {"figures": {name: round(value, 5) for name, value in figures.items()}}


CAMPAIGN = Campaign(Path(__file__), ("task", "arm", "seed"), points, measure, needs, seeds=8)

if __name__ == "__main__":
    carry_out(CAMPAIGN)

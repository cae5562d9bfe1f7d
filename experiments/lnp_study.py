"""Lyapunov Noise Pruning against its baselines: many seeds, equal sizes, equal gain.

Training is not equal: on digits, activity pruning trains for an epoch after each of its rounds and keeps
those weights, so it has 30 epochs where every other arm has 20. On the series no network is trained, and
its retraining does nothing. Operations are not equal either, in spite of the names of three arms: their
synapses are scaled once, as if recurrent operations grew in proportion.

Every figure is one line of `lnp_study.jsonl`, keyed by task, arm and seed; what is there is not computed
again, so the study can be interrupted and continued. `lnp_tables.py` writes tables and sentences into the
pages of studies. Run it with `make lnp-study`; it takes about two and a half hours of one core.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lnp_tasks import HISTORY, HORIZON, NEURONS, TASKS, Task

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

HERE = Path(__file__).parent
RESULTS = HERE / "lnp_study.jsonl"

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


def _random(case: Case) -> Selection:
    return prune_at_random(case.pool, KEPT_NEURONS, case.synapses, case.rng(2))


def _erdos_renyi(case: Case) -> Selection:
    neurons = np.sort(case.rng(3).choice(NEURONS, KEPT_NEURONS, replace=False))
    return erdos_renyi(case.pool, neurons, case.synapses, case.rng(4))


def _no_recurrence(case: Case) -> Selection:
    return without_recurrence(case.pool, _selected(case, _options()).indices)


ONE_TO_FOUR = frozenset(PruningStep)
QUIET = CentralityRule(NeuronCriterion.ACTIVITY)
ARMS: dict[str, Callable[[Case], Selection]] = {
    "unpruned": lambda case: Selection(case.pool, np.arange(case.pool.size)),
    "LNP": _lnp(),
    "LNP with Step IV": _lnp(steps=ONE_TO_FOUR),
    "random": _random,
    "Erdős–Rényi": _erdos_renyi,
    "LNP's neurons, no recurrence": _no_recurrence,
    "LNP, keep alike (no L, no covariance)": _lnp(keep=KeepRule(Importance.LYAPUNOV, sharpness=0.0)),
    "LNP, inverted": _lnp(keep=KeepRule(Importance.LYAPUNOV, sharpness=-1.0)),
    "LNP, |w| for L (Moore–Chaudhuri)": _lnp(keep=KeepRule(importance=Importance.WEIGHT)),
    "LNP, leaves first in Step III": _lnp(delocalization=DelocalizationRule(prefer=Preference.LEAVES)),
    "LNP, quiet neurons go in Step II": _lnp(centrality=QUIET),
    "LNP, quiet neurons go, leaves first": _lnp(
        centrality=QUIET, delocalization=DelocalizationRule(prefer=Preference.LEAVES)
    ),
    "LNP, |w| for L, quiet neurons go, leaves first": _lnp(
        keep=KeepRule(importance=Importance.WEIGHT),
        centrality=QUIET,
        delocalization=DelocalizationRule(prefer=Preference.LEAVES),
    ),
    "Steps I, III, |w| for L, leaves first": _lnp(
        steps=frozenset({PruningStep.NOISE, PruningStep.DELOCALIZATION}),
        keep=KeepRule(importance=Importance.WEIGHT),
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


def _case(task: Task, seed: int, changes: dict[str, Any]) -> Case:
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


def _at_equal_gain(case: Case, network: Network) -> Network:
    """Give the pool of a pruned network the spectral radius of the unpruned one."""
    pool = pool_of(network, "hidden").with_gain(case.task.shape.gain)
    return with_pool(network, "hidden", np.arange(pool.size), pool)


def _pruned(case: Case, arm: str, synapses: int) -> Network:
    """Return the network of an arm with a number of synapses."""
    if arm == "AP, magnitude":
        return _at_equal_gain(case, _by_activity(case, synapses))
    if arm == "AP":
        network = _by_activity(case, None)
        pool = pool_of(network, "hidden")
        survivors = np.sort(case.rng(5).choice(pool.synapses, min(synapses, pool.synapses), replace=False))
        return _at_equal_gain(
            case, with_pool(network, "hidden", np.arange(pool.size), pool.with_synapses(survivors))
        )
    if synapses == case.synapses:
        selection = ARMS[arm](case)
    elif arm == "random":
        selection = prune_at_random(case.pool, KEPT_NEURONS, synapses, case.rng(2))
    else:
        neurons = np.sort(case.rng(3).choice(NEURONS, KEPT_NEURONS, replace=False))
        selection = erdos_renyi(case.pool, neurons, synapses, case.rng(4))
    return _at_equal_gain(case, with_pool(case.network, "hidden", selection.indices, selection.pool))


# ---------------------------------------------------------------- the runs


def done() -> dict[tuple[str, str, int], dict[str, float]]:
    """Return the figures that are there."""
    if not RESULTS.is_file():
        return {}
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return {(line["task"], line["arm"], line["seed"]): line["figures"] for line in lines}


def jobs(tasks: list[str], seeds: range) -> Iterator[tuple[str, str, int]]:
    for seed in seeds:
        for task in tasks:
            if task == "digits":
                arms = ["unpruned", "LNP", "AP, magnitude", "random", "LNP's neurons, no recurrence"]
            else:
                arms = [*ARMS, *ACTIVITY, *(f"{arm}, equal operations" for arm in EQUAL_OPERATIONS)]
                arms += [
                    f"{arm}, {kind}" for kind in NETWORKS for arm in ("unpruned", "LNP", "AP, magnitude")
                ]
            for arm in arms:
                yield task, arm, seed
        if "lorenz63" in tasks:
            yield DEPLOYMENT, "LNP, clustered", seed


def _run(
    task_name: str, arm: str, seed: int, known: dict[tuple[str, str, int], dict[str, float]]
) -> dict[str, float]:
    task = TASKS[task_name]()
    kind = next((kind for kind in NETWORKS if arm.endswith(f", {kind}")), None)
    case = _case(task, seed, NETWORKS[kind] if kind else {})
    base = arm.removesuffix(f", {kind}") if kind else arm.removesuffix(", equal operations")
    synapses = case.synapses
    if arm.endswith(", equal operations"):
        wanted = known[task_name, "LNP", seed]["recurrent_operations"]
        got = known[task_name, base, seed]["recurrent_operations"]
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
    case = _case(TASKS["lorenz63"](), seed, NETWORKS["clustered"])
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


def main(tasks: list[str], seeds: range) -> None:
    """Compute what is missing."""
    torch.set_num_threads(1)
    for job in jobs(tasks, seeds):
        known = done()
        if job in known:
            continue
        figures = deploy(job[2]) if job[0] == DEPLOYMENT else _run(*job, known)
        line = json.dumps(
            {
                "task": job[0],
                "arm": job[1],
                "seed": job[2],
                "figures": {k: round(v, 5) for k, v in figures.items()},
            },
            ensure_ascii=False,
        )
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    main(arguments.tasks, range(arguments.seeds))

"""Pruning before training at equal budgets: equal epochs, equal operations to 5 %, tuned controls.

It mends what `lnp_study.py` says of itself. Every arm is trained for the same number of epochs, those of
activity pruning between its rounds included, and there is a second, longer budget. Where operations are said
to be equal, the number of synapses is changed until all operations are those of the other arm to within 5 %.
Neurons that are all alike have the time constant that a validation part chose, and clusters the mean time
constant of the one pool. The rate of learning is that of the task and was tuned for no arm.

`make lnp-budget-study` measures what is missing and goes on where it was stopped; `lnp_tables.py` writes the
page from the seeds that are there. Lines with `measured_by` are those of the first study whose protocol was
this one. A seed of all tasks takes about an hour of one core.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lnp_study import (
    CLUSTERS,
    ITERATIONS,
    KEPT_NEURONS,
    Case,
    at_equal_gain,
    case_of,
)
from lnp_tasks import AP_EPOCHS, EPOCHS, NEURONS, TASKS
from study import Campaign, Given, Key, Row, carry_out

from toolchain.models import Network
from toolchain.pruning import (
    ActivityOptions,
    LnpOptions,
    Selection,
    prune_at_random,
    prune_by_activity,
    prune_pool,
    thin_inputs,
    with_pool,
)

SEEDS = 8
BUDGETS = {"lorenz63": (0,), "rossler": (0,), "mackey_glass": (0,), "sequential_digits": (EPOCHS, 3 * EPOCHS)}
"""Epochs of every arm; a linear read-out is fitted on the series, and nothing is trained."""
TOLERANCE, TRIES = 0.05, 6
TAUS_MS = (5.0, 10.0, 20.0, 40.0, 80.0)
MEAN_TAU_MS = 20.0
KINDS: dict[str, dict[str, Any]] = {
    "homogeneous": {"tau_shape": 1e6},
    "clustered": {"cluster_tau_ms": tuple(tau * MEAN_TAU_MS / float(np.mean(CLUSTERS)) for tau in CLUSTERS)},
}
Prune = Callable[[Case, int], Network]
"""Returns the network of an arm with a number of recurrent synapses."""


def _chosen(case: Case, selection: Selection) -> Network:
    return at_equal_gain(case, with_pool(case.network, "hidden", selection.indices, selection.pool))


def _lnp(neurons: int, *, published: bool = False) -> Prune:
    def prune(case: Case, synapses: int) -> Network:
        make = LnpOptions.published if published else LnpOptions
        options = make(neurons, synapses / case.pool.synapses, ITERATIONS)
        result = prune_pool(case.pool, options, case.rng(1))
        return _chosen(case, Selection(result.pool, result.indices))

    return prune


def _random(neurons: int, inputs: float = 1.0) -> Prune:
    def prune(case: Case, synapses: int) -> Network:
        network = _chosen(case, prune_at_random(case.pool, neurons, synapses, case.rng(2)))
        return thin_inputs(network, "hidden", inputs, case.rng(6)) if inputs < 1 else network

    return prune


def _by_activity(case: Case, synapses: int) -> Network:
    def retrain(network: Network) -> None:
        case.task.retrain(network, case.seed)

    options = ActivityOptions(KEPT_NEURONS, synapses, ITERATIONS)
    pruned = prune_by_activity(case.network, "hidden", options, case.task.activity, retrain)[0]
    return at_equal_gain(case, pruned)


ARMS: dict[str, Prune] = {
    "unpruned": lambda case, _: case.network,
    "random": _random(NEURONS),
    "LNP": _lnp(NEURONS),
    "random, a quarter of the inputs": _random(NEURONS, 0.25),
    "random, fewer neurons": _random(KEPT_NEURONS),
    "LNP, fewer neurons": _lnp(KEPT_NEURONS),
    "LNP, published": _lnp(KEPT_NEURONS, published=True),
    "AP, magnitude": _by_activity,
}
EQUAL = {
    "LNP, operations of random": ("LNP", "random"),
    "random, fewer neurons, operations of LNP, published": ("random, fewer neurons", "LNP, published"),
    "AP, magnitude, operations of LNP, published": ("AP, magnitude", "LNP, published"),
    "LNP, clustered, operations of LNP": ("LNP, clustered", "LNP"),
}
"""Arms whose synapses are changed until their operations are those of another arm."""
OF_KINDS = tuple(f"{arm}, {kind}" for kind in KINDS for arm in ("unpruned", "LNP", "random"))


@dataclass(frozen=True)
class Variant:
    """An arm on a network of one kind."""

    arm: str
    kind: str | None

    @classmethod
    def of(cls, name: str) -> "Variant":
        """Return what a name says."""
        kind = next((kind for kind in KINDS if name.endswith(f", {kind}")), None)
        return cls(name.removesuffix(f", {kind}") if kind else name, kind)


def points(seeds: int) -> Iterator[Key]:
    """Yield the points of a number of seeds, those of most tasks first."""
    for seed in range(seeds):
        for arm in (*ARMS, *EQUAL, *OF_KINDS):
            for task, budgets in BUDGETS.items():
                for epochs in budgets:
                    yield task, arm, epochs, seed


def needs(key: Key) -> list[Key]:
    """Return the point whose operations are wanted, and the one with which the search begins."""
    task, arm, epochs, seed = key
    return [(task, each, epochs, seed) for each in EQUAL.get(arm, ())]


def _tuned(task: str, variant: Variant, epochs: int, seed: int) -> dict[str, Any]:
    """Return the changes of a kind of network; alike neurons have the time constant that validation chose."""
    if variant.kind != "homogeneous":
        return KINDS[variant.kind] if variant.kind else {}
    changes = [{**KINDS["homogeneous"], "tau_mean_ms": tau} for tau in TAUS_MS]
    return max(changes, key=lambda each: _validated(task, variant.arm, each, epochs, seed))


def _validated(task: str, arm: str, changes: dict[str, Any], epochs: int, seed: int) -> float:
    case = case_of(TASKS[task](), seed, changes)
    return case.task.validate(ARMS[arm](case, case.synapses), seed, epochs=epochs_left(arm, epochs))


def epochs_left(arm: str, epochs: int) -> int:
    """Return for how many epochs an arm is still trained after its pruning."""
    return epochs - (ITERATIONS * AP_EPOCHS if arm.startswith("AP") and epochs else 0)


def _measured(case: Case, arm: str, synapses: int, epochs: int) -> dict[str, float]:
    network = ARMS[arm](case, synapses)
    size = network.layer("hidden").size
    return {
        "neurons": size,
        "synapses": synapses if arm != "unpruned" else case.pool.synapses,
        **case.task.measure(network, case.seed, epochs=epochs_left(arm, epochs)),
    }


def at_operations(
    measure: Callable[[int], dict[str, float]], first: dict[str, float], wanted: float, most: int
) -> dict[str, float]:
    """Return the figures of the number of synapses with which all operations are the wanted ones, to 5 %.

    Recurrent operations are taken to grow in proportion to the synapses, and all others to stay, anew after
    each try. If none is near enough, or no number of synapses could be, the nearest is returned: its
    operations say so.

    Args:
        measure: Measures a number of synapses.
        first: Figures that are known.
        wanted: Operations in all.
        most: Largest number of synapses.
    """
    tried = [first]
    while abs(tried[-1]["operations"] / wanted - 1) > TOLERANCE and len(tried) <= TRIES:
        last = tried[-1]
        others = last["operations"] - last["recurrent_operations"]
        grown = (wanted - others) / max(last["recurrent_operations"], 1e-9)
        synapses = int(np.clip(round(last["synapses"] * grown), 1, most))
        if any(synapses == each["synapses"] for each in tried):
            break
        tried.append(measure(synapses))
    nearest = min(tried, key=lambda each: abs(each["operations"] / wanted - 1))
    return {**nearest, "tries": len(tried) - 1}


def measured(key: Key, given: Given) -> Row:
    """Return the figures of an arm."""
    task, arm, epochs, seed = key
    if arm in EQUAL:
        first, wanted = (given.rows[each]["figures"] for each in needs(key))
        variant = Variant.of(EQUAL[arm][0])
        case = case_of(TASKS[task](), seed, _tuned(task, variant, epochs, seed))
        most = round(0.5 * case.pool.synapses) if variant.arm == "LNP" else round(0.15 * case.pool.synapses)

        def again(synapses: int) -> dict[str, float]:
            return _measured(case, variant.arm, synapses, epochs)

        figures = at_operations(again, first, wanted["operations"], most)
    else:
        variant = Variant.of(arm)
        changes = _tuned(task, variant, epochs, seed)
        case = case_of(TASKS[task](), seed, changes)
        figures = _measured(case, variant.arm, case.synapses, epochs)
        figures |= {"tau_ms": changes["tau_mean_ms"]} if variant.kind == "homogeneous" else {}
    return {"figures": {name: round(float(value), 5) for name, value in figures.items()}}


FIELDS = ("task", "arm", "epochs", "seed")
CAMPAIGN = Campaign(Path(__file__), FIELDS, points, measured, needs, seeds=SEEDS)

if __name__ == "__main__":
    carry_out(CAMPAIGN)

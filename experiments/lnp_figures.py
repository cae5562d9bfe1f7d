"""The figures of the LNP study: means, ratios, and the comparisons that are judged together."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from lnp_study import EQUAL_OPERATIONS, ITERATIONS, KEPT_SYNAPSES
from lnp_tasks import AP_EPOCHS, EPOCHS, nanojoules
from study_tables import Family, compare, judged_together

TASKS = {
    "lorenz63": ("Lorenz63", "vpt"),
    "rossler": ("Rössler", "vpt"),
    "mackey_glass": ("Mackey-Glass", "vpt"),
    "sequential_digits": ("sequential digits, %", "accuracy"),
}
PER_SAMPLE = {
    "lorenz63": (3, 10),
    "rossler": (3, 10),
    "mackey_glass": (1, 2),
    "sequential_digits": (10, 32),
}
"""Neurons of the read-out, and steps of a value or an image."""
SERIES, DIGITS = "lorenz63", "sequential_digits"
RECURRENT, ALL = "recurrent_operations", "operations"
KEPT = f"{100 * KEPT_SYNAPSES:.0f} %"

BEST = "Steps I, III, |w| for L, leaves first"
CHANCE = "random synapses, all neurons"
ALL_NEURONS = (BEST, "Steps I, III", "Step I", "strongest synapses, all neurons", CHANCE)
SCALED = tuple(f"{arm}, equal operations" for arm in EQUAL_OPERATIONS)
PAIRS = (
    *((arm, "unpruned") for arm in ALL_NEURONS),
    (BEST, CHANCE),
    (BEST, "AP"),
    (BEST, "AP, magnitude"),
    ("Steps I, II", "Step I"),
    ("LNP", "Steps I, II"),
    ("LNP, quiet neurons go, leaves first", "LNP, quiet neurons go in Step II"),
    ("LNP, 100 iterations", "LNP, 1 iteration"),
    ("unpruned", "unpruned, homogeneous"),
    ("AP, magnitude", "AP, magnitude, homogeneous"),
    ("unpruned, clustered", "unpruned"),
    ("AP, magnitude, clustered", "AP, magnitude"),
    ("unpruned", "LNP's neurons, no recurrence"),
)


@dataclass(frozen=True)
class Study:
    """What was measured, by task, arm and seed."""

    figures: dict[tuple[str, str, int], dict[str, float]]

    @property
    def seeds(self) -> int:
        return len({seed for _, _, seed in self.figures})

    @property
    def arms(self) -> list[str]:
        """The arms of the tables, in the order in which they were first measured."""
        return [*dict.fromkeys(arm for task, arm, _ in self.figures if task in TASKS)]

    def values(self, task: str, arm: str, key: str) -> dict[int, float]:
        """Return one figure of an arm by seed."""
        return {s: figures[key] for (t, a, s), figures in self.figures.items() if (t, a) == (task, arm)}

    def scores(self, task: str, arm: str) -> dict[int, float]:
        """Return what a task judges an arm by: values predicted, or percent of the images."""
        return self.values(task, arm, TASKS[task][1])

    def nanojoules(self, task: str, arm: str) -> dict[int, float]:
        """Return the least energy of a value or an image by seed, from operations and neurons."""
        outputs, steps = PER_SAMPLE[task]
        neurons, operations = (self.values(task, arm, key) for key in ("neurons", ALL))
        return {seed: nanojoules(operations[seed], (neurons[seed] + outputs) * steps) for seed in operations}

    def mean(self, task: str, arm: str, key: str) -> float:
        return float(np.mean([*self.values(task, arm, key).values()]))

    def ratio(self, task: str, first: str, second: str, key: str) -> float:
        """Return the mean of one arm over the mean of another."""
        return self.mean(task, first, key) / self.mean(task, second, key)

    def ratios(self, first: str, second: str, key: str, tasks: Iterable[str] = TASKS) -> list[float]:
        """Return that for several tasks."""
        return [self.ratio(task, first, second, key) for task in tasks]

    @cached_property
    def to_lnp(self) -> Family[tuple[str, str]]:
        """Every arm against LNP on every task of the tables."""
        return judged_together(
            {
                (task, arm): compare(self.scores(task, arm), self.scores(task, "LNP"))
                for task, arm in product(TASKS, self.arms)
                if arm != "LNP"
            }
        )

    @cached_property
    def pairs(self) -> Family[tuple[str, str, str]]:
        """The other pairs that the text speaks of, on every task."""
        return judged_together(
            {
                (task, *pair): compare(*(self.scores(task, arm) for arm in pair))
                for task, pair in product(TASKS, PAIRS)
            }
        )


def epochs(arm: str) -> int:
    """Return how many epochs an arm is trained for on digits; on the series no arm is trained.

    Activity pruning trains after every round, and then as long as the others, going on from those weights.
    """
    return EPOCHS + (ITERATIONS * AP_EPOCHS if arm.startswith("AP") else 0)


def fewer(ratio: float) -> str:
    """Return in words how a number of operations compares with another, given the other over it."""
    return f"{ratio:.1f} × fewer" if ratio >= 1 else f"{1 / ratio:.1f} × more"

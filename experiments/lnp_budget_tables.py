"""What `lnp_budget_study.jsonl` says, as tables and sentences, from as many seeds as are there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from lnp_budget_study import (
    ARMS,
    BUDGETS,
    CAMPAIGN,
    EQUAL,
    MEAN_TAU_MS,
    OF_KINDS,
    TAUS_MS,
    TOLERANCE,
)
from lnp_figures import KEPT, TASKS
from lnp_study import ITERATIONS, KEPT_NEURONS
from lnp_tasks import AP_EPOCHS, NEURONS, OPERATION_PICOJOULES, UPDATE_PICOJOULES
from study_tables import Comparison, Family, bullet, compare, interval, judged_together, paragraph, rows_of

CHANCE = "random"
FEWER = ("LNP, fewer neurons", "random, fewer neurons")
PAIR = " minus ".join(FEWER)
Where = tuple[str, int]


@dataclass(frozen=True)
class Budgets:
    """What was measured, by task, arm, epochs and seed."""

    figures: dict[tuple[str, str, int, int], dict[str, float]]

    @property
    def places(self) -> Iterator[Where]:
        """Yield every task and budget of which something was compared with chance."""
        for task, budgets in BUDGETS.items():
            for epochs in budgets:
                if len(self.values(task, CHANCE, epochs, "operations")) > 1:
                    yield task, epochs

    def values(self, task: str, arm: str, epochs: int, name: str) -> dict[int, float]:
        """Return a figure of an arm by seed."""
        wanted = (task, arm, epochs)
        return {key[3]: figures[name] for key, figures in self.figures.items() if key[:3] == wanted}

    def arms(self, task: str, epochs: int) -> list[str]:
        """Return the arms that at least two seeds were measured of, in the order of the study."""
        names = (*ARMS, *EQUAL, *OF_KINDS)
        return [arm for arm in names if len(self.values(task, arm, epochs, "operations")) > 1]

    def paired(self, task: str, arm: str, other: str, epochs: int, name: str) -> Comparison | None:
        """Return an arm minus another over the seeds that both have; None below two."""
        first, second = (self.values(task, each, epochs, name) for each in (arm, other))
        seeds = sorted(first.keys() & second.keys())
        if len(seeds) < 2:
            return None
        return compare({seed: first[seed] for seed in seeds}, {seed: second[seed] for seed in seeds})

    @cached_property
    def to_chance(self) -> Family[tuple[str, int, str]]:
        """Every arm against random synapses with all neurons, on every task and budget, judged together."""
        compared = {
            (task, epochs, arm): self.paired(task, arm, CHANCE, epochs, TASKS[task][1])
            for task, epochs in self.places
            for arm in self.arms(task, epochs)
            if arm != CHANCE
        }
        for task, epochs in self.places:
            compared[task, epochs, PAIR] = self.paired(task, *FEWER, epochs, TASKS[task][1])
        return judged_together({key: each for key, each in compared.items() if each is not None})


def _spread(values: Sequence[float], decimals: int) -> str:
    mean, half = interval(values)
    return f"{mean:,.{decimals}f} ± {half:,.{decimals}f}"


def place_of(task: str, epochs: int) -> str:
    """Return a task and its budget in words."""
    name = TASKS[task][0].removesuffix(", %")
    return f"{name}, {epochs} epochs" if epochs else name


def table(budgets: Budgets, task: str, epochs: int) -> str:
    """Return one row per arm: score, size, all operations and energy, with intervals."""
    unit = "correct, %" if TASKS[task][1] == "accuracy" else "values predicted"
    sample = "an image" if TASKS[task][1] == "accuracy" else "a value"
    head = ["", unit, "minus random", "neurons", "recurrent synapses", f"operations in all {sample}"]
    head += ["over unpruned", f"energy {sample}, nJ", "seeds"]
    whole = np.mean([*budgets.values(task, "unpruned", epochs, "operations").values()] or [np.nan])
    rows: list[list[str]] = []
    for arm in budgets.arms(task, epochs):
        score, neurons, synapses, operations, energy = (
            [*budgets.values(task, arm, epochs, name).values()]
            for name in (TASKS[task][1], "neurons", "synapses", "operations", "nanojoules")
        )
        key = (task, epochs, arm)
        rows.append(
            [
                arm,
                _spread(score, 1),
                budgets.to_chance.bold(key) if key in budgets.to_chance.comparisons else "",
                f"{np.mean(neurons):,.0f}",
                f"{np.mean(synapses):,.0f}",
                _spread(operations, 0),
                f"{np.mean(operations) / whole:.2f}",
                _spread(energy, 0),
                str(len(score)),
            ]
        )
    return rows_of(head, rows)


def introduction(budgets: Budgets) -> str:
    """Return the protocol, and how much of it was measured."""
    points = list(CAMPAIGN.points(CAMPAIGN.seeds))
    rows = CAMPAIGN.rows()
    there = sum(key in rows for key in points)
    earlier = sum("measured_by" in row for row in rows.values())
    said = (
        f"""Every arm is trained for the same number of epochs; the {ITERATIONS * AP_EPOCHS} between the
        rounds of activity pruning count. "LNP" is our default with {ITERATIONS} iterations, "LNP, published"
        the paper's choices. {KEPT} of the recurrent synapses stay, of all {NEURONS} neurons or of
        {KEPT_NEURONS}. Where a row is of the operations of another arm, its synapses were changed until all
        operations were equal to {100 * TOLERANCE:.0f} %. "Homogeneous" neurons have the time constant of
        {", ".join(f"{tau:g}" for tau in TAUS_MS)} ms that a validation part chose; clusters have the mean of
        {MEAN_TAU_MS:g} ms that the one pool has. The rate of learning was tuned for no arm.""",
        f"""Energy is the least that is published of Loihi 1: {OPERATION_PICOJOULES} pJ per synaptic
        operation and {UPDATE_PICOJOULES:g} pJ per update of a neuron, on the real numbers of the test part.
        Mean ± 95 % t interval over seeds. **Bold** survives Benjamini-Hochberg (false discovery rate 5 %)
        among {budgets.to_chance.counted()}.""",
        f"""{there} of {len(points)} points of this protocol are measured so far, over the seeds that each row
        says; `make lnp-budget-study` measures the others and goes on where it was stopped. {earlier} are
        lines of the first study, whose protocol was this one for them.""",
    )
    return "\n\n".join(paragraph(each) for each in said)


def _default(budgets: Budgets) -> str:
    said: list[str] = []
    for task, epochs in budgets.places:
        if (key := (task, epochs, "LNP")) in budgets.to_chance.comparisons:
            seeds = len(budgets.values(task, "LNP", epochs, "operations"))
            difference = budgets.to_chance.in_sentence(key)
            said.append(f"{difference} on {place_of(task, epochs)} ({seeds} seeds)")
    if not said:
        return ""
    better = [
        key
        for key in budgets.to_chance.discovered
        if key[2] == "LNP" and budgets.to_chance.comparisons[key].mean > 0
    ]
    verdict = (
        f"It is better than chance on {len(better)} of these."
        if better
        else "An advantage over chance is not shown: whoever prunes before training need not measure noise."
    )
    return f"""**Our default of LNP minus random synapses**, all neurons and as many synapses, in values
        predicted of a series and points on digits: {"; ".join(said)}. {verdict} {_fewer(budgets)}"""


def _fewer(budgets: Budgets) -> str:
    said: list[str] = []
    for task, epochs in budgets.places:
        key = (task, epochs, PAIR)
        if key in budgets.to_chance.comparisons:
            more = _ratio(budgets, task, *FEWER, epochs)
            difference = budgets.to_chance.in_sentence(key)
            said.append(
                f"{difference} on {place_of(task, epochs)}, at {more:.2f} times the operations in all"
            )
    return f"With {KEPT_NEURONS} neurons each it is {'; '.join(said)}." if said else ""


def _inputs(budgets: Budgets) -> str:
    arm = "random, a quarter of the inputs"
    said: list[str] = []
    for task, epochs in budgets.places:
        if (task, epochs, arm) in budgets.to_chance.comparisons:
            fewer = 1 - _ratio(budgets, task, arm, CHANCE, epochs)
            difference = budgets.to_chance.in_sentence((task, epochs, arm))
            said.append(f"{100 * fewer:.0f} % of all operations on {place_of(task, epochs)} for {difference}")
    return (
        f"""**A quarter of the inputs** (`input_fraction`), drawn at random on top of random recurrent
        synapses, saves {"; ".join(said)}."""
        if said
        else ""
    )


def _alike(budgets: Budgets) -> str:
    arm, pool = "unpruned, homogeneous", "unpruned"
    said: list[str] = []
    for task, epochs in budgets.places:
        difference = budgets.paired(task, arm, pool, epochs, TASKS[task][1])
        if difference is not None:
            more, seeds = (
                _ratio(budgets, task, arm, pool, epochs),
                len(budgets.values(task, arm, epochs, "operations")),
            )
            said.append(
                f"{difference.mean:+.1f} ± {difference.half:.1f} on {place_of(task, epochs)}, at {more:.2f} "
                f"times the operations ({seeds} seeds)"
            )
    return (
        f"""**Neurons that are all alike, with a time constant that was chosen**, minus the heterogeneous
        pool, both unpruned: {"; ".join(said)}. What the first study says for heterogeneous neurons is against
        neurons whose time constant nobody chose."""
        if said
        else ""
    )


def _ratio(budgets: Budgets, task: str, first: str, second: str, epochs: int) -> float:
    means = [np.mean([*budgets.values(task, arm, epochs, "operations").values()]) for arm in (first, second)]
    return float(means[0] / means[1])


def in_short(budgets: Budgets) -> str:
    """Return the findings, each with its figures."""
    findings = (_default(budgets), _inputs(budgets), _alike(budgets))
    return "\n".join(bullet(each) for each in findings if each)


def section(budgets: Budgets) -> str:
    """Return everything that stands between the marks of this protocol."""
    tables = [
        f"### {place_of(task, epochs)}\n\n{table(budgets, task, epochs)}" for task, epochs in budgets.places
    ]
    return "\n\n".join([introduction(budgets), in_short(budgets), *tables])

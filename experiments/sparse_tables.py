"""The page of sparse training: `docs/studies/sparse.md`, from the figures of `sparse_study.jsonl`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sparse_study import ARMS, CAMPAIGN, CHANCE, FRACTIONS, TASKS, WHOLE, WIDE
from study import Key, Row
from study_tables import (
    STUDIES,
    Comparison,
    Family,
    bullet,
    compare,
    filled,
    judged_together,
    paragraph,
    rows_of,
    with_interval,
    write_pages,
)

FEW = tuple(each for each in FRACTIONS if each <= 0.05)
WIDE_FRACTION = 0.02
WITHIN = 1.0
"""Points that a network may lose and still count as equal, as the question of the study was put."""
Rows = Mapping[Key, Row]


def by_seed(rows: Rows, task: str, arm: str, fraction: float, name: str) -> dict[int, float]:
    """Return a figure of a point by its seed."""
    wanted = (task, arm, fraction)
    return {key[-1]: row[name] for key, row in rows.items() if key[:-1] == wanted}


def chance_at(rows: Rows, task: str, operations: Mapping[int, float]) -> dict[int, float]:
    """Return the accuracy that chance has at so many operations, by seed.

    Between the points of a seed's own curve it is a line over the logarithm of the operations; beyond the
    ends of the curve it is the accuracy of the end.
    """
    curves: dict[int, list[tuple[float, float]]] = {seed: [] for seed in operations}
    for arm, fraction in ((WHOLE, 1.0), *((CHANCE, fraction) for fraction in FRACTIONS)):
        accuracy = by_seed(rows, task, arm, fraction, "float")
        for seed, each in by_seed(rows, task, arm, fraction, "operations").items():
            if seed in curves:
                curves[seed].append((each, accuracy[seed]))
    return {
        seed: float(np.interp(np.log(wanted), *np.array([(np.log(x), y) for x, y in sorted(curves[seed])]).T))
        for seed, wanted in operations.items()
    }


def points_of(rows: Rows) -> list[tuple[str, str, float]]:
    """Return task, arm and share of all points, once each, in the order of the page."""
    there = {key[:-1] for key in rows}
    return [
        (task, arm, fraction)
        for task in TASKS
        for fraction in (1.0, *FRACTIONS)
        for arm in ARMS
        if (task, arm, fraction) in there
    ]


def against_chance(rows: Rows) -> Family[Key]:
    """Return the differences of all arms from chance at equal operations, judged together."""
    differences: dict[Key, Comparison] = {}
    for task, arm, fraction in points_of(rows):
        accuracy = by_seed(rows, task, arm, fraction, "float")
        if task not in WIDE and arm not in {WHOLE, CHANCE} and len(accuracy) > 1:
            operations = by_seed(rows, task, arm, fraction, "operations")
            differences[task, arm, fraction] = compare(accuracy, chance_at(rows, task, operations))
    return judged_together(differences)


def against_whole(rows: Rows) -> dict[Key, Comparison]:
    """Return the differences of all pruned networks from the whole one of the same seed."""
    return {
        (task, arm, fraction): compare(pruned, {seed: whole[seed] for seed in pruned})
        for task, arm, fraction in points_of(rows)
        if arm != WHOLE
        and len(pruned := by_seed(rows, task, arm, fraction, "float")) > 1
        and (whole := by_seed(rows, task, WHOLE, 1.0, "float")).keys() >= pruned.keys()
    }


def table(rows: Rows, task: str, family: Family[Key]) -> str:
    """Return the table of a task: accuracy against synapses and operations."""
    head = [
        "left",
        "arm",
        "seeds",
        "synapses",
        "operations a sample",
        "test, %",
        "minus whole",
        "minus chance",
        "integers, %",
    ]
    losses, lines = against_whole(rows), list[list[str]]()
    for point in points_of(rows):
        if point[0] != task:
            continue
        figures = {
            name: list(by_seed(rows, *point, name).values())
            for name in ("synapses", "operations", "float", "integers")
        }
        loss = losses.get(point)
        lines.append(
            [
                f"{100 * point[2]:g} %",
                ARMS[point[1]],
                str(len(figures["float"])),
                f"{np.mean(figures['synapses']):,.0f}",
                with_interval(figures["operations"], 0),
                with_interval(figures["float"]),
                "" if loss is None else f"{loss.mean:+.1f} ± {loss.half:.1f}",
                family.marked(point) if point in family.comparisons else "",
                f"{np.mean(figures['integers']):.1f}",
            ]
        )
    if task in WIDE:
        head, lines = head[:7] + head[8:], [line[:7] + line[8:] for line in lines]
    return rows_of(head, lines)


def better_sentence(family: Family[Key], arm: str) -> str:
    """Return on which tasks, and at which shares, an arm is better than chance."""
    tasks = {
        task: [f for f in FEW if (task, arm, f) in family.comparisons] for task in TASKS if task not in WIDE
    }
    parts: list[str] = []
    for task, fractions in tasks.items():
        if not fractions:
            continue
        better = [
            f
            for f in fractions
            if (key := (task, arm, f)) in family.discovered and family.comparisons[key].mean > 0
        ]
        worse = [
            f
            for f in fractions
            if (key := (task, arm, f)) in family.discovered and family.comparisons[key].mean < 0
        ]
        said = [f"{word} at {shares(each)}" for word, each in (("better", better), ("worse", worse)) if each]
        parts.append(f"{TASKS[task]}: {', '.join(said) or 'not shown to differ'}")
    return f"**{ARMS[arm]}** against chance at equal operations. {'; '.join(parts)}."


def seeds_of(rows: Rows, task: str) -> int:
    """Return how many seeds of a task were measured."""
    return len({key[-1] for key in rows if key[0] == task})


def shares(fractions: Sequence[float]) -> str:
    """Return shares as they read in a sentence."""
    words = [f"{100 * fraction:g}" for fraction in fractions]
    return f"{' and '.join(filter(None, (', '.join(words[:-1]), words[-1])))} %"


def best_sentence(rows: Rows) -> str:
    """Return which arm has the highest mean accuracy at each task and share."""
    parts: list[str] = []
    for task in TASKS:
        if task in WIDE:
            continue
        best: dict[str, list[tuple[float, float]]] = {}
        for fraction in FEW:
            means = {
                arm: float(np.mean(list(values.values())))
                for arm in ARMS
                if (values := by_seed(rows, task, arm, fraction, "float"))
            }
            if means:
                arm = max(means, key=lambda each: means[each])
                best.setdefault(arm, []).append((fraction, means[arm]))
        said = [
            f"{ARMS[arm]} at {shares([share for share, _ in points])} "
            f"({', '.join(f'{mean:.1f}' for _, mean in points)})"
            for arm, points in best.items()
        ]
        if said:
            parts.append(f"{TASKS[task]}: {', '.join(said)}")
    return f"**Highest mean accuracy at equal synapses.** {'; '.join(parts)}."


def wide_sentence(rows: Rows) -> str:
    """Return what wide networks lose at few synapses."""
    losses = against_whole(rows)
    parts = [
        f"{ARMS[arm]} on {TASKS[task]} {each.mean:+.1f} ± {each.half:.1f}"
        for (task, arm, fraction), each in losses.items()
        if task in WIDE and fraction == WIDE_FRACTION
    ]
    within = [
        f"{ARMS[arm]} on {TASKS[task]}"
        for (task, arm, fraction), each in losses.items()
        if task in WIDE and fraction == WIDE_FRACTION and each.mean >= -WITHIN
    ]
    return (
        f"**Wide networks at {100 * WIDE_FRACTION:g} % of their synapses**, in points from the whole network "
        f"of the same seed: {'; '.join(parts)}. Means within {WITHIN:g} point: {', '.join(within) or 'none'}."
    )


def in_short(rows: Rows, family: Family[Key]) -> str:
    """Return the sentences over the tables."""
    arms = dict.fromkeys(arm for _, arm, _ in family.comparisons)
    sentences = [best_sentence(rows), *(better_sentence(family, arm) for arm in arms), wide_sentence(rows)]
    return "\n".join(bullet(each) for each in sentences)


def tables(rows: Rows, family: Family[Key]) -> str:
    """Return the tables, task by task."""
    tasks = [task for task in TASKS if any(key[0] == task for key in rows)]
    most = ", ".join(f"{seeds_of(rows, task)} for {TASKS[task]}" for task in tasks)
    text = paragraph(
        "Test accuracy is that of real numbers, with 95 % intervals over seeds (Student's t): "
        f"at most {most}. 'Minus chance' is the "
        "difference from synapses drawn at random, at equal operations, on the curve of the same seed; "
        "operations are synaptic operations of a test sample, all connections together. The tables hold "
        f"{family.counted()}. **Bold** survives Holm, *italic* Benjamini-Hochberg only."
    )
    there = [task for task in TASKS if any(key[0] == task for key in rows)]
    parts = [
        f"### {TASKS[task][0].upper()}{TASKS[task][1:]}\n\n{table(rows, task, family)}" for task in there
    ]
    return "\n\n".join([text, *parts])


def pages() -> dict[Path, str]:
    """Return the page of the study, with its sentences and tables renewed."""
    rows = CAMPAIGN.rows()
    family = against_chance(rows)
    return filled(STUDIES / "sparse.md", {"in short": in_short(rows, family), "study": tables(rows, family)})


if __name__ == "__main__":
    write_pages(pages())

"""The tables of the LNP study: from `lnp_study.jsonl` into the README of the pruner."""

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from lnp_study import DEPLOYMENT, KEPT_NEURONS, KEPT_SYNAPSES, NETWORKS, done
from lnp_tasks import NEURONS
from scipy.stats import t

README = Path(__file__).parent.parent / "toolchain" / "pruning" / "lnp" / "README.md"
BEGIN, END = "<!-- study: written by make lnp-study -->", "<!-- end of study -->"

Figures = dict[tuple[str, str, int], dict[str, float]]
TASKS = {
    "lorenz63": ("Lorenz63", "vpt"),
    "rossler": ("Rössler", "vpt"),
    "mackey_glass": ("Mackey-Glass", "vpt"),
    "sequential_digits": ("sequential digits, %", "accuracy"),
}
MAIN = (
    "unpruned",
    "LNP",
    "LNP, leaves first in Step III",
    "LNP, quiet neurons go in Step II",
    "LNP, quiet neurons go, leaves first",
    "LNP, |w| for L, quiet neurons go, leaves first",
    "AP",
    "AP, magnitude",
    "random",
    "Erdős–Rényi",
    "LNP's neurons, no recurrence",
)
ALL_NEURONS = (
    "unpruned",
    "Steps I, III, |w| for L, leaves first",
    "Steps I, III",
    "Step I",
    "strongest synapses, all neurons",
    "random synapses, all neurons",
    "AP",
    "AP, magnitude",
)
EQUAL = ("LNP", *(f"{arm}, equal operations" for arm in ("AP, magnitude", "random", "Erdős–Rényi")))
STEPS = ("unpruned", "Step I", "Steps I, II", "Steps I, III", "LNP", "LNP with Step IV")
RULES = (
    "LNP",
    "LNP, |w| for L (Moore–Chaudhuri)",
    "LNP, keep alike (no L, no covariance)",
    "LNP, inverted",
)
ROUNDS = ("LNP, 1 iteration", "LNP", "LNP, 30 iterations", "LNP, 100 iterations")
KINDS = tuple(
    f"{arm}{kind}"
    for arm in ("unpruned", "LNP", "AP, magnitude")
    for kind in ("", *(f", {k}" for k in NETWORKS))
)


def _values(figures: Figures, task: str, arm: str, key: str) -> dict[int, float]:
    return {seed: f[key] for (a, b, seed), f in figures.items() if (a, b) == (task, arm) and key in f}


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half the 95 % t interval."""
    n = len(values)
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return float(np.mean(values)), half


def _cell(figures: Figures, task: str, arm: str) -> str:
    key = TASKS[task][1]
    values = _values(figures, task, arm, key)
    if not values:
        return ""
    mean, half = _interval(list(values.values()))
    text = f"{mean:.1f} ± {half:.1f}"
    other = _values(figures, task, "LNP", key)
    paired = [values[seed] - other[seed] for seed in values if seed in other]
    if arm == "LNP" or len(paired) < 2:
        return text
    difference, half = _interval(paired)
    # Bold: the paired difference to LNP is larger than its interval.
    shown = f"{difference:+.1f} ± {half:.1f}"
    return f"{text} ({f'**{shown}**' if abs(difference) > half else shown})"


def _operations(figures: Figures, task: str, arm: str) -> str:
    values = _values(figures, task, arm, "recurrent_operations")
    whole = _values(figures, task, "unpruned", "recurrent_operations")
    if not values or arm == "unpruned":
        return "" if not values else f"{np.mean(list(values.values())):,.0f}"
    mean = float(np.mean(list(values.values())))
    base = float(np.mean([whole[seed] for seed in values if seed in whole]))
    return "0" if mean == 0 else f"{mean:,.0f} ({base / mean:.1f} × fewer)"


def table(figures: Figures, arms: Sequence[str]) -> str:
    """Return one row per arm, one column per task, and the recurrent operations of two tasks."""
    head = [
        "",
        *(name for name, _ in TASKS.values()),
        "operations a value, Lorenz63",
        "an image, sequential digits",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for arm in arms:
        cells = [arm.replace("|", "\\|"), *(_cell(figures, task, arm) for task in TASKS)]
        cells += [_operations(figures, task, arm) for task in ("lorenz63", "sequential_digits")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def noise_table(figures: Figures) -> str:
    """Return closed-loop RMSE on Lorenz63 against the signal-to-noise ratio of the history."""
    levels = (50, 40, 30, 20, 10)
    lines = ["| | " + " | ".join(f"{level} dB" for level in levels) + " |", "|" + "---|" * (len(levels) + 1)]
    arms = (
        f"{arm}{kind}" for arm in ("unpruned", "LNP", "AP", "AP, magnitude") for kind in ("", ", clustered")
    )
    for arm in arms:
        found = [list(_values(figures, "lorenz63", arm, f"rmse_{level}dB").values()) for level in levels]
        if all(found):
            cells = ("{:.3f} ± {:.3f}".format(*_interval(values)) for values in found)
            lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def deployment_table(figures: Figures) -> str:
    """Return float against integers, per seed, and the mean paired change."""
    rows = sorted((seed, f) for (task, _, seed), f in figures.items() if task == DEPLOYMENT)
    if not rows:
        return "Not measured yet."
    lines = [
        "| seed | VPT float | integers | RMSE float | integers | one-step float | integers | Lava equal |",
        "|" + "---|" * 8,
    ]
    for seed, f in rows:
        lines.append(
            f"| {seed} | {f['vpt_float']:.2f} | {f['vpt_fixed']:.2f} | {f['rmse_float']:.3f} "
            f"| {f['rmse_fixed']:.3f} | {f['one_step_float']:.5f} | {f['one_step_fixed']:.5f} "
            f"| {'yes' if f['lava_equal'] else 'NO'} |"
        )
    for key, name in (("vpt", "VPT"), ("rmse", "RMSE"), ("one_step", "one-step RMSE")):
        base = float(np.mean([f[f"{key}_float"] for _, f in rows]))
        change = [100 * (f[f"{key}_fixed"] - f[f"{key}_float"]) / base for _, f in rows]
        lines.append(f"\nMean change of {name}: {'{:+.1f} ± {:.1f} %'.format(*_interval(change))}.")
    return "\n".join(lines)


def static_digits(figures: Figures) -> str:
    """Return one sentence about still digits."""
    parts = []
    for arm in ("unpruned", "LNP", "AP, magnitude", "random", "LNP's neurons, no recurrence"):
        values = list(_values(figures, "digits", arm, "accuracy").values())
        if values:
            parts.append(f"{arm} {'{:.1f} ± {:.1f}'.format(*_interval(values))}")
    return "Still digits, as a check only: " + "; ".join(parts) + " %."


def sections(figures: Figures) -> list[tuple[str, Callable[[], str]]]:
    """Return headings and what stands under them."""
    return [
        ("Equal neurons, equal synapses, equal gain", lambda: table(figures, MAIN)),
        ("Equal synapses, all neurons stay (but for AP)", lambda: table(figures, ALL_NEURONS)),
        ("Equal recurrent operations", lambda: table(figures, EQUAL)),
        ("What each step does", lambda: table(figures, STEPS)),
        ("What a synapse is weighed by", lambda: table(figures, RULES)),
        ("How many iterations", lambda: table(figures, ROUNDS)),
        ("One pool, clusters, and neurons that are all alike", lambda: table(figures, KINDS)),
        ("Noise on the input, Lorenz63, closed-loop RMSE", lambda: noise_table(figures)),
        ("Float and integers, Lorenz63, LNP, clustered", lambda: deployment_table(figures)),
    ]


def main() -> None:
    """Write the tables between the marks in the README."""
    figures = done()
    seeds = len({seed for _, _, seed in figures})
    introduction = (
        f"{seeds} paired seeds; {NEURONS} neurons at density 0.1 pruned to {KEPT_NEURONS} neurons and "
        f"{KEPT_SYNAPSES:.0%} of the synapses. Mean ± 95 % t interval; in brackets the paired difference to "
        "LNP, bold where it exceeds its interval. VPT is the number of the next 100 values with a normalised "
        f"error below 0.1. ({os.cpu_count()} cores, one thread per process, Python "
        f"{platform.python_version()})"
    )
    text = [BEGIN, introduction, static_digits(figures)]
    for title, body in sections(figures):
        text += [f"### {title}", body()]
    page = README.read_text(encoding="utf-8")
    start, stop = page.index(BEGIN), page.index(END)
    README.write_text(page[:start] + "\n\n".join(text) + "\n\n" + page[stop:], encoding="utf-8")


if __name__ == "__main__":
    main()

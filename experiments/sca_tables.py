"""The tables of the study of channel pruning: from `sca_study.jsonl` into the README of the pruning."""

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from sca_study import ARMS, EPOCHS, LNP, PLANS, SCRATCH, SEEDS, known
from scipy.stats import t

README = Path(__file__).parent.parent / "toolchain" / "pruning" / "README.md"
BEGIN, END = "<!-- study: written by make sca-study -->", "<!-- end of study -->"
ORDER = (*ARMS, *SCRATCH, *LNP)
ROW = "| {} |"

Rows = dict[int, dict[str, Any]]


def rows_of(width: str, arm: str) -> Rows:
    return {seed: row for (w, a, seed), row in known().items() if (w, a) == (width, arm)}


def interval(values: np.ndarray) -> str:
    """Return mean and half width of the 95 % interval (Student's t)."""
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.2f} ± {half:.2f}"


def line(width: str, arm: str) -> str | None:
    rows, dense = rows_of(width, arm), rows_of(width, "dense")
    seeds = sorted(rows.keys() & dense.keys())
    if not seeds:
        return None
    accuracy = np.array([rows[s]["masked_accuracy"] for s in seeds])
    change = accuracy - np.array([dense[s]["masked_accuracy"] for s in seeds])
    # Rows of an earlier day fed integers of eight bits, which leave the weights less room.
    lost = np.array([rows[s]["integers"] - rows[s]["accuracy"] for s in seeds if "input_bits" in rows[s]])
    weights = np.mean([rows[s]["conv_parameters"] / dense[s]["conv_parameters"] for s in seeds])
    silent = any(rows[s]["operations"] == 0 for s in seeds)
    fewer = 0.0 if silent else np.mean([dense[s]["operations"] / rows[s]["operations"] for s in seeds])
    kept = (
        [round(float(n)) for n in np.mean([rows[s]["kept"] for s in seeds], axis=0)]
        if "kept" in rows[seeds[0]]
        else []
    )
    cells = [
        arm,
        f"{accuracy.mean():.2f} ({accuracy.min():.2f})",
        "" if arm == "dense" else interval(change),
        f"{lost.mean():+.2f} ({lost.min():+.2f})" if lost.size == len(seeds) else "",
        f"{100 * weights:.1f}",
        "silent" if silent else f"{fewer:.1f}",
        " ".join(map(str, kept)),
    ]
    return ROW.format(" | ".join(cells))


def table(width: str) -> list[str]:
    head = [
        ROW.format(
            "arm | accuracy, % (worst seed) | against dense, points | integers against float | "
            "convolution weights, % | × fewer operations | channels kept"
        ),
        ROW.format(" | ".join(["---"] * 7)),
    ]
    return head + [found for arm in ORDER if (found := line(width, arm)) is not None]


def main() -> None:
    rows = known()
    slowest = max(row.get("seconds", 0.0) for row in rows.values())
    equal = [row["compact_equals_masked"] for row in rows.values() if "compact_equals_masked" in row]
    summary = (
        f"{len(rows)} networks, {SEEDS} seeds, {EPOCHS} epochs each ({os.cpu_count()} cores, Python "
        f"{platform.python_version()}); the slowest took {slowest:.0f} s on one core, with another beside "
        "it. The compact network spiked exactly as the masked one, in double precision, in "
        f"{sum(equal)} of {len(equal)}."
    )
    parts = [BEGIN, "", summary, ""]
    for width, plan in PLANS.items():
        parts += [f"**{sum(plan)} channels**", "", *table(width), ""]
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(before + "\n".join([*parts, END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()

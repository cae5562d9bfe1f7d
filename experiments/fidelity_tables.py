"""The tables of the fidelity study: from `fidelity_study.jsonl` into the pages of studies."""

from pathlib import Path

import numpy as np
from fidelity_study import BITS, CAMPAIGN, EPOCHS
from study import Row
from study_tables import STUDIES, filled, paragraph, rows_of, signed_interval, write_pages

NAMES = {
    "digits": "HRSNN, digits",
    "sequential digits": "HRSNN, sequential digits",
    "sequential digits, twice the rate": "the same, trained at twice the learning rate",
    "VGG": "small VGG, digits",
}
SAID = (
    "Points of accuracy lost on 540 held-out samples (one is 0.19 points), {seeds} seeds, mean ± half of the "
    "95 % interval (Student). QAT: {epochs} epochs, against the float network trained on for as many."
)


def losses(rows: list[Row], arm: str, against: str) -> list[float]:
    return [row[against] - row[arm]["fixed"] for row in rows]


def eight_bits(tasks: dict[str, list[Row]]) -> str:
    head = ["network", "float", "loss", "worst", "F1", "least F1", "loss after QAT", "worst", "Lava equal"]
    lines: list[list[str]] = []
    for task, rows in tasks.items():
        after, trained = losses(rows, "calibrated 8", "float"), losses(rows, "trained 8", "tuned")
        f1 = [row["calibrated 8"]["f1"] for row in rows]
        equal = [row[arm]["lava"] for row in rows for arm in ("calibrated 8", "trained 8")]
        lines.append(
            [
                NAMES[task],
                f"{np.mean([row['float'] for row in rows]):.2f}",
                signed_interval(after),
                f"{max(after):+.2f}",
                f"{np.mean(f1):.4f}",
                f"{min(f1):.4f}",
                signed_interval(trained),
                f"{max(trained):+.2f}",
                f"{sum(equal)} of {len(equal)}",
            ]
        )
    return rows_of(head, lines)


def curves(tasks: dict[str, list[Row]]) -> str:
    arms = ("nearest", "calibrated", "after QAT")
    head = ["network", "bits", *arms, *(f"F1 {arm}" for arm in arms)]
    lines: list[list[str]] = []
    for task, rows in tasks.items():
        for bits in BITS:
            arms = [f"{arm} {bits}" for arm in ("nearest", "calibrated", "trained")]
            references = ("float", "float", "tuned")
            lost = [
                signed_interval(losses(rows, arm, ref)) for arm, ref in zip(arms, references, strict=True)
            ]
            f1 = [f"{np.mean([row[arm]['f1'] for row in rows]):.3f}" for arm in arms]
            lines.append([NAMES[task], str(bits), *lost, *f1])
    return rows_of(head, lines)


def spreads(tasks: dict[str, list[Row]]) -> str:
    head = ["time constants differ by", "bits", "rounding", "F1, scale per neuron", "F1, per layer"]
    head += ["loss, per neuron", "loss, per layer", "zeroed, per neuron", "zeroed, per layer"]
    lines: list[list[str]] = []
    for task, rows in tasks.items():
        for bits in (8, 6):
            for rounding in ("nearest", "calibrated"):
                arms = [f"{each} {rounding} {bits}" for each in ("neuron", "layer")]
                f1 = [f"{np.mean([row[arm]['f1'] for row in rows]):.3f}" for arm in arms]
                lost = [signed_interval(losses(rows, arm, "float")) for arm in arms]
                zeroed = [f"{100 * np.mean([row[arm]['zeroed'] for row in rows]):.1f} %" for arm in arms]
                lines.append([f"{task.split()[1]}x", str(bits), rounding, *f1, *lost, *zeroed])
    return rows_of(head, lines)


def pages() -> dict[Path, str]:
    """Return the page of the study, with its tables renewed."""
    rows = CAMPAIGN.rows().values()
    tasks = {name: [row for row in rows if row["task"] == name] for name in NAMES}
    spread = {f"spread {n}": [row for row in rows if row["task"] == f"spread {n}"] for n in (1, 10, 50)}
    seeds = len(tasks["digits"])
    text = "\n\n".join(
        [
            paragraph(SAID.format(seeds=seeds, epochs=EPOCHS)),
            "**Eight bits**",
            eight_bits(tasks),
            "**Fewer bits**",
            curves(tasks),
            "**One scale per neuron, one per layer**",
            spreads(spread),
        ]
    )
    return filled(STUDIES / "fidelity.md", {"study": text})


if __name__ == "__main__":
    write_pages(pages())

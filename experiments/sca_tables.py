"""The tables and sentences of the study of channel pruning: from `sca_study.jsonl` into its pages."""

from pathlib import Path

from sca_claims import in_short, summary
from sca_figures import ORDER, PAIRS, Study
from sca_study import CAMPAIGN, EPOCHS, MEASURED_ON, PLANS, SEEDS
from study_tables import STUDIES, filled, paragraph, rows_of, write_pages


def line(study: Study, width: str, arm: str) -> list[str]:
    """Return the row of an arm."""
    accuracy, lost = study.values(width, arm, "masked_accuracy"), study.integers(width, arm)
    fewer = study.fewer(width, arm)
    return [
        arm,
        f"{accuracy.mean():.2f} ({accuracy.min():.2f})",
        "" if arm == "dense" else study.to_dense.marked((width, arm), 2),
        f"{lost.mean():+.2f} ({lost.min():+.2f})" if lost.size else "",
        f"{study.weights(width, arm):.1f}",
        "silent" if fewer is None else f"{fewer:.1f}",
        " ".join(f"{count:.0f}" for count in study.kept(width, arm)),
    ]


def table(study: Study, width: str) -> str:
    """Return one row per arm."""
    head = [
        "arm",
        "accuracy, % (worst seed)",
        "against dense, points",
        "integers against float",
        "convolution weights, %",
        "× fewer operations, all layers",
        "channels kept",
    ]
    return rows_of(head, [line(study, width, arm) for arm in ORDER])


def pair_table(study: Study) -> str:
    """Return the other pairs the text speaks of."""
    rows = [
        [f"{first} − {second}", *(study.pairs.marked((width, first, second), 2) for width in PLANS)]
        for first, second in PAIRS
    ]
    return rows_of(["points", *(f"{width} width" for width in PLANS)], rows)


def introduction(study: Study) -> str:
    """Return what has to be known to read the tables."""
    rows = study.rows.values()
    slowest = max(row.get("seconds", 0.0) for row in rows)
    equal = [row["compact_equals_masked"] for row in rows if "compact_equals_masked" in row]
    said = (
        f"""{len(rows)} networks, {SEEDS} seeds, {EPOCHS} epochs each for every arm ({MEASURED_ON}); the
        slowest took {slowest:.0f} s on one core, with another beside it. The compact network spiked exactly
        as the masked one, in double precision, in {sum(equal)} of {len(equal)}.""",
        f"""The differences to the dense network are {study.to_dense.counted()}. **Bold** is what survives
        Holm (error rate of the family 5 %), *italic* what survives only Benjamini-Hochberg (false discovery
        rate 5 %). Operations are spikes, or inputs that are not zero, times the synapses they reach; all
        connections count, from the input to the classifier, and the ratio is the mean over seeds.""",
    )
    return "\n\n".join(paragraph(each) for each in said)


def tables(study: Study) -> str:
    """Return everything that stands between the marks of the study."""
    widths = [f"**{sum(plan)} channels**\n\n{table(study, width)}" for width, plan in PLANS.items()]
    said = paragraph(f"**Other pairs** are a family of their own: {study.pairs.counted()}.")
    pairs = f"{said}\n\n{pair_table(study)}"
    return "\n\n".join([introduction(study), *widths, pairs])


def pages(study: Study) -> dict[Path, str]:
    """Return the pages that speak of the study, with what it says renewed."""
    return {
        **filled(STUDIES / "sca.md", {"study": tables(study), "in short": in_short(study)}),
        **filled(STUDIES / "index.md", {"sca": summary(study)}),
    }


def main() -> None:
    """Write what the study says into the pages that speak of it."""
    if missing := CAMPAIGN.missing():
        raise SystemExit(f"{len(missing)} runs of the study are missing, {missing[0]} first: make sca-study")
    write_pages(pages(Study(CAMPAIGN.rows())))


if __name__ == "__main__":
    main()

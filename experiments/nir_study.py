"""The tasks of the NIR paper (Nature Communications 2024): float, integers and Lava beside published figures.

Networks and recordings are those that its authors and others published; none is part of this repository.
`--data`, or PUMICE_DATA, names the folder that holds `nir/`, `braille/` and `nmnist/`. Run it with
`make nir-study`; it takes some minutes and writes the tables of `docs/studies/nir.md`.
"""

from pathlib import Path

from nir_tasks import (
    CALIBRATED,
    FOLDS,
    LIF_STEP,
    LIMITED,
    ONE_LIF,
    OTHERS,
    OWN_STEP,
    RECORDINGS,
    STEPS,
    TASKS,
    Row,
)
from study import Campaign, carry_out
from study_tables import STUDIES, filled, paragraph, rows_of, write_pages

MEASURED_ON = "2026-11-28, 2 cores and 24 GiB"
BRAILLE_PUBLISHED = "snnTorch 95.0, Norse 94.3, SpiNNaker2 85.0, Spyx 84.3, Nengo 55.7, Lava 48.6"
SUBTRACT_PUBLISHED = "SpiNNaker2 93.6, snnTorch 92.1, Xylo 85.7, Rockpool 71.4"
NMNIST_PUBLISHED = "sinabs 98.5, Lava 98.15"


def accuracy_table(rows: dict[str, Row]) -> str:
    """Return accuracy and agreement of the two tasks with labels."""
    head = [
        "task", "samples", "float, %", "integers, %", "spike F1", "without constants", "synapses", "on Lava",
    ]  # fmt: skip
    lines: list[list[str]] = []
    for name, row in rows.items():
        if row.get("float") is None:
            continue
        equal = "equal" if row["lava equal"] else "differs"
        lines.append(
            [
                name,
                str(row["samples"]),
                f"{row['float']:.2f}",
                f"{row['fixed']:.2f}",
                f"{row['f1']:.4f}",
                f"{row['own f1']:.4f}",
                f"{row['synapses']:,}",
                f"{equal}, {row['lava samples']} of them",
            ]
        )
    return rows_of(head, lines)


def lif_sentences(row: Row) -> str:
    """Return what one neuron shows."""
    steps = ", ".join(str(step) for step in row["spikes"])
    same = "the same" if row["integers"] == row["spikes"] else f"{row['integers']}"
    names = {"norse": "Norse", "snntorch": "snnTorch", "exact": "the exact solution"}
    equal = [said for key, said in names.items() if row[key]["spikes"]]
    return (
        f"One LIF (`lif_norse.nir --convention norse-seconds --reset zero --dt {LIF_STEP:g}`): spikes at "
        f"steps {steps}, "
        f"as {', '.join(equal)}, "
        f"{'and Lava in real numbers one step later' if row['lava_cpu_float']['spikes'] else 'not as Lava'}; "
        f"integers: {same}; Lava in integers {'equal' if row['lava equal'] else 'differs'}. "
        f"Potentials differ from Norse's by at most {row['norse']['potential']:.1e}, from Lava's by "
        f"{row['lava_cpu_float']['potential']:.1e}, and from the exact solution by "
        f"{row['exact']['potential']:.1e}, because a step is Euler's. Norse wrote the file before its "
        "version 1.1, with tau itself in it; `--convention norse`, which is that of 1.1, is refused."
    )


def reset_sentences(row: Row) -> str:
    """Return what the reset that a file cannot say makes of its network."""
    own, exact, plain, zero = (
        ", ".join(str(row[str(number)]["right"][place]) for number in range(FOLDS)) for place in range(4)
    )
    same = all(row[str(number)]["spikes equal"] for number in range(FOLDS))
    equal = "every spike equal" if same else "other spikes"
    return (
        "What `braille_subtract.nir` does not say: snnTorch trained it with `reset_delay=False`. Its step "
        f"classifies {own} of the {row['0']['of']} samples of each fold rightly; read as "
        f"`subtract-snntorch` the network does {exact}, with {equal}; as `subtract`, which needs half "
        f"the neurons, {plain}; with a reset to zero, as it came in before resets were asked for, "
        f"{zero}. snnTorch compares a potential that a spike has left above its threshold with two "
        "thresholds in the next step, and `subtract` with one."
    )


def limit_sentences(row: Row) -> str:
    """Return what the limit of potentials changes."""
    free, stopped = row["free"], row["limited"]
    grown = [stopped["spikes"][name] / free["spikes"][name] for name in free["spikes"]]
    return (
        "What the file of N-MNIST does not say: sinabs's `from_model` stops potentials at `min_v_mem = -1` "
        f"unless it is given None. In sinabs's own equations, over {row['recordings']} recordings, that "
        f"limit makes the layers fire {min(grown):.2f} to {max(grown):.2f} times as often "
        f"({free['spikes']['1']:,} spikes of layer 1 become {stopped['spikes']['1']:,}); "
        f"{stopped['right']} in place of {free['right']} recordings are classified rightly, and "
        f"{row['same']} alike. What is imported has no limit and equals the equations without one, spike by "
        "spike."
    )


def page(rows: dict[str, Row]) -> str:
    """Return what stands between the markers."""
    said = (
        f"Made by `make nir-study` on {MEASURED_ON}. Braille (`braille_zero.nir --convention snntorch "
        "--reset zero`, 256 steps; where a reset is named, `braille_subtract.nir` with that reset): all "
        f"samples of a validation fold are judged; calibrated on {CALIBRATED} samples from outside the "
        "judged fold. N-MNIST "
        f"(`nmnist_sinabs.nir --convention sinabs --reset zero`, {STEPS} binary steps of 3 ms): the first "
        f"{RECORDINGS} of 1,000 recordings of the training set are judged, calibrated on the last {OTHERS}. "
        "The networks may have been trained on some of these samples, and the published figures are of "
        "other splits, so accuracy is not to be ranked against them; that integers keep it can be. "
        "'Without constants' leaves out neurons that stand for a bias, or that watch those of "
        "`subtract-snntorch`."
    )
    published = (
        f"Published, Braille with reset to zero: {BRAILLE_PUBLISHED} %; by subtraction: {SUBTRACT_PUBLISHED} "
        f"%. N-MNIST: {NMNIST_PUBLISHED} %. Lava "
        "here is its CPU model of the chip's integers, equal to reference and emulator in u, v and spikes at "
        "every step."
    )
    return "\n\n".join(
        [
            paragraph(said),
            accuracy_table(rows),
            paragraph(published),
            paragraph(reset_sentences(rows[OWN_STEP])),
            paragraph(lif_sentences(rows[ONE_LIF])),
            paragraph(limit_sentences(rows[LIMITED])),
        ]
    )


CAMPAIGN = Campaign(
    Path(__file__),
    ("task",),
    lambda _: [(task,) for task in TASKS],
    lambda key, given: TASKS[key[0]](given.data),
)


def pages() -> dict[Path, str]:
    """Return the page of the study, with its tables renewed."""
    rows = CAMPAIGN.rows()
    return filled(STUDIES / "nir.md", {"study": page({task: rows[task,] for task in TASKS})})


if __name__ == "__main__" and carry_out(CAMPAIGN):
    write_pages(pages())

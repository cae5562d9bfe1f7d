"""The tables and sentences of the study of neurons: from `neurons_study.jsonl` into its page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from neurons_study import CAMPAIGN, LAST, MAIN, REFERENCE, RISE, TAU_RISE
from neurons_tasks import (
    DIGITS,
    HORIZON,
    JUDGED,
    LORENZ,
    NEURONS,
    SPLIT,
    STARTS,
    STEPS,
    TASKS,
    WINDOW,
    WINDOWS,
    Figures,
)
from study_tables import (
    STUDIES,
    Family,
    bullet,
    compare,
    filled,
    interval,
    judged_together,
    paragraph,
    rows_of,
    write_pages,
)

MEASURED_ON = "2026-11-26, one thread per process, Python 3.11, torch CPU"
Key = tuple[str, str, str]
"""Task, variant and what is compared."""


@dataclass(frozen=True)
class Metric:
    """A figure of a task as it is shown.

    Attributes:
        task: Task that has it.
        key: Name in the figures, without `_float` or `_fixed`.
        name: Head of its column.
        factor: Factor from the figure to what is shown.
        decimals: Decimals that are shown.
    """

    task: str
    key: str
    name: str
    factor: float = 1.0
    decimals: int = 2


METRICS = (
    Metric(DIGITS, "accuracy", "accuracy, %"),
    Metric(LORENZ, "one_step", "RMSE of the next value, thousandths", 1000.0),
    Metric(LORENZ, "vpt", "valid values"),
)
NAMES = {
    "LIF": "LIF, drawn time constants",
    "homogeneous": "LIF, one time constant",
    "learnt": "LIF, learnt time constants",
    "subtract": "LIF, reset by subtraction",
    "ALIF": "ALIF, drawn time constants",
    "learnt ALIF": "ALIF, all learnt",
    "learnt faster": "LIF, learnt five times as fast",
}


class Study:
    """The figures of the study, and its comparisons.

    Every task counts the seeds that all of the first variants have; a last one counts if it has these, too.
    """

    def __init__(self) -> None:
        self.figures = CAMPAIGN.figures()
        whole = all(
            (task, v, seed) in self.figures for task in TASKS for v in LAST for seed in self.seeds(task)
        )
        self.variants = (*MAIN, *LAST) if whole else MAIN
        others = [variant for variant in self.variants if variant != REFERENCE]
        self.family: Family[Key] = judged_together(
            {
                **{
                    (metric.key, variant, "float"): compare(
                        self.values(metric, variant, "float"), self.values(metric, REFERENCE, "float")
                    )
                    for metric in METRICS
                    for variant in others
                },
                **{
                    (metric.key, "learnt", "homogeneous"): compare(
                        self.values(metric, "learnt", "float"), self.values(metric, "homogeneous", "float")
                    )
                    for metric in METRICS
                },
                **{
                    (metric.key, variant, "integers"): compare(
                        self.values(metric, variant, "fixed"), self.values(metric, variant, "float")
                    )
                    for metric in METRICS
                    for variant in self.variants
                },
                **{
                    (task, variant, "f1"): compare(
                        self.of(task, variant, "f1"), self.of(task, REFERENCE, "f1")
                    )
                    for task in TASKS
                    for variant in others
                },
            }
        )

    def seeds(self, task: str) -> list[int]:
        """Return the seeds that count."""
        each = [{s for t, v, s in self.figures if (t, v) == (task, variant)} for variant in MAIN]
        return sorted(set.intersection(*each))

    def of(self, task: str, variant: str, key: str, factor: float = 1.0) -> dict[int, float]:
        """Return a figure by seed."""
        return {seed: factor * self.figures[task, variant, seed][key] for seed in self.seeds(task)}

    def values(self, metric: Metric, variant: str, kind: str) -> dict[int, float]:
        """Return a metric by seed, in real numbers or in integers."""
        return self.of(metric.task, variant, f"{metric.key}_{kind}", metric.factor)

    def mean(self, task: str, variant: str, key: str) -> float:
        """Return the mean of a figure over seeds."""
        return float(np.mean([*self.of(task, variant, key).values()]))

    def alone(self, name: str) -> Figures:
        """Return the figures of a prediction of Lorenz63 without a network."""
        return self.figures[LORENZ, name, 0]


def task_table(study: Study, task: str) -> str:
    """Return what a task gave in real numbers: a row for each variant."""
    metrics = [metric for metric in METRICS if metric.task == task]
    head = ["", *(text for metric in metrics for text in (metric.name, "minus LIF"))]
    rows = [
        [
            NAMES[variant],
            *(text for metric in metrics for text in _compared(study, metric, variant)),
            f"{study.mean(task, variant, 'spikes_float'):.2f}",
            f"{study.mean(task, variant, 'operations_float'):,.0f}",
        ]
        for variant in study.variants
    ]
    return rows_of([*head, "spikes a step", "operations a sample"], rows)


def _compared(study: Study, metric: Metric, variant: str) -> tuple[str, str]:
    mean, half = interval([*study.values(metric, variant, "float").values()])
    marked = ""
    if variant != REFERENCE:
        marked = study.family.marked((metric.key, variant, "float"), metric.decimals)
    return f"{mean:.{metric.decimals}f} ± {half:.{metric.decimals}f}", marked


def integer_table(study: Study, task: str) -> str:
    """Return what integers cost: a row for each variant."""
    metrics = [metric for metric in METRICS if metric.task == task]
    head = ["", *(text for metric in metrics for text in (metric.name, "minus float"))]
    rows: list[list[str]] = []
    for variant in study.variants:
        cells = [NAMES[variant]]
        for metric in metrics:
            mean = float(np.mean([*study.values(metric, variant, "fixed").values()]))
            cells.append(f"{mean:.{metric.decimals}f}")
            cells.append(study.family.marked((metric.key, variant, "integers"), metric.decimals))
        f1 = [*study.of(task, variant, "f1").values()]
        cells += [f"{np.mean(f1):.4f}", f"{min(f1):.4f}"]
        cells.append("" if variant == REFERENCE else study.family.marked((task, variant, "f1"), 4))
        cells.append(f"{study.mean(task, variant, 'spikes_fixed'):.2f}")
        rows.append(cells)
    return rows_of([*head, "F1", "least F1", "F1 minus LIF's", "spikes a step"], rows)


def spread_table(study: Study) -> str:
    """Return how time constants spread before and after training."""
    head = ["task", "", "mean before", "SD before", "mean after", "SD after", "moved by"]
    rows = [
        [
            task,
            NAMES[variant],
            *(
                f"{study.mean(task, variant, key):.1f}"
                for key in ("tau_before", "spread_before", "tau_after", "spread_after")
            ),
            f"{100 * np.expm1(study.mean(task, variant, 'moved')):.0f} %",
        ]
        for task in TASKS
        for variant in study.variants
        if variant not in {"subtract", "ALIF"}
    ]
    return rows_of(head, rows)


def all_three(study: Study, variant: str, kind: str) -> str:
    """Return the differences of the three metrics in words."""
    digits, step, valid = (
        study.family.in_sentence((metric.key, variant, kind), metric.decimals) for metric in METRICS
    )
    return f"{digits} points of accuracy, {step} thousandths of error and {valid} valid values"


def both(study: Study, variant: str, key: str, decimals: int = 1) -> str:
    """Return a mean on digits and on Lorenz63."""
    return " and ".join(f"{study.mean(task, variant, key):.{decimals}f}" for task in TASKS)


def moved(study: Study, variant: str) -> str:
    """Return by how much time constants moved on digits and on Lorenz63."""
    return " and ".join(f"{100 * np.expm1(study.mean(task, variant, 'moved')):.0f} %" for task in TASKS)


def sentences_on_neurons(study: Study) -> list[str]:
    """Return what the variants do in real numbers."""
    faster = all_learnt = ""
    if "learnt faster" in study.variants:
        faster = f"""At five times the rate they moved by {moved(study, "learnt faster")}, and the
        difference is {all_three(study, "learnt faster", "float")}."""
    if "learnt ALIF" in study.variants:
        all_learnt = f"With everything learnt: {all_three(study, 'learnt ALIF', 'float')}."
    spikes = "; ".join(f"{NAMES[v]} {both(study, v, 'spikes_float')}" for v in study.variants)
    return [
        f"""**Learnt against fixed.** LIF with learnt minus LIF with drawn time constants:
        {all_three(study, "learnt", "float")}. Time constants moved by {moved(study, "learnt")} (digits and
        Lorenz63, geometric mean), their spread (SD) from {both(study, "learnt", "spread_before")} to
        {both(study, "learnt", "spread_after")} steps. {faster}""",
        f"""**One against many.** One time constant for all minus drawn ones:
        {all_three(study, "homogeneous", "float")}. Learnt ones minus one for all:
        {all_three(study, "learnt", "homogeneous")}.""",
        f"""**ALIF against LIF.** ALIF minus LIF, both with drawn time constants:
        {all_three(study, "ALIF", "float")}. {all_learnt}""",
        f"""**Subtraction against zero.** Reset by subtraction minus reset to zero:
        {all_three(study, "subtract", "float")}.""",
        f"""**They do not fire alike.** Spikes of the pool in a step, digits and Lorenz63: {spikes}. Nothing
        was done to make them equal.""",
    ]


def sentences_on_integers(study: Study) -> list[str]:
    """Return what integers cost, and how good the predictors are."""
    f1 = {
        variant: " and ".join(study.family.in_sentence((task, variant, "f1"), 4) for task in TASKS)
        for variant in ("learnt", "subtract", "ALIF")
    }
    still, linear = (study.alone(name) for name in ("no change", "linear"))
    return [
        f"""**What integers cost.** Integers minus real numbers, LIF:
        {all_three(study, REFERENCE, "integers")}. Learnt time constants:
        {all_three(study, "learnt", "integers")}. Subtraction: {all_three(study, "subtract", "integers")}.
        ALIF: {all_three(study, "ALIF", "integers")}.""",
        f"""**Spikes in integers.** On digits and on Lorenz63 the F1 of the LIF is
        {both(study, REFERENCE, "f1", 3)}. Minus that: {f1["learnt"]} for learnt time constants,
        {f1["subtract"]} for subtraction, and {f1["ALIF"]} for ALIF.""",
        f"""**As predictors they are weak.** The LIF errs by
        {1000 * study.mean(LORENZ, REFERENCE, "one_step_float"):.1f} thousandths on the next value; to
        predict no change by {1000 * still["one_step"]:.1f}, and a linear function of the same {WINDOW}
        values by {1000 * linear["one_step"]:.2f}. Predictions hold for
        {study.mean(LORENZ, REFERENCE, "vpt_float"):.1f}, {still["vpt"]:.1f} and {linear["vpt"]:.1f}
        values.""",
    ]


def in_short(study: Study) -> str:
    """Return the sentences of the page, with what every difference survives."""
    texts = [*sentences_on_neurons(study), *sentences_on_integers(study)]
    return "\n".join(bullet(text) for text in texts)


def tables(study: Study) -> str:
    """Return what stands between the marks of the page."""
    seconds = sum(figures.get("seconds", 0.0) for figures in study.figures.values())
    seeds = [len(study.seeds(task)) for task in TASKS]
    said = f"""{seeds[0]} paired seeds on digits and {seeds[1]} on Lorenz63, {NEURONS} neurons, {STEPS}
        steps a sample ({MEASURED_ON}; {seconds / 60:.0f} minutes of a core). Mean ± half the 95 % interval
        (Student's t); differences are paired by seed. The tables hold {study.family.counted()}. **Bold**
        survives Holm, *italic* only Benjamini-Hochberg; everything else is not shown. 'Valid values' are
        those of the next {HORIZON} with a normalised error below 0.1, in closed loop, over {STARTS} starts;
        the error of the next value is over {JUDGED} windows, in thousandths of a standard deviation. 'Moved
        by' is the geometric mean of how far a time constant is from where it began. Time constants are in
        steps. Operations are synaptic ones."""
    return "\n\n".join(
        [
            paragraph(said),
            "**Real numbers, digits row by row**",
            task_table(study, DIGITS),
            "**Real numbers, Lorenz63**",
            task_table(study, LORENZ),
            "**Eight-bit integers, digits row by row**",
            integer_table(study, DIGITS),
            "**Eight-bit integers, Lorenz63**",
            integer_table(study, LORENZ),
            "**Time constants of the pool**",
            spread_table(study),
        ]
    )


def setup() -> str:
    """Return the settings, as the scripts have them."""
    digits, lorenz = (TASKS[task].fit for task in (DIGITS, LORENZ))
    shapes = [TASKS[task].shape for task in (DIGITS, LORENZ)]
    gains = [f"{shape.gain:g} (recurrent) and {shape.input_gain:g} (input)" for shape in shapes]
    taus = [f"{shape.readout_tau_ms:g}" for shape in shapes]
    texts = (
        f"""**Network**: an HRSNN of {NEURONS} neurons with {100 * shapes[0].density:.0f} % of the recurrent
        synapses, read by potentials that leak with {taus[0]} steps on digits and {taus[1]} on Lorenz63. Gains
        before training, in thresholds: {gains[0]} on digits, {gains[1]} on Lorenz63.""",
        f"""**Digits**: 1,257 images for training, 540 held out (split {SPLIT}), eight rate-coded steps for
        each of eight rows; {digits.epochs} epochs at a learning rate of {digits.learning_rate:g}.""",
        f"""**Lorenz63**: {WINDOWS:,} windows of {WINDOW} values of four steps from the training part. The
        network learns the change to the next value by squared error, for {lorenz.epochs} epochs at
        {lorenz.learning_rate:g}. In closed loop every value is predicted from rest out of the last
        {WINDOW}.""",
        f"""**Both**: AdamW, batches of {digits.batch_size}, a one-cycle rate; time constants and adaptation
        learn at {digits.neuron_rate:g} of it.""",
        f"""**ALIF**: a spike raises the threshold by {RISE:g} of itself, which decays with {TAU_RISE:g}
        steps, the length of a sample.""",
    )
    return "\n".join(bullet(text) for text in texts)


def pages() -> dict[Path, str]:
    """Return the page of the study, with sentences and tables renewed."""
    study = Study()
    return filled(
        STUDIES / "neurons.md", {"in short": in_short(study), "set-up": setup(), "study": tables(study)}
    )


if __name__ == "__main__":
    write_pages(pages())

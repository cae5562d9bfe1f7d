"""The tables and sentences of the LNP study: from `lnp_study.jsonl` into the pages of studies."""

from collections.abc import Sequence
from pathlib import Path

import lnp_budget_study
import numpy as np
from lnp_budget_tables import Budgets, section
from lnp_claims import in_short, summary
from lnp_figures import (
    ALL,
    ALL_NEURONS,
    DIGITS,
    KEPT,
    PAIRS,
    RECURRENT,
    SCALED,
    SERIES,
    TASKS,
    Study,
    epochs,
    fewer,
)
from lnp_study import CAMPAIGN, DEPLOYMENT, KEPT_NEURONS, MEASURED_ON, NETWORKS
from lnp_tasks import NEURONS, OPERATION_PICOJOULES, UPDATE_PICOJOULES
from study_tables import STUDIES, filled, interval, paragraph, rows_of, span, write_pages

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
STILL = ("unpruned", "LNP", "AP, magnitude", "random", "LNP's neurons, no recurrence")


def shown(arm: str) -> str:
    """Return the name of an arm for a table; what was meant to have equal operations has not."""
    return arm.replace("equal operations", "synapses scaled").replace("|", "\\|")


def _score(study: Study, task: str, arm: str) -> str:
    text = "{:.1f} ± {:.1f}".format(*interval([*study.scores(task, arm).values()]))
    return text if arm == "LNP" else f"{text} ({study.to_lnp.bold((task, arm))})"


def _operations(study: Study, task: str, arm: str, key: str) -> str:
    mean, half = interval([*study.values(task, arm, key).values()])
    if mean == 0:
        return "0"
    compared = "" if arm == "unpruned" else f" ({fewer(study.ratio(task, 'unpruned', arm, key))})"
    return f"{mean:,.0f} ± {half:,.0f}{compared}"


def _energy(study: Study, task: str, arm: str) -> str:
    return "{:,.0f} ± {:,.0f}".format(*interval([*study.nanojoules(task, arm).values()]))


def table(study: Study, arms: Sequence[str]) -> str:
    """Return one row per arm: the four tasks, then operations and energy of two of them."""
    head = [
        "",
        *(name for name, _ in TASKS.values()),
        "recurrent operations a value, Lorenz63",
        "in all",
        "nJ",
        "recurrent operations an image, sequential digits",
        "in all",
        "nJ",
    ]
    rows = [
        [
            shown(arm),
            *(_score(study, task, arm) for task in TASKS),
            *(
                cell
                for task in (SERIES, DIGITS)
                for cell in (
                    *(_operations(study, task, arm, key) for key in (RECURRENT, ALL)),
                    _energy(study, task, arm),
                )
            ),
        ]
        for arm in arms
    ]
    return rows_of(head, rows)


def scaled_table(study: Study) -> str:
    """Return the arms whose synapses were scaled for equal operations, and how equal they became."""
    names = [name.removesuffix(", %") for name, _ in TASKS.values()]
    rows = [
        [
            shown(arm),
            *(f"{study.ratio(task, arm, 'LNP', key):.2f}" for key in (RECURRENT, ALL) for task in TASKS),
        ]
        for arm in SCALED
    ]
    head = ["operations over LNP's", *(f"recurrent, {name}" for name in names)]
    head += [f"in all, {name}" for name in names]
    return f"{table(study, ('LNP', *SCALED))}\n\n{rows_of(head, rows)}"


def operations_table(study: Study) -> str:
    """Return how many times fewer operations every arm needs than the unpruned network, on every task."""
    arms = [arm for arm in study.arms if arm != "unpruned"]
    names = [name.removesuffix(", %") for name, _ in TASKS.values()]
    rows = [
        [
            shown(arm),
            *(
                "no recurrent"
                if study.mean(task, arm, key) == 0
                else fewer(study.ratio(task, "unpruned", arm, key))
                for key in (RECURRENT, ALL)
                for task in TASKS
            ),
        ]
        for arm in arms
    ]
    head = [
        "than unpruned",
        *(f"recurrent, {name}" for name in names),
        *(f"in all, {name}" for name in names),
    ]
    return rows_of(head, rows)


def pair_table(study: Study) -> str:
    """Return the other pairs the text speaks of: differences, and operations of the first over the second."""
    rows: list[list[str]] = []
    for first, second in PAIRS:
        differences = [study.pairs.bold((task, first, second)) for task in TASKS]
        spans = [
            "–" if study.mean(SERIES, second, key) == 0 else span(study.ratios(first, second, key), 2)
            for key in (RECURRENT, ALL)
        ]
        rows.append([f"{shown(first)} − {shown(second)}", *differences, *spans])
    head = [
        "",
        *(name for name, _ in TASKS.values()),
        "recurrent operations, first over second, four tasks",
        "in all",
    ]
    said = paragraph(f"These pairs are a family of their own: {study.pairs.counted()}.")
    return f"{said}\n\n{rows_of(head, rows)}"


def noise_table(study: Study) -> str:
    """Return closed-loop RMSE on Lorenz63 against the signal-to-noise ratio of the history."""
    levels = (50, 40, 30, 20, 10)
    arms = [
        f"{arm}{kind}" for arm in ("unpruned", "LNP", "AP", "AP, magnitude") for kind in ("", ", clustered")
    ]
    rows = [
        [
            arm,
            *(
                "{:.3f} ± {:.3f}".format(*interval([*study.values(SERIES, arm, f"rmse_{level}dB").values()]))
                for level in levels
            ),
        ]
        for arm in arms
        if (SERIES, arm, 0) in study.figures
    ]
    return rows_of(["", *(f"{level} dB" for level in levels)], rows)


def deployment_table(study: Study) -> str:
    """Return float against integers, per seed, and the mean paired change."""
    deployed = sorted((seed, f) for (task, _, seed), f in study.figures.items() if task == DEPLOYMENT)
    head = [
        "seed",
        "VPT float",
        "integers",
        "RMSE float",
        "integers",
        "one-step float",
        "integers",
        "Lava equal",
    ]
    rows = [
        [
            str(seed),
            *(f"{f[f'vpt_{kind}']:.2f}" for kind in ("float", "fixed")),
            *(f"{f[f'rmse_{kind}']:.3f}" for kind in ("float", "fixed")),
            *(f"{f[f'one_step_{kind}']:.5f}" for kind in ("float", "fixed")),
            "yes" if f["lava_equal"] else "NO",
        ]
        for seed, f in deployed
    ]
    text = [rows_of(head, rows)]
    for key, name in (("vpt", "VPT"), ("rmse", "RMSE"), ("one_step", "one-step RMSE")):
        base = float(np.mean([f[f"{key}_float"] for _, f in deployed]))
        change = [100 * (f[f"{key}_fixed"] - f[f"{key}_float"]) / base for _, f in deployed]
        text.append(f"Mean change of {name}: {'{:+.1f} ± {:.1f} %'.format(*interval(change))}.")
    return "\n\n".join(text)


def introduction(study: Study) -> str:
    """Return what has to be known to read the tables."""
    said = (
        """These tables are of the first protocol, whose budgets of training and of operations are not equal,
        and of the defaults that LNP had then: "ours" in them scores both signs together, may leave neurons
        without input, and caps factors at 5. [Equal budgets](#equal-budgets) has what was measured since.""",
        f"""{study.seeds} paired seeds; {NEURONS} neurons at density 0.1 pruned to {KEPT_NEURONS} neurons and
        {KEPT} of the synapses. Mean ± 95 % t interval; in brackets the paired difference to LNP. VPT is the
        number of the next 100 values with a normalised error below 0.1. ({MEASURED_ON})""",
        f"""**How many comparisons.** The tables hold {study.to_lnp.counted()}. **Bold** is what survives
        Benjamini-Hochberg (false discovery rate 5 %); everything else is not shown, whatever its own interval
        says. Which of it survives Holm, too, the sentences above say.""",
        f"""**Training.** On digits every arm is trained for {epochs("LNP")} epochs after pruning, but AP and
        AP, magnitude for {epochs("AP")} in all: they also train for an epoch after each of their rounds and
        keep those weights. On the series no arm is trained: a linear read-out is fitted by ridge regression,
        and AP's retraining does nothing. AP sees training data on every task, to find the quiet neurons.""",
        f"""**Operations** are spikes times the synapses they reach, on the test part, in real numbers.
        *Recurrent* is the pruned connection alone; *in all* adds the input and the read-out, measured in the
        same run. No method prunes these two, but the synapses of a neuron that is removed go with it. Energy
        is the least that is published of Loihi 1, {OPERATION_PICOJOULES} pJ per synaptic operation and
        {UPDATE_PICOJOULES:g} pJ per update of a neuron.""",
    )
    return "\n\n".join(paragraph(each) for each in said)


def still_digits(study: Study) -> str:
    """Return one sentence about still digits."""
    parts = [
        f"{arm} {'{:.1f} ± {:.1f}'.format(*interval([*study.values('digits', arm, 'accuracy').values()]))}"
        for arm in STILL
    ]
    return paragraph(
        f"Still digits, as a check only (AP with {epochs('AP')} epochs here, too): {'; '.join(parts)} %."
    )


def tables(study: Study) -> str:
    """Return everything that stands between the marks of the study."""
    sections = {
        "Equal neurons, equal synapses, equal gain": table(study, MAIN),
        "Equal synapses, all neurons stay (but for AP)": table(
            study, ("unpruned", *ALL_NEURONS, "AP", "AP, magnitude")
        ),
        "Recurrent operations that were meant to be equal": scaled_table(study),
        "What each step does": table(study, STEPS),
        "What a synapse is weighed by": table(study, RULES),
        "How many iterations": table(study, ROUNDS),
        "One pool, clusters, and neurons that are all alike": table(study, KINDS),
        "Other pairs": pair_table(study),
        "Operations on every task": operations_table(study),
        "Noise on the input, Lorenz63, closed-loop RMSE": noise_table(study),
        "Float and integers, Lorenz63, LNP, clustered": deployment_table(study),
    }
    headed = [f"### {title}\n\n{body}" for title, body in sections.items()]
    return "\n\n".join([introduction(study), still_digits(study), *headed])


def pages(study: Study) -> dict[Path, str]:
    """Return the pages that speak of the study, with what it says renewed."""
    return {
        **filled(
            STUDIES / "lnp.md",
            {
                "in short": in_short(study),
                "budgets": section(Budgets(lnp_budget_study.CAMPAIGN.figures())),
                "study": tables(study),
            },
        ),
        **filled(STUDIES / "index.md", {"lnp": summary(study)}),
    }


def main() -> None:
    """Write what the study says into the pages that speak of it."""
    if missing := CAMPAIGN.missing():
        raise SystemExit(f"{len(missing)} runs of the study are missing, {missing[0]} first: make lnp-study")
    write_pages(pages(Study(CAMPAIGN.figures())))


if __name__ == "__main__":
    main()

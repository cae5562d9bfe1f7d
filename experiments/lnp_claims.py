"""What the LNP study says, in sentences.

Every figure in them comes from `lnp_study.jsonl`, and with each difference stands which correction for the
number of comparisons it survives.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from lnp_figures import (
    ALL,
    ALL_NEURONS,
    BEST,
    CHANCE,
    DIGITS,
    KEPT,
    RECURRENT,
    SCALED,
    SERIES,
    TASKS,
    Study,
    epochs,
)
from lnp_study import DEPLOYED_STARTS, DEPLOYMENT, ITERATIONS, KEPT_NEURONS
from lnp_tasks import HORIZON, NEURONS
from study_tables import bullet, counted, interval, paragraph, rows_of, span

BOTH = (SERIES, DIGITS)
ROUNDS = ("LNP, 1 iteration", "LNP, 30 iterations", "LNP, 100 iterations")
BARE = "LNP's neurons, no recurrence"


def _to_lnp(study: Study, arm: str) -> str:
    """Return an arm minus LNP, on Lorenz63 and on sequential digits."""
    return " and ".join(study.to_lnp.in_sentence((task, arm)) for task in BOTH)


def _pair(study: Study, first: str, second: str, tasks: Iterable[str] = BOTH) -> str:
    """Return the first arm minus the second, likewise unless other tasks are named."""
    return " and ".join(study.pairs.in_sentence((task, first, second)) for task in tasks)


def _times(study: Study, first: str, second: str, key: str, decimals: int = 1) -> str:
    """Return how many times as many operations the first needs as the second, over the four tasks."""
    return span(study.ratios(first, second, key), decimals)


def _percent_fewer(study: Study, first: str, second: str, key: str) -> str:
    """Return by how many percent the first needs fewer operations than the second, over the four tasks."""
    return span([100 * (1 - ratio) for ratio in study.ratios(first, second, key)], 0)


def _all_neurons(study: Study) -> str:
    keys = [(task, arm, "unpruned") for arm in ALL_NEURONS for task in BOTH]
    series, digits = ([study.pairs.comparisons[key].mean for key in keys if key[0] == task] for task in BOTH)
    surviving = counted(sum(key in study.pairs.discovered for key in keys))
    recurrent, everything = (
        span([ratio for arm in ALL_NEURONS for ratio in study.ratios("unpruned", arm, key, BOTH)])
        for key in (RECURRENT, ALL)
    )
    return f"""
        **What counts is to keep the neurons.** With all {NEURONS} neurons and {KEPT} of the
        synapses, the {len(ALL_NEURONS)} ways that were tried, chance among them, differ from the unpruned
        network by {min(series):+.1f} to {max(series):+.1f} values on Lorenz63 and by {min(digits):+.1f} to
        {max(digits):+.1f} points on sequential digits; {surviving} of these {len(keys)} differences survive
        a correction. They need {recurrent} times fewer recurrent operations, but only {everything} times
        fewer in all: most of what remains is the input."""


def _best(study: Study) -> str:
    recurrent, everything = (span(study.ratios("unpruned", BEST, key, BOTH)) for key in (RECURRENT, ALL))
    more = span([ratio for arm in ("AP", "AP, magnitude") for ratio in study.ratios(BEST, arm, ALL)])
    return f"""
        **Steps I and III, weighed by |w| and with leaves first**, are the cheapest form of LNP that keeps all
        neurons. On those two tasks they need {recurrent} times fewer recurrent operations than the unpruned
        network, and {everything} times fewer in all. Compared with AP, magnitude they are better by
        {_pair(study, BEST, "AP, magnitude")}; the difference to AP is {_pair(study, BEST, "AP")}. But AP
        keeps {KEPT_NEURONS} neurons: in all they need {more} times *more* operations than the two AP arms
        (four tasks)."""


def _chance(study: Study) -> str:
    return f"""
        **Chance is not shown to be worse at that size.** The difference between these Steps I and III and
        random synapses with all neurons is {_pair(study, BEST, CHANCE)}, and
        {_pair(study, BEST, CHANCE, ("mackey_glass",))} on Mackey-Glass, at
        {_times(study, BEST, CHANCE, RECURRENT)} times the recurrent operations and
        {_times(study, BEST, CHANCE, ALL, 2)} times the operations in all (four tasks). No advantage of noise
        pruning over chance is shown there."""


def _second_step(study: Study) -> str:
    return f"""
        **Step II costs accuracy**, as the paper says: without it, with Steps I and III alone, the difference
        is {_to_lnp(study, "Steps I, III")}. Step III does not bring it back: LNP minus Steps I and II is
        {_pair(study, "LNP", "Steps I, II")}. But to remove neurons is what saves operations in all: LNP needs
        {_times(study, "Steps I, III", "LNP", ALL)} times fewer than Steps I and III (four tasks), because the
        input of these neurons goes, too."""


def _activity(study: Study) -> str:
    return f"""
        **Activity pruning and LNP with {KEPT_NEURONS} neurons each.** The difference to LNP is
        {_to_lnp(study, "AP")} for AP and {_to_lnp(study, "AP, magnitude")} for AP, magnitude, which need
        {_times(study, "LNP", "AP", ALL)} and {_times(study, "LNP", "AP, magnitude", ALL)} times fewer
        operations in all (four tasks). On digits the comparison is not fair: AP is trained for
        {epochs("AP")} epochs where LNP is trained for {epochs("LNP")}, and what the other
        {epochs("AP") - epochs("LNP")} are worth was not measured. On the series its retraining does
        nothing: AP sees the data only to find the quiet neurons."""


def _controls(study: Study) -> str:
    return f"""
        **LNP and its controls with {KEPT_NEURONS} neurons.** The difference to LNP is
        {_to_lnp(study, "Erdős–Rényi")} for Erdős–Rényi, {_to_lnp(study, BARE)} for the same neurons without
        recurrence, and {_to_lnp(study, "random")} for pruning at random, which needs
        {_times(study, "LNP", "random", RECURRENT)} times fewer recurrent operations and
        {_times(study, "LNP", "random", ALL)} times fewer in all."""


def _unequal(study: Study) -> str:
    near, apart = {}, {}
    for key in (RECURRENT, ALL):
        near[key] = span([ratio for arm in SCALED for ratio in study.ratios(arm, "LNP", key)], 2)
        pairs = ((first, second) for first in SCALED for second in SCALED)
        apart[key] = max(ratio for pair in pairs for ratio in study.ratios(*pair, key))
    said = ", ".join(f"{_to_lnp(study, arm)} for {arm.removesuffix(', equal operations')}" for arm in SCALED)
    return f"""
        **Equal operations were not reached.** The synapses of three arms were scaled once, so that they
        would need as many recurrent operations as LNP. They need {near[RECURRENT]} times as many
        ({near[ALL]} times in all), and up to {apart[RECURRENT]:.1f} times as many as one another
        ({apart[ALL]:.1f} times in all). The differences to LNP are {said}."""


def _weighing(study: Study) -> str:
    plain = "LNP, |w| for L (Moore–Chaudhuri)"
    return f"""
        **The Lyapunov matrix costs operations and is not shown to buy accuracy.** With |w| in its place the
        difference is {_to_lnp(study, plain)}, and the matrix needs {_times(study, "LNP", plain, RECURRENT)}
        times as many recurrent operations and {_times(study, "LNP", plain, ALL)} times as many in all (four
        tasks). That is why |w| is our default, and the paper's rule is an option."""


def _leaves(study: Study) -> str:
    leaves = "LNP, leaves first in Step III"
    return f"""
        **Leaves before hubs in Step III** save {_percent_fewer(study, leaves, "LNP", RECURRENT)} % of the
        recurrent operations and {_percent_fewer(study, leaves, "LNP", ALL)} % of all (four tasks); the
        difference is {_to_lnp(study, leaves)}. Neither leaves nor hubs spread the eigenvectors; see below."""


def _inverted(study: Study) -> str:
    arm = "LNP, inverted"
    return f"""
        **Inverted keep probabilities** are cheap and bad where recurrence pays: the difference is
        {_to_lnp(study, arm)}, with {_times(study, "LNP", arm, RECURRENT)} times fewer recurrent operations
        and {_times(study, "LNP", arm, ALL)} times fewer in all (four tasks)."""


def _fourth_step(study: Study) -> str:
    arm = "LNP with Step IV"
    return f"""
        **Step IV** saves {_percent_fewer(study, arm, "LNP", RECURRENT)} % of the recurrent operations and
        {_percent_fewer(study, arm, "LNP", ALL)} % of all (four tasks); the difference is
        {_to_lnp(study, arm)}. Its criterion, ours, knows nothing of the task."""


def _iterations(study: Study) -> str:
    keys = [(task, arm) for task in TASKS for arm in ROUNDS]
    surviving = counted(sum(key in study.to_lnp.discovered for key in keys))
    many, one = "LNP, 100 iterations", "LNP, 1 iteration"
    return f"""
        **Iterations.** Of {len(keys)} differences of 1, 30 and 100 iterations to {ITERATIONS}, {surviving}
        survive a correction. The difference of 100 to 1 is {_pair(study, many, one)}, at
        {_times(study, many, one, RECURRENT)} times the recurrent operations and
        {_times(study, many, one, ALL)} times the operations in all (four tasks)."""


def _heterogeneity(study: Study) -> str:
    alike = "unpruned, homogeneous"
    return f"""
        **Heterogeneity pays** on these two tasks, against neurons whose time constant nobody chose (with one
        that was chosen they are [not shown to be worse](#equal-budgets)): unpruned by
        {_pair(study, "unpruned", alike)}, while LNP
        with neurons that are all alike differs by {_to_lnp(study, "LNP, homogeneous")}. It needs more
        operations in all: {_times(study, "unpruned", alike, ALL)} times as many unpruned and
        {_times(study, "LNP", "LNP, homogeneous", ALL)} times under LNP (four tasks)."""


def _clusters(study: Study) -> str:
    return f"""
        **Clusters** make a difference of {_to_lnp(study, "LNP, clustered")} under LNP,
        {_pair(study, "AP, magnitude, clustered", "AP, magnitude")} under AP, magnitude and
        {_pair(study, "unpruned, clustered", "unpruned")} unpruned. Under LNP they need
        {_times(study, "LNP, clustered", "LNP", ALL)} times the operations in all (four tasks)."""


def _noise(study: Study) -> str:
    arms = ("unpruned", "LNP", "AP", "AP, magnitude")
    grown = [study.mean(SERIES, arm, "rmse_10dB") - study.mean(SERIES, arm, "rmse_50dB") for arm in arms]
    return f"""
        **Noise**: the paper's ranking (unpruned before LNP before AP by a factor of two and more) is not
        found. From 50 to 10 dB the RMSE of unpruned, LNP and both AP grows by {span(grown, 2)}. Networks were
        fitted on clean series; noise is on the history only, from which the prediction also starts."""


def _tasks(study: Study) -> str:
    of = len(study.to_lnp.comparisons) // len(TASKS)
    surviving = {task: sum(task == key[0] for key in study.to_lnp.discovered) for task in TASKS}
    said = ", ".join(f"{n} on {TASKS[task][0].removesuffix(', %')}" for task, n in surviving.items())
    glass = ("mackey_glass",)
    better = [study.pairs.comparisons[*glass, arm, "unpruned"].mean for arm in ALL_NEURONS]
    shown = counted(sum((*glass, arm, "unpruned") in study.pairs.discovered for arm in ALL_NEURONS))
    return f"""
        **Not every task tells the arms apart.** Of {of} differences to LNP on each task, B-H leaves {said}.
        On Mackey-Glass recurrence is not shown to pay: all neurons with it differ from {KEPT_NEURONS}
        without it by {_pair(study, "unpruned", BARE, glass)} values, and the {len(ALL_NEURONS)} ways to keep
        all neurons and few synapses differ from the unpruned network by {min(better):+.1f} to
        {max(better):+.1f} ({shown} of them survive B-H). Nor is it shown to pay on still digits, where all
        arms lie within a point."""


FINDINGS: Sequence[Callable[[Study], str]] = (
    _all_neurons,
    _best,
    _chance,
    _second_step,
    _activity,
    _controls,
    _unequal,
    _weighing,
    _leaves,
    _inverted,
    _fourth_step,
    _iterations,
    _heterogeneity,
    _clusters,
    _noise,
    _tasks,
)


def in_short(study: Study) -> str:
    """Return the findings, each with its figures."""
    introduction = f"""
        "LNP" means the paper's choices (`LnpOptions.published`) with {ITERATIONS} iterations. AP is activity
        pruning followed by removing synapses at random; "AP, magnitude" removes the weakest ones instead.
        Every arm has the spectral radius of the unpruned network. Differences are means over {study.seeds}
        paired seeds ± half their 95 % interval. Where two stand in a row, the first is in values of
        {HORIZON} on Lorenz63 and the second in points on sequential digits. The brackets say what a
        difference survives: Holm's correction for the number of comparisons, only that of Benjamini and
        Hochberg ("B-H"), or neither ("not shown")."""
    return "\n".join([paragraph(introduction), "", *(bullet(finding(study)) for finding in FINDINGS)])


def _deployed(rows: Sequence[dict[str, float]], key: str, decimals: int) -> list[str]:
    """Return the means of float and integers and the mean change in percent of the float mean."""
    before, after = (float(np.mean([row[f"{key}_{kind}"] for row in rows])) for kind in ("float", "fixed"))
    change = [100 * (row[f"{key}_fixed"] - row[f"{key}_float"]) / before for row in rows]
    means = [f"{each:.{decimals}f}" for each in (before, after)]
    return [*means, "{:+.1f} ± {:.1f} %".format(*interval(change))]


def summary(study: Study) -> str:
    """Return what the page over all studies says of this one."""
    recurrent, everything = (span(study.ratios("unpruned", BEST, key, BOTH)) for key in (RECURRENT, ALL))
    series, digits = (study.pairs.comparisons[task, BEST, "unpruned"] for task in BOTH)
    rows = [figures for (task, _, _), figures in study.figures.items() if task == DEPLOYMENT]
    said = f"""
        [Lyapunov Noise Pruning](lnp.md) prunes a recurrent network before it is trained and without data.
        Over {study.seeds} paired seeds, networks that keep all of their neurons and {KEPT} of their
        synapses need {recurrent} times fewer operations in the recurrent synapses and {everything} times
        fewer in all, because the input stays as it is. Their difference to the unpruned network is
        {series.mean:+.1f} ± {series.half:.1f} of {HORIZON} values of Lorenz63 and {digits.mean:+.1f} ±
        {digits.half:.1f} points on digits that are read row by row. So neither a gain nor a loss is shown.
        Pruning at random is not shown to be worse at that size, and needs about as many operations in all.
        Other claims of the paper did not hold; the page says which. The example `examples/lorenz63.py`
        prunes a clustered network, lets it predict in closed loop in real numbers and in integers, and
        compares its integers with Lava:"""
    head = [
        f"Lorenz63, {len(rows)} networks, {DEPLOYED_STARTS} starting points each",
        "float",
        "integers",
        "mean change, 95 % interval",
    ]
    equal = sum(bool(row["lava_equal"]) for row in rows)
    deployed = [
        [f"values predicted to 0.1 standard deviations, of {HORIZON}", *_deployed(rows, "vpt", 1)],
        [f"RMSE over {HORIZON} values, closed loop", *_deployed(rows, "rmse", 3)],
        ["open loop on Lava equal to the emulator", "", f"{equal} of {len(rows)}", ""],
    ]
    return f"{paragraph(said)}\n\n{rows_of(head, deployed)}"

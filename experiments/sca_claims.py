"""What the study of channel pruning says, in sentences.

Every figure in them comes from `sca_study.jsonl`, and with each difference stands which correction for the
number of comparisons it survives.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sca_figures import STRICT, Study
from sca_study import ARMS, PLANS, PUBLISHED, SEEDS, SPARSITY
from study_tables import bullet, paragraph, span

WIDTHS = tuple(PLANS)
FULL = WIDTHS[0]
CHANCE, MILD = "random regrowth, strict, annealed", "recommended at 0.7, strict"
BARE = ("q = 0", "q = 0, warm-up", "q = 0, strict, frozen tail")
NOISE = ("LNP, channels only", "LNP, synapses and channels")
SCRATCH = "from scratch, strict's widths"


def _to_dense(study: Study, arm: str) -> str:
    """Return an arm minus the dense network at full and at half width."""
    return " and ".join(study.to_dense.in_sentence((width, arm), 2) for width in WIDTHS)


def _pair(study: Study, first: str, second: str) -> str:
    """Return the first arm minus the second at full and at half width."""
    return " and ".join(study.pairs.in_sentence((width, first, second), 2) for width in WIDTHS)


def _fewer(study: Study, *arms: str, widths: Sequence[str] = (FULL,)) -> str:
    """Return how many times fewer operations arms need than the dense network."""
    return span([study.fewer(width, arm) or np.inf for arm in arms for width in widths])


def _published(study: Study) -> str:
    return f"""
        **The paper's choices hold up** once accuracy is measured after the mask: at p = {PUBLISHED.sparsity}
        and q = {PUBLISHED.regrowth} they change it by {_to_dense(study, "published")}."""


def _strict(study: Study) -> str:
    return f"""
        **Our strict variant at {100 * SPARSITY:.0f} %** changes it by {_to_dense(study, STRICT)}. At full
        width it keeps {study.weights(FULL, STRICT):.1f} % of the convolution weights where the paper's
        choices keep {study.weights(FULL, "published"):.1f} %, but saves no more operations:
        {_fewer(study, STRICT)} and {_fewer(study, "published")} times fewer, all layers counted. The
        difference of the two in accuracy is {_pair(study, STRICT, "published")}."""


def sparsity_of(arm: str) -> float:
    """Return the share of the channels that an arm prunes."""
    options = ARMS[arm]
    return 0.0 if options is None else options.sparsity


def _faithful(study: Study) -> str:
    faithful = "recommended, faithful"
    return f"""
        **Strict and faithful masks.** The difference is {_pair(study, STRICT, faithful)} at
        {100 * SPARSITY:.0f} %, where the faithful mask saves more operations ({_fewer(study, faithful)} times
        fewer at full width), and {_pair(study, MILD, "recommended at 0.7, faithful")} at
        {100 * sparsity_of(MILD):.0f} %."""


def _regrowth(study: Study) -> str:
    paper, warm, tail = (_to_dense(study, arm) for arm in BARE)
    last = [study.kept(width, arm)[-1] for width in WIDTHS for arm in BARE]
    return f"""
        **Without regrowth the last layer all but vanishes.** It is left with
        {span(last, 0)} channels, and accuracy changes by {paper} with the paper's schedule, by {warm} with a
        warm-up, and by {tail} with gates and a frozen tail; seeds differ much. A likely reason is that
        raw scores are compared across layers, and the potentials of a later layer are weaker."""


def _chance(study: Study) -> str:
    return f"""
        **The gradient against chance.** Under gates, regrowth by gradient is better than at random by
        {_pair(study, STRICT, CHANCE)}. Chance under a faithful mask brings back filters
        that are zero and destroys the network: {_to_dense(study, "random regrowth")}."""


def _constant(study: Study) -> str:
    worst, best = (f(study.values(FULL, "constant q, strict", "masked_accuracy")) for f in (np.min, np.max))
    return f"""
        **Constant q under a strict mask** is measured with untrained channels ({worst:.0f} to {best:.0f} % at
        full width); it is warned about."""


def _ranking(study: Study) -> str:
    return f"""
        **What channels are ranked by.** The potential against the firing rate is worth
        {_pair(study, STRICT, "firing rate")}, against the norm of the filters
        {_pair(study, STRICT, "weight norm")}, against Network Slimming
        {_pair(study, STRICT, "Network Slimming")}. Slimming saves more operations:
        {_fewer(study, "Network Slimming")} times fewer at full width. To take the mean of the gradient over
        the epoch instead of the last batch is not shown to make a difference either: the last batch against
        the mean makes {_pair(study, STRICT, "mean gradient")}."""


def _scratch(study: Study) -> str:
    return f"""
        **The same small network, trained from scratch, is not shown to be worse**: the pruned one differs
        from it by {_pair(study, STRICT, SCRATCH)} (its widths are those of an earlier run of the strict arm,
        not quite the ones above). What the pruning found may be no more than the widths. That is the
        result to beat, and nothing here is shown to beat it."""


def _before_training(study: Study) -> str:
    channels, both = (_to_dense(study, arm) for arm in NOISE)
    return f"""
        **Pruning before training** (LNP's feed-forward variant) changes accuracy by {channels} with channels
        alone, and by {both} with synapses, too. It keeps few early channels, and so needs
        {_fewer(study, *NOISE)} times fewer operations at full width."""


def _integers(study: Study) -> str:
    said: list[str] = []
    for arm in (MILD, STRICT):
        lost, share = study.integers(FULL, arm), 100 * sparsity_of(arm)
        said.append(f"{lost.mean():+.2f} points (worst seed {lost.min():+.2f}) at {share:.0f} %")
    return f"""
        **Integers** of the strict networks at full width differ from their real numbers by
        {" and ".join(said)}; the input is given in five bits, which is what digits have."""


FINDINGS: Sequence[Callable[[Study], str]] = (
    _published,
    _strict,
    _faithful,
    _regrowth,
    _chance,
    _constant,
    _ranking,
    _scratch,
    _before_training,
    _integers,
)


def in_short(study: Study) -> str:
    """Return the findings, each with its figures."""
    introduction = f"""
        Read with care: {SEEDS} seeds, one small task, 540 images. Differences are in points of accuracy,
        means over paired seeds ± half their 95 % interval; where two stand in a row, the first is at full
        and the second at half width. The brackets say what a difference survives: Holm's correction for
        the number of comparisons, only that of Benjamini and Hochberg ("B-H"), or neither ("not shown")."""
    return "\n".join([paragraph(introduction), "", *(bullet(finding(study)) for finding in FINDINGS)])


def summary(study: Study) -> str:
    """Return what the page over all studies says of this one."""
    strict, scratch = study.to_dense.comparisons[FULL, STRICT], study.pairs.comparisons[FULL, STRICT, SCRATCH]
    lost = [-study.to_dense.comparisons[FULL, arm].mean for arm in BARE]
    return paragraph(f"""
        [Spiking Channel Activity pruning](sca.md) removes channels of a convolutional network while it is
        trained, and lets some of them come back. Over {SEEDS} seeds, pruning {100 * SPARSITY:.0f} % of the
        channels changes accuracy by {strict.mean:+.2f} ± {strict.half:.2f} points. It leaves
        {study.weights(FULL, STRICT):.1f} % of the convolution weights and needs {_fewer(study, STRICT)} times
        fewer synaptic operations, all layers counted. Without regrowth the networks lose {min(lost):.0f} to
        {max(lost):.0f} points on average, and seeds differ much. A network of the same small widths that is
        trained from scratch is not shown to be worse ({-scratch.mean:+.2f} ± {scratch.half:.2f}), so pruning
        may have found no more than good widths.""")

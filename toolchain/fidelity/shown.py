"""The few samples of a comparison whose traces a report shows."""

from collections.abc import Iterable, Mapping
from typing import Final, final

import numpy as np

from toolchain.execution.trace import Trace
from toolchain.fidelity.divergence import Divergence

_FIRST: Final = 4
"""Samples from the start of a stimulus."""
_DIFFERENT: Final = 4
"""Populations, in order of execution, whose first difference is shown too."""

Pair = tuple[Trace, Trace]


@final
class ShownSamples:
    """Keeps samples of a run that goes by in parts: the first ones, and those where populations first differ.

    The kept traces are those that were compared, not those of another run. Of the populations that differ,
    the first ones in order of execution count. Their number only grows while parts go by, so that one that is
    pushed out by earlier ones stays out: what is kept in the end does not depend on the parts.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Pair] = {}

    def keep(self, start: int, traces: Pair, firsts: Mapping[str, Divergence]) -> None:
        """Take what is to be shown out of the next samples.

        Args:
            start: Index of the first of them in the stimulus.
            traces: Traces of both executions, with spikes and potentials.
            firsts: The first difference of every population up to the end of them, in order of execution.
        """
        stop = start + len(next(iter(traces[0].spikes.values())))
        wanted = _wanted(firsts)
        self._kept = {sample: pair for sample, pair in self._kept.items() if sample in wanted}
        for sample in sorted(wanted & set(range(start, stop))):
            self._kept[sample] = _only(traces[0], sample - start), _only(traces[1], sample - start)

    def include(self, other: "ShownSamples", firsts: Mapping[str, Divergence]) -> None:
        """Take what another one kept of other samples of the same stimulus.

        A population among the first that differ anywhere is among them also in any part of the samples, so
        the sample of its first difference was kept where that is: shards may be included in any order.

        Args:
            other: Samples that were kept elsewhere.
            firsts: The first difference of every population in both, in order of execution.
        """
        wanted = _wanted(firsts)
        both = self._kept | other._kept
        self._kept = {sample: pair for sample, pair in both.items() if sample in wanted}

    @property
    def samples(self) -> tuple[int, ...]:
        """Indices of the kept samples in the stimulus."""
        return tuple(sorted(self._kept))

    def traces(self) -> Pair:
        """Return the traces of both executions, one row per sample of `samples`."""
        pairs = [self._kept[sample] for sample in self.samples]
        return _together(pair[0] for pair in pairs), _together(pair[1] for pair in pairs)


def _wanted(firsts: Mapping[str, Divergence]) -> set[int]:
    return {*range(_FIRST), *(first.sample for first in list(firsts.values())[:_DIFFERENT])}


def _only(trace: Trace, sample: int) -> Trace:
    """Return a copy of one sample, so that the others can be forgotten."""
    return Trace.of_keys({key: values[sample : sample + 1].copy() for key, values in trace.by_key().items()})


def _together(traces: Iterable[Trace]) -> Trace:
    records = [trace.by_key() for trace in traces]
    return Trace.of_keys({key: np.concatenate([each[key] for each in records]) for key in records[0]})

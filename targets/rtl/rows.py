"""Synapses of a matrix as rows: for every code of a sender, the words that its message walks through.

A word holds a synapse for each lane: a byte of weight, and in how many groups from the target of the word
before, in this lane and row, its target lies. A target that is too far goes by way of words of weight zero;
a lane that has fewer synapses in this row than others ends with such words.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from targets.rtl.layout import IntVector, MessageSender
from targets.rtl.weights import stored_bytes
from toolchain import ir
from toolchain.ir.matrix import columns_of, rows_of, values_of

_FAR: Final = 255
"""The farthest that a byte reaches."""


@final
@dataclass(frozen=True)
class SynapseRows:
    """The rows of one delay of a connection.

    Attributes:
        starts: For every code, and one more, where its words begin.
        words: The words, `[lanes, words]`.
    """

    starts: IntVector
    words: NDArray[np.int64]


def rows_of_matrix(node: ir.FixedDense, weights: ir.Matrix, sender: MessageSender) -> SynapseRows:
    """Return the rows of a matrix.

    Args:
        node: The connection.
        weights: Its synapses of one delay, `[targets, sources]`.
        sender: Sender of their messages; it has the lanes.
    """
    values: NDArray[Any] = values_of(weights)
    some = values != 0
    codes = sender.codes[columns_of(weights)[some]]
    groups, lanes = np.divmod(rows_of(weights)[some], sender.lanes)
    order = np.lexsort((groups, lanes, codes))
    codes, groups, lanes = codes[order], groups[order], lanes[order]
    weight = stored_bytes(node, values[some][order])
    # Within a list, which is the part of a row in one lane, targets rise.
    lists = codes * sender.lanes + lanes
    first = np.diff(lists, prepend=-1) != 0
    far = groups - np.where(first, 0, np.roll(groups, 1))
    between = np.maximum(far - 1, 0) // _FAR
    ends = np.cumsum(between + 1)
    begins = np.concatenate(([0], ends[:-1]))
    place = ends - 1 - np.maximum.accumulate(np.where(first, begins, 0))
    lengths = np.zeros(int(sender.codes.max()) + 1, np.int64)
    np.maximum.at(lengths, codes, place + 1)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    words = np.zeros((sender.lanes, int(starts[-1])), np.int64)
    last = starts[codes] + place
    for k in range(int(between.max(initial=0))):
        on_the_way = between > k
        words[lanes[on_the_way], last[on_the_way] - 1 - k] = _FAR << 8
    words[lanes, last] = (far - _FAR * between) << 8 | weight
    return SynapseRows(starts, words)

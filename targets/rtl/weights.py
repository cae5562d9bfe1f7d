"""Weights as the bytes that synapses hold, and how large the sums of a connection get."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.fixedpoint import STATE_LIMIT, SignMode, weight_granularity
from toolchain.ir import Graph, Pooling
from toolchain.ir.matrix import rows_of, targets_of, values_of


@final
@dataclass(frozen=True)
class WeightScale:
    """What a byte of a connection means.

    Attributes:
        shift: Bits by which what it brings is shifted to the left.
        unsigned: Whether it lacks a sign.
        negated: Whether it is subtracted.
        drops: Bits that a complete sum loses, rounded down.
        wraps: Whether a complete sum wraps at 24 bits.
    """

    shift: int = 0
    unsigned: bool = True
    negated: bool = False
    drops: int = 0
    wraps: bool = False

    @property
    def folds(self) -> bool:
        """Whether its sums change once they are complete, so that they are made apart from others."""
        return bool(self.drops or self.wraps)


def scale_of(graph: Graph, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> WeightScale:
    """Return what the bytes of a connection mean; a pooling has weights of 1."""
    if isinstance(node, Pooling):
        return WeightScale()
    bits = weight_granularity(node.sign_mode, node.weight_bits).bit_length() - 1
    return WeightScale(
        shift=bits + max(node.exponent, 0),
        unsigned=node.sign_mode is not SignMode.MIXED,
        negated=node.sign_mode is SignMode.INHIBITORY,
        drops=max(-node.exponent, 0),
        wraps=isinstance(node, ir.FixedConv2d) and reach_of(graph, node) >= STATE_LIMIT,
    )


def stored_bytes(node: ir.FixedDense | ir.FixedConv2d, values: NDArray[Any]) -> NDArray[np.int64]:
    """Return weights as bytes, 0 .. 255: without their low bits, which are zero, as `verify` has checked."""
    bits = weight_granularity(node.sign_mode, node.weight_bits).bit_length() - 1
    whole = values.astype(np.int64) >> bits
    return -whole if node.sign_mode is SignMode.INHIBITORY else whole & 255


def reach_of(graph: Graph, node: ir.FixedDense | ir.FixedConv2d | Pooling) -> int:
    """Return the largest magnitude that a sum of a connection can have, before it drops bits."""
    largest = graph.largest_message(node)
    match node:
        case ir.FixedDense():
            magnitudes = np.abs(values_of(node.weights).astype(np.int64))
            total = np.bincount(rows_of(node.weights), magnitudes, targets_of(node.weights))
            return int(total.max()) * largest << max(node.exponent, 0)
        case ir.FixedConv2d():
            total = np.abs(node.weights).sum(axis=(1, 2, 3), dtype=np.int64)
            return int(total.max()) * largest << node.exponent
        case _:
            return node.window.area * largest

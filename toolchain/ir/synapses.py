"""Connections of the float graph."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from toolchain.ir.matrix import Matrix, frozen_matrix, rows_of, sources_of, targets_of, values_of
from toolchain.ir.node import Node
from toolchain.ir.types import EdgeKind, ValueType


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Node):
    r"""All-to-all or sparse synapses, stored dense or as CSR.

    .. math:: a_i[t] = \sum_j W_{ij} \, x_j[t - d_{ij}]

    Attributes:
        weights: `[targets, sources]`, dense or `scipy.sparse.csr_array`.
        delays: Optional steps per synapse, of the same shape and sparsity as `weights`.
    """

    kind: ClassVar[str] = "dense"

    weights: Matrix
    delays: Matrix | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_matrix(self.weights, np.float64))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_matrix(self.delays, np.int64))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the current of the target neurons."""
        result = matrix_type(self, self.weights, self.only(operands))
        check_delays(self, self.weights, self.delays)
        if not np.isfinite(values_of(self.weights)).all():
            bad = int(np.flatnonzero(~np.isfinite(values_of(self.weights)))[0])
            raise self.fail(
                f"weight {bad} (target neuron {rows_of(self.weights)[bad]}) is "
                f"{values_of(self.weights)[bad]}, expected a finite number; was the training stable?"
            )
        return result


def matrix_type(node: Node, weights: Matrix, operand: ValueType) -> ValueType:
    """Return the current that `weights` make of `operand`, or raise if they do not fit."""
    if operand.kind is EdgeKind.CURRENT:
        raise node.fail("expected spikes or graded values, got a current")
    if operand.shape != (sources_of(weights),):
        raise node.fail(
            f"weights read {sources_of(weights)} sources, but the input has shape {operand.shape}"
        )
    return ValueType((targets_of(weights),), EdgeKind.CURRENT)


def check_delays(node: Node, weights: Matrix, delays: Matrix | None) -> None:
    """Raise unless `delays` are absent, or non-negative and stored exactly where weights are."""
    if delays is None:
        return
    if type(delays) is not type(weights) or delays.shape != weights.shape:
        raise node.fail("delays must be stored like the weights, one per synapse")
    stored, steps = values_of(weights), values_of(delays)
    if stored.size != steps.size or not np.array_equal(rows_of(weights), rows_of(delays)):
        raise node.fail("delays must be stored like the weights, one per synapse")
    if steps.size and steps.min() < 0:
        raise node.fail(f"expected delays of 0 steps or more, got {steps.min()}")

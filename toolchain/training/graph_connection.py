"""A connection of a graph as a PyTorch module, its weights rounded as the chip would."""

from typing import Final, NamedTuple, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.ir import Graph
from toolchain.ir.matrix import columns_of, rows_of, sources_of, targets_of, values_of
from toolchain.training.integer_rules import Rule, floor_through, straight_through, wrap_sum

_FLOAT32_EXACT: Final = 2**24


class StoredSynapses(NamedTuple):
    """Where synapses are, int64 `[S]` each.

    Attributes:
        targets: Target neuron of each.
        sources: Source neuron.
        delays: Steps that it takes.
        stored: Position of its weight.
    """

    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    delays: NDArray[np.int64]
    stored: NDArray[np.int64]


@final
class TrainedConnection(nn.Module):
    r"""The weights of a `Dense` or `Conv2d`, its integers if a fixed graph is given.

    .. math:: a_i = 2^e \sum_j R(w_{ij} S_i 2^{-e})\, x_j

    where R rounds to what the register holds if that rule is on, and the result is rounded down where
    `e < 0` if that rule is on. Without a fixed graph S = 1 and e = 0.

    Args:
        graph: Float graph.
        fixed: The fixed graph quantized from it, or None.
        node: The float connection.
        rules: Integer rules that hold.
        precision: Type of what is not an integer that float32 holds exactly.
    """

    factor: Tensor
    alive: Tensor

    def __init__(
        self,
        graph: Graph,
        fixed: Graph | None,
        node: ir.Dense | ir.Conv2d,
        rules: frozenset[Rule],
        precision: torch.dtype,
    ) -> None:
        super().__init__()
        self.node = node
        self.fixed = None if fixed is None else cast("ir.FixedDense | ir.FixedConv2d", fixed[node.name])
        self.rules = rules
        # What one unit of integer message weighs; without a fixed graph messages are in the model's units.
        self.message = 1.0 if fixed is None else graph.message_scale(node)
        self._rows = rows_of(node.weights)
        scale = np.ones(targets_of(node.weights))
        self.exponent = 0
        if fixed is not None and self.fixed is not None:
            target = cast("ir.FixedLif", fixed.readers(node.name)[0])
            scale = target.scale.reshape(len(target.scale), -1)[:, 0]
            self.exponent = self.fixed.exponent
        factor = scale[self._rows] / 2.0**self.exponent
        self.values = nn.Parameter(torch.from_numpy(self._start(factor)).to(precision))
        self.register_buffer("factor", torch.from_numpy(factor))
        self.register_buffer("alive", torch.from_numpy(_synapses(node)))
        self.reach = self._reach(graph.largest_message(node)) * 2.0**self.exponent
        self.wraps = (
            isinstance(node, ir.Conv2d) and Rule.SATURATION in rules and self.reach >= fixedpoint.STATE_LIMIT
        )
        # Bits are dropped from a word of 32.
        self.narrows = (
            self.exponent < 0
            and Rule.SATURATION in rules
            and self.reach >= fixedpoint.WORD_LIMIT * 2.0**self.exponent
        )
        self.floors = self.exponent < 0 and Rule.TRUNCATION in rules
        self._precision = precision
        self._single = self._fits_single(graph.largest_message(node))

    def _start(self, factor: Floats) -> Floats:
        """Return the float weights, or those of the fixed graph where it did not round to the nearest."""
        real = values_of(self.node.weights).copy()
        if self.fixed is None or Rule.WEIGHTS not in self.rules:
            return real
        integers = values_of(self.fixed.weights)
        nearest = fixedpoint.round_weights(
            real / self.message * factor, self.fixed.sign_mode, self.fixed.weight_bits
        )
        return np.where(nearest == integers, real, integers / factor * self.message)

    def _fits_single(self, message: float) -> bool:
        """Return whether sums are sums of integers that float32 holds exactly."""
        exact = self.fixed is not None and Rule.WEIGHTS in self.rules and Rule.INPUT in self.rules
        return exact and self._reach(message) < _FLOAT32_EXACT

    @property
    def kind(self) -> torch.dtype:
        """Type of the sums: float32 if it is exact and precise enough for gradients, if there are any."""
        if self.fixed is None:
            return self._precision
        precise = self._precision is torch.float32 or not torch.is_grad_enabled()
        return torch.float32 if self._single and precise else torch.float64

    @property
    def is_linear(self) -> bool:
        """Whether its current is nothing but the sum of weights: neither wrapped nor rounded down."""
        return not (self.floors or self.narrows or self.wraps)

    @property
    def limit(self) -> float:
        """Magnitude at which its sums wrap before bits are dropped, 0 for none; where they feed back."""
        return fixedpoint.WORD_LIMIT * 2.0**self.exponent if self.narrows else 0.0

    def _reach(self, message: float) -> float:
        """Return a bound on the sums of integers, whatever training makes of the weights."""
        return float(fixedpoint.PURE_WEIGHT_MAX * np.bincount(self._rows).max(initial=0) * message)

    def acting(self) -> Tensor:
        """Return the stored weights that act, `2^e` included; zero where there is no synapse. In `kind`."""
        return (self._rounded() * self.alive * 2.0**self.exponent).to(self.kind)

    def synapses(self) -> StoredSynapses:
        """Return where the synapses of a `Dense` are."""
        if isinstance(self.node, ir.Conv2d):
            raise TypeError(f"'{self.node.name}' is a convolution")
        alive = np.flatnonzero(self.alive.cpu().numpy())
        rows, columns = self._rows[alive], columns_of(self.node.weights)[alive]
        delays = self.node.delays
        steps = (
            np.zeros(len(alive), np.int64) if delays is None else values_of(delays)[alive].astype(np.int64)
        )
        return StoredSynapses(rows.astype(np.int64), columns.astype(np.int64), steps, alive)

    def slots(self) -> list[tuple[int, Tensor]]:
        """Return delay in steps and weights, `[targets, sources]` or `[out, in, rows, columns]`."""
        values = self.acting()
        if isinstance(self.node, ir.Conv2d):
            return [(0, values.reshape(self.node.weights.shape))]
        delays = None if self.node.delays is None else values_of(self.node.delays)
        # A matrix without synapses has no delays; one empty slot makes its currents zero.
        if delays is None or delays.size == 0:
            return [(0, self._matrix(values))]
        return [
            (int(delay), self._matrix(values * torch.from_numpy(delays == delay).to(values)))
            for delay in np.unique(delays)
        ]

    def _matrix(self, values: Tensor) -> Tensor:
        """Return stored values `[targets, sources]`."""
        stored = self.node.weights
        shape = (targets_of(stored), sources_of(stored))
        if isinstance(stored, np.ndarray):
            return values.reshape(shape)
        place = torch.from_numpy(self._rows * shape[1] + columns_of(stored)).to(values.device)
        return values.new_zeros(shape[0] * shape[1]).index_put((place,), values).reshape(shape)

    def conduct(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the current `[batch, *features]` that a message makes through one slot."""
        x = x.to(weights.dtype)
        if isinstance(self.node, ir.Conv2d):
            node = self.node
            total = functional.conv2d(x, weights, None, node.stride, node.padding, node.dilation, node.groups)
        else:
            total = functional.linear(x.flatten(1), weights)
        if self.limit:
            total = wrap_sum(total.double(), self.limit)
        if self.floors:
            total = floor_through(total)
        # In float64: a sum near 2^24 plus half the range would not be exact in float32.
        return wrap_sum(total.double()) if self.wraps else total

    def trained(self) -> Floats:
        """Return the weights that act, in the model's units and the order of `values_of`.

        Where weights are rounded, these are the rounded ones: with them the network was trained.
        """
        acting = self._rounded().detach().cpu().double().numpy() * self.alive.cpu().numpy()
        if self.fixed is None:
            return acting
        return acting / self.factor.cpu().numpy() * self.message

    @torch.no_grad()
    def hold_in_range(self) -> None:
        """Move weights that no integer can follow back to the edge of their range."""
        if self.fixed is None:
            return
        lowest, highest = fixedpoint.round_weights(
            np.array([-np.inf, np.inf]), self.fixed.sign_mode, self.fixed.weight_bits
        )
        reach = self.message / self.factor
        low, high = ((int(limit) * reach).to(self.values) for limit in (lowest, highest))
        self.values.copy_(torch.minimum(torch.maximum(self.values, low), high))

    def _rounded(self) -> Tensor:
        """Return the weights per unit of message, as integers if that rule is on. In float64."""
        values = self.values
        if self.fixed is None:
            return values
        # The very operations of the quantizer in the very order, so that no tie falls otherwise.
        scaled = values.double() / self.message * self.factor
        if Rule.WEIGHTS not in self.rules:
            return scaled
        integers = fixedpoint.round_weights(
            scaled.detach().cpu().numpy(), self.fixed.sign_mode, self.fixed.weight_bits
        )
        return straight_through(scaled, integers)


def _synapses(node: ir.Dense | ir.Conv2d) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which stored weights are synapses: in a dense matrix, zero means none."""
    values = values_of(node.weights)
    return np.ones(values.shape, bool) if not isinstance(node.weights, np.ndarray) else values != 0

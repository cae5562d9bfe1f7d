"""A connection of a graph as a PyTorch module, its weights rounded as the chip would."""

from typing import Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.ir import Graph
from toolchain.ir.matrix import columns_of, rows_of, sources_of, targets_of, values_of
from toolchain.training.integer_rules import Rule, floor_through, straight_through, wrap_sum

_FLOAT32_EXACT: Final = 2**24


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
        self.kind = self._kind(graph.largest_message(node), precision)

    def _start(self, factor: Floats) -> Floats:
        """Return the weights that training starts from: real ones, or integers not rounded to the nearest."""
        real = values_of(self.node.weights).copy()
        if self.fixed is None or Rule.WEIGHTS not in self.rules:
            return real
        integers = values_of(self.fixed.weights)
        nearest = fixedpoint.round_weights(
            real / self.message * factor, self.fixed.sign_mode, self.fixed.weight_bits
        )
        return np.where(nearest == integers, real, integers / factor * self.message)

    def _kind(self, message: float, precision: torch.dtype) -> torch.dtype:
        """Return the narrowest type in which the sums are exact, if they are sums of integers."""
        if self.fixed is None:
            return precision
        if Rule.WEIGHTS not in self.rules or Rule.INPUT not in self.rules:
            return torch.float64
        return torch.float32 if self._reach(message) < _FLOAT32_EXACT else torch.float64

    def _reach(self, message: float) -> float:
        """Return a bound on the sums of integers, whatever training makes of the weights."""
        return float(fixedpoint.PURE_WEIGHT_MAX * np.bincount(self._rows).max(initial=0) * message)

    def slots(self) -> list[tuple[int, Tensor]]:
        """Return delay in steps and weights, `[targets, sources]` or `[out, in, rows, columns]`."""
        values = self._rounded() * self.alive
        if isinstance(self.node, ir.Conv2d):
            return [(0, values.to(self.kind).reshape(self.node.weights.shape))]
        shape = (targets_of(self.node.weights), sources_of(self.node.weights))
        place = torch.from_numpy(self._rows * shape[1] + columns_of(self.node.weights)).to(values.device)
        delays = None if self.node.delays is None else values_of(self.node.delays)
        by_delay: list[tuple[int, Tensor]] = []
        # A matrix without synapses has no delays; one empty slot makes its currents zero.
        for delay in (0,) if delays is None or delays.size == 0 else np.unique(delays):
            chosen = values if delays is None else values * torch.from_numpy(delays == delay).to(values)
            flat = torch.zeros(shape[0] * shape[1], dtype=self.kind, device=values.device)
            by_delay.append((int(delay), flat.index_put((place,), chosen.to(self.kind)).reshape(shape)))
        return by_delay

    def conduct(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the current `[batch, *features]` that a message makes through one slot."""
        x = x.to(weights.dtype)
        if isinstance(self.node, ir.Conv2d):
            node = self.node
            total = functional.conv2d(x, weights, None, node.stride, node.padding, node.dilation, node.groups)
        else:
            total = functional.linear(x.flatten(1), weights)
        if self.narrows:
            total = wrap_sum(total.double(), fixedpoint.WORD_LIMIT)
        if self.exponent:
            total = total * 2.0**self.exponent
        if self.exponent < 0 and Rule.TRUNCATION in self.rules:
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

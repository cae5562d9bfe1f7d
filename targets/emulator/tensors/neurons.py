"""Neurons on tensors: those of `fixedpoint.lif_step`, and those of real numbers."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain import fixedpoint, ir
from toolchain.ir import Population
from toolchain.reset import Reset


class TensorState(NamedTuple):
    """State of a population, `[batch, *features]`: float64, or int32 in integers.

    Attributes:
        u: Currents.
        v: Potentials.
        wait: Steps for which neurons are still refractory, int32; None if no neuron ever is.
        rise: What was added to the thresholds; None if nothing ever is.
    """

    u: Tensor
    v: Tensor
    wait: Tensor | None
    rise: Tensor | None


class TensorNeurons(ABC):
    """Parameters of a population, and its step.

    Args:
        node: The population.
        device: Device to compute on.
    """

    def __init__(self, node: Population, device: torch.device) -> None:
        self._device = device
        self._reset = node.reset
        self._most = node.max_spikes
        self._silent = self._on(np.zeros_like(node.vth))
        self._amount = self._silent if node.reset_amount is None else self._on(node.reset_amount)
        self._refractory = None if node.refractory is None else self._on(node.refractory)
        self._adaptation = None if node.adaptation is None else self._on(node.adaptation)
        self._threshold: Tensor

    def rest(self, batch: int) -> TensorState:
        """Return the state at rest."""
        zero = self._silent.new_zeros(batch, *self._silent.shape)
        wait = None if self._refractory is None else torch.zeros_like(zero, dtype=torch.int32)
        return TensorState(zero, zero.clone(), wait, None if self._adaptation is None else zero.clone())

    def step(self, a: Tensor, before: TensorState) -> tuple[Tensor, TensorState]:
        """Return the spikes, bool or uint8 if a neuron may send several, and the state after a step."""
        u, v = self._driven(a, before)
        threshold = self._threshold if before.rise is None else self._threshold + before.rise
        spikes = v > threshold
        if before.wait is not None:
            active = before.wait == 0
            v = torch.where(active, v, before.v)
            spikes = active & (v > threshold)
        sent = spikes
        if self._most > 1:
            count = self._count(torch.where(spikes, v, threshold), threshold).clamp_(max=self._most)
            sent = torch.where(spikes, count, 0).to(torch.uint8)
        match self._reset:
            case Reset.ZERO | Reset.VALUE:
                v = torch.where(spikes, self._amount, v)
            case Reset.SUBTRACT:
                v = v - sent * self._amount
            case Reset.NONE:
                pass
        return sent, TensorState(u, v, self._wait(before, spikes), self._rise(before, sent))

    def _on(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self._device)

    def _wait(self, before: TensorState, spikes: Tensor) -> Tensor | None:
        if before.wait is None or self._refractory is None:
            return None
        return torch.where(spikes, self._refractory, (before.wait - 1).clamp_(min=0))

    def _rise(self, before: TensorState, sent: Tensor) -> Tensor | None:
        if before.rise is None or self._adaptation is None:
            return None
        return self._risen(before.rise, sent * self._adaptation)

    @abstractmethod
    def _driven(self, a: Tensor, before: TensorState) -> tuple[Tensor, Tensor]:
        """Return the currents, and the potentials of neurons that are not refractory, before the reset."""

    @abstractmethod
    def _count(self, v: Tensor, threshold: Tensor) -> Tensor:
        """Return how often each potential can lose its amount until it is not above its threshold."""

    @abstractmethod
    def _risen(self, rise: Tensor, increase: Tensor) -> Tensor:
        """Return what is added to the thresholds of the next step."""


@final
class FloatNeurons(TensorNeurons):
    """A population of real numbers; see `toolchain.execution.reference.advance_reals`."""

    def __init__(self, node: ir.Lif, device: torch.device) -> None:
        super().__init__(node, device)
        self._keep_u, self._keep_v = self._on(1 - node.du), self._on(1 - node.dv)
        self._threshold, self._bias = self._on(node.vth), self._on(node.bias)
        self._keep_rise = (
            self._silent if node.adaptation_decay is None else self._on(1 - node.adaptation_decay)
        )

    def _driven(self, a: Tensor, before: TensorState) -> tuple[Tensor, Tensor]:
        u = self._keep_u * before.u + a
        return u, self._keep_v * before.v + u + self._bias

    def _count(self, v: Tensor, threshold: Tensor) -> Tensor:
        whole = torch.floor((v - threshold) / self._amount)
        return whole + (v - whole * self._amount > threshold)

    def _risen(self, rise: Tensor, increase: Tensor) -> Tensor:
        return self._keep_rise * rise + increase


@final
class FixedNeurons(TensorNeurons):
    """A population of integers; see `fixedpoint.lif_step`."""

    def __init__(self, node: ir.FixedLif, device: torch.device) -> None:
        super().__init__(node, device)
        unity = fixedpoint.DECAY_UNITY
        self._keep_u = self._on(unity - 1 - node.du.astype(np.int64))
        self._keep_v = self._on(unity - node.dv.astype(np.int64))
        self._threshold = self._on(np.left_shift(node.vth, fixedpoint.ALIGNMENT_BITS))
        self._bias = self._on(node.bias)
        self._forgets = bool((self._keep_u == 0).all())
        decay = np.zeros_like(node.vth) if node.adaptation_decay is None else node.adaptation_decay
        self._keep_rise = self._on(unity - decay.astype(np.int64))

    def _driven(self, a: Tensor, before: TensorState) -> tuple[Tensor, Tensor]:
        current = a << fixedpoint.ALIGNMENT_BITS
        if not self._forgets:
            current = _decay(before.u, self._keep_u) + current
        u = _wrap(current)
        limit = fixedpoint.STATE_LIMIT - 1
        return u, (_decay(before.v, self._keep_v) + u + self._bias).clamp_(-limit, limit)

    def _count(self, v: Tensor, threshold: Tensor) -> Tensor:
        return torch.div(v - threshold - 1, self._amount, rounding_mode="floor") + 1

    def _risen(self, rise: Tensor, increase: Tensor) -> Tensor:
        return (_decay(rise, self._keep_rise) + increase).clamp_(max=fixedpoint.STATE_LIMIT - 1)


def _decay(x: Tensor, keep: Tensor) -> Tensor:
    product = x.to(torch.int64) * keep
    return torch.div(product, fixedpoint.DECAY_UNITY, rounding_mode="trunc").to(torch.int32)


def _wrap(current: Tensor) -> Tensor:
    limit = fixedpoint.STATE_LIMIT
    down = torch.where(current > limit, current - 2 * limit, current)
    return torch.where(current <= -limit, current + 2 * limit, down)

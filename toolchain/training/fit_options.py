"""How to train: the optimizer, and the course of its learning rate."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, assert_never, final

import torch
from torch import nn

from toolchain.errors import UnknownNameError
from toolchain.intake import real_of
from toolchain.models import learnt_parameters
from toolchain.options import choice, flag, hold, real, share, whole
from toolchain.training.autocast import Autocast
from toolchain.training.compiler_cache import load_compiler

_DEVICES: Final = ("auto", "cpu", "cuda")
_MOMENTUM: Final = 0.9
_WARM_UP: Final = 0.3
_FIRST, _LAST = 1 / 25, 1 / 1000
SHARE: Final = "share"
"""Key of an optimizer's group: its learning rate as a share of that of the weights."""


class Optimizer(Enum):
    """How gradients move the parameters."""

    ADAMW = "adamw"
    SGD = "sgd"
    """With momentum 0.9."""


class LearningRateSchedule(Enum):
    """How the learning rate changes over the steps."""

    ONE_CYCLE = "one_cycle"
    """Up during the first 30 %, then down; see `one_cycle`."""
    THIRDS = "thirds"
    """A tenth of it after every third of the epochs (100 of 300 in the released code of SCA)."""


@final
@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Samples per step.
        learning_rate: Peak of the cycle.
        weight_decay: Decoupled weight decay of AdamW; of SGD, the usual one.
        gradient_clip: Largest norm of a gradient; infinite for none.
        label_smoothing: Label smoothing of the cross-entropy.
        device: `cpu`, `cuda` or `auto`: a GPU if there is one. Another device sums in another
            order, so it trains to slightly other numbers.
        optimizer: AdamW, or SGD with momentum 0.9.
        schedule: Course of the learning rate.
        neuron_rate: Learning rate of what neurons learn (time constants, thresholds, amounts), as a share
            of that of the weights: a step of their offsets is a relative one, and acts on all that a neuron
            does.
        delay_rate: Learning rate of delays in steps, as a multiple of that of the weights.
        recompute: Whether a recurrent network computes its inputs and spikes again for the gradients instead
            of storing them: less memory for long sequences, the same numbers, a third more time.
        autocast: `bfloat16` to compute convolutions and products in that precision, as `torch.autocast`
            does; weights, their gradients, potentials, spikes, the loss and the optimizer stay float32. In a
            recurrent network that the compiled loops run, this is what enters alone. Not for integers.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    label_smoothing: float = 0.0
    device: str = "auto"
    optimizer: Optimizer = Optimizer.ADAMW
    schedule: LearningRateSchedule = LearningRateSchedule.ONE_CYCLE
    neuron_rate: float = 0.2
    delay_rate: float = 20.0
    recompute: bool = False
    autocast: Autocast = Autocast.OFF

    def __post_init__(self) -> None:
        hold(
            self,
            epochs=whole(),
            batch_size=whole(1),
            learning_rate=real(0),
            weight_decay=real(0),
            gradient_clip=lambda value, name: real_of(value, name, above=0, infinite=True),
            label_smoothing=share,
            optimizer=choice(Optimizer),
            schedule=choice(LearningRateSchedule),
            neuron_rate=real(0),
            delay_rate=real(0),
            recompute=flag,
            autocast=choice(Autocast),
        )
        if self.device not in _DEVICES:
            raise UnknownNameError("device", str(self.device), _DEVICES)

    def rate(self, part: float) -> float:
        """Return the learning rate after `part` (0 .. 1) of all steps."""
        match self.schedule:
            case LearningRateSchedule.ONE_CYCLE:
                return self.learning_rate * one_cycle(part)
            case LearningRateSchedule.THIRDS:
                return self.learning_rate * 0.1 ** min(int(part * 3), 2)
            case _:
                assert_never(self.schedule)

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of all trained parameters of a network.

        What neurons learn, and delays, are groups of their own: each has a `share` of the learning rate, and
        the weights alone decay.
        """
        load_compiler()
        parameters = self._groups(network)
        rate, decay = self.learning_rate, self.weight_decay
        match self.optimizer:
            case Optimizer.ADAMW:
                return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
            case Optimizer.SGD:
                return torch.optim.SGD(
                    parameters, lr=rate, momentum=_MOMENTUM, weight_decay=decay, fused=True
                )
            case _:
                assert_never(self.optimizer)

    def _groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Return the trained parameters in groups; without anything but weights and biases, one of all."""
        neurons, delays = learnt_parameters(network)
        others = {id(p) for p in (*neurons, *delays)}
        weights = [p for p in network.parameters() if p.requires_grad and id(p) not in others]
        groups: list[dict[str, Any]] = [{"params": weights, SHARE: 1.0}]
        for parameters, rate in ((neurons, self.neuron_rate), (delays, self.delay_rate)):
            if parameters:
                groups.append({"params": parameters, SHARE: rate, "weight_decay": 0.0})
        return groups


def one_cycle(part: float) -> float:
    """Return the share of the peak learning rate after `part` (0 .. 1) of all steps.

    A function of the step alone, so that nothing of it has to be stored to continue a training.
    Cosine from 1/25 up to 1 during the first 30 %, then cosine down to 1/1000 (Smith & Topin
    2018, in the shape that torch's OneCycleLR made common).
    """
    if part < _WARM_UP:
        start, end, phase = _FIRST, 1.0, part / _WARM_UP
    else:
        start, end, phase = 1.0, _LAST, (part - _WARM_UP) / (1 - _WARM_UP)
    return end + (start - end) * (1 + math.cos(math.pi * phase)) / 2

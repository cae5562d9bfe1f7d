"""Spiking Channel Activity pruning: channels leave and come back while the network trains.

After Li et al., "Towards Efficient Deep Spiking Neural Networks Construction with Spiking Activity based
Pruning", ICML 2024 (arXiv 2406.01072): the channels whose membrane potential is polarised least are pruned
after every epoch, and of the pruned ones those come back whose batch-norm scale has the largest gradient.
Where the paper leaves something open, its public code is followed; exceptions are named.
"""

import math
import warnings
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.intake import count_of
from toolchain.models import ActivityMeter, FeedForward
from toolchain.options import MOST, choice, flag, hold, real, whole
from toolchain.pruning.channel_choice import choose_channels, live_channels
from toolchain.pruning.channels import (
    ChannelLayer,
    Mask,
    channel_layers,
    check_polarisation,
    compact_channels,
    set_gates,
    silence,
)
from toolchain.training import Callback

_STRICT_TAIL: Final = 0.05
_WORDS: Final = 4
"""Words of 32 bits in each of the two numbers that hold the state of a generator."""


class Ranking(Enum):
    """Quantity that decides which channels live."""

    ACTIVITY = "activity"
    """Mean of `theta S + |V|` over an epoch: the channel activity of SCA."""
    FIRING_RATE = "firing_rate"
    """Mean spikes per neuron and step over an epoch."""
    WEIGHT_NORM = "weight_norm"
    """Mean |w| of the filter, or of the batch-norm scale if the norm reads a residual stream."""
    SLIMMING = "slimming"
    """|gamma| of the batch-norm (Network Slimming, Liu et al. 2017); needs `gamma_l1`."""


class Regrowth(Enum):
    """Quantity that decides which pruned channels come back."""

    GRADIENT = "gradient"
    """|dL/d gamma|, or |dL/dm| of the gate if gates are closed."""
    RANDOM = "random"
    """Random numbers, as a control."""


class Masking(Enum):
    """Treatment of a pruned channel between two updates."""

    FAITHFUL = "faithful"
    """Filter, scale and shift are set to zero after the epoch and may drift away again, as in the released
    code: its momentum is what makes them comparable at the next update."""
    STRICT = "strict"
    """The gate of its batch-norm is closed at every step; filter, scale and shift keep their values."""


class UntrainedChannelsWarning(UserWarning):
    """Channels are regrown until the end, so that some are measured before they were trained."""


@final
@dataclass(frozen=True, kw_only=True)
class ScaOptions:
    """How channels are pruned and regrown. The defaults are the variant we recommend, not the paper's.

    Attributes:
        sparsity: Share `p` of all channels that is pruned in the end, over all layers together.
        regrowth: Share `q` of all channels that is regrown at the first update.
        masking: Treatment of a pruned channel between two updates.
        ranking: Quantity that decides which channels live.
        criterion: Quantity that decides which channels come back.
        anneal: Whether `q` falls to zero, linearly, over the epochs with updates (ours; the paper: constant).
        frozen: Share of the epochs, at the end, whose mask stays as it is and is enforced (ours).
        warm_up: Epochs before the first update (the paper: 0).
        interval: Epochs from one update to the next; activity is measured in the last of them.
        mean_gradient: Whether the gradient is averaged over the epoch instead of taken from its last
            batch (the paper: last batch).
        least: Number of channels that every layer keeps. With 0, as in the paper, a layer that loses all of
            them is an error.
        l1: Weight of `sign(w)` added to the gradient of all 3 x 3 convolutions (the paper: 3e-5).
        gamma_l1: Weight of `sign(gamma)` added to the gradient of the batch-norms (Network Slimming).
        seed: Seed of random regrowth.
    """

    sparsity: float = 0.7
    regrowth: float = 0.2
    masking: Masking = Masking.FAITHFUL
    ranking: Ranking = Ranking.ACTIVITY
    criterion: Regrowth = Regrowth.GRADIENT
    anneal: bool = True
    frozen: float = 0.3
    warm_up: int = 0
    interval: int = 1
    mean_gradient: bool = False
    least: int = 1
    l1: float = 0.0
    gamma_l1: float = 0.0
    seed: int = 0

    @classmethod
    def published(cls, *, sparsity: float = 0.7, regrowth: float = 0.2) -> "ScaOptions":
        """Return what the paper and its released code do: constant p and q after every epoch to the last."""
        return cls(sparsity=sparsity, regrowth=regrowth, anneal=False, frozen=0.0, l1=3e-5)

    def __post_init__(self) -> None:
        hold(
            self,
            sparsity=real(),
            regrowth=real(),
            masking=choice(Masking),
            ranking=choice(Ranking),
            criterion=choice(Regrowth),
            anneal=flag,
            frozen=real(),
            mean_gradient=flag,
            l1=real(0),
            gamma_l1=real(0),
            seed=whole(),
        )
        for name in ("warm_up", "interval", "least"):
            count_of(getattr(self, name), name, least=-MOST)
        if not (0 <= self.sparsity < 1 and 0 <= self.regrowth <= 1 and self.sparsity + self.regrowth <= 1):
            raise PruningError(
                "expected 0 <= sparsity < 1, 0 <= regrowth and their sum at most 1, "
                f"got {self.sparsity} and {self.regrowth}"
            )
        if not 0 <= self.frozen < 1 or self.warm_up < 0 or self.interval < 1 or self.least < 0:
            raise PruningError(
                "expected 0 <= frozen < 1, warm_up >= 0, interval >= 1 and least >= 0, "
                f"got {self.frozen}, {self.warm_up}, {self.interval} and {self.least}"
            )

    def last_update(self, epochs: int) -> int:
        """Return the epoch after which the mask stays as it is."""
        return max(1, epochs - math.ceil(self.frozen * epochs)) if self.frozen else epochs

    def updates_after(self, epoch: int, epochs: int) -> bool:
        """Return whether the mask is renewed after this epoch."""
        last = self.last_update(epochs)
        if not self.warm_up < epoch <= last:
            return False
        return epoch == last or (epoch - self.warm_up - 1) % self.interval == 0

    def regrowth_after(self, epoch: int, epochs: int) -> float:
        """Return the share of channels that is regrown after this epoch."""
        if not self.anneal:
            return self.regrowth
        first, last = self.warm_up + 1, self.last_update(epochs)
        return self.regrowth * (last - epoch) / max(last - first, 1)


@final
@dataclass(frozen=True)
class ChannelUpdate:
    """One renewal of the mask.

    Attributes:
        epoch: Epoch after which it happened.
        living: Number of living channels per layer.
        regrown: Number of channels that came back by the criterion.
        changed: Number of channels whose state changed.
    """

    epoch: int
    living: tuple[int, ...]
    regrown: int
    changed: int


@final
class ChannelPruning(Callback):
    """Prunes and regrows channels while `fit` trains; give it to `fit` as a callback.

    After the last epoch pruned channels stay silent, so the trained network is the pruned one. `compact`
    makes it smaller.

    Args:
        network: The network that will be trained.
        options: How to prune.

    Raises:
        PruningError: Nothing in the network can be pruned, or fewer channels would remain than layers keep.
    """

    def __init__(self, network: FeedForward, options: ScaOptions) -> None:
        self.options = options
        self.layers = channel_layers(network)
        if options.ranking is Ranking.ACTIVITY:
            check_polarisation(self.layers)
        self.masks: dict[str, Mask] = {layer.name: np.ones(layer.channels, bool) for layer in self.layers}
        self.updates: list[ChannelUpdate] = []
        self._rng = np.random.default_rng(options.seed)
        self._gradients = [torch.zeros(layer.channels) for layer in self.layers]
        self._batches = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._epochs = 0
        total = sum(layer.channels for layer in self.layers)
        needed = sum(min(options.least, layer.channels) for layer in self.layers)
        if live_channels(total, options.sparsity, 0.0)[0] < max(needed, 1):
            raise PruningError(
                f"sparsity {options.sparsity} leaves {live_channels(total, options.sparsity, 0.0)[0]} of "
                f"{total} channels, but {len(self.layers)} layers keep at least {options.least} each"
            )

    def settings(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        return {
            name: value.value if isinstance(value, Enum) else value
            for name, value in asdict(self.options).items()
        }

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Measure activity from now on; warn of channels that would be measured untrained."""
        del network
        self._optimizer, self._epochs = optimizer, epochs
        options = self.options
        strict = options.masking is Masking.STRICT
        if strict and options.regrowth and not options.anneal and options.frozen < _STRICT_TAIL:
            warnings.warn(
                "constant regrowth until the end under a strict mask: the channels regrown last are measured "
                "untrained; anneal the regrowth or freeze the mask for the last epochs (frozen=0.3)",
                UntrainedChannelsWarning,
                stacklevel=2,
            )
        for layer in self.layers:
            layer.neurons.meter = ActivityMeter(layer.channels)
            layer.norm.gate.requires_grad_(strict)

    def after_backward(self, network: nn.Module) -> None:
        """Note the gradients that rank regrowth; add the penalties."""
        options = self.options
        with torch.no_grad():
            if not options.mean_gradient:
                self._batches = 0
            for i, layer in enumerate(self.layers):
                fresh = _criterion(layer)
                self._gradients[i] = fresh if self._batches == 0 else self._gradients[i] + fresh
                if options.gamma_l1 and layer.norm.weight.grad is not None:
                    layer.norm.weight.grad.add_(layer.norm.weight.sign(), alpha=options.gamma_l1)
            self._batches += 1
            if options.l1:
                _penalise(network, options.l1)

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        """Renew the mask if it is time; silence what is pruned."""
        del network
        if self.options.updates_after(epoch, self._epochs):
            self._renew(epoch)
        last = self.options.last_update(self._epochs)
        pruned = bool(self.updates)
        if pruned and (self.options.masking is Masking.STRICT or last <= epoch):
            set_gates(self.layers, self.masks)
            self._forget_moments()
        if pruned and (self.options.masking is Masking.FAITHFUL or epoch == self._epochs):
            silence(self.layers, self.masks)
        for layer in self.layers:
            if layer.neurons.meter is not None:
                layer.neurons.meter.reset()
        self._batches = 0

    def end(self, network: nn.Module) -> None:
        """Leave the network as others expect it: nothing measured, gates without gradients."""
        del network
        for layer in self.layers:
            layer.neurons.meter = None
            layer.norm.gate.requires_grad_(False)  # noqa: FBT003 - torch's signature
            layer.norm.gate.grad = None

    def compact(self, network: FeedForward) -> FeedForward:
        """Return the trained network without its pruned channels; see `compact_channels`."""
        return compact_channels(network, self.masks)

    def state(self) -> dict[str, Tensor]:
        """Return masks, history and the state of the random generator."""
        state = {f"mask.{name}": torch.from_numpy(mask.copy()) for name, mask in self.masks.items()}
        rows = [[u.epoch, u.regrown, u.changed, *u.living] for u in self.updates]
        state["updates"] = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), 3 + len(self.layers))
        generator = self._rng.bit_generator.state["state"]
        words = [
            int(generator[key]) >> shift & (2**32 - 1)
            for key in ("state", "inc")
            for shift in (96, 64, 32, 0)
        ]
        state["chance"] = torch.tensor(words, dtype=torch.int64)
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a state that `state` returned."""
        try:
            masks = {name: state[f"mask.{name}"].numpy().astype(bool) for name in self.masks}
            updates, chance = state["updates"], state["chance"]
        except KeyError as error:
            raise PruningError(f"the state of the pruning lacks {error}; remove the checkpoint") from None
        whole = not (updates.is_floating_point() or chance.is_floating_point())
        if not whole or updates.shape[1:] != (3 + len(self.layers),) or chance.shape != (2 * _WORDS,):
            raise PruningError(
                "the state of the pruning lacks its history or its random generator; remove the checkpoint"
            )
        rows, words = updates.tolist(), [word & (2**32 - 1) for word in chance.tolist()]
        for name, mask in masks.items():
            if mask.shape != self.masks[name].shape:
                raise PruningError(f"the state of the pruning does not fit layer '{name}'")
        self.masks = masks
        self.updates = [ChannelUpdate(row[0], tuple(row[3:]), row[1], row[2]) for row in rows]
        numbers = [
            sum(word << shift for word, shift in zip(words[i : i + _WORDS], (96, 64, 32, 0), strict=True))
            for i in (0, _WORDS)
        ]
        generator = dict(self._rng.bit_generator.state)
        generator["state"] = {"state": numbers[0], "inc": numbers[1]}
        self._rng.bit_generator.state = generator

    def _renew(self, epoch: int) -> None:
        scores = [_score(layer, self.options.ranking) for layer in self.layers]
        gradients = [gradient.abs().double().cpu().numpy() for gradient in self._gradients]
        if self.options.criterion is Regrowth.RANDOM:
            gradients = [self._rng.random(gradient.shape) for gradient in gradients]
        regrowth = self.options.regrowth_after(epoch, self._epochs)
        living_masks, regrown = choose_channels(
            scores, gradients, sparsity=self.options.sparsity, regrowth=regrowth, least=self.options.least
        )
        masks = {layer.name: mask for layer, mask in zip(self.layers, living_masks, strict=True)}
        for layer in self.layers:
            if not masks[layer.name].any():
                raise PruningError(
                    f"layer '{layer.name}' is about to lose all its {layer.channels} channels in epoch "
                    f"{epoch}; keep at least one (`least=1`), or lower the sparsity"
                )
        changed = sum(int((masks[name] != self.masks[name]).sum()) for name in masks)
        self.masks = masks
        living = tuple(int(mask.sum()) for mask in masks.values())
        self.updates.append(ChannelUpdate(epoch, living, regrown, changed))

    def _forget_moments(self) -> None:
        """Clear the optimizer's memory of pruned channels, so that nothing moves them."""
        if self._optimizer is None:
            return
        for layer in self.layers:
            dead = torch.from_numpy(~self.masks[layer.name])
            owned = [layer.norm.weight, layer.norm.bias]
            owned += [] if layer.filters is None else [layer.filters.weight]
            for parameter in owned:
                for moment in self._optimizer.state.get(parameter, {}).values():
                    if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                        moment[dead.to(moment.device)] = 0


def _score(layer: ChannelLayer, ranking: Ranking) -> NDArray[np.float64]:
    match ranking:
        case Ranking.ACTIVITY | Ranking.FIRING_RATE:
            if layer.neurons.meter is None:
                raise PruningError(
                    f"layer '{layer.name}' was not measured; the pruning must go through `fit`"
                )
            meter = layer.neurons.meter
            return (meter.potential if ranking is Ranking.ACTIVITY else meter.rate).numpy()
        case Ranking.WEIGHT_NORM:
            weight = layer.norm.weight if layer.filters is None else layer.filters.weight
            magnitudes = weight.detach().double().abs().reshape(layer.channels, -1)
            return magnitudes.mean(1).cpu().numpy()
        case Ranking.SLIMMING:
            return layer.norm.weight.detach().double().abs().cpu().numpy()
        case _:
            assert_never(ranking)


def _criterion(layer: ChannelLayer) -> Tensor:
    """Return the gradient of gate or scale, `[C]`, and forget that of the gate."""
    gate, scale = layer.norm.gate, layer.norm.weight
    if gate.requires_grad and gate.grad is not None:
        gradient = gate.grad
        gate.grad = None
        return gradient
    return torch.zeros_like(scale) if scale.grad is None else scale.grad.clone()


def _penalise(network: nn.Module, weight: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.weight.grad is not None:
            module.weight.grad.add_(module.weight.sign(), alpha=weight)

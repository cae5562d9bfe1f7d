"""Spiking Channel Activity pruning: channels leave and come back while the network trains.

After Li et al., "Towards Efficient Deep Spiking Neural Networks Construction with Spiking Activity based
Pruning", ICML 2024 (arXiv 2406.01072): the channels whose membrane potential is polarised least are pruned
after every epoch, and of the pruned ones those come back whose batch-norm scale has the largest gradient.
Where the paper leaves something open, its public code is followed; exceptions are named.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.models import ActivityMeter, FeedForward
from toolchain.pruning.channel_choice import choose_channels, live_channels
from toolchain.pruning.channel_prices import ChannelPrices
from toolchain.pruning.channels import (
    ChannelLayer,
    Mask,
    channel_layers,
    check_polarisation,
    compact_channels,
    set_gates,
    silence,
)
from toolchain.pruning.living_part import LivingPart
from toolchain.pruning.sca_options import ChannelPrice, Masking, Ranking, Regrowth, ScaOptions
from toolchain.training import Callback, Position, ScoreModel

_STRICT_TAIL: Final = 0.05
_WORDS: Final = 4
"""Words of 32 bits in each of the two numbers that hold the state of a generator."""


class UntrainedChannelsWarning(UserWarning):
    """Channels are regrown until the end, so that some are measured before they were trained."""


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

    Where a mask silences what it prunes (`STRICT` always, `FAITHFUL` once the mask is frozen), only living
    channels are computed, which changes no number but by the order of summation. The whole network takes
    part in the batches whose gradients rank what comes back, and where the running statistics of what comes
    back would not have time to become those of a masked training. Whoever puts hooks on modules, or wants
    the very order of summation, has `compute_pruned`.

    Args:
        network: The network that will be trained.
        options: How to prune.
        compute_pruned: Whether pruned channels are computed although they are silent.

    Raises:
        PruningError: Nothing in the network can be pruned, or fewer channels would remain than layers keep.
    """

    def __init__(self, network: FeedForward, options: ScaOptions, *, compute_pruned: bool = False) -> None:
        self.options = options
        self.network = network
        self.layers = channel_layers(network)
        self._compute_pruned = compute_pruned
        self._living: LivingPart | None = None
        if options.ranking is Ranking.ACTIVITY:
            check_polarisation(self.layers)
        self.masks: dict[str, Mask] = {layer.name: np.ones(layer.channels, bool) for layer in self.layers}
        self.updates: list[ChannelUpdate] = []
        self._prices = ChannelPrices(self.layers) if options.price is ChannelPrice.OPERATIONS else None
        self._rng = np.random.default_rng(options.seed)
        self._meters = [ActivityMeter(layer.channels, layer.neurons.vth) for layer in self.layers]
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
        """Return the options as JSON holds them; without the price if that is the usual."""
        given = {
            name: value.value if isinstance(value, Enum) else value
            for name, value in asdict(self.options).items()
        }
        if self._prices is None:
            del given["price"]
        return given

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Measure activity from now on; warn of channels that would be measured untrained."""
        del network
        self._optimizer, self._epochs, self._living = optimizer, epochs, None
        options = self.options
        strict = options.masking is Masking.STRICT
        if strict and options.regrowth and not options.anneal and options.frozen < _STRICT_TAIL:
            warnings.warn(
                "constant regrowth until the end under a strict mask: the channels regrown last are measured "
                "untrained; anneal the regrowth or freeze the mask for the last epochs (frozen=0.3)",
                UntrainedChannelsWarning,
                stacklevel=2,
            )
        for layer, meter in zip(self.layers, self._meters, strict=True):
            meter.reset()
            layer.neurons.meter = meter
            layer.norm.gate.requires_grad_(strict)

    def stand_in(self, network: ScoreModel, at: Position) -> ScoreModel:
        """Return the network of the living channels wherever it says the same."""
        if not self._can_leave_out(at):
            return network
        if self._living is None:
            try:
                self._living = LivingPart(self.network, self.masks)
            except PruningError:
                # A module that cannot shrink: nothing but the cost depends on it.
                self._compute_pruned = True
                return network
        return self._living

    def _can_leave_out(self, at: Position) -> bool:
        """Return whether a batch needs nothing of the channels that are pruned."""
        options, epochs = self.options, self._epochs
        if self._compute_pruned or all(mask.all() for mask in self.masks.values()):
            return False
        if at.epoch > options.last_update(epochs):
            return True
        ranks = self._ranks_by_gradient(at.epoch) and (options.mean_gradient or at.is_last)
        if options.masking is Masking.FAITHFUL or ranks:
            return False
        # The statistics of what comes back forget that they were not updated while it was pruned.
        left = (epochs - options.next_update(at.epoch, epochs)) * at.steps
        precision = torch.finfo(self.layers[0].norm.weight.dtype).eps
        return all((1 - layer.norm.momentum) ** left <= precision for layer in self.layers)

    def _ranks_by_gradient(self, epoch: int) -> bool:
        """Return whether channels come back after an epoch, by their gradients."""
        options, total = self.options, sum(layer.channels for layer in self.layers)
        if options.criterion is not Regrowth.GRADIENT or not options.updates_after(epoch, self._epochs):
            return False
        return live_channels(total, options.sparsity, options.regrowth_after(epoch, self._epochs))[1] > 0

    def listens(self, at: Position) -> bool:
        """Return whether operations of channels are counted in a batch: the last one before an update."""
        priced = self._prices is not None and at.is_last
        return priced and self.options.updates_after(at.epoch, self._epochs)

    def after_forward(
        self, network: nn.Module, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> None:
        """Count what the spikes of channels make later layers do."""
        del network
        if self._prices is not None:
            self._prices.measure(self.network, entering, spikes, self.masks)

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
        for meter in self._meters:
            meter.reset()
        self._batches = 0

    def end(self, network: nn.Module) -> None:
        """Leave the network as others expect it: nothing measured, gates without gradients."""
        del network
        self._living = None
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
        return state if self._prices is None else state | self._prices.state()

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
        if self._prices is not None:
            self._prices.restore(state)
        self.masks, self._living = masks, None
        self.updates = [ChannelUpdate(row[0], tuple(row[3:]), row[1], row[2]) for row in rows]
        numbers = [
            sum(word << shift for word, shift in zip(words[i : i + _WORDS], (96, 64, 32, 0), strict=True))
            for i in (0, _WORDS)
        ]
        generator = dict(self._rng.bit_generator.state)
        generator["state"] = {"state": numbers[0], "inc": numbers[1]}
        self._rng.bit_generator.state = generator

    def _renew(self, epoch: int) -> None:
        measured = zip(self.layers, self._meters, strict=True)
        scores = [_score(layer, meter, self.options.ranking) for layer, meter in measured]
        if self._prices is not None:
            priced = zip(scores, self.layers, strict=True)
            scores = [score / self._prices.of(layer.name) for score, layer in priced]
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
        self.masks, self._living = masks, None
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


def _score(layer: ChannelLayer, meter: ActivityMeter, ranking: Ranking) -> NDArray[np.float64]:
    match ranking:
        case Ranking.ACTIVITY | Ranking.FIRING_RATE:
            if not meter.batches:
                raise PruningError(
                    f"layer '{layer.name}' was not measured; the pruning must go through `fit`"
                )
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

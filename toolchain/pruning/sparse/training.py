"""The callback that keeps a network sparse while `fit` trains it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any, final

import torch
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.models import FeedForward, Network
from toolchain.models.masked_layer import MaskedLayer
from toolchain.pruning.sparse.connection import SparseConnection
from toolchain.pruning.sparse.connections import connections_of
from toolchain.pruning.sparse.deep_rewiring import RewiredConnection
from toolchain.pruning.sparse.global_choice import Rivals, chosen, lamp, least_of
from toolchain.pruning.sparse.options import Allocation, Price, SparseMethod, SparseOptions
from toolchain.pruning.sparse.prices import OperationPrices
from toolchain.pruning.sparse.rules import allocate, drawn_absent, strongest_absent, weakest
from toolchain.pruning.sparse.synaptic_flow import flow_scores
from toolchain.training import Callback, Position


@final
@dataclass(frozen=True)
class SynapseUpdate:
    """What became of the synapses in one epoch.

    Attributes:
        epoch: The epoch.
        living: Number of synapses of each connection after it.
        renewed: Number of synapses that left in it, of all connections.
    """

    epoch: int
    living: tuple[int, ...]
    renewed: int


@final
class SparseTraining(Callback):
    """Lets synapses leave and come back while `fit` trains; give it to `fit` as a callback.

    Only the synapses that are present are computed and learn, but for the batches whose gradients decide
    what comes (`RIGL`): there, the gradients of absent synapses are computed, too. What comes begins with a
    weight of zero, and changes nothing of what the network says at that moment.

    Of a `FeedForward`, it prunes the weights of convolutions and dense layers: absent ones are exactly zero,
    also in the network that is saved, and what is zero when this is made counts as absent.

    Args:
        network: The network that will be trained, with the synapses of the start.
        options: How synapses leave and come back.

    Raises:
        PruningError: No connection of the network can be pruned, or fewer synapses are wanted than
            connections.
        UnknownNameError: The network has no such connection.
    """

    def __init__(self, network: Network | FeedForward, options: SparseOptions) -> None:
        self.options, self.updates = options, list[SynapseUpdate]()
        self.connections = connections_of(network, options.connections)
        self.before = tuple(each.count for each in self.connections)
        self.total = max(len(self.connections), round(options.fraction * sum(self.before)))
        even = Allocation.UNIFORM if self._is_global else options.allocated
        self.wanted = allocate(self.before, [each.ends for each in self.connections], self.total, even)
        """Synapses that each connection will have; under global allocation, once they are chosen."""
        _check_known(network, options.method)
        self._guarded = _read(network)
        self._least = (1,) * len(self.before)
        if self._is_global:
            targets = [each.weight.shape[0] if each.name in self._guarded else 0 for each in self.connections]
            self._least = least_of(self.before, targets, self.total)
        self.saliency: list[Tensor] = []
        self._prices = None
        if options.priced is Price.OPERATIONS:
            self._prices = OperationPrices(self.connections)
        self._chance = torch.Generator().manual_seed(options.seed)
        self._rewired: tuple[RewiredConnection, ...] = ()
        self._optimizer: torch.optim.Optimizer | None = None
        self._step, self._total, self._epochs, self._renewed = 0, 0, 0, 0
        self._choosing = 0
        """Number of the last step that chooses synapses and teaches nothing; 0 for none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the connections, in the order of the counts of `updates`."""
        return tuple(each.name for each in self.connections)

    def settings(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        return {
            name: value.value
            if isinstance(value, Enum)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in asdict(self.options).items()
        }

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Draw the synapses of the start, unless the method begins with all of them."""
        if isinstance(network, FeedForward):
            network.masked = dict(self._layers)
        first = self._optimizer is None
        self._optimizer, self._epochs = optimizer, epochs
        for connection, count in zip(self.connections, self.wanted, strict=True):
            connection.begin(optimizer)
            if first and not (self.options.method.starts_whole or self.options.method.chooses_once):
                connection.thin(drawn_absent(connection.mask, count, self._chance))
        if first and self.options.method is SparseMethod.SYNFLOW:
            self._flow(network)
        if first and self.options.method.keeps_signs:
            soft = self.options.method is SparseMethod.SOFT_DEEP_REWIRING
            self._rewired = tuple(
                RewiredConnection(each, self._chance, soft=soft) for each in self.connections
            )

    def before_step(self, network: nn.Module, at: Position) -> None:
        """Ask for the gradients of absent synapses, if this step renews by them."""
        del network
        self._step, self._total = (at.epoch - 1) * at.steps + at.step, self._epochs * at.steps
        self._choosing = 0
        if self.options.method is SparseMethod.SNIP:
            # Done within the first epoch, so that no state has to say how far it is.
            self._choosing = min(self.options.batches, max(1, at.steps - 1))
        if self.options.method is SparseMethod.RIGL and self._renews and self._share > 0:
            for each in self.connections:
                each.open()

    def listens(self, at: Position) -> bool:
        """Return whether messages are counted in a batch: those of renewals, or of the first choice."""
        del at
        return self._prices is not None and (self._renews or self._step <= self._choosing)

    def after_forward(
        self, network: nn.Module, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> None:
        """Count what the sources of synapses send."""
        if self._prices is not None and isinstance(network, Network | FeedForward):
            self._prices.measure(network, entering, spikes)

    def after_backward(self, network: nn.Module) -> None:
        """Renew synapses by their fresh gradients, if it is time, and leave absent ones without."""
        if self._step <= self._choosing:
            self._look(network)
        elif self._prices is not None and self._step <= self.options.last_step(self._total):
            self._prices.learn()
        if self.options.method is SparseMethod.RIGL and self._renews:
            for each in self.connections:
                count = round(self._share * each.count)
                leaving = weakest(self._worth(each), each.mask, count)
                possible = each.absent
                possible.view(-1)[leaving] = True
                coming = strongest_absent(self._gain(each), possible, count)
                self._replace(each, leaving, coming)
                each.close()
        for each in self.connections:
            each.settle()

    def after_step(self, network: nn.Module) -> None:
        """Renew synapses by their weights, if it is time."""
        del network
        match self.options.method:
            case SparseMethod.GRADUAL if self._renews:
                self._shrink()
            case SparseMethod.SET if self._renews:
                for each in self.connections:
                    leaving = weakest(self._worth(each), each.mask, round(self._share * each.count))
                    coming = drawn_absent(each.absent, len(leaving), self._chance)
                    self._replace(each, leaving[: len(coming)], coming)
            case SparseMethod.SNIP if self._step == self._choosing:
                self._choose(self.saliency)
            case SparseMethod.DEEP_REWIRING | SparseMethod.SOFT_DEEP_REWIRING:
                self._rewire()
            case _:
                pass

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        """Take note of what became of the synapses."""
        del network
        living = tuple(each.count for each in self.connections)
        self.updates.append(SynapseUpdate(epoch, living, self._renewed))
        self._renewed = 0

    def end(self, network: nn.Module) -> None:
        """Leave the network with the synapses that are present, also where a step was interrupted."""
        for each in self.connections:
            each.close()
            each.hold()
        if isinstance(network, FeedForward):
            network.masked = {}

    def state(self) -> dict[str, Tensor]:
        """Return the history, the masks of layers, the random generator, and what deep rewiring remembers."""
        rows = [[each.epoch, each.renewed, *each.living] for each in self.updates]
        state = {
            "updates": torch.tensor(rows, dtype=torch.int64).reshape(len(rows), 2 + len(self.connections)),
            "chance": self._chance.get_state().clone(),
        }
        for name, layer in self._layers:
            if layer.mask is not None:
                state[f"mask.{name}"] = layer.mask.clone().cpu()
        for each in self._rewired:
            state[f"signs.{each.connection.name}"] = each.signs.to(torch.int8).cpu()
            if each.wander is not None:
                state[f"wander.{each.connection.name}"] = each.wander.clone().cpu()
        if self._prices is not None:
            state |= self._prices.state()
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a state that `state` returned; weights, and masks of synapses, are the network's."""
        expected = self.state()
        if state.keys() != expected.keys() or any(
            state[name].shape != like.shape or state[name].dtype != like.dtype
            for name, like in expected.items()
            if name != "updates"
        ):
            raise PruningError("the state of the sparse training is not one of these options; remove it")
        rows = state["updates"]
        if rows.dtype != torch.int64 or rows.ndim != 2 or rows.shape[1] != 2 + len(self.connections):
            raise PruningError("the state of the sparse training lacks its history; remove the checkpoint")
        self.updates = [SynapseUpdate(row[0], tuple(row[2:]), row[1]) for row in rows.tolist()]
        if self._is_global and self.updates:
            self.wanted = self.updates[-1].living
        self._chance.set_state(state["chance"])
        for name, layer in self._layers:
            if layer.mask is not None:
                layer.mask.copy_(state[f"mask.{name}"])
        if self._prices is not None:
            self._prices.restore(state)
        for each in self._rewired:
            each.signs.copy_(state[f"signs.{each.connection.name}"])
            if each.wander is not None:
                each.wander.copy_(state[f"wander.{each.connection.name}"])

    @property
    def _layers(self) -> list[tuple[str, MaskedLayer]]:
        return [(each.name, layer) for each in self.connections if (layer := each.layer) is not None]

    @property
    def _renews(self) -> bool:
        return self.options.renews(self._step, self._total)

    @property
    def _share(self) -> float:
        return self.options.renewed_at(self._step, self._total)

    def _replace(self, connection: SparseConnection, leaving: Tensor, coming: Tensor) -> None:
        if len(leaving) or len(coming):
            connection.replace(leaving, coming)
            self._renewed += len(leaving)

    @property
    def _is_global(self) -> bool:
        return self.options.allocated is Allocation.GLOBAL

    def _worth(self, connection: SparseConnection) -> Tensor:
        """Return by what the worst synapses leave."""
        return connection.weight.abs() if self._prices is None else self._prices.worth(connection)

    def _gain(self, connection: SparseConnection) -> Tensor:
        """Return by what the best synapses come, from fresh gradients."""
        if self._prices is None:
            return connection.gradient.abs()
        return self._prices.divided(connection, connection.gradient.square())

    def _look(self, network: nn.Module) -> None:
        """Add to the saliency what a batch says, which teaches nothing else: no gradient is left."""
        fresh = [each.weight * each.gradient for each in self.connections]
        known = self.saliency or [torch.zeros_like(each) for each in fresh]
        self.saliency = [before + now for before, now in zip(known, fresh, strict=True)]
        for parameter in network.parameters():
            parameter.grad = None

    def _flow(self, network: nn.Module) -> None:
        """Choose by SynFlow, in rounds."""
        assert isinstance(network, Network)  # noqa: S101 - since it was made
        masks = {each.name: each.mask.clone() for each in self.connections}
        places: list[Tensor] = []
        for i in range(1, self.options.rounds + 1):
            part = i / self.options.rounds
            scores = list(flow_scores(network, masks).values())
            places = self._best(scores, list(masks.values()), part)
            for mask, stays in zip(masks.values(), places, strict=True):
                leaves = torch.ones_like(mask).view(-1)
                leaves[stays] = False
                mask.view(-1)[leaves] = False
        self._thin(places)

    def _choose(self, saliency: Sequence[Tensor]) -> None:
        """Choose by SNIP, once."""
        scores = [each.abs().double() for each in saliency]
        if self._prices is not None:
            priced = zip(scores, self.connections, strict=True)
            scores = [self._prices.divided(each, score) for score, each in priced]
        self._thin(self._best(scores, [each.mask for each in self.connections], 1.0))
        self.saliency = []

    def _thin(self, places: Sequence[Tensor]) -> None:
        for each, stays in zip(self.connections, places, strict=True):
            each.thin(stays)
        self.wanted = tuple(map(len, places))

    def _best(self, scores: Sequence[Tensor], masks: Sequence[Tensor], part: float) -> list[Tensor]:
        """Return the places that stay after a part (0 .. 1) of an exponential course to the sizes wanted."""
        rivals = self._rivals(scores, masks)
        if self._is_global:
            return chosen(rivals, _between(sum(self.before), self.total, part))
        counts = [
            _between(before, wanted, part) for before, wanted in zip(self.before, self.wanted, strict=True)
        ]
        return [
            chosen([replace(each, guarded=each.guarded and count >= len(each.mask))], count)[0]
            for each, count in zip(rivals, counts, strict=True)
        ]

    def _rivals(self, scores: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Rivals]:
        return [
            Rivals(score, mask, least, each.name in self._guarded)
            for score, mask, least, each in zip(scores, masks, self._least, self.connections, strict=True)
        ]

    def _shrink(self) -> None:
        share = self.options.share_at(self._step, self._total)
        # The course of all together, from what each had to what each will have.
        part = (share - self.options.fraction) / max(1 - self.options.fraction, 1e-12)
        if self._is_global:
            self._shrink_together(self.total + round(part * (sum(self.before) - self.total)))
            return
        for each, before, wanted in zip(self.connections, self.before, self.wanted, strict=True):
            left = wanted + round(part * (before - wanted))
            leaving = weakest(self._worth(each), each.mask, max(0, each.count - left))
            self._replace(each, leaving, leaving[:0])

    def _shrink_together(self, left: int) -> None:
        if self._prices is None:
            scores = [lamp(each.weight, each.mask) for each in self.connections]
        else:
            scores = [self._prices.worth(each) for each in self.connections]
        rivals = self._rivals(scores, [each.mask for each in self.connections])
        places = chosen(rivals, min(left, sum(each.count for each in self.connections)))
        for each, stays in zip(self.connections, places, strict=True):
            leaves = each.mask.clone()
            leaves.view(-1)[stays] = False
            leaving = torch.nonzero(leaves.reshape(-1)).reshape(-1)
            self._replace(each, leaving, leaving[:0])
        self.wanted = tuple(map(len, places))

    def _rewire(self) -> None:
        options, optimizer = self.options, self._optimizer
        rate = 0.0 if optimizer is None else float(optimizer.param_groups[0]["lr"])
        rewires = self._step <= options.last_step(self._total)
        for each in self._rewired:
            self._renewed += each.move(rate, options.l1, options.temperature, rewires=rewires)


def _between(before: int, after: int, part: float) -> int:
    """Return a size on the way from one to another that loses an equal share in equal parts of it."""
    return after if part >= 1 else max(after, round(before * (after / max(before, 1)) ** part))


def _check_known(network: nn.Module, method: SparseMethod) -> None:
    if method is SparseMethod.SYNFLOW and not isinstance(network, Network):
        raise PruningError("synflow prunes recurrent networks only; choose snip, or a method of training")


def _read(network: nn.Module) -> frozenset[str]:
    """Return the connections of the layer that is read, whose neurons each keep an input."""
    if isinstance(network, FeedForward):
        return frozenset({network.blocks[-1].name})
    if not isinstance(network, Network):
        return frozenset()
    return frozenset(arrow.name for arrow in network.connections if arrow.target == network.output)

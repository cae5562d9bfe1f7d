"""The callback that keeps a network sparse while `fit` trains it."""

from dataclasses import asdict, dataclass
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
from toolchain.pruning.sparse.options import SparseMethod, SparseOptions
from toolchain.pruning.sparse.rules import allocate, drawn_absent, strongest_absent, weakest
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
        self.wanted = allocate(
            self.before,
            [each.ends for each in self.connections],
            max(len(self.connections), round(options.fraction * sum(self.before))),
            options.allocation,
        )
        self._chance = torch.Generator().manual_seed(options.seed)
        self._rewired: tuple[RewiredConnection, ...] = ()
        self._optimizer: torch.optim.Optimizer | None = None
        self._step, self._total, self._epochs, self._renewed = 0, 0, 0, 0

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
            if first and not self.options.method.starts_whole:
                connection.thin(drawn_absent(connection.mask, count, self._chance))
        if first and self.options.method.keeps_signs:
            soft = self.options.method is SparseMethod.SOFT_DEEP_REWIRING
            self._rewired = tuple(
                RewiredConnection(each, self._chance, soft=soft) for each in self.connections
            )

    def before_step(self, network: nn.Module, at: Position) -> None:
        """Ask for the gradients of absent synapses, if this step renews by them."""
        del network
        self._step, self._total = (at.epoch - 1) * at.steps + at.step, self._epochs * at.steps
        if self.options.method is SparseMethod.RIGL and self._renews and self._share > 0:
            for each in self.connections:
                each.open()

    def after_backward(self, network: nn.Module) -> None:
        """Renew synapses by their fresh gradients, if it is time, and leave absent ones without."""
        del network
        if self.options.method is SparseMethod.RIGL and self._renews:
            for each in self.connections:
                count = round(self._share * each.count)
                leaving = weakest(each.weight.abs(), each.mask, count)
                possible = each.absent
                possible.view(-1)[leaving] = True
                coming = strongest_absent(each.gradient.abs(), possible, count)
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
                    leaving = weakest(each.weight.abs(), each.mask, round(self._share * each.count))
                    coming = drawn_absent(each.absent, len(leaving), self._chance)
                    self._replace(each, leaving[: len(coming)], coming)
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
        self._chance.set_state(state["chance"])
        for name, layer in self._layers:
            if layer.mask is not None:
                layer.mask.copy_(state[f"mask.{name}"])
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

    def _shrink(self) -> None:
        share = self.options.share_at(self._step, self._total)
        for each, before, wanted in zip(self.connections, self.before, self.wanted, strict=True):
            # The course of all together, from what each had to what each will have.
            part = (share - self.options.fraction) / max(1 - self.options.fraction, 1e-12)
            left = wanted + round(part * (before - wanted))
            leaving = weakest(each.weight.abs(), each.mask, max(0, each.count - left))
            self._replace(each, leaving, leaving[:0])

    def _rewire(self) -> None:
        options, optimizer = self.options, self._optimizer
        rate = 0.0 if optimizer is None else float(optimizer.param_groups[0]["lr"])
        rewires = self._step <= options.last_step(self._total)
        for each in self._rewired:
            self._renewed += each.move(rate, options.l1, options.temperature, rewires=rewires)

"""What a synapse is worth for what it costs: the messages of its source, each of which is an operation.

A magnitude says nothing of how often a synapse acts, so it is not divided by operations: that would count a
quiet source twice, and whole layers would fall silent. What is divided is what the loss would lose with the
synapse, to first order, `(w dL/dw)^2` (Molchanov et al. 2019), as a running mean over all batches.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from toolchain.models import FeedForward, Network
from toolchain.pruning.sparse.connection import SparseConnection
from toolchain.training.operations import sent_per_sample

_STORED: Final = 0.1
"""What a synapse costs beside its operations, as a share of what one costs in the mean: a silent source is
not for nothing."""
_OLD: Final = 0.5
"""Weight of what was measured before in the running mean of messages."""
_REMEMBERED: Final = 0.95
"""Weight of the batches before in the running mean of what the loss would lose."""


@final
class OperationPrices:
    """Prices of the sources of connections, and what their synapses are worth.

    Args:
        connections: The connections.
    """

    def __init__(self, connections: Sequence[SparseConnection]) -> None:
        self._connections = connections
        self.sent = {
            each.name: torch.zeros(each.weight.shape[1], dtype=torch.float64) for each in connections
        }
        """Messages of every source in a sample: means in which the last batch that was measured is half."""
        self.losses = {each.name: torch.zeros_like(each.weight) for each in connections}
        """What the loss would lose with each synapse."""
        self.batches = 0

    def measure(
        self, network: Network | FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> None:
        """Count the messages of a batch."""
        fresh = sent_per_sample(network, entering, spikes)
        for name, before in self.sent.items():
            now = fresh[name].cpu()
            self.sent[name] = now if self.batches == 0 else _OLD * before + (1 - _OLD) * now
        self.batches += 1

    def learn(self) -> None:
        """Take what the loss would lose from the fresh gradients of a batch."""
        for each in self._connections:
            now = (each.weight * each.gradient).square()
            before = self.losses[each.name].to(now.device)
            self.losses[each.name] = _REMEMBERED * before + (1 - _REMEMBERED) * now

    def worth(self, connection: SparseConnection) -> Tensor:
        """Return what the loss would lose with each synapse, for what it costs."""
        return self.divided(connection, self.losses[connection.name])

    def divided(self, connection: SparseConnection, worth: Tensor) -> Tensor:
        """Return something of every synapse for what it costs."""
        return worth.double() / self.of(connection)

    def of(self, connection: SparseConnection) -> Tensor:
        """Return prices `[1, sources, ...]`: operations in units of their mean over sources, plus a tenth."""
        sent = self.sent[connection.name]
        mean = float(torch.cat(list(self.sent.values())).mean())
        relative = sent / mean if mean > 0 else torch.ones_like(sent)
        weight = connection.weight
        return (relative + _STORED).to(weight.device).reshape(1, -1, *[1] * (weight.dim() - 2))

    def state(self) -> dict[str, Tensor]:
        """Return what was measured."""
        state = {"measured": torch.tensor([self.batches], dtype=torch.int64)}
        state |= {f"sent.{name}": each.clone() for name, each in self.sent.items()}
        return state | {f"losses.{name}": each.clone().cpu() for name, each in self.losses.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self.batches = int(state["measured"])
        self.sent = {name: state[f"sent.{name}"].clone() for name in self.sent}
        self.losses = {name: state[f"losses.{name}"].clone() for name in self.losses}

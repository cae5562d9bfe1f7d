"""What a synapse costs: the messages of its source, each of which is an operation."""

from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor

from toolchain.models import FeedForward, Network
from toolchain.training.operations import sent_per_sample

_STORED: Final = 0.1
"""What a synapse costs beside its operations, as a share of what one costs in the mean: a silent source is
not for nothing."""
_OLD: Final = 0.5
"""Weight of what was measured before, in the running mean."""


@final
class SourcePrices:
    """Prices of the sources of connections: running means over the batches that were measured.

    Args:
        sources: Number of sources of each connection.
    """

    def __init__(self, sources: Mapping[str, int]) -> None:
        self.sent = {name: torch.zeros(size, dtype=torch.float64) for name, size in sources.items()}
        """Messages of every source in a sample."""
        self.batches = 0

    def measure(
        self, network: Network | FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
    ) -> None:
        """Add a batch: half of the mean is that of the last one."""
        fresh = sent_per_sample(network, entering, spikes)
        for name, before in self.sent.items():
            now = fresh[name].cpu()
            self.sent[name] = now if self.batches == 0 else _OLD * before + (1 - _OLD) * now
        self.batches += 1

    def of(self, name: str, like: Tensor) -> Tensor:
        """Return the prices of the sources of a connection: operations, and a tenth of their mean.

        Args:
            name: Name of the connection.
            like: Its weights, targets first; the prices stand beside them.

        Returns:
            Prices `[1, sources, ...]`, in units of the mean over all sources of all connections.
        """
        mean = float(torch.cat(list(self.sent.values())).mean())
        relative = self.sent[name] / mean if mean > 0 else torch.ones_like(self.sent[name])
        return (relative + _STORED).to(like.device).reshape(1, -1, *[1] * (like.dim() - 2))

    def state(self) -> dict[str, Tensor]:
        """Return what was measured."""
        batches = torch.tensor([self.batches], dtype=torch.int64)
        return {"measured": batches} | {f"sent.{name}": each.clone() for name, each in self.sent.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self.batches = int(state["measured"])
        self.sent = {name: state[f"sent.{name}"].clone() for name in self.sent}

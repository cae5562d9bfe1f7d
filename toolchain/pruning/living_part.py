"""The living channels of a network, computed alone: they read and train the numbers of the whole network.

The whole network stays what is trained, so that its optimizer, its checkpoints and whoever watches it need
not know. A step takes the numbers of the living channels out of it, computes scores with a network of only
those, and gives the gradients back: zero for every number of a pruned channel, as behind a closed gate. What
is pruned waits in the whole network until it comes back, and the optimizer treats it as it would have.
"""

import copy
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.models import FeedForward, Meter, NetworkRecord
from toolchain.pruning.channels import Mask, compact_channels


@final
class LivingPart:
    """A network without its pruned channels, for as long as a mask stays as it is.

    It computes what the whole network computes behind closed gates, up to the order of summation: scores,
    gradients, running statistics of living channels, and what the meters of its neurons measure. Hooks of
    modules of the whole network are not called.

    Args:
        network: The whole network, all gates of pruned channels closed and all others open.
        masks: Mask per prunable layer, True for the channels that live.

    Raises:
        PruningError: The network has a module that cannot shrink.
    """

    def __init__(self, network: FeedForward, masks: Mapping[str, Mask]) -> None:
        self._whole = network
        # The copy has the place of every number in its stead, and so tells where each came from.
        self._small = compact_channels(_numbered(network), masks)
        numbers = dict(_numbers(network))
        self._taken: list[_Taken] = []
        self._statistics: list[_Taken] = []
        for name, places in list(_numbers(self._small)):
            source, (path, _, attribute) = numbers[name], name.rpartition(".")
            module = self._small.get_submodule(path)
            if attribute == "gate":
                module.register_buffer(attribute, source.new_ones(len(places)))
                continue
            taken = _Taken(source, places)
            setattr(module, attribute, taken.part)
            if taken.part is not source:
                self._taken.append(taken)
                self._statistics += [] if isinstance(source, nn.Parameter) else [taken]
        for name, neurons in self._small.layers.items():
            meter = network.layers[name].meter
            alive = torch.from_numpy(np.flatnonzero(masks[name])) if name in masks else None
            neurons.meter = meter if meter is None or alive is None else _PartOfMeter(meter, alive)

    def __call__(self, x: Tensor, *, lengths: Tensor | None = None) -> NetworkRecord:
        """Run a batch; see `FeedForward.forward`."""
        with torch.no_grad():
            for taken in self._taken:
                taken.take()
        result = self._small(x, lengths=lengths)
        for taken in self._statistics:
            taken.give_back()
        return result


@final
class _PartOfMeter:
    """Passes on what living channels do; the others are silent."""

    def __init__(self, whole: Meter, alive: Tensor) -> None:
        self._whole, self._alive = whole, alive

    def add(self, sums: Tensor, neurons: int, channels: Tensor | None = None) -> None:
        alive = self._alive if channels is None else self._alive[channels]
        self._whole.add(sums, neurons, alive)


@final
class _Taken:
    """Some numbers of a tensor as a smaller one, whose gradients go back to where they were.

    Args:
        source: The tensor.
        places: Place of every number of the smaller tensor in the memory of `source`.

    Attributes:
        part: The smaller tensor; `source` itself if it would be a copy of all of it.
    """

    def __init__(self, source: Tensor, places: Tensor) -> None:
        self._source = source
        self._index = _memory(places.detach()).long().to(source.device)
        if len(self._index) == source.numel() and bool((self._index.diff() == 1).all()):
            self.part = source
            return
        self.part = source.new_empty_strided(places.shape, places.stride())
        self._memory = _memory(self.part)
        if isinstance(source, nn.Parameter):
            self.part = nn.Parameter(self.part, requires_grad=source.requires_grad)
        if self.part.requires_grad:
            self.part.register_post_accumulate_grad_hook(self._pass_gradient)

    def take(self) -> None:
        """Read the numbers anew; without gradients."""
        torch.index_select(_memory(self._source), 0, self._index, out=self._memory)

    def give_back(self) -> None:
        """Write the numbers to where they were."""
        _memory(self._source).index_copy_(0, self._index, self._memory)

    def _pass_gradient(self, part: Tensor) -> None:
        gradient, source = part.grad, self._source
        if gradient is None:
            return
        if gradient.stride() != part.stride():
            gradient = torch.empty_like(part).copy_(gradient)
        if source.grad is None:
            source.grad = torch.zeros_like(source)
        _memory(source.grad).index_add_(0, self._index, _memory(gradient))
        part.grad = None


def _memory(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor without gaps in the order in which they stand in memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def _numbers(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all real numbers of a network by name; indices of channels are its structure."""
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_floating_point():
            yield name, tensor


@torch.no_grad()
def _numbered(network: FeedForward) -> FeedForward:
    """Return a copy in which every number is its own place in memory, exact in float64."""
    numbered = copy.deepcopy(network).double().cpu()
    for (_, tensor), (_, source) in zip(_numbers(numbered), _numbers(network), strict=True):
        numbers = torch.arange(source.numel(), dtype=torch.float64)
        tensor.data = numbers.as_strided(source.shape, source.stride())
    return numbered

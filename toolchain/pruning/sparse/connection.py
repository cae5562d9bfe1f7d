"""A connection whose synapses leave and come back: weights, mask, and what the optimizer remembers."""

import math
from typing import Protocol, final

import torch
from torch import Tensor, nn

from toolchain.models.masked_layer import MaskedLayer


class MaskedWeights(Protocol):
    """Weights with a mask: synapses of a recurrent network, a convolution, or a dense layer.

    Attributes:
        mask: Whether each is present, of the shape of the weights; None if all are.
    """

    mask: Tensor | None

    @property
    def weight(self) -> nn.Parameter:
        """The weights, `[targets, sources]` or `[targets, sources, rows, columns]`."""
        ...


@final
class SparseConnection:
    """A connection under sparse training. Outside its mask its weights are zero at all times.

    Args:
        name: Name of the connection.
        module: Its weights; it gets a mask if it has none.
        target: What receives it, in words.
        loops: Whether it joins a layer with itself: then no neuron is joined with itself that was not before.
    """

    def __init__(
        self, name: str, module: MaskedWeights, target: str = "neurons", *, loops: bool = False
    ) -> None:
        self.name, self.target, self._module, self._loops = name, target, module, loops
        self._optimizer: torch.optim.Optimizer | None = None
        self._closed: Tensor | None = None

    def begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Take note of the optimizer that moves the weights."""
        self._optimizer = optimizer
        module = self._module
        if module.mask is None:
            module.mask = torch.ones(module.weight.shape, dtype=torch.bool, device=module.weight.device)
        elif module.mask.device != module.weight.device:
            module.mask = module.mask.to(module.weight.device)

    @property
    def layer(self) -> MaskedLayer | None:
        """The convolution or dense layer; None for synapses, which know of their mask themselves."""
        return self._module if isinstance(self._module, MaskedLayer) else None

    @property
    def weight(self) -> Tensor:
        """The weights, targets first."""
        return self._module.weight.detach()

    @property
    def gradient(self) -> Tensor:
        """The gradients of the weights; of absent synapses, too, in a step that they are asked for in."""
        gradient = self._module.weight.grad
        return torch.zeros_like(self.weight) if gradient is None else gradient

    @property
    def mask(self) -> Tensor:
        """Which synapses are present."""
        mask = self._module.mask if self._closed is None else self._closed
        assert mask is not None  # noqa: S101 - since `begin`
        return mask

    @property
    def absent(self) -> Tensor:
        """Where a synapse may come."""
        absent = ~self.mask
        if self._loops:
            absent &= ~torch.eye(len(absent), dtype=torch.bool, device=absent.device)
        return absent

    @property
    def count(self) -> int:
        """Number of synapses."""
        mask = self._module.mask if self._closed is None else self._closed
        return self._module.weight.numel() if mask is None else int(mask.sum())

    @property
    def ends(self) -> tuple[int, ...]:
        """Number of neurons of the source and of the target; of a convolution channels, and its kernel."""
        return tuple(self._module.weight.shape)

    def thin(self, places: Tensor) -> None:
        """Remove synapses before the training, and strengthen the rest: the sum of squares stays as it is.

        Args:
            places: Places that stay, flat.
        """
        before = self.weight.square().sum()
        mask = torch.zeros_like(self.mask)
        mask.view(-1)[places] = True
        self._module.mask = mask
        self.weight.mul_(mask)
        after = self.weight.square().sum()
        if after > 0:
            self.weight.mul_(math.sqrt(float(before / after)))

    def replace(self, leaving: Tensor, coming: Tensor) -> None:
        """Remove synapses, and add others of weight zero; the optimizer forgets both.

        A place that stands in both stays, from zero.

        Args:
            leaving: Places, flat.
            coming: Places, flat.
        """
        mask = self.mask.clone()
        mask.view(-1)[leaving] = False
        mask.view(-1)[coming] = True
        self._set(mask)
        changed = torch.zeros_like(mask)
        changed.view(-1)[torch.cat([leaving, coming])] = True
        self.weight.masked_fill_(changed, 0)
        for moment in self._moments():
            moment.masked_fill_(changed, 0)

    def settle(self) -> None:
        """Take away the gradients that a layer has outside its mask, unless they are asked for."""
        gradient = self._module.weight.grad
        if self.layer is not None and self._closed is None and gradient is not None:
            gradient.mul_(self.mask)

    def hold(self) -> None:
        """Make sure that weights outside the mask are zero, also where older ones were put back."""
        self.weight.mul_(self.mask)

    def open(self) -> None:
        """Let absent synapses have gradients in the next step, which changes nothing else: they are zero."""
        if self._closed is None:
            self._closed = self.mask.clone()
            self._set_module(torch.ones_like(self._closed))

    def close(self) -> None:
        """End that, and forget their gradients."""
        if self._closed is not None:
            mask, self._closed = self._closed, None
            self._set_module(mask)
            if self._module.weight.grad is not None:
                self._module.weight.grad.mul_(mask)

    def _set(self, mask: Tensor) -> None:
        if self._closed is None:
            self._set_module(mask)
        else:
            self._closed = mask

    def _set_module(self, mask: Tensor) -> None:
        assert self._module.mask is not None  # noqa: S101 - since `begin`
        # In place: whoever has made lists of the synapses sees that they have changed.
        self._module.mask.copy_(mask)

    def _moments(self) -> list[Tensor]:
        parameter = self._module.weight
        state = {} if self._optimizer is None else self._optimizer.state.get(parameter, {})
        return [each for each in state.values() if isinstance(each, Tensor) and each.shape == parameter.shape]

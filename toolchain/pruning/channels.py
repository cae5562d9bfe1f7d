"""The channels of a convolutional network that can be pruned, and the network without the pruned ones."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import PruningError
from toolchain.models import INPUT, Add, FeedForward, GatedNorm, NetworkBlock, Select, Spiking
from toolchain.reset import Reset

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class ChannelLayer:
    """One layer of neurons whose channels can be pruned, with the modules that form its input.

    Attributes:
        name: Name of the neurons' block.
        neurons: The neurons.
        norm: The batch-norm in front of them; its gate, scale and shift belong to the channel.
        filters: The convolution in front of that, if it feeds nothing else. A norm that reads a residual
            stream has none: the stream stays whole and the pruned layer selects from it.
    """

    name: str
    neurons: Spiking
    norm: GatedNorm
    filters: nn.Conv2d | None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.norm.channels

    @property
    def numbers(self) -> list[Tensor]:
        """Scale, shift and filter, whose first index is the channel."""
        return [self.norm.weight, self.norm.bias, *([] if self.filters is None else [self.filters.weight])]


def channel_layers(network: FeedForward) -> tuple[ChannelLayer, ...]:
    """Return every layer of neurons behind a norm whose features are an image, in order.

    Fully connected layers are not pruned; the released code leaves them whole, too.

    Raises:
        PruningError: There is none.
    """
    by_name = {block.name: block for block in network.blocks}
    layers: list[ChannelLayer] = []
    for name, neurons in network.layers.items():
        norm_block = by_name.get(by_name[name].sources[0])
        if norm_block is None:
            continue
        norm = network.parts[norm_block.name]
        source = norm_block.sources[0]
        module = network.parts[source] if source in by_name else None
        if not isinstance(norm, GatedNorm) or isinstance(module, nn.Linear):
            continue
        own = isinstance(module, nn.Conv2d) and len(network.readers(source)) == 1
        layers.append(ChannelLayer(name, neurons, norm, cast("nn.Conv2d", module) if own else None))
    if not layers:
        raise PruningError("the network has no layer of convolution, GatedNorm and Spiking to prune")
    return tuple(layers)


def silence(layers: tuple[ChannelLayer, ...], masks: Mapping[str, Mask]) -> None:
    """Set filter, scale and shift of every pruned channel to zero, so that it receives no current."""
    with torch.no_grad():
        for layer in layers:
            dead = torch.from_numpy(~masks[layer.name]).to(layer.norm.weight.device)
            layer.norm.weight[dead] = 0
            layer.norm.bias[dead] = 0
            if layer.filters is not None:
                layer.filters.weight[dead] = 0


def set_gates(layers: tuple[ChannelLayer, ...], masks: Mapping[str, Mask]) -> None:
    """Open the gates of the channels that live and close the others."""
    with torch.no_grad():
        for layer in layers:
            layer.norm.gate.copy_(torch.from_numpy(masks[layer.name]).to(layer.norm.gate))


def compact_channels(network: FeedForward, masks: Mapping[str, Mask]) -> FeedForward:
    """Return a smaller network that computes the same, without its pruned channels.

    A pruned channel carries no current and no spike, so its filter and the weights that read it are removed.
    Where a pruned layer reads a residual stream, a `Select` takes the living channels and the stream
    stays whole. The results differ from the masked network's in the order of summation only.

    Args:
        network: The trained network, its pruned channels silent.
        masks: Mask per prunable layer, True for the channels that live.

    Raises:
        PruningError: A layer would have no channel left, or a mask does not fit.
    """
    layers = {layer.name: layer for layer in channel_layers(network)}
    _check(layers, masks)
    small = network.with_blocks(_Compactor(network, layers, masks).run())
    return small.train(network.training)


def _check(layers: Mapping[str, ChannelLayer], masks: Mapping[str, Mask]) -> None:
    if set(masks) != set(layers):
        raise PruningError(f"expected one mask per layer {sorted(layers)}, got {sorted(masks)}")
    for name, layer in layers.items():
        if masks[name].shape != (layer.channels,):
            raise PruningError(
                f"layer '{name}' has {layer.channels} channels, but its mask {masks[name].shape}"
            )
        if not masks[name].any():
            raise PruningError(
                f"layer '{name}' would lose all its {layer.channels} channels; keep at least one "
                "(`least=1` of ScaOptions)"
            )


@final
class _Compactor:
    """Copies the blocks in order; `remaining` holds the channels left of each result, None for all."""

    def __init__(
        self, network: FeedForward, layers: Mapping[str, ChannelLayer], masks: Mapping[str, Mask]
    ) -> None:
        self.network = network
        self.masks = {layer.norm: masks[layer.name] for layer in layers.values()}
        self.filters = {layer.filters: masks[layer.name] for layer in layers.values() if layer.filters}
        self.remaining: dict[str, Tensor | None] = {INPUT: None}
        self.width: dict[str, int] = {INPUT: network.shape[0]}
        self.blocks: dict[NetworkBlock, nn.Module] = {}

    def run(self) -> dict[NetworkBlock, nn.Module]:
        for block in self.network.blocks:
            self._add(block, self.network.parts[block.name])
        return self.blocks

    def _add(self, block: NetworkBlock, module: nn.Module) -> None:
        source = block.sources[0]
        remaining, width = self.remaining[source], self.width[source]
        match module:
            case nn.Conv2d():
                filters = _alive(self.filters.get(module))
                self._put(
                    block, _convolution(block.name, module, filters, remaining), filters, module.out_channels
                )
            case GatedNorm():
                self._norm(block, module, remaining)
            case nn.Linear():
                self._put(block, _linear(module, remaining, width), None, module.out_features)
            case Spiking() | nn.MaxPool2d() | nn.AvgPool2d() | nn.Flatten():
                # Flattened channels still count as channels: a Linear knows how many positions each has.
                self._put(block, copy.deepcopy(module), remaining, width)
            case Select():
                index = module.index if remaining is None else _positions(remaining, module.index)
                self._put(block, Select(index), None, len(index))
            case Add():
                if any(self.remaining[name] is not None for name in block.sources):
                    raise PruningError(f"sum '{block.name}' reads a pruned stream; streams must stay whole")
                self._put(block, Add(), None, width)
            case _:
                raise PruningError(f"block '{block.name}' is a {type(module).__name__}, which cannot shrink")

    def _put(self, block: NetworkBlock, module: nn.Module, remaining: Tensor | None, width: int) -> None:
        self.blocks[block] = module
        self.remaining[block.name], self.width[block.name] = remaining, width

    def _norm(self, block: NetworkBlock, module: GatedNorm, remaining: Tensor | None) -> None:
        alive = _alive(self.masks.get(module))
        if alive is None or remaining is not None:
            self._put(block, _norm(module, remaining), remaining, module.channels)
            return
        if not self._select_less(block, alive):
            select = NetworkBlock(f"{block.name}_select", block.sources)
            self._put(select, Select(alive), alive, module.channels)
            block = NetworkBlock(block.name, (select.name,))
        self._put(block, _norm(module, alive), alive, module.channels)

    def _select_less(self, block: NetworkBlock, alive: Tensor) -> bool:
        """Narrow the selection that a norm reads already, if it does; return whether it did."""
        earlier = next((each for each in self.blocks if each.name == block.sources[0]), None)
        selection = None if earlier is None else self.blocks[earlier]
        if (
            earlier is None
            or not isinstance(selection, Select)
            or len(self.network.readers(earlier.name)) > 1
        ):
            return False
        self._put(earlier, Select(selection.index[alive]), alive, self.width[earlier.name])
        return True


def _alive(mask: Mask | None) -> Tensor | None:
    """Return the indices of the channels that live, or None if all do."""
    return None if mask is None or mask.all() else torch.from_numpy(np.flatnonzero(mask))


def _positions(remaining: Tensor, wanted: Tensor) -> Tensor:
    """Return where the wanted channels stand among those that are left."""
    return torch.searchsorted(remaining, wanted)


def _convolution(name: str, module: nn.Conv2d, filters: Tensor | None, remaining: Tensor | None) -> nn.Conv2d:
    if module.groups != 1 and (filters is not None or remaining is not None):
        raise PruningError(f"convolution '{name}' has {module.groups} groups; only ungrouped ones shrink")
    weight = module.weight.detach()
    weight = weight if filters is None else weight[filters]
    weight = weight if remaining is None else weight[:, remaining]
    small = nn.Conv2d(
        weight.shape[1] * module.groups,
        weight.shape[0],
        cast("tuple[int, int]", module.kernel_size),
        stride=cast("tuple[int, int]", module.stride),
        padding=cast("tuple[int, int]", module.padding),
        dilation=cast("tuple[int, int]", module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
        dtype=weight.dtype,
    )
    with torch.no_grad():
        small.weight.copy_(weight)
        if module.bias is not None and small.bias is not None:
            small.bias.copy_(module.bias if filters is None else module.bias[filters])
    return small


def _norm(module: GatedNorm, remaining: Tensor | None) -> GatedNorm:
    index = torch.arange(module.channels) if remaining is None else remaining
    small = GatedNorm(len(index), momentum=module.momentum, eps=module.eps).to(module.weight.dtype)
    with torch.no_grad():
        for name in ("weight", "bias", "gate", "running_mean", "running_var"):
            getattr(small, name).copy_(getattr(module, name).detach()[index])
    return small


def _linear(module: nn.Linear, remaining: Tensor | None, width: int) -> nn.Linear:
    """Return the layer without the columns of channels that are gone, all positions of each."""
    weight = module.weight.detach()
    if remaining is not None:
        positions = module.in_features // width
        weight = weight[:, (remaining[:, None] * positions + torch.arange(positions)).flatten()]
    small = nn.Linear(weight.shape[1], weight.shape[0], bias=_has_bias(module), dtype=weight.dtype)
    with torch.no_grad():
        small.weight.copy_(weight)
        if _has_bias(module):
            small.bias.copy_(module.bias)
    return small


def _has_bias(module: nn.Linear) -> bool:
    # torch declares the bias of a Linear as always there.
    return "bias" in dict(module.named_parameters())


def check_polarisation(layers: Sequence[ChannelLayer]) -> None:
    """Raise where `theta S + |V|` is not how far a potential went: the rank of SCA means nothing there.

    It is so for a reset to zero, up to the threshold, and where a spike takes the threshold away.

    Raises:
        PruningError: Names the layer, and what to rank by.
    """
    for layer in layers:
        neurons = layer.neurons
        subtracts = neurons.reset is Reset.SUBTRACT and neurons.effective_amount == neurons.vth
        if neurons.reset is not Reset.ZERO and not subtracts:
            raise PruningError(
                f"layer '{layer.name}' has reset '{neurons.reset.value}', for which the polarisation of SCA "
                "is not defined; rank channels by their rate instead"
            )

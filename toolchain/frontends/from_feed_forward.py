"""From a feed-forward network to a float graph: norms and streams disappear into the connections."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import FrontendError, UnsupportedModuleError
from toolchain.ir import (
    AnyNode,
    Conv2d,
    Decode,
    Dense,
    EdgeKind,
    Graph,
    Input,
    Lif,
    MaxPool2d,
    Origin,
    Output,
    SumPool2d,
    Window,
    verify,
)
from toolchain.models import INPUT, Add, Block, FeedForward, GatedNorm, Select, Spiking

Floats = NDArray[np.float64]
Pair = tuple[int, int]

SUPPORTED: Final = (
    "Conv2d",
    "GatedNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "Linear",
    "Spiking",
    "MaxPool2d",
    "AvgPool2d",
    "Flatten",
    "Add",
    "Select",
    "Identity",
    "Dropout",
)


@final
@dataclass(frozen=True)
class _Sent:
    """What a node of the graph sends: spikes, pooled spikes or the input.

    Attributes:
        node: Name in the graph.
        shape: Of one step.
        factor: What the graded value is to be multiplied by: `1 / area` of an average.
        flat: Whether it was flattened.
    """

    node: str
    shape: tuple[int, ...]
    spikes: bool
    factor: float = 1.0
    flat: bool = False

    @property
    def features(self) -> tuple[int, ...]:
        """The shape as the next module sees it."""
        return (int(np.prod(self.shape)),) if self.flat else self.shape


@final
@dataclass(frozen=True)
class _Branch:
    """One connection into a current: weights on what a node sends."""

    name: str
    source: _Sent
    weights: Floats = field(repr=False)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def scaled(self, factor: Floats) -> "_Branch":
        """Return the branch with every output channel multiplied."""
        return replace(self, weights=self.weights * factor.reshape(-1, *[1] * (self.weights.ndim - 1)))

    def node(self, name: str) -> Conv2d | Dense:
        """Return the connection."""
        weights = self.weights * self.source.factor
        if weights.ndim == 2:
            return Dense(name=name, inputs=(self.source.node,), weights=weights)
        return Conv2d(
            name=name,
            inputs=(self.source.node,),
            weights=weights,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


@final
@dataclass(frozen=True)
class _Current:
    """A sum of connections plus a constant per channel: what a stream carries, before neurons.

    Attributes:
        branches: Connections.
        bias: Constant per channel.
        shape: Of one step.
    """

    branches: tuple[_Branch, ...]
    bias: Floats = field(repr=False)
    shape: tuple[int, ...]

    def affine(self, factor: Floats, offset: Floats) -> "_Current":
        """Return `factor x + offset` per channel."""
        branches = tuple(branch.scaled(factor) for branch in self.branches)
        return _Current(branches, self.bias * factor + offset, self.shape)


def from_feed_forward(
    network: FeedForward, *, classes: Sequence[str] = (), name: str = "feed_forward"
) -> Graph:
    """Return the float graph of a feed-forward network. Weights become float64.

    Batch-norm goes into weights and bias. A residual stream carries currents, not spikes, so it has no
    node: every layer of neurons receives each branch since the stream began as a connection of its
    own, its norm included. A 1 x 1 convolution of a stream is composed with the branches. The
    classifier becomes integrating neurons that never fire; their last potential is `T` times the score.

    Args:
        network: In evaluation mode or not: running statistics are used.
        classes: Names of the classes.
        name: Of the graph.

    Raises:
        UnsupportedModuleError: A block without meaning in the graph; names it.
        FrontendError: A block stands where it has no meaning.
        VerifyError: A parameter is not finite.
    """
    graph = _Translator(network, classes).graph(name)
    verify(graph)
    return graph


@final
class _Translator:
    def __init__(self, network: FeedForward, classes: Sequence[str]) -> None:
        self.network = network
        self.classes = tuple(classes)
        self.nodes: list[AnyNode] = [_input(network)]
        self.values: dict[str, _Sent | _Current] = {
            INPUT: _Sent(INPUT, network.shape, spikes=not network.graded)
        }

    def graph(self, name: str) -> Graph:
        for block in self.network.blocks:
            self.values[block.name] = self._translate(block, self.network.parts[block.name])
        self._read_out(self.network.blocks[-1].name)
        return Graph(tuple(self.nodes), dt_ms=self.network.dt_ms, name=name)

    def _translate(self, block: Block, module: nn.Module) -> _Sent | _Current:
        value = self.values[block.sources[0]]
        match module:
            case nn.Conv2d():
                return self._convolution(block.name, module, value)
            case nn.Linear():
                return self._linear(block.name, module, value)
            case GatedNorm() | nn.BatchNorm1d() | nn.BatchNorm2d():
                return _normalised(block.name, module, _current(block, value))
            case Spiking():
                return self._neurons(block.name, module, _current(block, value))
            case nn.MaxPool2d() | nn.AvgPool2d():
                return self._pooling(block, module, _sent(block, value))
            case nn.Flatten():
                return replace(_sent(block, value), flat=True)
            case Select():
                return _selected(_current(block, value), module.index.cpu().numpy())
            case Add():
                return _sum([_current(block, self.values[name]) for name in block.sources])
            case nn.Identity() | nn.Dropout() | nn.Dropout2d():
                return value
            case _:
                raise UnsupportedModuleError(block.name, type(module).__name__, SUPPORTED)

    def _convolution(self, name: str, module: nn.Conv2d, value: _Sent | _Current) -> _Current:
        weights = _array(module.weight)
        bias = np.zeros(len(weights)) if module.bias is None else _array(module.bias)
        stride, dilation = cast("Pair", module.stride), cast("Pair", module.dilation)
        padding = _padding(name, module)
        if isinstance(value, _Current):
            return _composed(name, value, module, bias)
        if len(value.features) != 3:
            raise FrontendError(f"convolution '{name}' reads {value.features}, expected an image [C, H, W]")
        branch = _Branch(name, value, weights, stride, padding, dilation, module.groups)
        window = Window(_pair(module.kernel_size), stride, padding, dilation)
        rows, columns = window.positions((value.shape[1], value.shape[2]))
        return _Current((branch,), bias, (len(weights), rows, columns))

    def _linear(self, name: str, module: nn.Linear, value: _Sent | _Current) -> _Current:
        if isinstance(value, _Current):
            raise FrontendError(f"linear layer '{name}' follows another connection; put Spiking in between")
        if value.features != (module.in_features,):
            raise FrontendError(
                f"linear layer '{name}' reads {module.in_features} values, but {list(value.features)} come"
            )
        bias = np.zeros(module.out_features) if module.bias is None else _array(module.bias)
        return _Current((_Branch(name, value, _array(module.weight)),), bias, (module.out_features,))

    def _neurons(self, name: str, module: Spiking, value: _Current) -> _Sent:
        self._population(name, value, dv=module.dv, vth=module.vth)
        return _Sent(name, value.shape, spikes=True)

    def _read_out(self, last: str) -> None:
        value = self.values[last]
        if isinstance(value, _Sent):
            raise FrontendError("the network must end in a Linear")
        self._population("readout", value, dv=0.0, vth=np.inf)
        self.nodes.append(
            Output(name="output", inputs=("readout",), decode=Decode.LAST_V, classes=self.classes)
        )

    def _population(self, name: str, value: _Current, *, dv: float, vth: float) -> None:
        inputs: list[str] = []
        for branch in value.branches:
            # A branch of a stream is read by several layers, each with its own norm folded in.
            unique = branch.name if not _taken(self.nodes, branch.name) else f"{branch.name}.{name}"
            self.nodes.append(branch.node(unique))
            inputs.append(unique)
        bias = value.bias.reshape(-1, *[1] * (len(value.shape) - 1))
        self.nodes.append(
            Lif(
                name=name,
                inputs=tuple(inputs),
                du=np.ones(value.shape),
                dv=np.full(value.shape, dv),
                vth=np.full(value.shape, vth),
                bias=np.broadcast_to(bias, value.shape),
                origin=Origin.whole(f"parts.{name}", int(np.prod(value.shape))),
            )
        )

    def _pooling(self, block: Block, module: nn.MaxPool2d | nn.AvgPool2d, value: _Sent) -> _Sent:
        kernel, stride, padding = _pool_window(block.name, module)
        maximum = isinstance(module, nn.MaxPool2d)
        if maximum and not value.spikes:
            raise FrontendError(f"max-pooling '{block.name}' reads values, not spikes; pool after the neurons")
        kind = MaxPool2d if maximum else SumPool2d
        node = kind(name=block.name, inputs=(value.node,), kernel=kernel, stride=stride, padding=padding)
        self.nodes.append(node)
        if len(value.features) != 3:
            raise FrontendError(f"pooling '{block.name}' reads {value.features}, expected an image [C, H, W]")
        rows, columns = node.window.positions((value.shape[1], value.shape[2]))
        factor = value.factor if maximum else value.factor / node.window.area
        return _Sent(block.name, (value.shape[0], rows, columns), spikes=maximum, factor=factor)


def _input(network: FeedForward) -> Input:
    if not network.graded:
        return Input(name=INPUT, shape=network.shape)
    return Input(
        name=INPUT,
        shape=network.shape,
        edge=EdgeKind.GRADED,
        scale=network.graded_scale,
        bits=network.graded_bits,
    )


def _taken(nodes: Sequence[AnyNode], name: str) -> bool:
    return any(node.name == name for node in nodes)


def _sent(block: Block, value: _Sent | _Current) -> _Sent:
    if isinstance(value, _Current):
        raise FrontendError(f"block '{block.name}' reads currents; put Spiking before it")
    return value


def _current(block: Block, value: _Sent | _Current) -> _Current:
    if isinstance(value, _Sent):
        raise FrontendError(f"block '{block.name}' reads spikes; put a connection before it")
    return value


def _normalised(name: str, module: GatedNorm | nn.BatchNorm1d | nn.BatchNorm2d, value: _Current) -> _Current:
    if isinstance(module, GatedNorm):
        factor, offset = (_array(part) for part in module.affine())
        return value.affine(factor, offset)
    if module.running_mean is None or module.running_var is None:
        raise FrontendError(f"norm '{name}' keeps no running statistics; they are what is folded")
    size = module.num_features
    weight = np.ones(size) if module.weight is None else _array(module.weight)
    bias = np.zeros(size) if module.bias is None else _array(module.bias)
    factor = weight / np.sqrt(_array(module.running_var) + module.eps)
    return value.affine(factor, bias - _array(module.running_mean) * factor)


def _selected(value: _Current, index: NDArray[np.int64]) -> _Current:
    if any(branch.groups != 1 for branch in value.branches):
        raise FrontendError("channels of a grouped convolution cannot be selected")
    branches = tuple(replace(branch, weights=branch.weights[index]) for branch in value.branches)
    return _Current(branches, value.bias[index], (len(index), *value.shape[1:]))


def _sum(values: list[_Current]) -> _Current:
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        raise FrontendError(f"a sum reads currents of different shapes: {sorted(shapes)}")
    branches = tuple(branch for value in values for branch in value.branches)
    return _Current(branches, np.sum([value.bias for value in values], axis=0), values[0].shape)


def _composed(name: str, value: _Current, module: nn.Conv2d, bias: Floats) -> _Current:
    """Return a 1 x 1 convolution of a stream as one convolution per branch.

    A stride of the second is a stride of the product; without padding nothing is lost at the edge.
    """
    kernel, padding = cast("Pair", module.kernel_size), _padding(name, module)
    if kernel != (1, 1) or padding != (0, 0) or module.groups != 1:
        raise FrontendError(
            f"convolution '{name}' reads currents: only an unpadded, ungrouped 1x1 convolution of a stream "
            "can be composed with its branches; put Spiking before it"
        )
    matrix = _array(module.weight)[:, :, 0, 0]
    stride = cast("Pair", module.stride)
    branches: list[_Branch] = []
    for branch in value.branches:
        if branch.groups != 1 or branch.weights.ndim != 4:
            raise FrontendError(f"convolution '{name}' cannot be composed with '{branch.name}'")
        weights = np.einsum("on,nikl->oikl", matrix, branch.weights)
        steps = (branch.stride[0] * stride[0], branch.stride[1] * stride[1])
        branches.append(replace(branch, name=f"{branch.name}.{name}", weights=weights, stride=steps))
    rows, columns = (-(-n // s) for n, s in zip(value.shape[1:], stride, strict=True))
    return _Current(tuple(branches), matrix @ value.bias + bias, (len(matrix), rows, columns))


def _padding(name: str, module: nn.Conv2d) -> Pair:
    """Return the zeros on both sides, or raise for what the graph has no meaning for."""
    if module.padding_mode != "zeros":
        raise FrontendError(
            f"convolution '{name}' pads with '{module.padding_mode}'; only zeros exist on the chip"
        )
    if not isinstance(module.padding, str):
        return cast("Pair", module.padding)
    if module.padding == "valid":
        return (0, 0)
    total = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if any(extent % 2 for extent in total):
        raise FrontendError(
            f"convolution '{name}' has padding='same' with an even kernel, which pads one side more; "
            "use an odd kernel or state the padding"
        )
    return total[0] // 2, total[1] // 2


def _pool_window(name: str, module: nn.MaxPool2d | nn.AvgPool2d) -> tuple[Pair, Pair, Pair]:
    if module.ceil_mode:
        raise FrontendError(f"pooling '{name}' has ceil_mode=True; pad the image instead")
    if isinstance(module, nn.MaxPool2d):
        if _pair(module.dilation) != (1, 1) or module.return_indices:
            raise FrontendError(f"max-pooling '{name}' has dilation or returns indices; neither exists here")
    elif module.divisor_override is not None or (
        _pair(module.padding) != (0, 0) and not module.count_include_pad
    ):
        raise FrontendError(
            f"average pooling '{name}' divides by something else than its window; use the defaults"
        )
    return _pair(module.kernel_size), _pair(module.stride), _pair(module.padding)


def _pair(value: Any) -> Pair:  # noqa: ANN401 - torch takes one number or two
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()

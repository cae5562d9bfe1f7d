"""What stands between two layers of neurons: connections and norms as one sum of weighted sources."""

from dataclasses import dataclass, field, replace
from typing import cast, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import FrontendError
from toolchain.ir import Conv2d, Dense
from toolchain.models import GatedNorm

Floats = NDArray[np.float64]
Pair = tuple[int, int]


@final
@dataclass(frozen=True)
class Sent:
    """What a node of the graph sends: spikes, pooled spikes or the input.

    Attributes:
        node: Name in the graph.
        shape: Of one step.
        spikes: Whether it sends spikes; else graded values.
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
class Branch:
    """One connection into a current: weights on what a node sends."""

    name: str
    source: Sent
    weights: Floats = field(repr=False)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def scaled(self, factor: Floats) -> "Branch":
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
class Current:
    """A sum of connections plus a constant per channel: what a stream carries, before neurons.

    Attributes:
        branches: Connections.
        bias: Constant per channel.
        shape: Of one step.
    """

    branches: tuple[Branch, ...]
    bias: Floats = field(repr=False)
    shape: tuple[int, ...]

    def affine(self, factor: Floats, offset: Floats) -> "Current":
        """Return `factor x + offset` per channel."""
        branches = tuple(branch.scaled(factor) for branch in self.branches)
        return Current(branches, self.bias * factor + offset, self.shape)


def normalised(name: str, module: GatedNorm | nn.BatchNorm1d | nn.BatchNorm2d, value: Current) -> Current:
    """Return a current after batch-norm in evaluation: every branch scaled, the constant shifted."""
    if isinstance(module, GatedNorm):
        factor, offset = (array_of(part) for part in module.affine())
        return value.affine(factor, offset)
    if module.running_mean is None or module.running_var is None:
        raise FrontendError(f"norm '{name}' keeps no running statistics; they are what is folded")
    size = module.num_features
    weight = parameter_of(module, "weight", np.ones(size))
    bias = parameter_of(module, "bias", np.zeros(size))
    factor = weight / np.sqrt(array_of(module.running_var) + module.eps)
    return value.affine(factor, bias - array_of(module.running_mean) * factor)


def selected(value: Current, index: NDArray[np.int64]) -> Current:
    """Return some channels of a current."""
    if any(branch.groups != 1 for branch in value.branches):
        raise FrontendError("channels of a grouped convolution cannot be selected")
    branches = tuple(replace(branch, weights=branch.weights[index]) for branch in value.branches)
    return Current(branches, value.bias[index], (len(index), *value.shape[1:]))


def summed(values: list[Current]) -> Current:
    """Return the sum of currents: the branches of all."""
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        raise FrontendError(f"a sum reads currents of different shapes: {sorted(shapes)}")
    branches = tuple(branch for value in values for branch in value.branches)
    return Current(branches, np.sum([value.bias for value in values], axis=0), values[0].shape)


def composed(name: str, value: Current, module: nn.Conv2d, bias: Floats) -> Current:
    """Return a 1 x 1 convolution of a stream as one convolution per branch.

    A stride of the second is a stride of the product; without padding nothing is lost at the edge.
    """
    kernel, padding = cast("Pair", module.kernel_size), zero_padding(name, module)
    if kernel != (1, 1) or padding != (0, 0) or module.groups != 1:
        raise FrontendError(
            f"convolution '{name}' reads currents: only an unpadded, ungrouped 1x1 convolution of a stream "
            "can be composed with its branches; put Spiking before it"
        )
    matrix = array_of(module.weight)[:, :, 0, 0]
    stride = cast("Pair", module.stride)
    branches: list[Branch] = []
    for branch in value.branches:
        if branch.groups != 1 or branch.weights.ndim != 4:
            raise FrontendError(f"convolution '{name}' cannot be composed with '{branch.name}'")
        weights = np.einsum("on,nikl->oikl", matrix, branch.weights)
        steps = (branch.stride[0] * stride[0], branch.stride[1] * stride[1])
        branches.append(replace(branch, name=f"{branch.name}.{name}", weights=weights, stride=steps))
    rows, columns = (-(-n // s) for n, s in zip(value.shape[1:], stride, strict=True))
    return Current(tuple(branches), matrix @ value.bias + bias, (len(matrix), rows, columns))


def zero_padding(name: str, module: nn.Conv2d) -> Pair:
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


def array_of(tensor: Tensor) -> Floats:
    """Return a tensor as float64, which changes no value."""
    return tensor.detach().cpu().double().numpy()


def parameter_of(module: nn.Module, name: str, otherwise: Floats) -> Floats:
    """Return a parameter that may be absent, such as the bias of `Linear(bias=False)`."""
    tensor = dict(module.named_parameters()).get(name)
    return otherwise if tensor is None else array_of(tensor)

"""From a feed-forward network to a float graph: norms and streams disappear into the connections."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from toolchain import ir
from toolchain.arrays import Pair
from toolchain.errors import FrontendError
from toolchain.frontends.inputs import input_node
from toolchain.frontends.norms import as_float64, composed, normalised, parameter_of, zero_padding
from toolchain.frontends.unsupported import unsupported
from toolchain.ir import AnyNode, Decode, Graph, Origin, Window, verify
from toolchain.ir.currents import Branch, Current, Sent, selected, summed
from toolchain.models import INPUT, Add, FeedForward, GatedNorm, NetworkBlock, Select, Spiking

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


def from_feed_forward(
    network: FeedForward, *, classes: Sequence[str] = (), name: str = "feed_forward"
) -> Graph:
    """Return the float graph of a feed-forward network. Weights become float64.

    Batch-norm goes into weights and bias. A residual stream carries currents, not spikes, so it has no
    node: every layer of neurons receives each branch since the stream began as a connection of its
    own, its norm included. A 1 x 1 convolution of a stream is composed with the branches. The
    classifier becomes integrating neurons that never fire; their last potential is `T` times the score. Of a
    network that is `averaged` they forget at every step, and their mean potential is the score itself.

    Args:
        network: Network; its running statistics are used in either mode.
        classes: Names of the classes.
        name: Name of the graph.

    Raises:
        UnsupportedModuleError: A block without meaning in the graph; names it.
        FrontendError: A block stands where it has no meaning.
        VerifyError: A parameter is not finite.
    """
    graph = _Translator(network, classes).graph(name)
    verify(graph)
    return graph


def check_images(network: FeedForward, example: NDArray[Any] | None) -> None:
    """Raise `FrontendError` unless the example is images or frames of the network's size."""
    if example is not None and (example.ndim not in {4, 5} or example.shape[-3:] != network.shape):
        expected = ", ".join(map(str, network.shape))
        raise FrontendError(
            f"the example must be images [batch, {expected}] or frames [batch, time, {expected}], "
            f"got {list(example.shape)}"
        )


@final
class _Translator:
    def __init__(self, network: FeedForward, classes: Sequence[str]) -> None:
        self.network = network
        self.classes = tuple(classes)
        self.nodes: list[AnyNode] = [input_node(INPUT, network.shape, network.input_code)]
        self.values: dict[str, Sent | Current] = {
            INPUT: Sent(INPUT, network.shape, spikes=network.input_code is None)
        }

    def graph(self, name: str) -> Graph:
        for block in self.network.blocks:
            self.values[block.name] = self._translate(block, self.network.parts[block.name])
        self._read_out(self.network.blocks[-1].name)
        return Graph(tuple(self.nodes), dt_ms=self.network.dt_ms, name=name)

    def _translate(self, block: NetworkBlock, module: nn.Module) -> Sent | Current:
        value = self.values[block.sources[0]]
        match module:
            case nn.Conv2d():
                return self._convolution(block.name, module, value)
            case nn.Linear():
                return self._linear(block.name, module, value)
            case GatedNorm() | nn.BatchNorm1d() | nn.BatchNorm2d():
                return normalised(block.name, module, _current(block, value))
            case Spiking():
                return self._neurons(block.name, module, _current(block, value))
            case nn.MaxPool2d() | nn.AvgPool2d():
                return self._pooling(block, module, _sent(block, value))
            case nn.Flatten():
                return replace(_sent(block, value), flat=True)
            case Select():
                return selected(_current(block, value), module.index.cpu().numpy())
            case Add():
                return summed([_current(block, self.values[name]) for name in block.sources])
            case nn.Identity() | nn.Dropout() | nn.Dropout2d():
                return value
            case _:
                raise unsupported(block.name, module, SUPPORTED)

    def _convolution(self, name: str, module: nn.Conv2d, value: Sent | Current) -> Current:
        weights = as_float64(module.weight)
        bias = parameter_of(module, "bias", np.zeros(len(weights)))
        stride, dilation = cast("Pair", module.stride), cast("Pair", module.dilation)
        padding = zero_padding(name, module)
        if isinstance(value, Current):
            return composed(name, value, module, bias)
        if len(value.features) != 3:
            raise FrontendError(f"convolution '{name}' reads {value.features}, expected an image [C, H, W]")
        branch = Branch(name, value, weights, stride, padding, dilation, module.groups)
        window = Window(_pair(module.kernel_size), stride, padding, dilation)
        rows, columns = window.positions((value.shape[1], value.shape[2]))
        return Current((branch,), bias, (len(weights), rows, columns))

    def _linear(self, name: str, module: nn.Linear, value: Sent | Current) -> Current:
        if isinstance(value, Current):
            raise FrontendError(f"linear layer '{name}' follows another connection; put Spiking in between")
        if value.features != (module.in_features,):
            raise FrontendError(
                f"linear layer '{name}' reads {module.in_features} values, but {list(value.features)} come"
            )
        bias = parameter_of(module, "bias", np.zeros(module.out_features))
        return Current((Branch(name, value, as_float64(module.weight)),), bias, (module.out_features,))

    def _neurons(self, name: str, module: Spiking, value: Current) -> Sent:
        self._population(name, value, module)
        return Sent(name, value.shape, spikes=True)

    def _read_out(self, last: str) -> None:
        value = self.values[last]
        if isinstance(value, Sent):
            raise FrontendError("the network must end in a Linear")
        self._population("readout", value)
        decode = Decode.MEAN_V if self.network.averaged else Decode.LAST_V
        self.nodes.append(ir.Output(name="output", inputs=("readout",), decode=decode, classes=self.classes))

    def _population(self, name: str, value: Current, module: Spiking | None = None) -> None:
        """Add a population of these neurons, or one that never fires, with what it reads."""
        inputs: list[str] = []
        for branch in value.branches:
            # A branch of a stream is read by several layers, each with its own norm folded in.
            unique = branch.name if not _taken(self.nodes, branch.name) else f"{branch.name}.{name}"
            self.nodes.append(branch.node(unique))
            inputs.append(unique)
        bias = value.bias.reshape(-1, *[1] * (len(value.shape) - 1))
        reset = ir.Reset.ZERO if module is None else module.reset
        amount = None if module is None else module.effective_amount
        forgets = 1.0 if self.network.averaged else 0.0
        self.nodes.append(
            ir.Lif(
                name=name,
                inputs=tuple(inputs),
                du=np.ones(value.shape),
                dv=np.full(value.shape, forgets if module is None else module.dv),
                vth=np.full(value.shape, np.inf if module is None else module.vth),
                bias=np.broadcast_to(bias, value.shape),
                origin=Origin.whole(f"parts.{name}", int(np.prod(value.shape))),
                reset=reset,
                reset_amount=None if amount is None else np.full(value.shape, amount),
            )
        )

    def _pooling(self, block: NetworkBlock, module: nn.MaxPool2d | nn.AvgPool2d, value: Sent) -> Sent:
        kernel, stride, padding = _pool_window(block.name, module)
        maximum = isinstance(module, nn.MaxPool2d)
        if maximum and not value.spikes:
            raise FrontendError(
                f"max-pooling '{block.name}' reads values, not spikes; pool after the neurons"
            )
        kind = ir.MaxPool2d if maximum else ir.SumPool2d
        node = kind(name=block.name, inputs=(value.node,), kernel=kernel, stride=stride, padding=padding)
        self.nodes.append(node)
        if len(value.features) != 3:
            raise FrontendError(f"pooling '{block.name}' reads {value.features}, expected an image [C, H, W]")
        rows, columns = node.window.positions((value.shape[1], value.shape[2]))
        factor = value.factor if maximum else value.factor / node.window.area
        return Sent(block.name, (value.shape[0], rows, columns), spikes=maximum, factor=factor)


def _taken(nodes: Sequence[AnyNode], name: str) -> bool:
    return any(node.name == name for node in nodes)


def _sent(block: NetworkBlock, value: Sent | Current) -> Sent:
    if isinstance(value, Current):
        raise FrontendError(f"block '{block.name}' reads currents; put Spiking before it")
    return value


def _current(block: NetworkBlock, value: Sent | Current) -> Current:
    if isinstance(value, Sent):
        raise FrontendError(f"block '{block.name}' reads spikes; put a connection before it")
    return value


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

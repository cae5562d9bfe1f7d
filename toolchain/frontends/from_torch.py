"""From a PyTorch module to a float graph: the only place that knows both."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from toolchain import ir
from toolchain.errors import ArgumentError, FrontendError
from toolchain.frontends.from_feed_forward import check_images, from_feed_forward
from toolchain.frontends.inputs import input_node
from toolchain.frontends.norms import as_float64
from toolchain.frontends.sequential import SUPPORTED, from_sequential
from toolchain.frontends.unsupported import check_module, unsupported
from toolchain.intake import array_of, check_finite
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Origin, verify
from toolchain.ir.matrix import Matrix, columns_of, rows_of, with_values
from toolchain.models.feed_forward import FeedForward
from toolchain.models.network import Network, Readout
from toolchain.models.neurons import CubaLif, MaskedSynapses

_SPARSE_BELOW: Final = 0.5
"""Masked connections of less than this density are stored as CSR."""


def from_torch(
    module: nn.Module,
    example: Tensor | NDArray[Any] | None = None,
    *,
    classes: Sequence[str] = (),
    name: str = "",
) -> Graph:
    """Return the float graph of a module. Weights become float64, which changes no value.

    Args:
        module: A `models.Network`, a `models.FeedForward`, or an `nn.Sequential`, nested or not: of `Linear`,
            `MaskedSynapses` and `CubaLif`, or of convolutions, norms, poolings, `Linear` and `Spiking`,
            ending in a `Linear`.
        example: Samples `[batch, time, channels]`. For a `Sequential` they decide whether the input is
            spikes (only 0 and 1) or graded; their channels are checked against the model.
        classes: Names of the classes.
        name: Name of the graph; by default the module's class.

    Raises:
        UnsupportedModuleError: A layer without meaning in the graph; names its path.
        FrontendError: The parts do not fit each other or the example.
        VerifyError: A parameter is not finite.
    """
    network = as_model(module, example)
    if isinstance(network, FeedForward):
        return from_feed_forward(network, classes=classes, name=name or "feed_forward")
    nodes = [*_inputs(network), *_layers(network), _output(network, classes)]
    graph = Graph(tuple(nodes), dt_ms=network.dt_ms, name=name or type(module).__name__.lower())
    verify(graph)
    return graph


def as_model(module: nn.Module, example: Tensor | NDArray[Any] | None = None) -> Network | FeedForward:
    """Return the module as a network of named parts; a `Network` or `FeedForward` is returned as it is.

    Args:
        module: Model, as `from_torch` takes it.
        example: Samples, as `from_torch` takes them.

    Raises:
        UnsupportedModuleError: A layer without meaning in the graph; names its path.
        FrontendError: The parts do not fit each other or the example.
    """
    check_module(module)
    values = None if example is None else _example(example)
    network = from_sequential(module, values) if isinstance(module, nn.Sequential) else module
    match network:
        case FeedForward():
            check_images(network, values)
        case Network():
            _check_example(network, values)
        case _:
            raise unsupported("(model)", network, SUPPORTED)
    return network


def _example(example: Tensor | NDArray[Any]) -> NDArray[Any]:
    values = array_of(example, "example")
    if values.size == 0:
        raise ArgumentError("example", "at least one sample", f"{list(values.shape)}", "it is empty")
    check_finite(values, "example")
    return values


def _inputs(network: Network) -> list[AnyNode]:
    return [input_node(name, (size,), network.input_code) for name, size in network.inputs.items()]


def _layers(network: Network) -> list[AnyNode]:
    nodes: list[AnyNode] = []
    for name in network.layers:
        arrows = [arrow for arrow in network.connections if arrow.target == name]
        if not arrows:
            raise FrontendError(f"layer '{name}' has no incoming connection")
        bias = np.zeros(network.layer(name).size)
        for arrow in arrows:
            operand = arrow.source
            module = network.synapses[arrow.name]
            steps = arrow.delay + _shared_delay(module)
            if steps:
                operand = f"{arrow.name}.delay"
                nodes.append(_delay(network, arrow.source, operand, steps))
            weights = _weights(arrow.name, module)
            delays = _own_delays(module, weights)
            nodes.append(ir.Dense(name=arrow.name, inputs=(operand,), weights=weights, delays=delays))
            bias += _linear_bias(network.layer(name), arrow.name, module)
        nodes.append(_population(network.layer(name), name, [arrow.name for arrow in arrows], bias))
    return nodes


def _delay(network: Network, source: str, name: str, steps: int) -> ir.Delay:
    if source in network.inputs:
        size, graded = network.inputs[source], network.input_code is not None
    else:
        layer = network.layer(source)
        size, graded = layer.size, layer.max_spikes > 1
    edge = EdgeKind.GRADED if graded else EdgeKind.SPIKE
    return ir.Delay(name=name, inputs=(source,), shape=(size,), edge=edge, steps=steps)


def _shared_delay(module: nn.Module) -> int:
    """Return the one delay of all synapses, in steps; 0 if each has its own."""
    delays = module.delays if isinstance(module, MaskedSynapses) else None
    return int(delays.steps) if delays is not None and delays.is_shared else 0


def _own_delays(module: nn.Module, weights: Matrix) -> Matrix | None:
    """Return the delay of every synapse, stored like its weights; None if none has its own."""
    delays = module.delays if isinstance(module, MaskedSynapses) else None
    if delays is None or delays.is_shared:
        return None
    steps = delays.steps.cpu().numpy()
    return with_values(weights, steps[rows_of(weights), columns_of(weights)])


def _population(layer: CubaLif, name: str, inputs: list[str], bias: NDArray[np.float64]) -> ir.Lif:
    optional = {
        "reset_amount": layer.effective_amount,
        "refractory": layer.refractory,
        "adaptation": layer.adaptation,
        "adaptation_decay": layer.adaptation_decay,
    }
    firing: dict[str, Any] = {
        field: as_float64(values) for field, values in optional.items() if values is not None
    }
    return ir.Lif(
        name=name,
        inputs=tuple(inputs),
        du=as_float64(layer.du),
        dv=as_float64(layer.dv),
        vth=as_float64(layer.vth),
        bias=as_float64(layer.bias) + bias,
        origin=Origin(f"layers.{name}", layer.elements.cpu().numpy()),
        reset=layer.reset,
        max_spikes=layer.max_spikes,
        **firing,
    )


def _output(network: Network, classes: Sequence[str]) -> ir.Output:
    decode = {readout: Decode(readout.value) for readout in Readout}[network.readout]
    return ir.Output(name="output", inputs=(network.output,), decode=decode, classes=tuple(classes))


def _weights(path: str, module: nn.Module) -> Matrix:
    match module:
        case MaskedSynapses():
            weights = as_float64(module.effective)
            if module.mask is None or module.count >= _SPARSE_BELOW * weights.size:
                return weights
            # Built from the mask: a synapse that happens to weigh 0 is still a synapse.
            rows, columns = np.nonzero(module.mask.cpu().numpy())
            return csr_array((weights[rows, columns], (rows, columns)), shape=weights.shape)
        case nn.Linear():
            return as_float64(module.weight)
        case _:
            raise unsupported(f"synapses.{path}", module, ("MaskedSynapses", "Linear"))


def _linear_bias(layer: CubaLif, path: str, module: nn.Module) -> NDArray[np.float64]:
    """Return the bias of a Linear as one of the potential, which it is without a current filter."""
    bias = getattr(module, "bias", None) if isinstance(module, nn.Linear) else None
    if bias is None:
        return np.zeros(layer.size)
    if not bool((layer.du == 1).all()):
        raise FrontendError(
            f"connection '{path}' has a bias in front of a current filter (du < 1), which no neuron register "
            "holds; use Linear(bias=False) and the bias of the neurons"
        )
    return as_float64(bias)


def _check_example(network: Network, example: NDArray[Any] | None) -> None:
    if example is None or len(network.inputs) != 1:
        return
    (channels,) = network.inputs.values()
    if example.ndim != 3 or example.shape[2] != channels:
        raise FrontendError(
            f"the example must be [batch, time, {channels}] for this model, got {list(example.shape)}"
        )

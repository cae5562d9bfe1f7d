"""The same network and weights in float32, with the neurons of other libraries, each at its best.

Convolutions and products are those of PyTorch for all libraries: over all steps at once where nothing feeds
back, in the fastest memory format. Only the neuron belongs to the library. Neurons keep no current, since
that is the neuron that all libraries have: `v <- beta v + a`, a spike above the threshold, reset to zero.
"""

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from targets.emulator.compiled.items import CompiledPopulation, PooledNode, name_of
from targets.emulator.compiled.network import CompiledNetwork
from toolchain import ir
from toolchain.fixedpoint import DECAY_UNITY
from toolchain.ir import Graph
from toolchain.ir.matrix import Matrix


class Cell(Protocol):
    """The neurons of one population."""

    def reset(self) -> None:
        """Return to rest."""

    def step(self, a: Tensor) -> Tensor:
        """Return the spikes of one step, `[batch, ...]`."""
        ...

    def run(self, a: Tensor) -> Tensor:
        """Return the spikes of all steps, `[steps, batch, ...]`."""
        ...


MakeCell = Callable[[Any, Any, Any], Cell]
"""From keep (beta), threshold and the share of the input that the library lets in."""


class Stepped(ABC):
    """A cell that is stepped."""

    def reset(self) -> None:
        self.v: Any = None

    @abstractmethod
    def step(self, a: Tensor) -> Tensor: ...

    def run(self, a: Tensor) -> Tensor:
        self.reset()
        return torch.stack([self.step(part) for part in a])


class PlainCell(Stepped):
    """PyTorch alone."""

    def __init__(self, keep: Any, threshold: Any) -> None:
        self.keep, self.threshold = keep, threshold
        self.reset()

    def step(self, a: Tensor) -> Tensor:
        v = a if self.v is None else torch.addcmul(a, self.v, self.keep)
        spikes = v > self.threshold
        self.v = v.masked_fill(spikes, 0.0)
        return spikes.float()


class SnnTorchCell(Stepped):
    def __init__(self, keep: Any, threshold: Any) -> None:
        library = importlib.import_module("snntorch")
        self.cell = library.Leaky(beta=keep, threshold=threshold, reset_mechanism="zero", reset_delay=False)
        self.reset()

    def step(self, a: Tensor) -> Tensor:
        if self.v is None:
            self.v = torch.zeros_like(a)
        spikes, self.v = self.cell(a, self.v)
        return spikes


class NorseCell(Stepped):
    def __init__(self, keep: Any, threshold: Any) -> None:
        self.box: Any = importlib.import_module("norse.torch.functional.lif_box")
        zero = torch.zeros(())
        self.parameters = self.box.LIFBoxParameters(
            tau_mem_inv=1 - keep, v_leak=zero, v_th=threshold, v_reset=zero
        )
        # Norse scales what comes in by the leak; its users would have it in the weights.
        self.gain = 1 / (1 - keep)
        self.reset()

    def step(self, a: Tensor) -> Tensor:
        if self.v is None:
            self.v = self.box.LIFBoxFeedForwardState(v=torch.zeros_like(a))
        spikes, self.v = self.box.lif_box_feed_forward_step(a, self.v, self.parameters, dt=1.0)
        return spikes


class SpikingJellyCell:
    def __init__(self, keep: Any, threshold: Any) -> None:
        neuron: Any = importlib.import_module("spikingjelly.activation_based.neuron")
        make = lambda mode: neuron.LIFNode(  # noqa: E731
            tau=1 / (1 - float(keep.flatten()[0])),
            decay_input=False,
            v_threshold=float(threshold.flatten()[0]),
            step_mode=mode,
        ).eval()
        if keep.unique().numel() + threshold.unique().numel() > 2:
            raise ValueError("expected one time constant and one threshold per layer")
        self.single, self.multiple = make("s"), make("m")

    def reset(self) -> None:
        self.single.reset()

    def step(self, a: Tensor) -> Tensor:
        return self.single(a)

    def run(self, a: Tensor) -> Tensor:
        self.multiple.reset()
        return self.multiple(a)


class SinabsCell:
    def __init__(self, keep: Any, threshold: Any) -> None:
        layers: Any = importlib.import_module("sinabs.layers")
        activation: Any = importlib.import_module("sinabs.activation")
        self.cell = layers.LIF(
            tau_mem=-1 / torch.log(keep),
            spike_threshold=threshold,
            spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneReset(),
            norm_input=False,
        )

    def reset(self) -> None:
        self.cell.reset_states()

    def step(self, a: Tensor) -> Tensor:
        return self.cell(a[:, None])[:, 0]

    def run(self, a: Tensor) -> Tensor:
        self.reset()
        return self.cell(a.transpose(0, 1)).transpose(0, 1)


PEERS: dict[str, Any] = {
    "PyTorch": PlainCell,
    "snnTorch": SnnTorchCell,
    "SpikingJelly": SpikingJellyCell,
    "Norse": NorseCell,
    "sinabs": SinabsCell,
}
_MODULES = {"snnTorch": "snntorch", "SpikingJelly": "spikingjelly", "Norse": "norse", "sinabs": "sinabs"}


def installed_peers() -> list[str]:
    """Return the libraries that are installed."""
    return [name for name in PEERS if name not in _MODULES or importlib.util.find_spec(_MODULES[name])]


class FloatNetwork:
    """A fixed graph in float32 with the neurons of a library.

    Args:
        graph: A graph whose populations forget their current at once.
        make: Cell of the library.
        sparse: Whether recurrent matrices are multiplied as CSR.
    """

    def __init__(self, graph: Graph, make: Any, *, sparse: bool = False) -> None:
        self.graph = graph
        self.groups = CompiledNetwork.of(graph).groups
        self.sparse = sparse
        self.cells, self.gains, self.biases = {}, {}, {}
        for node in graph.populations:
            assert isinstance(node, ir.FixedLif)
            assert (node.du == DECAY_UNITY - 1).all(), "the neurons of the libraries have no current"
            keep = torch.from_numpy(1 - node.dv / DECAY_UNITY).float()
            threshold = torch.from_numpy(node.vth.astype("float32"))
            if keep.unique().numel() == 1:
                keep = keep.flatten()[0]
            if threshold.unique().numel() == 1:
                threshold = threshold.flatten()[0]
            self.cells[node.name] = make(keep, threshold)
            self.gains[node.name] = getattr(self.cells[node.name], "gain", None)
            bias = torch.from_numpy(node.bias / 64).float()
            self.biases[node.name] = bias if bias.any() else None
        self.weights = {node.name: self._weights(node) for node in graph.synapses}

    def _weights(self, node: Any) -> Tensor:
        (reader,) = self.graph.readers(node.name)
        gain = self.gains[reader.name]
        matrix: Matrix = node.weights
        whole = matrix.toarray() if isinstance(matrix, csr_array) else matrix
        weights = torch.from_numpy(whole * 2.0**node.exponent).float()
        if gain is not None:
            scale = gain if gain.ndim == 0 else gain.reshape(len(weights), -1)[:, :1]
            weights = (weights.flatten(1) * scale).reshape(weights.shape)
        if isinstance(node, ir.FixedConv2d):
            return weights.contiguous(memory_format=torch.channels_last)
        if self.sparse and isinstance(matrix, csr_array):
            return weights.to_sparse_csr()
        return weights.T.contiguous()

    @torch.inference_mode()
    def run(self, x: Tensor) -> dict[str, Tensor]:
        """Return the spikes `[steps, batch, ...]` of every population; `x` is `[steps, batch, ...]`."""
        sent: dict[str, Tensor] = {}
        for group in self.groups:
            if group.stride is not None:
                (item,) = group.items
                sent[name_of(item)] = self._loop(item, sent)
                continue
            for item in group.items:
                match item:
                    case ir.Input():
                        sent[item.name] = x
                    case PooledNode():
                        node = item.node
                        over = (sent[item.source].flatten(0, 1), node.kernel, node.stride, node.padding)
                        pooled = (
                            functional.max_pool2d(*over)
                            if isinstance(node, ir.MaxPool2d)
                            else functional.avg_pool2d(*over, divisor_override=1)
                        )
                        sent[node.name] = pooled.unflatten(0, x.shape[:2])
                    case CompiledPopulation():
                        a = self._currents(item.node, sent)
                        sent[item.node.name] = self.cells[item.node.name].run(a)
        return sent

    def _currents(self, node: Any, sent: dict[str, Tensor], without: str = "") -> Tensor:
        total: Any = self.biases[node.name]
        for name in node.inputs:
            source, _ = self.graph.source(self.graph[name].inputs[0])
            if source.name == without:
                continue
            part = self._conduct(self.graph[name], sent[source.name])
            total = part if total is None else part + total
        return total

    def _conduct(self, node: Any, x: Tensor) -> Tensor:
        weights = self.weights[node.name]
        match node:
            case ir.FixedConv2d():
                images = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
                y = functional.conv2d(
                    images, weights, None, node.stride, node.padding, node.dilation, node.groups
                )
                return y.unflatten(0, x.shape[:2])
            case ir.FixedDense():
                return x.flatten(2) @ weights
            case _:
                raise node.fail("is no operation of the benchmark")

    def _loop(self, item: Any, sent: dict[str, Tensor]) -> Tensor:
        """One population that feeds itself, one step late."""
        node = item.node
        drive = self._currents(node, sent, without=node.name)
        weights = next(
            self.weights[name]
            for name in node.inputs
            if isinstance(self.graph[self.graph[name].inputs[0]], ir.Delay)
        )
        cell = self.cells[node.name]
        cell.reset()
        spikes, fired = torch.zeros_like(drive[0]), []
        for a in drive:
            fed = (weights @ spikes.T).T if weights.layout is torch.sparse_csr else spikes @ weights
            spikes = cell.step(a + fed)
            fired.append(spikes)
        return torch.stack(fired)

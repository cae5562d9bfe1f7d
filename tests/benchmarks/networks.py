"""Networks to be timed: integers, with thresholds set so that they spike at a wanted rate."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from targets.emulator.target import EmulatorTarget
from tests.benchmarks.test_image_speed import calibrated
from tests.graphs import fixed_lif
from toolchain import ir
from toolchain.arrays import Array
from toolchain.fixedpoint import THRESHOLD_MAX, SignMode
from toolchain.ir import AnyNode, Decode, Graph, Origin
from toolchain.models import PreResNetShape, build_preresnet
from toolchain.workflow.compile import compile_module

_PIXEL_RATE = 0.3
_TRIAL_SAMPLES, _TRIAL_STEPS = 2, 24


def recurrent(
    neurons: int = 1024,
    density: float = 0.05,
    *,
    channels: int = 64,
    mixed: bool = False,
    decoded: int | None = None,
) -> Graph:
    """Sparse recurrent neurons behind a dense input, and a read-out of ten; time constants mixed or equal.

    The read-out reads all neurons, or the first so many.
    """
    rng = np.random.default_rng(0)
    synapses = int(density * neurons**2)
    places = rng.choice(neurons**2, synapses, replace=False)
    values = rng.integers(1, 101, synapses) * 2 * rng.choice([-1, 1], synapses)
    recurrence = csr_array((values, np.divmod(places, neurons)), shape=(neurons, neurons))
    read = neurons if decoded is None else decoded
    dv = np.rint(4096 / rng.gamma(3.0, 5.0, neurons).clip(2, 100)).astype(int) if mixed else 512
    return Graph(
        (
            ir.Input(name="x", shape=(channels,)),
            _dense("encode", "x", rng.integers(-60, 101, (neurons, channels)) * 2),
            ir.Delay(name="back", inputs=("hidden",), shape=(neurons,)),
            _dense("recur", "back", recurrence),
            fixed_lif("hidden", ("encode", "recur"), neurons, dv=dv),
            _dense(
                "decode", "hidden", rng.integers(-60, 61, (10, neurons)) * 2 * (np.arange(neurons) < read)
            ),
            fixed_lif("readout", ("decode",), 10, vth=THRESHOLD_MAX),
            ir.Output(name="output", inputs=("readout",), decode=Decode.MEAN_V),
        )
    )


def convolution(channels: int = 64, side: int = 32) -> Graph:
    """One convolution and its neurons."""
    shape = (channels, side, side)
    nodes = (ir.Input(name="x", shape=shape), *_convolved("c", "x", channels, shape))
    return Graph((*nodes, ir.Output(name="output", inputs=("c-neurons",), decode=Decode.NONE)))


def vgg() -> Graph:
    """Six convolutions over 32 x 32 pixels, three maxima, a read-out of ten.

    Never more than 127 channels: Lava's own model of a convolution cannot count further.
    """
    return _vgg((64, 64, 96, 96, 120, 120), (1, 3, 5))


def vgg16() -> Graph:
    """The thirteen convolutions of VGG16 over 32 x 32 pixels, five maxima, a read-out of ten."""
    plan = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    return _vgg(plan, (1, 3, 6, 9, 12))


def _vgg(plan: tuple[int, ...], pooled: tuple[int, ...]) -> Graph:
    """Convolutions of so many channels; a maximum after some of them; a read-out of ten."""
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(3, 32, 32))]
    source, shape = "x", (3, 32, 32)
    for i, channels in enumerate(plan):
        nodes += _convolved(f"c{i}", source, channels, shape)
        source, shape = f"c{i}-neurons", (channels, *shape[1:])
        if i in pooled:
            nodes.append(ir.MaxPool2d(name=f"pool{i}", inputs=(source,), kernel=(2, 2), stride=(2, 2)))
            source, shape = f"pool{i}", (channels, shape[1] // 2, shape[2] // 2)
    weights = np.random.default_rng(1).integers(-60, 61, (10, int(np.prod(shape)))) * 2
    nodes += [
        _dense("decode", source, weights),
        fixed_lif("readout", ("decode",), 10, vth=THRESHOLD_MAX),
        ir.Output(name="output", inputs=("readout",), decode=Decode.MEAN_V),
    ]
    return Graph(tuple(nodes))


def preresnet() -> Graph:
    """PreResNet18 over 32 x 32 pixels, compiled from PyTorch."""
    network, picture = calibrated(build_preresnet(PreResNetShape(), torch.Generator().manual_seed(0)))
    return compile_module(network, picture).fixed_graph


def stimulus(graph: Graph, samples: int, steps: int) -> Array:
    """Random spikes, or random pictures for a graded input."""
    (node,) = graph.inputs
    rng = np.random.default_rng(7)
    if node.bits > 1:
        return np.repeat(rng.random((samples, 1, *node.shape)), steps, axis=1)
    # As many input spikes at every step, however many channels.
    rate = 8 / node.shape[0] if len(node.shape) == 1 else _PIXEL_RATE
    return rng.random((samples, steps, *node.shape)) < rate


def at_rate(graph: Graph, rate: float) -> Graph:
    """Return the graph with one threshold per population such that its share of spikes is near `rate`."""
    x = stimulus(graph, _TRIAL_SAMPLES, _TRIAL_STEPS)
    read = {node.inputs[0] for node in graph.outputs if node.reads_potential}
    for population in graph.populations:
        if population.name in read:
            continue
        lowest, highest = 1, THRESHOLD_MAX
        while highest - lowest > max(1, lowest // 50):
            middle = (lowest + highest) // 2
            graph = _with_threshold(graph, population.name, middle)
            measured = EmulatorTarget().build(graph).run(x).spikes[population.name].mean()
            lowest, highest = (middle, highest) if measured > rate else (lowest, middle)
    return graph


def measured_rate(graph: Graph) -> float:
    """Share of spikes over all spiking populations."""
    trace = EmulatorTarget().build(graph).run(stimulus(graph, _TRIAL_SAMPLES, _TRIAL_STEPS))
    spikes = [values for name, values in trace.spikes.items() if name != "readout"]
    return sum(int(values.sum()) for values in spikes) / sum(values.size for values in spikes)


NETWORKS: dict[str, Callable[[], Graph]] = {
    "recurrent 1024, 5 %": recurrent,
    "HRSNN 5000, 2 %": lambda: recurrent(5000, 0.02, mixed=True),
    "conv 64-64, 32x32": convolution,
    "VGG, 32x32": vgg,
    "PreResNet18, 32x32": preresnet,
}
"""What is timed side by side, by name."""


def _with_threshold(graph: Graph, name: str, threshold: int) -> Graph:
    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.FixedLif) and node.name == name:
            return replace(node, vth=np.full(node.vth.shape, threshold, np.int32))
        return node

    return graph.map(change)


def _dense(name: str, source: str, weights: Any) -> ir.FixedDense:
    return ir.FixedDense(name=name, inputs=(source,), weights=weights, exponent=0, sign_mode=SignMode.MIXED)


def _convolved(name: str, source: str, channels: int, shape: tuple[int, ...]) -> list[AnyNode]:
    """A convolution of 3 x 3 and neurons that keep no current."""
    rng = np.random.default_rng([len(name), channels, *shape])
    weights = rng.integers(-100, 101, (channels, shape[0], 3, 3), np.int32) * 2
    extent = (channels, *shape[1:])
    registers = {"du": 4095, "dv": 512, "vth": 500, "bias_mantissa": 0, "bias_exponent": 0}
    arrays: dict[str, Any] = {field: np.full(extent, value, np.int32) for field, value in registers.items()}
    return [
        ir.FixedConv2d(
            name=name, inputs=(source,), weights=weights, exponent=0, sign_mode=SignMode.MIXED, padding=(1, 1)
        ),
        ir.FixedLif(
            name=f"{name}-neurons",
            inputs=(name,),
            scale=np.ones(extent),
            origin=Origin.whole(name, int(np.prod(extent))),
            **arrays,
        ),
    ]

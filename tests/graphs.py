"""Small named graphs, and the parts of them, used by many tests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import ir
from toolchain.fixedpoint import NeuronState, SignMode
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Origin
from toolchain.reset import Reset


def lif(name: str, inputs: tuple[str, ...], size: int, **changes: Any) -> ir.Lif:
    """A population with slow potentials; every parameter can be changed."""
    parameters: dict[str, Any] = {"du": 1.0, "dv": 0.25, "vth": 1.0, "bias": 0.0} | changes
    arrays: dict[str, Any] = {
        key: value if isinstance(value, Reset) or key == "max_spikes" else np.broadcast_to(value, (size,))
        for key, value in parameters.items()
    }
    return ir.Lif(name=name, inputs=inputs, origin=Origin.whole(f"layers.{name}", size), **arrays)


def fixed_lif(name: str, inputs: tuple[str, ...], size: int, **changes: Any) -> ir.FixedLif:
    parameters: dict[str, Any] = {
        "du": 4095,
        "dv": 1024,
        "vth": 100,
        "bias_mantissa": 0,
        "bias_exponent": 0,
    } | changes
    arrays: dict[str, Any] = {
        key: value if isinstance(value, Reset) or key == "max_spikes" else np.broadcast_to(value, (size,))
        for key, value in parameters.items()
    }
    return ir.FixedLif(
        name=name, inputs=inputs, scale=np.ones(size), origin=Origin.whole(f"layers.{name}", size), **arrays
    )


def rest_with(u: NDArray[np.int32], v: NDArray[np.int32], **others: NDArray[np.int32]) -> NeuronState:
    """A state with these currents and potentials; what is not given is zero."""
    zero = np.zeros_like(u)
    return NeuronState(**{"u": u, "v": v, "wait": zero, "rise": zero} | others)


@dataclass(frozen=True)
class Registers:
    """Parameters of neurons as `fixedpoint.lif_step` takes them, of any values."""

    du: NDArray[np.int32]
    dv: NDArray[np.int32]
    vth: NDArray[np.int32]
    bias: NDArray[np.int32]
    reset: Reset = Reset.ZERO
    reset_amount: NDArray[np.int32] | None = None
    refractory: NDArray[np.int32] | None = None
    adaptation: NDArray[np.int32] | None = None
    adaptation_decay: NDArray[np.int32] | None = None
    max_spikes: int = 1


def dense(name: str, source: str, weights: Any, **changes: Any) -> ir.Dense:
    return ir.Dense(name=name, inputs=(source,), weights=weights, **changes)


def fixed_dense(name: str, source: str, weights: Any, **changes: Any) -> ir.FixedDense:
    """Integer synapses of both signs; every field can be changed."""
    options: dict[str, Any] = {"exponent": 0, "sign_mode": SignMode.MIXED} | changes
    return ir.FixedDense(name=name, inputs=(source,), weights=weights, **options)


def chain(*nodes: AnyNode, decode: Decode = Decode.SPIKE_COUNT, **entry: Any) -> Graph:
    """The nodes between an input `x`, whose fields `entry` may change, and an output of the last node."""
    output = ir.Output(name="o", inputs=(nodes[-1].name,), decode=decode)
    fields: dict[str, Any] = {"shape": (1,)} | entry
    return Graph((ir.Input(name="x", **fields), *nodes, output))


Links = dict[str, tuple[str, str, int]]
"""By the name of a connection: its source, its target, and the steps that it waits; 0 for no delay."""


def wired(
    sizes: dict[str, int],
    links: Links,
    *,
    channels: int = 1,
    weights: Callable[[tuple[int, int]], Any] = np.ones,
    delays: Callable[[tuple[int, int]], Any] | None = None,
) -> Graph:
    """Populations in the order in which they stand, wired to one another and to the input `x`."""
    width = sizes | {"x": channels}
    nodes: list[AnyNode] = []
    for population, neurons in sizes.items():
        incoming = {name: link for name, link in links.items() if link[1] == population}
        for name, (source, _, steps) in incoming.items():
            shape = (neurons, width[source])
            if steps:
                nodes.append(ir.Delay(name=f"{name}-d", inputs=(source,), shape=shape[1:], steps=steps))
            own = None if delays is None else delays(shape)
            nodes.append(dense(name, f"{name}-d" if steps else source, weights(shape), delays=own))
        nodes.append(lif(population, tuple(incoming), neurons))
    return chain(*nodes, shape=(channels,))


def feed_forward() -> Graph:
    """Two inputs, three neurons, a read-out of two."""
    return Graph(
        (
            ir.Input(name="x", shape=(2,)),
            dense("encode", "x", np.array([[1.5, -0.5], [0.3, 0.9], [-1.0, 2.0]])),
            lif("hidden", ("encode",), 3),
            dense("decode", "hidden", np.array([[1.0, -1.0, 0.5], [-0.5, 1.0, 0.25]])),
            lif("readout", ("decode",), 2, vth=np.inf, dv=0.1),
            ir.Output(name="output", inputs=("readout",), decode=Decode.LAST_V),
        ),
        name="feed-forward",
    )


def recurrent(
    rng: np.random.Generator, *, neurons: int = 12, channels: int = 6, density: float = 0.4
) -> Graph:
    """A heterogeneous recurrent network with a skip connection, CSR where it recurs."""
    weights = rng.normal(size=(neurons, neurons)) * (rng.random((neurons, neurons)) < density)
    dv = rng.uniform(0.02, 0.6, neurons)
    return Graph(
        (
            ir.Input(name="x", shape=(channels,)),
            dense("encode", "x", rng.normal(size=(neurons, channels)) * 2),
            ir.Delay(name="wait", inputs=("hidden",), shape=(neurons,), steps=1),
            dense("recur", "wait", csr_array(weights)),
            lif("hidden", ("encode", "recur"), neurons, dv=dv, du=rng.uniform(0.3, 1.0, neurons), vth=1 / dv),
            dense("decode", "hidden", rng.normal(size=(3, neurons))),
            dense("skip", "x", rng.normal(size=(3, channels))),
            lif("readout", ("decode", "skip"), 3, vth=np.inf, dv=0.05),
            ir.Output(name="output", inputs=("readout",), decode=Decode.MEAN_V, classes=("a", "b", "c")),
        ),
        name="recurrent",
    )


def spikes(rng: np.random.Generator, *shape: int, rate: float = 0.4) -> NDArray[np.bool_]:
    return rng.random(shape) < rate


def varied(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph with delays that differ per neuron, long enough to wait for, and a graded input."""

    def change(node: AnyNode) -> AnyNode:
        if isinstance(node, ir.Delay):
            return replace(node, steps=rng.integers(2, 6, node.shape))
        return replace(node, edge=EdgeKind.GRADED, scale=8.0, bits=5) if isinstance(node, ir.Input) else node

    return graph.map(change)


def union(graphs: list[Graph]) -> Graph:
    """One graph of independent parts; part `i` has names that begin with `g<i>-`."""
    nodes: list[AnyNode] = []
    for i, graph in enumerate(graphs):
        for node in graph:
            inputs = tuple(f"g{i}-{name}" for name in node.inputs)
            nodes.append(replace(node, name=f"g{i}-{node.name}", inputs=inputs))
    return Graph(tuple(nodes), name="union")

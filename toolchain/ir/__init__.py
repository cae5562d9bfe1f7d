"""The intermediate representation: what a spiking network is, in real numbers and in integers.

A `Graph` is a tuple of nodes in the order in which they run. Its float form computes in real numbers
(`Dense`, `Conv2d`, `Lif`), its fixed form in the integers of the chip (`FixedDense`, `FixedConv2d`,
`FixedLif`); `Input`, `Delay`, `Output` and the poolings are the same in both. What every operation means,
step by step, is `toolchain.execution.reference`.

>>> import numpy as np
>>> from toolchain import ir
>>> ones = np.ones(2)
>>> graph = ir.Graph(
...     (
...         ir.Input(name="x", shape=(3,)),
...         ir.Dense(name="w", inputs=("x",), weights=np.eye(2, 3)),
...         ir.Lif(name="p", inputs=("w",), du=ones, dv=ones / 4, vth=ones, bias=0 * ones,
...                origin=ir.Origin.whole("p", 2)),
...         ir.Output(name="o", inputs=("p",), decode=ir.Decode.SPIKE_COUNT),
...     )
... )
>>> ir.verify(graph)
>>> str(graph.types["w"])
'current[2]'
"""

from toolchain.ir.fixed import FixedConv2d, FixedDense, FixedLif
from toolchain.ir.graph import AnyNode, Graph, Pooling, Population, Stage, Synapses, same_node, same_structure
from toolchain.ir.matrix import Matrix
from toolchain.ir.neurons import Lif
from toolchain.ir.node import Node
from toolchain.ir.pooling import MaxPool2d, SumPool2d
from toolchain.ir.printer import print_graph
from toolchain.ir.routing import Delay, Input, Output
from toolchain.ir.store import GRAPH_FILES, graph_document, graph_from, load_graph, save_graph
from toolchain.ir.synapses import Conv2d, Dense
from toolchain.ir.types import Decode, EdgeKind, Origin, ValueType
from toolchain.ir.verify import verify
from toolchain.ir.windows import Window
from toolchain.reset import Reset

__all__ = [
    "GRAPH_FILES",
    "AnyNode",
    "Conv2d",
    "Decode",
    "Delay",
    "Dense",
    "EdgeKind",
    "FixedConv2d",
    "FixedDense",
    "FixedLif",
    "Graph",
    "Input",
    "Lif",
    "Matrix",
    "MaxPool2d",
    "Node",
    "Origin",
    "Output",
    "Pooling",
    "Population",
    "Reset",
    "Stage",
    "SumPool2d",
    "Synapses",
    "ValueType",
    "Window",
    "graph_document",
    "graph_from",
    "load_graph",
    "print_graph",
    "same_node",
    "same_structure",
    "save_graph",
    "verify",
]

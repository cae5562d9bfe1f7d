"""The intermediate representation: what a spiking network is, in real numbers and in integers."""

from toolchain.ir.fixed import FixedDense, FixedLif
from toolchain.ir.graph import AnyNode, Graph, Population, Stage, Synapses, same_structure
from toolchain.ir.matrix import Matrix
from toolchain.ir.neurons import Lif
from toolchain.ir.node import Node
from toolchain.ir.printer import print_graph
from toolchain.ir.routing import Delay, Input, Output
from toolchain.ir.store import load_graph, save_graph
from toolchain.ir.synapses import Dense
from toolchain.ir.types import Decode, EdgeKind, Origin, ValueType
from toolchain.ir.verify import verify

__all__ = [
    "AnyNode",
    "Decode",
    "Delay",
    "Dense",
    "EdgeKind",
    "FixedDense",
    "FixedLif",
    "Graph",
    "Input",
    "Lif",
    "Matrix",
    "Node",
    "Origin",
    "Output",
    "Population",
    "Stage",
    "Synapses",
    "ValueType",
    "load_graph",
    "print_graph",
    "same_structure",
    "save_graph",
    "verify",
]

"""What a run of a graph computes with, and what it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from toolchain import ir
from toolchain.ir import Graph
from toolchain.training.graph_connection import TrainedConnection
from toolchain.training.neuron_update import NeuronUpdate


@final
@dataclass(frozen=True)
class GraphParts:
    """The parts of a graph in one forward run, by the names of its nodes.

    Attributes:
        graph: Float graph.
        connections: Connections with their weights.
        neurons: Updates of the populations.
        biases: Their biases in the units of the potential, of a shape that fits the population's.
        shown: Populations whose potentials are asked for.
        records: Whether the currents of these are asked for, too.
    """

    graph: Graph
    connections: Mapping[str, TrainedConnection]
    neurons: Mapping[str, NeuronUpdate]
    biases: Mapping[str, Tensor]
    shown: frozenset[str]
    records: bool

    @property
    def populations(self) -> tuple[ir.Lif, ...]:
        """The populations, in order."""
        return tuple(node for node in self.graph if isinstance(node, ir.Lif))


@final
@dataclass(frozen=True)
class GraphActivity:
    """What nodes did over all steps, `[batch, time, *features]` by name.

    Attributes:
        sent: What they sent: values that entered, spikes, or what a pooling or delay made of them.
        v: Potentials of populations after the reset, where they were asked for.
        u: Currents of populations, where they were asked for.
    """

    sent: dict[str, Tensor]
    v: dict[str, Tensor]
    u: dict[str, Tensor]

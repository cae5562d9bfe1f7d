"""From a verified graph of integers to one header and one source of C99, and a program that compares them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from targets.c.connections import ConnectionCode, connect
from targets.c.declared import CAPABILITIES
from targets.c.description import describe_connection, describe_sender, memory_map
from targets.c.layout import Arrival, Sender, SourceLayout, Way, lay_out
from targets.c.memory import Member, index_type, state_members
from targets.c.names import comment, identifiers, prefix_of
from targets.c.neurons import PopulationNumbers
from targets.c.tables import ConstTable
from toolchain import ir
from toolchain.ir import Decode, Graph
from toolchain.target.acceptance import check_graph

_MEANINGS: Final = {
    Decode.SPIKE_COUNT: "the most spikes",
    Decode.SPIKE_RATE: "the most spikes",
    Decode.LAST_V: "the largest potential after the last step",
    Decode.MEAN_V: "the largest mean potential",
    Decode.MAX_V: "the largest potential of all steps",
}


@final
@dataclass(frozen=True)
class ArrivalCode:
    """Messages that arrive, as a template writes them: see `Arrival`; `list` is the list of their delay."""

    connection: ConnectionCode
    sender: Sender
    name: str
    steps: int
    way: str
    list: int


@final
@dataclass(frozen=True)
class Turn:
    """What a population or pooling does in a step, as a template writes it."""

    name: str
    describes: str
    sender: Sender
    arrivals: tuple[ArrivalCode, ...]
    numbers: PopulationNumbers | None

    @property
    def reads_input(self) -> bool:
        """Whether it reads what entered in this step."""
        return any(each.sender.is_input and not each.steps for each in self.arrivals)

    @property
    def rests(self) -> bool:
        """Whether nothing changes without input once all is zero."""
        return not any(each.way == Way.ALL.value for each in self.arrivals) and (
            self.numbers is None or self.numbers.rests
        )


@final
@dataclass(frozen=True)
class End:
    """An input or output, as a template writes it."""

    name: str
    title: str
    sender: Sender
    source: str
    node: ir.Input | ir.Output
    unequal: bool = False

    @property
    def scale(self) -> str:
        """Integers per unit of a graded input."""
        return repr(float(self.node.scale)) if isinstance(self.node, ir.Input) else ""

    @property
    def order(self) -> str:
        """How the elements of an image are numbered."""
        if not self.sender.is_image:
            return ""
        _, height, width = self.sender.shape
        return f"; pixels by channel, row and column: column + {width} * (row + {height} * channel)"

    @property
    def checked(self) -> bool:
        """Whether the type of what enters also holds numbers that must not."""
        if self.sender.values:
            number = np.iinfo(self.sender.values.removesuffix("_t"))
            return self.sender.limit < number.max or number.min < -self.sender.limit
        return self.sender.size not in {2**8, 2**16, 2**32}

    @property
    def decode(self) -> str:
        """What is read of an output."""
        return self.node.decode.value if isinstance(self.node, ir.Output) else ""

    @property
    def meaning(self) -> str:
        """Which neuron is the answer."""
        return _MEANINGS.get(self.node.decode, "") if isinstance(self.node, ir.Output) else ""

    @property
    def classes(self) -> str:
        """Names of the classes."""
        names = self.node.classes if isinstance(self.node, ir.Output) else ()
        return comment(", ".join(names))

    @property
    def why_not(self) -> str:
        """Why no class is decoded; empty if one is, or if the network has none."""
        node = self.node
        if not isinstance(node, ir.Output) or node.decode is Decode.NONE:
            return ""
        if node.weights is not None:
            return "its read-out has real weights, and these are integers only"
        if self.sender.is_image:
            return "its neurons are feature maps"
        return "its neurons measure potentials in different units" if self.unequal else ""

    @property
    def decodes(self) -> bool:
        """Whether a class is decoded."""
        return self.decode not in {"", Decode.NONE.value} and not self.why_not


@final
class NetworkCode:
    """A network as C.

    Args:
        graph: A fixed graph.

    Raises:
        VerifyError: It is not well formed.
        TargetError: It holds real numbers, or more than a compiler can take.
    """

    def __init__(self, graph: Graph) -> None:
        check_graph(graph, CAPABILITIES)
        self.graph = graph
        self.prefix = prefix_of(graph.name)
        self.names = identifiers(node.name for node in graph)
        self.layout: SourceLayout = lay_out(graph)
        self.connections = connect(self.layout, self.names)
        self.populations = {
            node.name: PopulationNumbers(
                self.names[node.name],
                node,
                self.layout.senders[node.name],
                self._always_fed(node.name),
                self._reach(node.name),
            )
            for node in graph
            if isinstance(node, ir.FixedLif)
        }
        CAPABILITIES.check_size(graph, self.table_bytes)

    def _always_fed(self, name: str) -> bool:
        """Return whether a population or pooling gets whole arrays of values, which come in every step."""
        return any(each.way is Way.ALL for each in self.layout.arrivals[name])

    def _reach(self, name: str) -> int:
        """Return the largest magnitude of what may arrive at a population in a step."""
        read = dict.fromkeys(arrival.node.name for arrival in self.layout.arrivals[name])
        return sum(self.connections[each].reach for each in read)

    @cached_property
    def tables(self) -> list[ConstTable]:
        """All constant tables."""
        return [
            *(table for each in self.connections.values() for table in each.tables),
            *(table for each in self.populations.values() for table in each.tables),
        ]

    @property
    def table_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(table.bytes for table in self.tables)

    @cached_property
    def members(self) -> list[Member]:
        """Members of the state."""
        return state_members(
            self.layout, self.names, self.populations.values(), self.connections, self.graph.outputs
        )

    @property
    def state_bytes(self) -> int:
        """Bytes of the state, its end included, where numbers are aligned to their size."""
        size = sum(member.bytes for member in self.members)
        widest = max(member.width for member in self.members)
        return -(-size // widest) * widest

    def header(self) -> str:
        """Return the header."""
        return self._render("header.h.j2")

    def source(self) -> str:
        """Return the source."""
        return self._render("source.c.j2")

    def driver(self) -> str:
        """Return the program that runs samples and writes what every neuron did, on an operating system."""
        return self._render("driver.c.j2")

    def _render(self, template: str) -> str:
        text = _environment().get_template(template).render(**self._values)
        # Templates leave more of them than a reader needs.
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"

    @cached_property
    def _values(self) -> dict[str, Any]:
        senders = self.layout.senders
        traced = [
            Member(f"{p.name}_u", "int32_t", p.sender.size, "")
            for p in self.populations.values()
            if not p.keepu
        ]
        return {
            "prefix": self.prefix,
            "PREFIX": self.prefix.upper(),
            "about": self._about(),
            "index": index_type(self.layout),
            "macros": list(self._macros()),
            "inputs": [self._end(node, node.name) for node in self.graph.inputs],
            "outputs": [self._end(node, node.inputs[0]) for node in self.graph.outputs],
            "any_values": any(senders[node.inputs[0]].values for node in self.graph.outputs),
            "members": self.members,
            "traced": traced,
            "tables": self.tables,
            "connections": [
                {"code": each, "describes": describe_connection(each)} for each in self.connections.values()
            ],
            "turns": list(self._turns()),
            "rings": [(self.names[name], each) for name, each in senders.items() if each.slots],
            "uses": self._uses(),
        }

    def _about(self) -> dict[str, Any]:
        neurons = sum(each.sender.size for each in self.populations.values())
        return {
            "name": comment(self.graph.name),
            "summary": f"{neurons:,} spiking neurons in integers",
            "step": f"{self.graph.dt_ms:g}",
            "layers": [describe_sender(self.graph, each) for each in self.layout.senders.values()],
            "memory": list(memory_map(self.members, self.tables)),
        }

    def _macros(self) -> Iterator[tuple[str, int, str]]:
        yield "STATE_BYTES", self.state_bytes, "of the state, at most"
        yield "TABLE_BYTES", self.table_bytes, "of all tables"
        for name, sender in self.layout.senders.items():
            word = self.names[name].upper()
            yield f"{word}_SIZE", sender.size, f"elements of '{name}'"
            if sender.values and sender.is_input:
                yield f"{word}_LIMIT", sender.limit, f"largest magnitude of a value of '{name}'"
        for output in self.graph.outputs:
            size = self.layout.senders[output.inputs[0]].size
            yield f"{self.names[output.name].upper()}_SIZE", size, f"neurons of '{output.name}'"

    def _end(self, node: ir.Input | ir.Output, source: str) -> End:
        sender = self.layout.senders[source]
        unequal = False
        if isinstance(node, ir.Output) and node.reads_potential:
            scale = self.populations[source].node.scale
            unequal = bool((scale != scale.flat[0]).any())
        return End(self.names[node.name], node.name, sender, self.names[source], node, unequal)

    def _turns(self) -> Iterator[Turn]:
        for name, sender in self.layout.senders.items():
            if not sender.is_input:
                yield Turn(
                    self.names[name],
                    describe_sender(self.graph, sender),
                    sender,
                    tuple(self._arrival(each) for each in self.layout.arrivals[name]),
                    self.populations.get(name),
                )

    def _arrival(self, arrival: Arrival) -> ArrivalCode:
        connection = self.connections[arrival.node.name]
        name = self.names[arrival.sender.node.name]
        place = connection.waits.index(arrival.steps)
        return ArrivalCode(connection, arrival.sender, name, arrival.steps, arrival.way.value, place)

    def _uses(self) -> Mapping[str, bool]:
        """Return which helpers are called: an unused one is an error for a strict compiler."""
        rings = [each for each in self.layout.senders.values() if each.slots]
        recalls = any(
            each.way is Way.RECALLED for arrivals in self.layout.arrivals.values() for each in arrivals
        )
        return {
            "floors": any(each.drops for each in self.connections.values()),
            "wraps": any(each.wraps for each in self.connections.values()),
            "rings": bool(rings),
            "currents": any(not each.within for each in self.populations.values()),
            "pixels": any(each.by_pixel for each in self.connections.values()),
            "recalls": recalls,
        }


def _environment() -> Environment:
    # C has other dangers than HTML: what a stranger named goes through `names`, and numbers are numbers.
    return Environment(  # noqa: S701
        loader=PackageLoader("targets.c"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

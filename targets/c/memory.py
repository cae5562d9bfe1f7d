"""What a network keeps in memory between its steps, and what its tables take: the memory map, in bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from targets.c.connections import ConnectionCode
from targets.c.layout import Sender, SourceLayout, Way
from targets.c.neurons import PopulationNumbers
from targets.c.tables import smallest_type
from toolchain import ir
from toolchain.ir import Decode

_BYTES: Final = {
    "int64_t": 8,
    "uint32_t": 4,
    "int32_t": 4,
    "uint16_t": 2,
    "int16_t": 2,
    "uint8_t": 1,
    "int8_t": 1,
}
STATE_WORDS: Final = ("v", "u", "rise", "wait", "busy", "count", "events", "values", "slot", "past")
"""What the names of members that belong to one sender end with."""


@final
@dataclass(frozen=True)
class Member:
    """A member of the state.

    Attributes:
        name: Its identifier.
        ctype: Type of its numbers.
        count: How many numbers it is; 0 for a single one, which is no array.
        meaning: What it holds, for a comment.
    """

    name: str
    ctype: str
    count: int
    meaning: str

    @property
    def width(self) -> int:
        """Bytes of one of its numbers."""
        return _BYTES[self.ctype]

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        return self.width * max(self.count, 1)

    @property
    def declaration(self) -> str:
        """Its declaration in C."""
        return f"{self.ctype} {self.name}[{self.count}];" if self.count else f"{self.ctype} {self.name};"


def index_type(layout: SourceLayout) -> str:
    """Return the type that numbers the elements of every sender."""
    largest = max(sender.size for sender in layout.senders.values())
    return f"{smallest_type(0, largest - 1).__name__}_t"


def state_members(
    layout: SourceLayout,
    names: Mapping[str, str],
    populations: Iterable[PopulationNumbers],
    connections: Mapping[str, ConnectionCode],
    outputs: Iterable[ir.Output],
) -> list[Member]:
    """Return the members of the state, the widest numbers first, so that nothing lies between them."""
    index = index_type(layout)
    members = _scratch(layout, connections.values(), index)
    for numbers in populations:
        members += _neurons(numbers)
    for name, sender in layout.senders.items():
        members += _messages(names[name], sender, index)
    for output in outputs:
        members += _read_out(names[output.name], output, layout.senders[output.inputs[0]].size)
    return sorted(members, key=lambda member: -member.width)


def _scratch(layout: SourceLayout, connections: Iterable[ConnectionCode], index: str) -> list[Member]:
    receiving = [s.size for s in layout.senders.values() if not s.is_input]
    members = [Member("sums", "uint32_t", max(receiving), "what arrives in a step; zero between two")]
    apart = [connection.size for connection in connections if connection.apart]
    if apart:
        members.append(Member("parts", "uint32_t", max(apart), "sums of one connection; zero between two"))
    recalled = [
        arrival.sender.size
        for arrivals in layout.arrivals.values()
        for arrival in arrivals
        if arrival.way is Way.RECALLED
    ]
    if recalled:
        members.append(Member("recalled", index, max(recalled), "spikes of an earlier step"))
    return members


def _neurons(numbers: PopulationNumbers) -> list[Member]:
    name, size, what = numbers.name, numbers.sender.size, f"of '{numbers.node.name}'"
    members = [Member(f"{name}_v", "int32_t", size, f"potentials {what}")]
    if numbers.keepu:
        members.append(Member(f"{name}_u", "int32_t", size, f"currents {what}"))
    if numbers.adaptation:
        members.append(Member(f"{name}_rise", "int32_t", size, f"what spikes added to thresholds {what}"))
    if numbers.period:
        members.append(Member(f"{name}_wait", "uint16_t", size, f"steps that neurons {what} still wait"))
    if numbers.rests:
        members.append(Member(f"{name}_busy", "uint8_t", 0, f"whether any number {what} is not zero"))
    return members


def _messages(name: str, sender: Sender, index: str) -> list[Member]:
    what = f"of '{sender.node.name}'"
    members: list[Member] = []
    if not sender.is_input:
        members.append(Member(f"{name}_count", "uint32_t", 0, f"how many elements {what} sent"))
        members.append(Member(f"{name}_events", index, sender.size, f"which elements {what} sent"))
        if sender.values:
            members.append(Member(f"{name}_values", sender.values, sender.size, f"what elements {what} sent"))
    if sender.slots:
        number = sender.values or "uint8_t"
        size = sender.slots * sender.slot_size
        members.append(Member(f"{name}_slot", "uint32_t", 0, f"place of this step in the past {what}"))
        members.append(Member(f"{name}_past", number, size, f"the last {sender.slots} steps {what}"))
    return members


def _read_out(name: str, output: ir.Output, size: int) -> list[Member]:
    what = f"for '{output.name}'"
    match output.decode:
        case Decode.SPIKE_COUNT | Decode.SPIKE_RATE:
            return [Member(f"{name}_score", "uint32_t", size, f"numbers of spikes {what}")]
        case Decode.MEAN_V:
            return [Member(f"{name}_score", "int64_t", size, f"sums of potentials {what}")]
        case Decode.MAX_V:
            return [Member(f"{name}_score", "int32_t", size, f"largest potentials {what}")]
        case Decode.LAST_V | Decode.NONE:
            return []

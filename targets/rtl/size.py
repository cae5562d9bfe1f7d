"""How large a core is: parameters of the Verilog module, as a network needs them or a family has them."""

from dataclasses import asdict, dataclass
from typing import Final, final

_LEVELS: Final = (0, 4, 8, 12)
"""By how many bits the depths of the families of simulators grow."""
_SMALLEST: Final = {
    "table_depth": 2**16,
    "message_depth": 2**16,
    "synapse_depth": 2**17,
    "sum_depth": 2**14,
    "state_depth": 2**14,
    "parameter_depth": 2**14,
}
"""Depths of the smallest family."""


@final
@dataclass(frozen=True)
class CoreSize:
    """Parameters of the module `core`.

    Attributes:
        lanes: Neurons that are computed side by side, a power of two.
        table_columns: Columns of 16 bits that tables have; addresses have as many bits.
        table_depth: Words of the tables.
        message_depth: Words of the messages.
        synapse_depth: Words of the synapses, in each lane.
        sum_depth: Sums in each lane.
        state_depth: States in each lane.
        parameter_depth: Parameters in each lane.
        value_bits: Bits of the value of a message, sign included; 0 where all are spikes.
        sum_bits: Bits of a sum.
        current_bits: Bits of a current, 25 or 32.
        rules: Whether spikes do more than to reset potentials to zero.
        images: Whether there are convolutions or poolings.
    """

    lanes: int
    table_columns: int
    table_depth: int
    message_depth: int
    synapse_depth: int
    sum_depth: int
    state_depth: int
    parameter_depth: int
    value_bits: int
    sum_bits: int
    current_bits: int
    rules: bool
    images: bool

    @property
    def parameters(self) -> dict[str, int]:
        """Names of the parameters in Verilog, and their values."""
        return {name.upper(): int(value) for name, value in asdict(self).items()}

    @property
    def memory_bytes(self) -> int:
        """Bytes that a simulation of it takes, roughly."""
        each = 2 * self.synapse_depth + 4 * self.sum_depth + 16 * self.state_depth + 20 * self.parameter_depth
        return self.lanes * each + 4 * self.table_depth + 8 * self.message_depth


def family_of(size: CoreSize) -> CoreSize | None:
    """Return the smallest core for simulations that can be this one; None if it is larger than all.

    It has everything, so that one program runs any network that fits its memories.
    """
    for level in _LEVELS:
        depths = {name: depth << level for name, depth in _SMALLEST.items()}
        if all(getattr(size, name) <= depth for name, depth in depths.items()):
            return CoreSize(
                lanes=size.lanes,
                table_columns=2,
                value_bits=32,
                sum_bits=32,
                current_bits=32,
                rules=True,
                images=True,
                **depths,
            )
    return None

"""Words that synapses take in the memory of a core, by the way they are stored.

The functions for entries follow NxTF and nengo-loihi, which know Loihi 1; those for a pool are fitted to what
Intel's compiler printed for Loihi 2. The numbers come from the chip's profile.
"""

from typing import Any, Final

import numpy as np

from targets.loihi.profile import EntryMemory, PoolMemory

Amount = Any
"""One whole number, or an array of them."""

DENSE: Final = "dense"
SPARSE: Final = "sparse"
RUN_LENGTH: Final = "run-length"
SHARED: Final = "shared"


def index_bits(memory: EntryMemory, highest: int) -> int:
    """Return the bits of a target's index on its core."""
    return max(memory.index_bits_least.value, int(highest).bit_length())


def skip_bits(memory: EntryMemory, gap: int) -> int | None:
    """Return the bits that hold the largest number of targets skipped, or None if none do."""
    least, most = memory.skip_bits.value
    bits = max(least, int(max(gap, 1)).bit_length())
    return bits if bits <= most else None


def weight_bits(memory: EntryMemory, needed: int) -> int:
    """Return the narrowest stored width that holds a weight."""
    return min((width for width in memory.weight_bits.value if width >= needed), default=needed)


def delay_bits(memory: EntryMemory, delay: int) -> int:
    """Return the bits of a delay; none if no synapse waits."""
    return 0 if delay == 0 else max(memory.delay_bits.value[0], int(delay).bit_length())


def entry_words(memory: EntryMemory, bits: Amount) -> Amount:
    """Return the words of lists of so many bits, with a guard word if the last one is nearly full."""
    words, rest = np.divmod(bits, memory.word_bits.value)
    guard = (rest == 0) | (rest >= memory.guard_remainder.value)
    return words + (rest > 0) + guard


def entry_list_words(
    memory: EntryMemory,
    kind: str,
    targets: Amount,
    synapse_bits: int,
    index: int,
    skip: int = 0,
) -> Amount:
    """Return the words of axons that store so many targets.

    An entry holds a head, the index of its first target unless every synapse has its own, and up to 60
    synapses.

    Args:
        memory: Limits of the memory.
        kind: `DENSE`, `SPARSE` or `RUN_LENGTH`.
        targets: Number of stored targets per axon; a dense axon also stores the zeros between its first and
            its last target.
        synapse_bits: Bits of weight and delay.
        index: Bits of a target's index.
        skip: Bits of a gap, for run-length.
    """
    entries = -(-targets // memory.entry_synapses.value)
    head = memory.entry_bits.value + (0 if kind == SPARSE else index)
    extra = {DENSE: 0, SPARSE: index, RUN_LENGTH: skip}[kind]
    return entry_words(memory, entries * head + targets * (synapse_bits + extra))


def pool_dense_words(memory: PoolMemory, targets: Amount, bits: int) -> Amount:
    """Return the words of one axon with so many contiguous targets; zeros are stored."""
    each = bits + memory.synapse_overhead.value
    return -(-(targets * each + memory.axon_header.value) // memory.word_bits.value)


def pool_sparse_words(memory: PoolMemory, targets: Amount, bits: int) -> Amount:
    """Return the words of one axon with so many scattered targets (a placeholder: the cost is not public)."""
    return pool_dense_words(memory, targets, bits) + memory.sparse_axon_words.value


def powers_of_two(number: int) -> list[int]:
    """Return the powers of two that a number is the sum of, largest first: 24 is 16 and 8."""
    return [1 << bit for bit in reversed(range(number.bit_length())) if number >> bit & 1]


def pool_shared_words(
    memory: PoolMemory, area: int, sources: int, targets: int, bits: int
) -> tuple[int, int]:
    """Return the words and axons of a kernel of `area` positions between channels of the source and the core.

    The target channels are cut into powers of two, each with a list of its own.
    """
    lists = powers_of_two(targets)
    words = sum(int(pool_dense_words(memory, length, bits)) for length in lists)
    return area * sources * words, len(lists)

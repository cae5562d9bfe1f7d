"""Cores whose synapses are lists of entries, as those of Loihi 1."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from targets.loihi.encodings import (
    DENSE,
    RUN_LENGTH,
    SHARED,
    SPARSE,
    delay_bits,
    entry_list_words,
    entry_words,
    index_bits,
    skip_bits,
    weight_bits,
)
from targets.loihi.memory import (
    DECAY_PROFILES,
    INPUT_AXONS,
    NEURONS,
    OUTPUT_AXONS,
    SHARED_BASE,
    SYNAPSE_FORMATS,
    SYNAPTIC_WORDS,
    THRESHOLD_PROFILES,
    WORDS_PER_AXON,
    CoreShare,
    SynapseBlock,
)
from targets.loihi.network import ChipLayer, ConvolutionLink, Link, MatrixLink
from targets.loihi.profile import ChipProfile, EntryMemory
from targets.loihi.slices import NeuronSlice, box_of, channel_fan_out, columns_into, covered
from toolchain.arrays import Ints
from toolchain.target.chip_fit import Fact


@final
@dataclass(frozen=True)
class EntryCores:
    """Cores whose synapses are lists of entries, with profiles for decays and thresholds.

    Attributes:
        profile: Limits of the chip.
        memory: Limits of its memory.
        layers: Layers of the network, by name.
        limits: The most that a core holds, per resource.
    """

    profile: ChipProfile
    memory: EntryMemory
    layers: Mapping[str, ChipLayer]
    limits: Mapping[str, Fact] = field(init=False)

    def __post_init__(self) -> None:
        core, memory = self.profile.core, self.memory
        limits = {
            NEURONS: core.neurons.fact(),
            INPUT_AXONS: core.input_axons.fact(),
            OUTPUT_AXONS: memory.output_axons.fact(),
            SYNAPTIC_WORDS: memory.synaptic_words.fact(),
            WORDS_PER_AXON: memory.words_per_axon.fact(),
            DECAY_PROFILES: memory.decay_profiles.fact(),
            THRESHOLD_PROFILES: memory.threshold_profiles.fact(),
            SYNAPSE_FORMATS: memory.synapse_formats.fact(),
            SHARED_BASE: memory.shared_base.fact(),
        }
        object.__setattr__(self, "limits", limits)

    def block(self, link: Link, neurons: NeuronSlice) -> SynapseBlock:
        """Return the cheapest of the encodings whose axons are short enough."""
        forms = (
            self._matrix(link, neurons) if isinstance(link, MatrixLink) else self._convolution(link, neurons)
        )
        most = self.memory.words_per_axon.value
        return min(forms, key=lambda block: (block.largest > most, self._starts_late(block), block.words))

    def _starts_late(self, block: SynapseBlock) -> bool:
        return block.base > self.memory.shared_base.value

    def _matrix(self, link: MatrixLink, neurons: NeuronSlice) -> list[SynapseBlock]:
        memory, columns = self.memory, columns_into(link, neurons)
        waits = delay_bits(memory, link.delay)
        bits, index = weight_bits(memory, link.bits) + waits, index_bits(memory, columns.highest)
        stored = {DENSE: (columns.spans, 0), SPARSE: (columns.targets, 0)}
        skip = skip_bits(memory, columns.gap)
        if skip is not None:
            stored[RUN_LENGTH] = (columns.targets, skip)
        blocks: list[SynapseBlock] = []
        for kind, (targets, extra) in stored.items():
            words = entry_list_words(memory, kind, targets, bits, index, extra)
            largest = int(words.max(initial=0))
            total = largest * len(words) if memory.uniform_axons.value else int(words.sum())
            form = (kind, bits, index, extra, link.exponent, waits)
            blocks.append(SynapseBlock(link.name, kind, total, len(words), largest, form, delay_bits=waits))
        return blocks

    def _convolution(self, link: ConvolutionLink, neurons: NeuronSlice) -> list[SynapseBlock]:
        """Return the synapses with shared lists, and with a list per axon."""
        memory, box = self.memory, box_of(neurons)
        waits = delay_bits(memory, link.delay)
        bits = weight_bits(memory, link.bits) + waits
        channels = box.channels[1] - box.channels[0]
        width = box.columns[1] - box.columns[0]
        rows, columns = (covered(link, box, axis) for axis in (0, 1))
        per_source = channel_fan_out(link, neurons)
        reach = (int(rows.sum(axis=1).max(initial=0)), int(columns.sum(axis=1).max(initial=0)))
        index = index_bits(memory, max((reach[0] - 1) * width + reach[1], 1) * channels - 1)
        lists = _list_words(memory, rows, columns, per_source, bits, index)
        pixels = int(rows.any(axis=1).sum() * columns.any(axis=1).sum())
        largest = max(lists, default=0)
        form = (SHARED, bits, index, link.exponent, waits)
        base = (box.size // channels - 1) * channels + 1
        shared = SynapseBlock(link.name, SHARED, sum(lists), pixels, largest, form, base, waits)
        alone = _unrolled_words(memory, rows, columns, per_source, bits, index)
        axons = pixels * int(np.count_nonzero(per_source))
        return [shared, SynapseBlock(link.name, DENSE, alone, axons, largest, (DENSE, *form[1:]), 0, waits)]

    def stored(self, link: Link, neurons: NeuronSlice, block: SynapseBlock, reached: Ints) -> Ints:
        """Return the stored synapses: a dense axon holds all targets from its first to its last."""
        if not isinstance(link, MatrixLink) or block.encoding != DENSE:
            return reached
        columns = columns_into(link, neurons)
        spans = np.zeros_like(reached)
        spans[columns.sources] = columns.spans
        return spans

    def usage(self, shares: Iterable[CoreShare], leaving: int = 0) -> dict[str, int]:
        """Return how much of every resource a core uses."""
        shares = list(shares)
        blocks = [block for share in shares for block in share.blocks]
        neurons = sum(share.neurons.size for share in shares)
        waits = max((block.delay_bits for block in blocks), default=0)
        # Delays take room from compartments: the number of neurons is scaled to the limit accordingly.
        most = self.profile.core.neurons.value
        room = min(most, 1 << max(self.memory.delay_compartment_bits.value - waits, 0))
        layers = [(self.layers[share.neurons.layer], share.neurons.indices) for share in shares]
        decays = [layer.decays[neurons] for layer, neurons in layers]
        thresholds = [layer.thresholds[neurons] for layer, neurons in layers]
        return {
            NEURONS: -(-neurons * most // room),
            INPUT_AXONS: sum(block.axons for block in blocks),
            OUTPUT_AXONS: leaving,
            SYNAPTIC_WORDS: sum(block.words for block in blocks),
            WORDS_PER_AXON: max((block.largest for block in blocks), default=0),
            DECAY_PROFILES: len(np.unique(np.concatenate(decays))) if decays else 0,
            THRESHOLD_PROFILES: len(np.unique(np.concatenate(thresholds))) if thresholds else 0,
            SYNAPSE_FORMATS: len({block.form for block in blocks if block.words}),
            SHARED_BASE: max((block.base for block in blocks if block.encoding == SHARED), default=0),
        }

    def leaving(self, link: Link, neurons: int, reached: int, cores: int) -> int:
        """Return one slot per neuron and core; two if a population axon has many channels."""
        del neurons, cores
        wide = isinstance(link, ConvolutionLink) and link.shape[0] > self.memory.narrow_atoms.value
        return reached * (self.memory.wide_slots.value if wide else 1)


def _patterns(cover: NDArray[np.bool_]) -> list[int]:
    """Return how many elements of the kernel each distinct row uses; empty rows do not count."""
    distinct = {row.tobytes() for row in cover}
    return [count for row in sorted(distinct) if (count := sum(row))]


def _one_list(memory: EntryMemory, rows: int, columns: int, channels: int, bits: int, index: int) -> int:
    """Return the words of one list: a run of contiguous targets per row."""
    run = columns * channels
    entries = -(-run // memory.entry_synapses.value)
    return int(entry_words(memory, rows * (entries * (memory.entry_bits.value + index) + run * bits)))


def _list_words(
    memory: EntryMemory,
    rows: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    per_source: Ints,
    bits: int,
    index: int,
) -> list[int]:
    """Return the words of every distinct list of a shared kernel."""
    words: list[int] = []
    fan_outs, counts = np.unique(per_source[per_source > 0], return_counts=True)
    column_kinds = _patterns(columns)
    for row in _patterns(rows):
        for column in column_kinds:
            for channels, count in zip(fan_outs.tolist(), counts.tolist(), strict=True):
                words += [_one_list(memory, row, column, channels, bits, index)] * count
    return words


def _unrolled_words(
    memory: EntryMemory,
    rows: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    per_source: Ints,
    bits: int,
    index: int,
) -> int:
    """Return the words if every source neuron has a list of its own."""
    total = 0
    fan_outs, counts = np.unique(per_source[per_source > 0], return_counts=True)
    row_kinds, column_kinds = (np.unique(x.sum(axis=1), return_counts=True) for x in (rows, columns))
    for row, row_count in zip(*row_kinds, strict=True):
        for column, column_count in zip(*column_kinds, strict=True):
            if not (row and column):
                continue
            for channels, count in zip(fan_outs.tolist(), counts.tolist(), strict=True):
                words = _one_list(memory, int(row), int(column), channels, bits, index)
                total += words * int(row_count * column_count) * count
    return total

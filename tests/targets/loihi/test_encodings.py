"""Words of synapses against published figures and formulas."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.loihi.encodings import (
    DENSE,
    RUN_LENGTH,
    SPARSE,
    delay_bits,
    entry_list_words,
    index_bits,
    pool_dense_words,
    pool_shared_words,
    powers_of_two,
    skip_bits,
    weight_bits,
)
from targets.loihi.network import stored_bits
from targets.loihi.profile import EntryMemory, PoolMemory, load_profile
from toolchain.fixedpoint import SignMode


def _entries() -> EntryMemory:
    memory = load_profile("loihi1").memory
    assert isinstance(memory, EntryMemory)
    return memory


def _pool() -> PoolMemory:
    memory = load_profile("loihi2").memory
    assert isinstance(memory, PoolMemory)
    return memory


ENTRIES: Final = _entries()
POOL: Final = _pool()


def test_256_contiguous_targets_of_8_bits_take_the_published_words() -> None:
    assert entry_list_words(ENTRIES, DENSE, 256, 8, index_bits(ENTRIES, 255)) == 34
    assert entry_list_words(ENTRIES, SPARSE, 256, 8, index_bits(ENTRIES, 255)) == 65
    assert pool_dense_words(POOL, 256, 8) == 81


@pytest.mark.parametrize(
    ("area", "sources", "targets", "bits", "words", "axons"),
    [
        # PilotNet's convolutions, from the shapes and bits of its published weights, a core each:
        # 3 x 3 positions, and per source channel the words of each power of two by hand.
        (9, 3, 24, 5, 9 * 3 * (5 + 3), 2),
        (9, 24, 36, 5, 9 * 24 * (9 + 2), 2),
        (9, 36, 48, 4, 9 * 36 * (9 + 5), 2),
        (9, 48, 64, 4, 9 * 48 * 17, 1),
        (9, 64, 64, 4, 9 * 64 * 17, 1),
    ],
)
def test_shared_kernels_are_cut_into_powers_of_two(
    area: int, sources: int, targets: int, bits: int, words: int, axons: int
) -> None:
    assert pool_shared_words(POOL, area, sources, targets, bits) == (words, axons)


def test_the_total_is_the_sum_that_the_compiler_of_loihi_2_prints() -> None:
    # Total% = 0.8 (axons + synapses + map + memory)% of 16,000 + 0.2048 neurons% of 4,096, to 0.013 points.
    axons, synapses, mapped, neurons = 785, 12_544, 512, 512
    total = 100 * (axons + synapses + mapped + neurons) / POOL.memory_words.value
    caps = load_profile("loihi2").core.input_axons.value, POOL.synaptic_words.value, POOL.axon_map.value
    shares = [100 * used / cap for used, cap in zip((axons, synapses, mapped), caps, strict=True)]
    printed = 0.8 * sum(shares) + 0.2048 * (100 * neurons / load_profile("loihi2").core.neurons.value)
    assert total == pytest.approx(printed, abs=0.013)


def test_a_dense_layer_of_mnist_by_hand() -> None:
    # 784 inputs, 512 neurons over cores of 64, 7-bit weights: 784 axons of ceil((64 * 19 + 16) / 64) words.
    assert 784 * pool_dense_words(POOL, 64, 7) == 784 * 20


def test_24_is_16_and_8() -> None:
    assert powers_of_two(24) == [16, 8]


@given(st.integers(1, 1024), st.sampled_from([DENSE, SPARSE, RUN_LENGTH]), st.integers(1, 8))
def test_another_target_never_takes_fewer_bits(targets: int, kind: str, bits: int) -> None:
    index = index_bits(ENTRIES, 1023)
    words = entry_list_words(ENTRIES, kind, np.array([targets, targets + 1]), bits, index, 3)
    # The guard word may come a synapse early, then it is the next word's own.
    assert words[0] <= words[1] + 1
    assert words[0] * 64 >= targets * bits + 10


def test_sparse_pays_below_the_density_of_the_rule_of_thumb() -> None:
    index = index_bits(ENTRIES, 255)
    share = 8 / (8 + index)
    for count, cheaper in ((int(256 * share * 0.8), SPARSE), (int(256 * share * 1.2), DENSE)):
        words = {
            DENSE: entry_list_words(ENTRIES, DENSE, 256, 8, index),
            SPARSE: entry_list_words(ENTRIES, SPARSE, count, 8, index),
        }
        assert min(words, key=lambda kind: words[kind]) == cheaper


def test_fields_have_the_widths_of_the_chip() -> None:
    assert [weight_bits(ENTRIES, needed) for needed in (1, 6, 7, 8)] == [1, 6, 8, 8]
    assert [delay_bits(ENTRIES, delay) for delay in (0, 1, 7, 8, 62)] == [0, 3, 3, 4, 6]
    assert [skip_bits(ENTRIES, gap) for gap in (0, 3, 4, 31, 32)] == [2, 2, 3, 5, None]
    assert [index_bits(ENTRIES, highest) for highest in (0, 63, 64, 1023)] == [6, 6, 7, 10]


def test_unused_range_and_common_powers_of_two_cost_no_bits() -> None:
    assert stored_bits(np.array([-20, 18, 0]), SignMode.MIXED) == 5
    assert stored_bits(np.array([-254, 2]), SignMode.MIXED) == 8
    assert stored_bits(np.array([255, 1]), SignMode.EXCITATORY) == 8
    assert stored_bits(np.array([64, 0]), SignMode.EXCITATORY) == 1
    assert stored_bits(np.array([0]), SignMode.MIXED) == 1

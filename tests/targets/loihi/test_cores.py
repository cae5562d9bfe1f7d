"""The rules of a core on networks at their limit, and one beyond."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from targets.loihi.cores import Chip, CoreLayout
from targets.loihi.memory import (
    DECAY_PROFILES,
    INPUT_AXONS,
    NEURON_GROUPS,
    NEURONS,
    OUTPUT_AXONS,
    SHARED_BASE,
    SYNAPSE_FORMATS,
    SYNAPTIC_WORDS,
    THRESHOLD_PROFILES,
    WORDS_PER_AXON,
)
from targets.loihi.network import ChipLayer, ChipNetwork, ConvolutionLink, Link, MatrixLink
from targets.loihi.profile import load_profile
from targets.loihi.slices import whole
from toolchain.ir import Window


def _layer(name: str, size: int, decays: int = 1, thresholds: int = 1) -> ChipLayer:
    numbers = np.arange(size)
    return ChipLayer(name, (size,), numbers % decays, 100 + numbers % thresholds)


def _matrix(weights: Any, source: str = "x", target: str = "a", **changes: Any) -> MatrixLink:
    options: dict[str, Any] = {"outside": source == "x", "bits": 8, "exponent": 0} | changes
    name = options.pop("name", f"{source}-{target}")
    return MatrixLink(name, source, target, weights=csr_array(weights), **options)


def _used(
    layers: list[ChipLayer], links: list[Link], resource: str, chip: str = "loihi1"
) -> tuple[int, bool]:
    """Put every layer on one core of its own; return what the first uses, and whether that is legal."""
    network = ChipNetwork(tuple(layers), tuple(links), {}, ("x",))
    design = Chip(load_profile(chip), network)
    layout = CoreLayout(design, tuple((design.share(whole(layer)),) for layer in layers))
    return layout.usage()[0][resource], 0 not in layout.overfull()


@pytest.mark.parametrize(("neurons", "legal"), [(1024, True), (1025, False)])
def test_neurons(neurons: int, legal: bool) -> None:
    link = _matrix(csr_array(([1], ([0], [0])), shape=(neurons, 1)))
    assert _used([_layer("a", neurons)], [link], NEURONS) == (neurons, legal)


@pytest.mark.parametrize(("axons", "legal"), [(4096, True), (4097, False)])
def test_input_axons(axons: int, legal: bool) -> None:
    assert _used([_layer("a", 1)], [_matrix(np.ones((1, axons)), bits=1)], INPUT_AXONS) == (axons, legal)


@pytest.mark.parametrize(("neurons", "legal"), [(1024, True), (1025, False)])
def test_output_axons_are_counted_per_neuron_and_core(neurons: int, legal: bool) -> None:
    # Four cores read all neurons: 4,096 slots.
    readers = [_layer(f"r{i}", 1) for i in range(4)]
    links: list[Link] = [_matrix(np.ones((1, neurons)), "a", f"r{i}") for i in range(4)]
    links.append(_matrix(csr_array(([1], ([0], [0])), shape=(neurons, 1))))
    assert _used([_layer("a", neurons), *readers], links, OUTPUT_AXONS) == (4 * neurons, legal)


@pytest.mark.parametrize(("size", "legal"), [(31, True), (32, False)])
def test_decay_profiles(size: int, legal: bool) -> None:
    link = _matrix(np.ones((size, 1)))
    assert _used([_layer("a", size, decays=size)], [link], DECAY_PROFILES) == (size, legal)


@pytest.mark.parametrize(("size", "legal"), [(7, True), (8, False)])
def test_threshold_profiles(size: int, legal: bool) -> None:
    link = _matrix(np.ones((size, 1)))
    assert _used([_layer("a", size, thresholds=size)], [link], THRESHOLD_PROFILES) == (size, legal)


@pytest.mark.parametrize(("formats", "legal"), [(7, True), (8, False)])
def test_synapse_formats(formats: int, legal: bool) -> None:
    links: list[Link] = [_matrix([[1.0]], name=f"c{i}", exponent=i - 7) for i in range(formats)]
    assert _used([_layer("a", 1)], links, SYNAPSE_FORMATS) == (formats, legal)


@pytest.mark.parametrize(
    ("delay", "neurons", "legal"),
    [(7, 1024, True), (8, 512, True), (8, 513, False), (16, 256, True), (16, 257, False),
     (32, 128, True), (62, 128, True), (62, 129, False)],
)  # fmt: skip
def test_delays_take_the_room_of_compartments(delay: int, neurons: int, legal: bool) -> None:
    link = _matrix(csr_array(([1], ([0], [0])), shape=(neurons, 1)), delay=delay)
    assert _used([_layer("a", neurons)], [link], NEURONS)[1] == legal


@pytest.mark.parametrize(("axons", "legal"), [(16384 // 131, True), (16384 // 131 + 1, False)])
def test_synaptic_words(axons: int, legal: bool) -> None:
    # 976 targets of 8 bits: 17 entries of 20 bits and 7,808 bits are 128 words less 44 bits, so 128.
    words, _ = _used([_layer("a", 1000)], [_matrix(np.ones((1000, 1)))], SYNAPTIC_WORDS)
    assert words == 131
    assert _used([_layer("a", 1000)], [_matrix(np.ones((1000, axons)))], SYNAPTIC_WORDS) == (
        131 * axons,
        legal,
    )


def test_one_axon_may_not_point_at_more_than_256_words() -> None:
    # Weights of 15 bits do not exist, but nothing else makes a list that long.
    words, legal = _used([_layer("a", 1024)], [_matrix(np.ones((1024, 1)))], WORDS_PER_AXON)
    assert (words, legal) == (134, True)
    words, legal = _used([_layer("a", 1024)], [_matrix(np.ones((1024, 1)), bits=15)], WORDS_PER_AXON)
    assert words > 240
    assert legal
    words, legal = _used([_layer("a", 1024)], [_matrix(np.ones((1024, 1)), bits=16)], WORDS_PER_AXON)
    assert words > 256
    assert not legal


@pytest.mark.parametrize(("width", "legal"), [(256, True), (257, False)])
def test_shared_lists_begin_below_compartment_256(width: int, legal: bool) -> None:
    # Few lists shared by a long row: without sharing there would be too many words for one core.
    channels = 64
    layer = ChipLayer("a", (1, 1, width), np.zeros(width, int), np.zeros(width, int))
    kernel = np.ones((1, channels, 1, 3))
    link = ConvolutionLink(
        "c", "x", "a", True, kernel, Window((1, 3), padding=(0, 1)),
        groups=1, shape=(channels, 1, width), bits=8, exponent=0,
    )  # fmt: skip
    used, fits = _used([layer], [link], SHARED_BASE)
    assert fits == legal
    assert used == (256 if legal else 0)


def test_zeros_of_a_dense_block_take_words_on_loihi_2_and_few_synapses_go_sparse() -> None:
    some = np.zeros((64, 100))
    some[:40] = 1
    words, _ = _used([_layer("a", 64)], [_matrix(some)], SYNAPTIC_WORDS, "loihi2")
    assert words == 100 * min(-(-(64 * 20 + 16) // 64), -(-(40 * 20 + 16) // 64) + 1)
    full, _ = _used([_layer("a", 64)], [_matrix(np.ones((64, 100)))], SYNAPTIC_WORDS, "loihi2")
    assert full == 100 * 21


@pytest.mark.parametrize(("neurons", "legal"), [(4096, True), (4097, False)])
def test_loihi_2_holds_the_neurons_of_its_compiler(neurons: int, legal: bool) -> None:
    link = _matrix(csr_array(([1], ([0], [0])), shape=(neurons, 1)))
    assert _used([_layer("a", neurons)], [link], NEURONS, "loihi2") == (neurons, legal)
    assert _used([_layer("a", neurons)], [link], NEURON_GROUPS, "loihi2")[0] == 1

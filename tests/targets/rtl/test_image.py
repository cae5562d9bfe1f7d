"""Memories of a network: as small as it allows, loaded in blocks, and refused where there is no room."""

from dataclasses import replace

import numpy as np
import pytest

from targets.rtl.image import memory_image
from targets.rtl.instructions import LENGTH, Operation
from targets.rtl.size import CoreSize, family_of
from tests.image_graphs import ImageRecipe, random_images
from tests.random_graphs import Recipe, random_fixed
from tests.real_graphs import in_reals
from toolchain import ir
from toolchain.errors import TargetError

_PLAIN = Recipe(seed=11, sizes=(5, 3), channels=4, recurrent=True)


def _operations(graph: ir.Graph, lanes: int = 1) -> list[str]:
    image = memory_image(graph, lanes)
    found: list[str] = []
    for place in range(0, len(image.tables), LENGTH):
        found.append(Operation(int(image.tables[place]) & 7).name)
        if found[-1] == "END":
            break
    return found


def test_a_step_receives_delivers_fires_and_ends() -> None:
    graph = random_fixed(replace(_PLAIN, extreme=True))
    expected = ["CLEAR", "RECEIVE", "DELIVER", "DELIVER", "FIRE", "DELIVER", "DELIVER", "FIRE", "END"]
    assert _operations(graph) == expected


def test_a_network_of_spikes_needs_no_values_no_rules_and_no_windows() -> None:
    size = memory_image(random_fixed(_PLAIN), 1).size
    assert (size.value_bits, size.rules, size.images, size.current_bits, size.table_columns) == (
        0, False, False, 25, 1,
    )  # fmt: skip
    assert size.sum_bits < 32
    assert memory_image(random_fixed(replace(_PLAIN, graded=True)), 1).size.value_bits == 6
    assert memory_image(random_fixed(replace(_PLAIN, firing=True, seed=321)), 1).size.rules
    assert memory_image(random_images(ImageRecipe()), 1).size.images


def test_inputs_beyond_their_limit_need_currents_of_32_bits() -> None:
    wide = memory_image(random_fixed(replace(_PLAIN, graded=True, wide=True)), 1).size
    assert (wide.current_bits, wide.sum_bits) == (32, 32)


def test_the_load_stream_holds_every_word_once() -> None:
    image = memory_image(random_fixed(_PLAIN), 2)
    words = image.load_words(image.size).tolist()
    loaded: dict[int, int] = {}
    while words[0]:
        kind, count = words[0] >> 12, words[3]
        loaded[kind] = loaded.get(kind, 0) + count
        words = words[4 + count :]
    assert words == [0]
    assert loaded == {1: len(image.tables), 2: image.synapses.size, 3: 4 * 2 * len(image.parameters)}


def test_equal_neurons_share_their_parameters() -> None:
    graph = random_fixed(_PLAIN)
    names = ("du", "dv", "vth", "bias_mantissa", "bias_exponent")
    same = graph.map(
        lambda node: (
            replace(node, **{name: np.full_like(getattr(node, name), 3) for name in names})
            if isinstance(node, ir.FixedLif)
            else node
        )
    )
    assert len(memory_image(same, 1).parameters) == 1


def test_a_family_is_a_core_that_can_be_many() -> None:
    size = memory_image(random_fixed(_PLAIN), 8).size
    family = family_of(size)
    assert family is not None
    assert family == family_of(memory_image(random_images(ImageRecipe(seed=1)), 8).size)
    assert family_of(replace(size, synapse_depth=2**40)) is None
    assert isinstance(family, CoreSize)


def test_real_numbers_are_refused() -> None:
    with pytest.raises(TargetError, match="computes in integers only"):
        memory_image(in_reals(random_fixed(_PLAIN)), 1)

"""Memories of a network: as small as it allows, loaded in blocks, and refused where there is no room."""

from dataclasses import replace

import numpy as np
import pytest

from targets.rtl.image import memory_image
from targets.rtl.instructions import LENGTH, Operation
from targets.rtl.size import CoreSize, family_of
from tests.graphs import chain, fixed_dense, fixed_lif
from tests.image_graphs import ImageRecipe, random_images
from tests.random_graphs import Recipe, random_fixed
from tests.real_graphs import in_reals
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.fixedpoint import SignMode

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
    with pytest.raises(TargetError, match="the core in Verilog runs integers only"):
        memory_image(in_reals(random_fixed(_PLAIN)), 1)


def _window(channels: int, columns: int, outputs: int = 1, kernel: tuple[int, int] = (1, 1)) -> ir.Graph:
    weights = np.full((outputs, channels, *kernel), 2, np.int32)
    shape = (channels, kernel[0], columns)
    positions = (outputs, 1, columns - kernel[1] + 1)
    fields = ("du", "dv", "vth", "bias_mantissa", "bias_exponent", "scale")
    flat = fixed_lif("p", ("c",), int(np.prod(positions)))
    shaped = {name: getattr(flat, name).reshape(positions) for name in fields}
    return chain(
        ir.FixedConv2d(name="c", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.MIXED),
        replace(flat, **shaped),
        shape=shape,
    )


def test_kernels_that_16_bits_do_not_count_get_wider_addresses() -> None:
    graph = _window(1, 5, outputs=2700, kernel=(5, 5))
    image = memory_image(graph, 1)
    assert int(image.tables.max()) < 2**16 < 2 * image.size.synapse_depth
    assert image.size.table_columns == 2
    assert memory_image(_window(1, 5, outputs=2600, kernel=(5, 5)), 1).size.table_columns == 1


@pytest.mark.parametrize(("channels", "columns"), [(2**15 + 1, 1), (1, 2**15 + 1)])
def test_images_wider_than_an_instruction_says_are_refused(channels: int, columns: int) -> None:
    with pytest.raises(TargetError, match="the core in Verilog counts 32768 of each"):
        memory_image(_window(channels, columns), 1)
    image = memory_image(_window(min(channels, 2**15), min(columns, 2**15)), 1)
    assert max(image.layout.senders["x"].channel_bits, image.layout.senders["x"].column_bits) == 15


def test_a_network_without_synapses_has_memories_that_have_addresses() -> None:
    size = memory_image(
        chain(fixed_dense("w", "x", np.zeros((1, 1), np.int32)), fixed_lif("p", ("w",), 1)), 1
    ).size
    depths = (size.table_depth, size.message_depth, size.synapse_depth, size.sum_depth, size.state_depth)
    assert min(*depths, size.parameter_depth) >= 2

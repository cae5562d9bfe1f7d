"""Messages wait in rings that are as long as their slowest reader needs, and codes tell who sent them."""

from dataclasses import replace

import numpy as np

from targets.rtl.layout import MessageSender, lay_out_messages
from tests.random_graphs import Recipe, random_fixed
from toolchain import ir


def _input(*shape: int) -> ir.Input:
    return ir.Input(name="x", shape=shape)


def test_one_step_of_recurrence_needs_one_list_and_each_more_one_more() -> None:
    graph = random_fixed(Recipe(seed=3, sizes=(4,), recurrent=True))
    for steps, slots in ((1, 1), (2, 2), (5, 5)):
        late = graph.map(lambda node, s=steps: replace(node, steps=s) if isinstance(node, ir.Delay) else node)
        assert lay_out_messages(late, 1).senders["p0"].slots == slots


def test_a_list_of_an_input_is_read_in_the_step_in_which_it_comes() -> None:
    layout = lay_out_messages(random_fixed(Recipe(seed=3, sizes=(4,))), 1)
    assert [sender.slots for sender in layout.senders.values()] == [1, 1]
    assert [(each.sender, each.steps) for each in layout.readings["p0"]] == [("x", 0)]


def test_channels_lie_side_by_side_and_fill_the_lanes() -> None:
    maps = MessageSender(_input(3, 2, 5), (3, 2, 5), lanes=2, windowed=True)
    assert (maps.channel_groups, maps.groups, maps.channel_bits, maps.column_bits) == (2, 20, 2, 3)
    places, codes = maps.places.reshape(3, 2, 5), maps.codes.reshape(3, 2, 5)
    assert places[2, 1, 3] == 4 * (5 * 1 + 3) + 2
    assert codes[2, 1, 3] == 1 << 5 | 3 << 2 | 2
    # What a sweep counts: two groups a pixel without a gap, and three columns that are none.
    assert maps.jumps == (2, 5, 0, 6)
    plain = replace(maps, windowed=False)
    assert np.array_equal(plain.codes, plain.places)
    assert plain.jumps == (0, 0, 0, 0)

"""Lists of what is not zero: complete, and in the order that products rely on."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toolchain.models.loops.random_streams import streams
from toolchain.models.loops import events
from toolchain.models.loops.events import StreamEvents


@settings(max_examples=40, deadline=None)
@given(stream=streams())
def test_events_are_all_that_is_not_zero_in_the_order_of_steps_and_channels(
    stream: tuple[Tensor, Tensor, int],
) -> None:
    x = stream[0].numpy()
    listed = StreamEvents.of(x, 1.0)
    assert listed is not None
    rows = x.reshape(-1, x.shape[2])
    row, channel = np.nonzero(rows)
    assert np.array_equal(listed.places, channel)
    key = row * listed.groups + channel // events.GROUP
    assert np.array_equal(listed.first, np.searchsorted(key, np.arange(len(rows) * listed.groups + 1)))
    if listed.values is None:
        assert (rows[row, channel] == 1).all()
    else:
        assert np.array_equal(listed.values, rows[row, channel])
        assert (listed.values != 1).any()


@settings(max_examples=40, deadline=None)
@given(stream=streams(), source=st.integers(0, 19), count=st.integers(1, 20))
def test_sorted_events_are_those_of_each_tile_by_channel(
    stream: tuple[Tensor, Tensor, int], source: int, count: int
) -> None:
    x = stream[0].numpy()
    source = min(source, x.shape[1] - 1)
    count = min(count, x.shape[1] - source)
    listed = StreamEvents.of(x, 1.0)
    assert listed is not None
    ordered = listed.by_channel(source, count)
    block = x[:, source : source + count].reshape(-1, x.shape[2])
    rebuilt = np.zeros_like(block)
    for tile, (low, high) in enumerate(zip(ordered.tiles[:-1], ordered.tiles[1:], strict=True)):
        channels = ordered.channels[low:high]
        assert (np.diff(channels) > 0).all()
        for run in range(low, high):
            own = slice(ordered.begins[run], ordered.begins[run + 1])
            rows = tile * events.TILE + ordered.rows[own].astype(int)
            assert len(rows)
            assert (np.diff(rows) > 0).all()
            rebuilt[rows, ordered.channels[run]] = 1 if ordered.values is None else ordered.values[own]
    assert np.array_equal(rebuilt, block)

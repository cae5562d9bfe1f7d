"""Synapses of a neuron that reach the same place become one, and nothing else changes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolchain.models.loops.merged_lists import MergedLists

SYNAPSES = st.lists(st.lists(st.integers(0, 20) | st.integers(2**31 - 2, 2**32 - 1), max_size=12), max_size=9)
"""Places that the synapses of each neuron reach."""


@given(reached=SYNAPSES)
def test_merged_synapses_weigh_what_theirs_do_together(reached: list[list[int]]) -> None:
    first = np.cumsum([0, *map(len, reached)])
    places = np.array([place for own in reached for place in sorted(own)], np.uint32)
    listed = torch.arange(1.0, len(places) + 1, dtype=torch.float64)
    lists = MergedLists.of(first, places, torch.device("cpu"))
    merged, begins = lists.merge(listed), lists.first.tolist()
    for n, own in enumerate(reached):
        expected: dict[int, float] = {}
        for place, weight in zip(sorted(own), listed[first[n] : first[n + 1]].tolist(), strict=True):
            expected[place] = expected.get(place, 0.0) + weight
        at = slice(begins[n], begins[n + 1])
        assert lists.places[at].tolist() == list(expected)
        assert merged[at].tolist() == list(expected.values())
    assert lists.longest == max((len(set(own)) for own in reached), default=0)
    assert begins[-1] == len(merged) == len(lists.places)


@given(reached=SYNAPSES)
def test_every_synapse_gets_the_gradient_of_the_one_it_became(reached: list[list[int]]) -> None:
    first = np.cumsum([0, *map(len, reached)])
    places = np.array([place for own in reached for place in sorted(own)], np.uint32)
    lists = MergedLists.of(first, places, torch.device("cpu"))
    sources = torch.arange(len(reached)).repeat_interleave(lists.first.diff())
    # A gradient that names the synapse: its neuron and its place.
    gradient = lists.part(sources * 2.0**33 + lists.places.to(torch.float64))
    expected = np.repeat(np.arange(len(reached)), np.diff(first)) * 2.0**33 + places
    assert gradient.tolist() == expected.tolist()

"""Figures in parts are the figures in one piece, to the last digit; so is what a report shows."""

import math
from copy import deepcopy
from fractions import Fraction
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import recurrent, spikes
from toolchain.execution import reference
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity import Comparer, Comparison, MismatchSearch, compare_traces, first_mismatch
from toolchain.fidelity.agreement import centres_of
from toolchain.fidelity.exact_sum import ExactSum
from toolchain.fidelity.membrane import MembraneError
from toolchain.fidelity.metrics import TrainCounts
from toolchain.fidelity.shown import ShownSamples
from toolchain.fidelity.spike_distances import SpikeDistances
from toolchain.ir import Graph
from toolchain.passes import QuantizeGraph

pytestmark = pytest.mark.slow

SAMPLES = 7

Pair = tuple[Trace, Trace]


def _part(trace: Trace, part: slice) -> Trace:
    return Trace.of_keys({key: values[part] for key, values in trace.by_key().items()})


def _random(seed: int, *, rate: float = 0.4) -> tuple[tuple[Graph, Graph], Pair, Stimulus]:
    """A random network, what it and its coarse integers do, labels and lengths."""
    rng = np.random.default_rng(seed)
    graph = recurrent(rng, neurons=int(rng.integers(3, 20)))
    fixed = QuantizeGraph(weight_bits=int(rng.integers(2, 9)))(graph)
    steps = int(rng.integers(1, 20))
    x = spikes(rng, SAMPLES, steps, 6, rate=rate)
    lengths = rng.integers(1, steps + 1, SAMPLES) if rng.random() < 0.5 else None
    labels = rng.integers(0, 3, SAMPLES) if rng.random() < 0.7 else None
    return (
        (graph, fixed),
        (reference.run(graph, x), reference.run(fixed, x)),
        Stimulus({"x": x}, labels, lengths),
    )


def _compared(graphs: tuple[Graph, Graph], traces: Pair, stimulus: Stimulus, size: int) -> Comparison:
    comparer = Comparer(graphs)
    for start in range(0, SAMPLES, size):
        part = slice(start, start + size)
        some = stimulus.take(part)
        comparer.add(
            (_part(traces[0], part), _part(traces[1], part)), labels=some.labels, lengths=some.lengths
        )
    return comparer.result()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60)
def test_figures_do_not_depend_on_how_samples_are_divided(seed: int) -> None:
    graphs, traces, stimulus = _random(seed)
    whole = compare_traces(graphs, traces, labels=stimulus.labels, lengths=stimulus.lengths)
    for size in (1, 2, 3, SAMPLES):
        assert _compared(graphs, traces, stimulus, size) == whole


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_events_do_not_depend_on_how_samples_are_divided(seed: int) -> None:
    graphs, traces, stimulus = _random(seed)
    whole = count_events(graphs[1], stimulus, traces[1])
    for size in (1, 2, 3):
        parts = [slice(start, start + size) for start in range(0, SAMPLES, size)]
        counted = [count_events(graphs[1], stimulus.take(part), _part(traces[1], part)) for part in parts]
        merged = counted[0]
        for each in counted[1:]:
            merged = merged.merged(each)
        assert (merged.samples, merged.steps, merged.still) == (whole.samples, whole.steps, whole.still)
        assert all(np.array_equal(merged.events[name], counts) for name, counts in whole.events.items())


@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.0, 0.001, 0.05]))
@settings(max_examples=60)
def test_the_first_mismatch_does_not_depend_on_how_samples_are_divided(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    records = {
        f"{node}.{quantity}": rng.integers(0, 2, (SAMPLES, 5, 3))
        for node in ("p", "q")
        for quantity in ("u", "v", "spikes")
    }
    changed = {key: np.where(rng.random(each.shape) < rate, 9, each) for key, each in records.items()}
    expected, got = Trace.of_keys(records), Trace.of_keys(changed)
    for size in (1, 2, 3, SAMPLES):
        search = MismatchSearch()
        for start in range(0, SAMPLES, size):
            search.add(_part(expected, slice(start, start + size)), _part(got, slice(start, start + size)))
        assert search.first == first_mismatch(expected, got)
        assert search.samples == SAMPLES
    one, other = MismatchSearch(), MismatchSearch(4)
    one.add(_part(expected, slice(0, 4)), _part(got, slice(0, 4)))
    other.add(_part(expected, slice(4, SAMPLES)), _part(got, slice(4, SAMPLES)))
    other.include(one)
    assert other.first == first_mismatch(expected, got)
    assert other.samples == SAMPLES


def test_a_mismatch_of_a_later_part_is_told_by_its_place_in_the_whole() -> None:
    same, other = Trace(v={"p": np.zeros((2, 3, 1), int)}), Trace(v={"p": np.zeros((2, 3, 1), int)})
    other.v["p"][1, 2, 0] = 5
    search = MismatchSearch()
    search.add(same, same)
    search.add(same, other)
    assert str(search.first) == "p.v of neuron 0 in sample 3 at step 2: expected 0, got 5"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30), st.randoms())
def test_an_exact_sum_is_the_nearest_float_in_any_order(values: list[float], random: Random) -> None:
    total, shuffled = ExactSum(), ExactSum()
    total.add(values)
    random.shuffle(values)
    for value in values:
        shuffled.add([value])
    assert total.exact == shuffled.exact == sum(map(Fraction, values))
    try:
        assert float(total) == math.fsum(values)
    except OverflowError:
        assert math.isinf(float(total)) or abs(total.exact) < Fraction(2) ** 1024


def test_an_exact_sum_of_what_is_not_finite_is_told() -> None:
    for values, expected in (([1.0, math.inf], math.inf), ([-math.inf, 2.0], -math.inf)):
        total = ExactSum()
        total.add(values)
        assert float(total) == expected
    total.add([math.inf])
    assert math.isnan(float(total))


def test_read_outs_are_measured_in_deviations_of_the_first_execution(rng: np.random.Generator) -> None:
    expected, got = rng.normal(5, 2, (2, SAMPLES, 4, 3))
    levels = np.array([np.inf, 0.5, np.inf])
    unit = np.where(np.isfinite(levels), levels, expected.std())
    error = MembraneError(levels)
    error.add(expected, got)
    assert error.value == pytest.approx(np.sqrt((((expected - got) / unit) ** 2).mean()), rel=1e-12)
    silent = MembraneError(np.full(3, np.inf))
    silent.add(np.zeros((1, 1, 3)), np.full((1, 1, 3), 2.0))
    assert silent.value == 2


def test_potentials_that_are_not_finite_make_an_error_that_is_not(rng: np.random.Generator) -> None:
    error = MembraneError(np.ones(2))
    error.add(np.array([[[np.inf, 0.0]]]), np.zeros((1, 1, 2)))
    assert not math.isfinite(error.value)


@given(seed=st.integers(0, 10_000), data=st.data())
@settings(max_examples=40)
def test_shards_are_included_in_any_order_without_a_change_of_any_digit(
    seed: int, data: st.DataObject
) -> None:
    graphs, traces, stimulus = _random(seed, rate=0.15)
    cuts = sorted(data.draw(st.sets(st.integers(1, SAMPLES - 1))))
    shards = data.draw(st.permutations([range(a, b) for a, b in pairwise([0, *cuts, SAMPLES])]))
    comparers, shown = [], []
    for shard in ([range(SAMPLES)], *([each] for each in shards)):
        (samples,) = shard
        comparer = Comparer(graphs, start=samples.start, centres=centres_of(graphs[0], traces[0]))
        kept = ShownSamples()
        for start in samples:
            pair, one = (
                [_part(trace, slice(start, start + 1)) for trace in traces],
                stimulus.take(slice(start, start + 1)),
            )
            comparer.add((pair[0], pair[1]), labels=one.labels, lengths=one.lengths)
            kept.keep(start, (pair[0], pair[1]), comparer.firsts())
        comparers.append(deepcopy(comparer))
        shown.append(kept)
    whole, merged = comparers[0], comparers[1]
    for comparer, kept in zip(comparers[2:], shown[2:], strict=True):
        merged.include(comparer)
        shown[1].include(kept, merged.firsts())
    assert merged.result() == whole.result()
    assert merged.result() == compare_traces(graphs, traces, labels=stimulus.labels, lengths=stimulus.lengths)
    assert shown[1].samples == shown[0].samples
    for one, other in zip(shown[1].traces(), shown[0].traces(), strict=True):
        assert all(np.array_equal(v, other.by_key()[key]) for key, v in one.by_key().items())


def test_errors_around_different_numbers_cannot_be_added() -> None:
    errors = [MembraneError(np.full(2, np.inf), centre) for centre in (0.0, 1.0)]
    for error in errors:
        error.add(np.ones((1, 3, 2)), np.zeros((1, 3, 2)))
    with pytest.raises(ValueError, match=r"around 0\.0 and 1\.0"):
        errors[0].include(errors[1])


def test_distances_of_trains_are_added_over_parts(rng: np.random.Generator) -> None:
    first, other = rng.random((2, SAMPLES, 20, 5)) < 0.3
    whole, parts = SpikeDistances(), SpikeDistances()
    whole.add(first, other, TrainCounts.of(first, other))
    for i in range(SAMPLES):
        pair = first[i : i + 1], other[i : i + 1]
        parts.add(*pair, TrainCounts.of(*pair))
    assert (parts.van_rossum, parts.victor_purpura) == (whole.van_rossum, whole.victor_purpura)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_what_is_shown_does_not_depend_on_how_samples_are_divided(seed: int) -> None:
    """Also where populations differ for the first time, or earlier than before, in later parts."""
    graphs, traces, _ = _random(seed, rate=0.15)
    results: list[tuple[tuple[int, ...], Pair]] = []
    for size in (1, 2, 3, SAMPLES):
        comparer, shown = Comparer(graphs), ShownSamples()
        for start in range(0, SAMPLES, size):
            pair = _part(traces[0], slice(start, start + size)), _part(traces[1], slice(start, start + size))
            comparer.add(pair)
            shown.keep(start, pair, comparer.firsts())
        results.append((shown.samples, shown.traces()))
        spoken_of = {node.first.sample for node in comparer.result().nodes.values() if node.first}
        assert set(shown.samples) == {0, 1, 2, 3} | spoken_of
    for samples, pair in results:
        assert samples == results[0][0]
        for trace, whole in zip(pair, traces, strict=True):
            assert all(
                np.array_equal(v, whole.by_key()[key][list(samples)]) for key, v in trace.by_key().items()
            )

"""One neuron that was recorded on Loihi 2 is what every executor computes: 1,000 steps, 4 spikes."""

from functools import cache

import numpy as np
import pytest

from tests.hardware.recordings import ARTEFACT, EXECUTORS, Loihi2, execute, loihi2
from toolchain.execution.trace import Trace


@pytest.fixture(scope="module")
def recording() -> Loihi2:
    return loihi2()


@cache
def _trace(executor: str) -> Trace:
    recording = loihi2()
    return execute(executor, recording.graph(), recording.x[:, None])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_spike_is_there_and_no_other(executor: str, recording: Loihi2) -> None:
    assert np.flatnonzero(recording.spikes).tolist() == [461, 511, 711, 761]
    assert np.array_equal(_trace(executor).spikes["lif"][0, :, 0], recording.spikes)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_potential_is_the_recorded_one(executor: str, recording: Loihi2) -> None:
    """At the 4 steps of spikes the state is zero and the probe shows 128."""
    got = _trace(executor).v["lif"][0, :, 0]
    assert len(recording.potential) == 1000
    assert np.array_equal(got, np.where(recording.spikes, 0, recording.potential))
    assert (recording.potential[recording.spikes] == ARTEFACT).all()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_is_also_what_lava_gave_the_authors(executor: str, recording: Loihi2) -> None:
    trace = _trace(executor)
    x, v, spikes = recording.lava.T
    assert np.array_equal(recording.x, x)
    assert np.array_equal(trace.v["lif"][0, :, 0], v)
    assert np.array_equal(trace.spikes["lif"][0, :, 0], spikes)


def test_the_artefact_is_not_the_decay_of_the_potential(recording: Loihi2) -> None:
    """In the recording of Loihi 1 both are 128; here the decay is 163."""
    assert recording.dv == 163
    assert set(recording.potential[recording.spikes].tolist()) == {ARTEFACT}

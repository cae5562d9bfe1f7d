"""A network of 250-25-1 neurons that was recorded on Loihi 1 is what every executor computes.

Compared with ==: all 639 recorded hidden spikes and every silence, the potential of hidden neuron 24, both
output spikes, the potential of the output. At the steps of spikes the probe shows 128, which is asserted.
"""

from functools import cache

import numpy as np
import pytest

from tests.hardware.recordings import ARTEFACT, EXECUTORS, Loihi1, execute, loihi1
from toolchain import ir
from toolchain.execution.trace import Trace
from toolchain.passes.quantization.chip_registers import chip_registers


@pytest.fixture(scope="module")
def recording() -> Loihi1:
    return loihi1()


@cache
def _trace(executor: str) -> Trace:
    recording = loihi1()
    return execute(executor, recording.graph(), recording.x)


@pytest.fixture(params=EXECUTORS)
def executed(request: pytest.FixtureRequest, recording: Loihi1) -> dict[str, np.ndarray]:
    """Spikes and potentials of one executor, `[499 steps, neurons]`: the last step was not recorded."""
    records = _trace(request.param).by_key()
    return {name: values[0, : len(recording.output_potential)] for name, values in records.items()}


def test_the_input_is_the_one_the_chip_saw(recording: Loihi1) -> None:
    assert recording.x_recorded.sum() == 674
    assert np.array_equal(recording.x[:499], recording.x_recorded)


def test_every_recorded_hidden_spike_is_there_and_no_other(
    executed: dict[str, np.ndarray], recording: Loihi1
) -> None:
    assert recording.hidden_spikes.sum() == 639
    assert np.array_equal(executed["hidden.spikes"], recording.hidden_spikes)


def test_the_hidden_potential_is_the_recorded_one(executed: dict[str, np.ndarray], recording: Loihi1) -> None:
    neuron = recording.probed_neuron
    _check_potential(
        executed["hidden.v"][:, neuron],
        recording.hidden_potential,
        recording.hidden_spikes[:, neuron],
        spikes=18,
    )


def test_both_output_spikes_are_there_and_no_other(
    executed: dict[str, np.ndarray], recording: Loihi1
) -> None:
    assert np.flatnonzero(recording.output_spikes).tolist() == [56, 59]
    assert np.array_equal(executed["out.spikes"], recording.output_spikes)


def test_every_output_potential_is_the_recorded_one(
    executed: dict[str, np.ndarray], recording: Loihi1
) -> None:
    _check_potential(
        executed["out.v"][:, 0], recording.output_potential, recording.output_spikes[:, 0], spikes=2
    )


def _check_potential(got: np.ndarray, recorded: np.ndarray, fired: np.ndarray, *, spikes: int) -> None:
    """Equal off the steps of spikes; there the state is zero and the probe shows 128."""
    assert len(recorded) == 499
    assert fired.sum() == spikes
    assert np.array_equal(got, np.where(fired, 0, recorded))
    assert (recorded[fired] == ARTEFACT).all()


def test_128_is_also_a_true_potential_so_the_artefact_cannot_be_found_by_its_value(
    recording: Loihi1,
) -> None:
    fired = recording.hidden_spikes[:, recording.probed_neuron]
    silent = np.flatnonzero((recording.hidden_potential == ARTEFACT) & ~fired)
    # The first input spike comes through a weight of 2: 2 * 64.
    assert silent.tolist() == [49]
    assert recording.hidden_weights[24, recording.x[49]].tolist() == [2]


@pytest.mark.parametrize("population", ["hidden", "out"])
def test_the_registers_we_say_a_chip_takes_are_those_of_the_recording(
    population: str, recording: Loihi1
) -> None:
    node = recording.graph()[population]
    assert isinstance(node, ir.FixedLif)
    registers = {name: {span.least, span.most} for name, span in chip_registers(node).loihi1}
    assert registers["iDecay"] == {recording.current_decay}
    assert registers["vDecay"] == {recording.potential_decay}
    assert registers["vThMant"] == {recording.threshold}


def test_the_weights_are_what_a_mixed_matrix_of_8_bits_holds(recording: Loihi1) -> None:
    for weights in (recording.hidden_weights, recording.output_weights):
        assert not (weights % 2).any()
        assert np.abs(weights).max() <= 254

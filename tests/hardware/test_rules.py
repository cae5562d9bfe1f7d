"""Which choices of the rule the recordings decide, and which they leave open.

A plain NumPy neuron (`rules.py`) with one choice changed at a time. Where the recording contradicts the
change, it decides; where it does not, the test says so, and nothing may be claimed.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.hardware.recordings import Loihi1, Loihi2, execute, loihi1, loihi2
from tests.hardware.rules import Rule, down, nearest, saturate, wrap

_LOIHI2 = Rule(current_decay=Loihi2.du + 1, potential_decay=Loihi2.dv, threshold=Loihi2.threshold)


@pytest.fixture(scope="module")
def network() -> Loihi1:
    return loihi1()


@pytest.fixture(scope="module")
def neuron() -> Loihi2:
    return loihi2()


def _agrees(rule: Rule, network: Loihi1) -> dict[str, bool]:
    """Return, per record of Loihi 1, whether the rule computes all of it."""
    hidden_v, hidden = rule.run(network.hidden_weights, network.x)
    output_v, output = rule.run(network.output_weights, rule.delayed(hidden))
    probed, steps = network.probed_neuron, len(network.output_potential)
    quiet, quiet_output = ~network.hidden_spikes[:, probed], ~network.output_spikes[:, 0]
    return {
        "hidden spikes": np.array_equal(hidden[:steps], network.hidden_spikes),
        "hidden potential": np.array_equal(
            hidden_v[:steps, probed][quiet], network.hidden_potential[quiet]
        ),
        "output spikes": np.array_equal(output[:steps], network.output_spikes),
        "output potential": np.array_equal(
            output_v[:steps, 0][quiet_output], network.output_potential[quiet_output]
        ),
    }  # fmt: skip


def _agrees2(rule: Rule, neuron: Loihi2) -> bool:
    """Return whether the rule computes the recording of Loihi 2."""
    v, spikes = rule.run(np.array([[neuron.weight]]), rule.delayed(neuron.x[:, None]))
    quiet = ~neuron.spikes
    return np.array_equal(spikes[:, 0], neuron.spikes) and np.array_equal(
        v[:, 0][quiet], neuron.potential[quiet]
    )


def test_the_rule_computes_both_recordings(network: Loihi1, neuron: Loihi2) -> None:
    assert all(_agrees(Rule(), network).values())
    assert _agrees2(_LOIHI2, neuron)


def _label(change: dict[str, object]) -> str:
    return ", ".join(f"{name} {getattr(value, '__name__', value)}" for name, value in change.items())


_SPIKES, _POTENTIAL = "hidden spikes", "output potential"


@pytest.mark.parametrize(
    ("change", "contradicted"),
    [
        ({"fires": np.greater_equal}, {_SPIKES, _POTENTIAL}),
        ({"current_rounding": nearest}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"potential_rounding": nearest}, {"hidden potential", _POTENTIAL}),
        ({"current_rounding": down}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"potential_rounding": down}, {"hidden potential", _POTENTIAL}),
        ({"current_decay": 1023}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"current_decay": 1025}, {"hidden potential", _POTENTIAL}),
        ({"potential_decay": 127}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"potential_decay": 129}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"threshold": 79}, {_SPIKES, "output spikes", _POTENTIAL}),
        ({"threshold": 81}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"after_spike": 128}, {_SPIKES, "hidden potential", _POTENTIAL}),
        ({"subtract": True}, {_SPIKES, "hidden potential", "output spikes", _POTENTIAL}),
        ({"rest": 1}, {_SPIKES, "hidden potential", "output spikes", _POTENTIAL}),
        ({"current_of": 1}, {_SPIKES, "hidden potential", "output spikes", _POTENTIAL}),
        ({"delay": 0}, {"output spikes", _POTENTIAL}),
        ({"delay": 2}, {"output spikes", _POTENTIAL}),
    ],
    ids=lambda value: _label(value) if isinstance(value, dict) else "contradicted",
)  # fmt: skip
def test_loihi_1_decides(change: dict[str, Any], contradicted: set[str], network: Loihi1) -> None:
    agrees = _agrees(replace(Rule(), **change), network)
    assert {record for record, equal in agrees.items() if not equal} == contradicted


@pytest.mark.parametrize(
    "change", [{"bound_current": saturate}, {"bound_potential": wrap}], ids=["current", "potential"]
)
def test_loihi_1_leaves_open_what_happens_beyond_24_bits(change: dict[str, Any], network: Loihi1) -> None:
    """No state comes near 2^23."""
    assert all(_agrees(replace(Rule(), **change), network).values())


def test_one_potential_equals_its_threshold_and_decides_that_the_comparison_is_strict(
    network: Loihi1,
) -> None:
    potentials, _ = Rule(threshold=Loihi1.threshold).run(network.hidden_weights, network.x)
    step, neuron = np.argwhere(potentials[:499] == 64 * Loihi1.threshold)[0]
    assert (potentials == 64 * Loihi1.threshold).sum() == 1
    assert not network.hidden_spikes[step, neuron]


@pytest.mark.parametrize(
    "change",
    [
        {"potential_rounding": nearest},
        {"potential_decay": 162},
        {"potential_decay": 164},
        {"threshold": 24},
        {"threshold": 26},
        {"after_spike": 128},
        {"subtract": True},
        {"current_of": 1},
        {"current_decay": 4089},
        {"delay": 0},
        {"delay": 2},
    ],
    ids=_label,
)
def test_loihi_2_decides(change: dict[str, Any], neuron: Loihi2) -> None:
    assert not _agrees2(replace(_LOIHI2, **change), neuron)


@pytest.mark.parametrize(
    "change",
    [
        {"fires": np.greater_equal},
        {"current_rounding": nearest},
        {"current_rounding": down},
        {"potential_rounding": down},
        {"current_decay": 4095},
        {"current_decay": 4090},
        {"rest": 1},
        {"bound_current": saturate},
        {"bound_potential": wrap},
    ],
    ids=_label,
)
def test_loihi_2_leaves_open(change: dict[str, Any], neuron: Loihi2) -> None:
    """The state is never negative, the current is gone after one step, nothing comes right after a spike."""
    assert _agrees2(replace(_LOIHI2, **change), neuron)


@pytest.mark.parametrize("change", [{"du": 1024}, {"du": 1022}, {"delay": 0}, {"delay": 2}])
def test_other_registers_in_our_own_integers_contradict_loihi_1(
    change: dict[str, int], network: Loihi1
) -> None:
    """So the recorded current decay of 1024 is a `du` of 1023: the hidden + 1 is Lava's."""
    got = execute("reference", network.graph(**change), network.x).v["out"][0, :499, 0]
    quiet = ~network.output_spikes[:, 0]
    assert not np.array_equal(got[quiet], network.output_potential[quiet])

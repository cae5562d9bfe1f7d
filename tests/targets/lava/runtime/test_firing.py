"""What a spike does, against numbers computed by hand: rule by rule, in integers, in reals and on Lava."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.lava.runtime import integers, reals
from targets.lava.runtime.firing import Firing, PopulationState, SpikeEffect
from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.graphs import fixed_dense, fixed_lif
from toolchain import ir
from toolchain.execution.trace import QUANTITIES
from toolchain.fixedpoint import SignMode
from toolchain.ir import AnyNode, Decode, Graph
from toolchain.reset import Reset


@dataclass(frozen=True)
class _Rule:
    """A neuron without leak, threshold 64, that gets 64 times `a` at each of five steps.

    Attributes:
        v: Potentials after each step.
        spikes: Spikes of each step.
        a: Weight of the input.
        fields: What a spike does.
    """

    v: list[int]
    spikes: list[int]
    a: int = 1
    fields: dict[str, Any] = field(default_factory=dict)

    def firing(self, unit: float = 1) -> Firing:
        """The same for the rules, amounts in multiples of a unit."""
        scale = {"reset_amount": unit, "adaptation": unit, "adaptation_decay": 1 if unit == 1 else 2**-12}
        number = np.int32 if unit == 1 else np.float64
        values: dict[str, Any] = {
            name: np.array([value * scale[name]], number) if name in scale else value
            for name, value in self.fields.items()
        }
        if "refractory" in values:
            values["refractory"] = np.array([values["refractory"]], np.int32)
        values["reset"] = SpikeEffect(values.get("reset", Reset.ZERO).value)
        return Firing(**values)


def _subtracts(most: int) -> dict[str, Any]:
    return {"reset": Reset.SUBTRACT, "reset_amount": 100, "max_spikes": most}


RULES = {
    "zero": _Rule([64, 0, 64, 0, 64], [0, 1, 0, 1, 0]),
    "value": _Rule(
        [64, -100, -36, 28, -100], [0, 1, 0, 0, 1], fields={"reset": Reset.VALUE, "reset_amount": -100}
    ),
    "subtract": _Rule([64, 28, -8, 56, 20], [0, 1, 1, 0, 1], fields=_subtracts(1)),
    "none": _Rule([64, 128, 192, 256, 320], [0, 1, 1, 1, 1], fields={"reset": Reset.NONE}),
    "refractory": _Rule([64, 0, 0, 0, 64], [0, 1, 0, 0, 0], fields={"refractory": 2}),
    # The potential is held at what the spike left, not at zero.
    "held": _Rule([64, 28, 28, -8, -8], [0, 1, 0, 1, 0], fields=_subtracts(1) | {"refractory": 1}),
    # Thresholds: 64, 64, 264, 164, 114.
    "adaptive": _Rule(
        [64, 0, 64, 128, 0], [0, 1, 0, 0, 1], fields={"adaptation": 200, "adaptation_decay": 2048}
    ),
    "several": _Rule([20, 40, 60, -20, 0], [3, 3, 3, 4, 3], 5, _subtracts(255)),
    "at-most-three": _Rule([20, 40, 60, 80, 100], [3, 3, 3, 3, 3], 5, _subtracts(3)),
    # Every spike raises the threshold, to 64, 364, 214, 639 and 351.
    "several-adaptive": _Rule(
        [20, 340, 160, 480, 300],
        [3, 0, 5, 0, 5],
        5,
        _subtracts(255) | {"adaptation": 100, "adaptation_decay": 2048},
    ),
}


def _one(value: float, number: type[np.generic]) -> NDArray[Any]:
    return np.array([value], number)


@pytest.mark.parametrize("name", RULES)
def test_integers_follow_the_rule(name: str) -> None:
    rule, zero = RULES[name], _one(0, np.int32)
    state, v, spikes = PopulationState(zero, zero, zero, zero), [], []
    parameters = {"du": _one(4095, np.int32), "dv": zero, "vth": _one(1, np.int32), "bias": zero}
    for _ in rule.v:
        state, fired = integers.lif_step(state, _one(rule.a, np.int32), rule.firing(), **parameters)
        assert state.u.item() == 64 * rule.a
        v.append(state.v.item())
        spikes.append(int(fired.item()))
    assert (v, spikes) == (rule.v, rule.spikes)


@pytest.mark.parametrize("name", RULES)
def test_reals_follow_the_rule(name: str) -> None:
    """In units of 64, which are exact."""
    rule, zero = RULES[name], _one(0, np.float64)
    state, v, spikes = PopulationState(zero, zero, _one(0, np.int32), zero), [], []
    parameters = {"du": zero + 1, "dv": zero, "vth": zero + 1, "bias": zero}
    for _ in rule.v:
        state, fired = reals.lif_step(state, zero + rule.a, rule.firing(1 / 64), **parameters)
        v.append(state.v.item() * 64)
        spikes.append(int(fired.item()))
    assert (v, spikes) == (rule.v, rule.spikes)


@pytest.mark.slow
@pytest.mark.parametrize("models", [Models.MIXED, Models.LAYERS])
def test_lava_follows_all_rules_and_every_sample_begins_at_rest(models: Models) -> None:
    """Two samples that touch: what is left of the first would be seen in the second."""
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(1,))]
    for name, rule in RULES.items():
        weight = fixed_dense(f"{name}.w", "x", np.array([[rule.a]]), sign_mode=SignMode.EXCITATORY)
        nodes += [weight, fixed_lif(name, (f"{name}.w",), 1, du=4095, dv=0, vth=1, **rule.fields)]
    nodes.append(ir.Output(name="o", inputs=("zero",), decode=Decode.NONE))
    x = np.ones((2, 5, 1), bool)
    trace = LavaTarget(models=models).build(Graph(tuple(nodes))).run(x, record=QUANTITIES)
    for name, rule in RULES.items():
        assert trace.v[name][..., 0].tolist() == [rule.v, rule.v], name
        assert trace.spikes[name][..., 0].astype(int).tolist() == [rule.spikes, rule.spikes], name
        counts = rule.fields.get("max_spikes", 1) > 1
        assert trace.spikes[name].dtype == (np.uint8 if counts else np.bool_)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"reset": SpikeEffect.SUBTRACT}, "'reset_amount' of a population is missing: export the network"),
        ({"reset_amount": np.ones(1)}, "'reset_amount' of a population is there, but not used"),
        ({"adaptation": np.ones(1)}, "'adaptation_decay' of a population is missing"),
    ],
)
def test_arrays_that_do_not_fit_what_a_spike_does_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(Firing(), **values)

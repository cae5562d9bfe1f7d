"""The exact number of synapses: those that are there first, by sign, with an input for every neuron."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.pruning.lnp.goal import met_goal


def _case(seed: int, neurons: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    edges = 5 * neurons
    possible = rng.random(edges) < 0.9
    return {
        "present": possible & (rng.random(edges) < 0.4),
        "possible": possible,
        "probability": rng.random(edges).round(1),
        "sign": np.where(rng.random(edges) < 0.3, -1.0, 1.0),
        "targets": rng.integers(0, neurons, edges),
    }


@given(seed=st.integers(0, 10_000), neurons=st.integers(2, 30), share=st.floats(0, 1))
def test_the_goal_is_met_and_no_neuron_goes_without_as_long_as_it_allows(
    seed: int, neurons: int, share: float
) -> None:
    case = _case(seed, neurons)
    goal = int(share * case["possible"].sum())
    stays = met_goal(**case, goal=goal)
    assert stays.sum() == goal
    assert not (stays & ~case["possible"]).any()
    inputs = len(np.unique(case["targets"][case["possible"]]))
    assert len(np.unique(case["targets"][stays])) == min(goal, inputs)


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_without_conditions_the_best_that_are_there_stay_and_the_best_others_return(
    seed: int, share: float
) -> None:
    case = _case(seed, 20)
    present, possible, probability = case["present"], case["possible"], case["probability"]
    goal = int(share * possible.sum())
    stays = met_goal(present, possible, probability, np.ones(len(present)), None, goal)
    assert stays.sum() == goal
    here, back = stays & present, stays & ~present
    if back.any():
        assert here.sum() == present.sum()
    for group, all_of_them in ((here, present), (back, possible & ~present)):
        left_out = all_of_them & ~group
        if group.any() and left_out.any():
            assert probability[group].min() >= probability[left_out].max()


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_the_signs_have_their_shares_of_what_is_possible(seed: int, share: float) -> None:
    case: dict[str, Any] = _case(seed, 20) | {"targets": None}
    goal = int(share * case["possible"].sum())
    stays = met_goal(**case, goal=goal)
    negative = case["sign"] < 0
    wanted = goal * (negative & case["possible"]).sum() / case["possible"].sum()
    assert abs((stays & negative).sum() - wanted) <= 1

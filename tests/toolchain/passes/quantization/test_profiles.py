"""Few thresholds and few decays: how many, how good, and what they cost."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import lif, recurrent, spikes
from toolchain import ir
from toolchain.errors import PreconditionError
from toolchain.execution import reference
from toolchain.fidelity import find_faults
from toolchain.ir import Graph
from toolchain.passes import ClusterDecays, QuantizeGraph, explain_quantization
from toolchain.passes.cluster_decays import _log_tau
from toolchain.passes.quantization.threshold_profiles import share_thresholds


@given(seed=st.integers(0, 10_000), count=st.integers(1, 8), profiles=st.integers(1, 4))
@settings(max_examples=60)
def test_shared_thresholds_lose_the_least_possible(seed: int, count: int, profiles: int) -> None:
    largest = np.floor(np.exp(np.random.default_rng(seed).uniform(0, 8, count)))
    given_ = share_thresholds(largest, profiles)
    assert len(np.unique(given_)) <= profiles
    assert (given_ <= largest).all()

    def loss(levels: tuple[float, ...]) -> float:
        usable = [[level for level in levels if level <= each] for each in largest]
        return (
            float("inf")
            if not all(usable)
            else sum(np.log2(n / max(u)) for n, u in zip(largest, usable, strict=True))
        )

    levels = np.unique(largest)
    best = min(
        loss(chosen) for k in range(1, min(profiles, len(levels)) + 1) for chosen in combinations(levels, k)
    )
    assert np.log2(largest / given_).sum() == pytest.approx(best)


@pytest.mark.parametrize("profiles", [1, 4])
def test_a_population_has_few_thresholds_and_every_one_is_exact(
    profiles: int, rng: np.random.Generator
) -> None:
    graph = recurrent(rng, neurons=30)
    fixed = QuantizeGraph(threshold_profiles=profiles)(graph)
    hidden, real = fixed["hidden"], graph["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    assert isinstance(real, ir.Lif)
    assert len(np.unique(hidden.vth)) <= profiles
    assert np.allclose(hidden.vth / hidden.scale, real.vth)
    assert list(find_faults(graph, fixed)) == []
    x = spikes(rng, 2, 20, 6)
    assert np.mean(reference.run(graph, x).spikes["hidden"] == reference.run(fixed, x).spikes["hidden"]) > 0.9
    assert explain_quantization(graph, fixed).populations["hidden"].thresholds <= profiles


def test_more_profiles_round_better(rng: np.random.Generator) -> None:
    graph = recurrent(rng, neurons=40)
    errors = []
    for profiles in (1, 4, 16):
        document = explain_quantization(graph, QuantizeGraph(threshold_profiles=profiles)(graph))
        errors.append(document.connections["recur"].relative_rms_error)
    assert errors[0] > errors[1] > errors[2]


def test_profiles_that_make_no_sense_are_refused(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    wrong: list[dict[str, Any]] = [{"threshold_profiles": 0}, {"threshold_profiles": 2, "per_neuron": False}]
    for options in wrong:
        with pytest.raises(PreconditionError, match="at least 1 profile"):
            QuantizeGraph(**options)(graph)
    with pytest.raises(PreconditionError, match="at least 1 decay profile"):
        ClusterDecays(profiles=0)(graph)
    with pytest.raises(PreconditionError, match="needs a float graph"):
        ClusterDecays(profiles=1)(QuantizeGraph()(graph))


def _pool(taus: np.ndarray, du: float | np.ndarray = 1.0) -> Graph:
    graph = recurrent(np.random.default_rng(0), neurons=len(taus))
    return graph.map(
        lambda n: (
            lif("hidden", n.inputs, len(taus), dv=-np.expm1(-1 / taus), du=du) if n.name == "hidden" else n
        )
    )


@given(seed=st.integers(0, 10_000), profiles=st.integers(1, 3))
@settings(max_examples=30)
def test_clustered_decays_have_the_least_worst_error(seed: int, profiles: int) -> None:
    taus = np.exp(np.random.default_rng(seed).uniform(0, 4, 6))
    graph = _pool(taus)
    result = ClusterDecays(profiles=profiles, tau_error=100)(graph)["hidden"]
    assert isinstance(result, ir.Lif)
    assert len(np.unique(result.dv)) <= profiles
    logs = np.sort(_log_tau(-np.expm1(-1 / taus)))
    cuts = combinations(range(1, 6), profiles - 1)
    best = min(max(np.ptp(part) for part in np.split(logs, cut)) for cut in cuts) / 2
    worst = np.abs(_log_tau(result.dv) - _log_tau(-np.expm1(-1 / taus))).max()
    assert worst == pytest.approx(best, abs=1e-6)


def test_two_decays_that_differ_are_clustered_together() -> None:
    rng = np.random.default_rng(1)
    taus = np.exp(rng.uniform(1, 3, 40))
    graph = _pool(taus, du=rng.uniform(0.2, 0.9, 40))
    result = ClusterDecays(profiles=8, tau_error=10)(graph)["hidden"]
    assert isinstance(result, ir.Lif)
    assert len(np.unique(np.stack([result.du, result.dv]), axis=1).T) <= 8
    assert ClusterDecays(profiles=40)(graph) is graph


def test_an_error_that_is_not_accepted_is_named_with_what_helps() -> None:
    graph = _pool(np.array([2.0, 4.0, 50.0, 100.0]))
    with pytest.raises(
        PreconditionError, match=r"'hidden' has 4 distinct decays; 1 profiles.*allow more profiles"
    ):
        ClusterDecays(profiles=1, tau_error=0.5)(graph)
    fixed = QuantizeGraph()(ClusterDecays(profiles=2, tau_error=0.5)(graph))
    row = explain_quantization(graph, fixed)
    assert 0.3 < row.populations["hidden"].largest_tau_error < 0.5
    assert any("time constant is off" in item.text for item in row.warnings)
    assert list(find_faults(graph, fixed, clustered=True)) == []
    assert any("dv of neuron" in fault.what for fault in find_faults(graph, fixed))

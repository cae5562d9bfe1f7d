"""Every convention against a step that was written from the framework's own sources."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.interchange.framework_cells import (
    CELLS,
    Cell,
    Draw,
    State,
    rockpool_lif,
    rockpool_lif_neuron,
    sinabs_multi_lif,
    sinabs_normalised_lif,
)
from tests.toolchain.interchange.nir_graphs import chain, imported, lif
from toolchain.errors import ArgumentError, FrontendError, PreconditionError, UnknownNameError
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import (
    CONVENTIONS,
    Convention,
    Decay,
    convention,
    reader_convention,
)
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.to_nir import to_nir

STEPS = 14
seeds = st.integers(0, 2**32 - 1)
_SHARES = {sinabs_normalised_lif, sinabs_multi_lif, rockpool_lif, rockpool_lif_neuron}
MEETING = [
    (name, reset, make)
    for name, reset, make in CELLS
    if not make(Draw(np.random.default_rng(0), 1, exact=True)).silent and make not in _SHARES
]
"""Layers whose potentials can be equal to their thresholds; a share of 1 - exp(-1 / tau) never is."""
every_cell = pytest.mark.parametrize(
    ("name", "reset", "make"), CELLS, ids=[f"{name}-{make.__name__}" for name, _, make in CELLS]
)


def _compare(chosen: Convention, cell: Cell, draw: Draw, weights: np.ndarray) -> None:
    """Compare a layer behind weights with its import, spike by spike and potential by potential."""
    x = draw.rng.random((1, STEPS, 3)) < 0.5
    graph = from_nir(chain(nir.Linear(weights), cell.node, out=(draw.size,)), chosen).graph
    trace = reference.run(graph, x)
    state: State = {"v": np.broadcast_to(cell.begin, draw.size).astype(float)}
    for t in range(STEPS):
        spikes = np.asarray(cell.step(state, weights @ x[0, t]), np.int64)
        assert np.array_equal(trace.spikes["n1"][0, t], spikes), f"spikes of step {t}"
        ours, theirs = trace.v["n1"][0, t], state["v"] - cell.begin
        assert np.abs(ours - theirs).max() <= 1e-9 * max(1.0, np.abs(theirs).max()), f"step {t}"


def _compare_quarters(chosen: Convention, make: Callable[[Draw], Cell], seed: int) -> None:
    """Compare with weights and thresholds of quarters: some potentials are equal to their thresholds."""
    draw = Draw(np.random.default_rng(seed), 1 + seed % 5, exact=True)
    _compare(chosen, make(draw), draw, draw.rng.integers(-4, 9, (draw.size, 3)) / 4)


@every_cell
@settings(max_examples=12)
@given(seed=seeds)
def test_a_layer_is_read_as_its_framework_runs_it(
    name: str, reset: str | None, make: Callable[[Draw], Cell], seed: int
) -> None:
    draw = Draw(np.random.default_rng(seed), 1 + seed % 5, exact=False)
    _compare(convention(name, reset=reset), make(draw), draw, draw.rng.normal(size=(draw.size, 3)))


@every_cell
@settings(max_examples=12)
@given(seed=seeds)
def test_a_potential_that_meets_its_threshold_fires_as_there(
    name: str, reset: str | None, make: Callable[[Draw], Cell], seed: int
) -> None:
    _compare_quarters(convention(name, reset=reset), make, seed)


@pytest.mark.parametrize(
    ("name", "reset", "make"), MEETING, ids=[f"{n}-{make.__name__}" for n, _, make in MEETING]
)
def test_the_other_comparison_at_the_threshold_would_be_seen(
    name: str, reset: str | None, make: Callable[[Draw], Cell]
) -> None:
    chosen = convention(name, reset=reset)
    other = replace(chosen, fires_at_threshold=not chosen.fires_at_threshold)
    with pytest.raises(AssertionError, match="spikes of step"):
        for seed in range(60):
            _compare_quarters(other, make, seed)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("snntorch", "subtract-delayed for reset_mechanism='subtract', its default"),
        ("norse", "zero for v_reset=0, its default; a number for any other v_reset"),
        ("norse-seconds", "zero for v_reset=0, its default"),
        ("sinabs", "subtract-several for MultiSpike and MembraneSubtract, its default"),
        ("sinabs-normalised", "subtract-several for MultiSpike"),
        ("spikingjelly", "zero for v_reset=0.0, its default; subtract for v_reset=None"),
    ],
)
def test_what_a_file_cannot_say_is_asked_for(name: str, words: str) -> None:
    tau = np.full(2, 4 * convention(name).dt)
    zero, one = np.zeros(2), np.ones(2)
    weights = nir.Linear(np.ones((2, 3)))
    for node in (nir.LIF(tau, one, zero, one), nir.CubaLIF(tau, tau, one, zero, one), nir.IF(one, one)):
        graph = chain(weights, node)
        with pytest.raises(FrontendError, match=f"node 'n1' fires, and files of {name} do not say") as caught:
            from_nir(graph, convention(name))
        assert words in caught.value.remedy
        assert "`reset`" in caught.value.remedy
        (said,) = (
            note for note in from_nir(graph, convention(name, reset="zero")).notes if "reset of" in note
        )
        assert said == "reset of 'n1': a spike sets the potential to 0 (you said so)"
    for node in (nir.LI(tau, one, zero), nir.CubaLI(tau, tau, one, zero), nir.I(one), nir.Threshold(one)):
        assert not any("reset of" in note for note in from_nir(chain(weights, node), convention(name)).notes)


def test_who_knows_the_reset_is_named(rng: np.random.Generator) -> None:
    weights, tau, zero, one = nir.Linear(rng.normal(size=(2, 3))), np.full(2, 3.0), np.zeros(2), np.ones(2)

    def said(name: str, node: nir.NIRNode, reset: float | None = None) -> str:
        notes = from_nir(chain(weights, node), convention(name, 1.0, reset)).notes
        return "; ".join(note for note in notes if "reset of" in note)

    plain, stated = nir.LIF(tau, one, zero, one), nir.LIF(tau, one, zero, one, zero - 0.25)
    assert "a spike sets the potential to v_reset (NIR's own equations)" in said("nir", plain)
    assert "(every neuron of SLAYER that NIR has words for)" in said("lava-dl", plain)
    assert "up to 255 times, and loses it each time (every neuron of Rockpool" in said("rockpool", plain)
    assert "one step later, after the decay (LIF and IF of every version of Spyx)" in said("spyx", plain)
    assert "a spike sets the potential to v_reset (the file has a v_reset)" in said("norse", stated)
    assert "a spike sets the potential to -0.125 (you said so)" in said("norse", plain, -0.125)
    with pytest.raises(FrontendError, match="'n1' fires, and files of spyx do not say") as caught:
        said("spyx", nir.CubaLIF(tau, tau, one, zero, one))
    assert "subtract for CuBaLIF of Spyx 1.0" in caught.value.remedy
    with pytest.raises(UnknownNameError, match="reset 'substract' is not known.*did you mean 'subtract'"):
        convention("snntorch", reset="substract")
    with pytest.raises(ArgumentError, match="reset: expected a number"):
        convention("snntorch", reset="nan")


def test_every_convention_has_a_layer_that_proves_it_and_a_row_in_the_guide(repository: Path) -> None:
    assert {name for name, _, _ in CELLS} == set(CONVENTIONS)
    page = (repository / "docs" / "frameworks.md").read_text()
    assert all(f"\n| {name} | " in page for name in CONVENTIONS)


@pytest.mark.parametrize("name", ["rockpool", "spyx"])
def test_neurons_that_fire_are_not_written_for_who_would_subtract(
    name: str, rng: np.random.Generator
) -> None:
    graph = imported(chain(nir.Linear(rng.normal(size=(2, 3))), lif(2)))
    said = f"'n1' sets the potential to v_reset at a spike, where {name} subtracts the threshold"
    with pytest.raises(PreconditionError, match=said):
        to_nir(graph, reader_convention(name))


def test_who_exports_for_sinabs_is_told_what_its_importer_makes(rng: np.random.Generator) -> None:
    firing = imported(chain(nir.Linear(rng.normal(size=(2, 3))), lif(2)))
    assert any("MembraneReset" in note for note in to_nir(firing, reader_convention("sinabs")).notes)
    assert not to_nir(firing, reader_convention("snntorch")).notes
    silent = imported(chain(nir.Linear(rng.normal(size=(2, 3)))))
    assert not to_nir(silent, reader_convention("sinabs")).notes


def test_a_time_constant_of_one_step_may_be_in_single_precision() -> None:
    for chosen in CONVENTIONS.values():
        tau = np.array([chosen.dt], np.float32).astype(np.float64)
        assert chosen.decays(tau)[0] <= 1
        assert chosen.decays(tau * 0.9)[0] > 1 or chosen.decay is Decay.EXPONENTIAL

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
    refused_rockpool,
    refused_spyx,
    sinabs_normalised_lif,
)
from tests.toolchain.interchange.nir_graphs import chain, imported, lif
from toolchain.errors import FrontendError, PreconditionError
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import (
    CONVENTIONS,
    Convention,
    Decay,
    Reset,
    convention,
    reader_convention,
)
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.to_nir import to_nir

STEPS = 14
seeds = st.integers(0, 2**32 - 1)
MEETING = [
    (name, make)
    for name, make in CELLS
    if not make(Draw(np.random.default_rng(0), 1, exact=True)).silent and make is not sinabs_normalised_lif
]
"""Layers whose potentials can be equal to their thresholds; a share of 1 - exp(-1 / tau) never is."""
every_cell = pytest.mark.parametrize(
    ("name", "make"), CELLS, ids=[f"{name}-{make.__name__}" for name, make in CELLS]
)


def _compare(chosen: Convention, cell: Cell, draw: Draw, weights: np.ndarray) -> None:
    """Compare a layer behind weights with its import, spike by spike and potential by potential."""
    x = draw.rng.random((1, STEPS, 3)) < 0.5
    graph = from_nir(chain(nir.Linear(weights), cell.node, out=(draw.size,)), chosen).graph
    trace = reference.run(graph, x)
    state: State = {"v": np.broadcast_to(cell.begin, draw.size).astype(float)}
    for t in range(STEPS):
        spikes = np.asarray(cell.step(state, weights @ x[0, t]), bool)
        assert np.array_equal(trace.spikes["n1"][0, t].astype(bool), spikes), f"spikes of step {t}"
        ours, theirs = trace.v["n1"][0, t], state["v"] - cell.begin
        assert np.abs(ours - theirs).max() <= 1e-9 * max(1.0, np.abs(theirs).max()), f"step {t}"


def _compare_quarters(chosen: Convention, make: Callable[[Draw], Cell], seed: int) -> None:
    """Compare with weights and thresholds of quarters: some potentials are equal to their thresholds."""
    draw = Draw(np.random.default_rng(seed), 1 + seed % 5, exact=True)
    _compare(chosen, make(draw), draw, draw.rng.integers(-4, 9, (draw.size, 3)) / 4)


@every_cell
@settings(max_examples=25)
@given(seed=seeds)
def test_a_layer_is_read_as_its_framework_runs_it(name: str, make: Callable[[Draw], Cell], seed: int) -> None:
    draw = Draw(np.random.default_rng(seed), 1 + seed % 5, exact=False)
    _compare(convention(name), make(draw), draw, draw.rng.normal(size=(draw.size, 3)))


@every_cell
@settings(max_examples=25)
@given(seed=seeds)
def test_a_potential_that_meets_its_threshold_fires_as_there(
    name: str, make: Callable[[Draw], Cell], seed: int
) -> None:
    _compare_quarters(convention(name), make, seed)


@pytest.mark.parametrize(("name", "make"), MEETING, ids=[f"{n}-{make.__name__}" for n, make in MEETING])
def test_the_other_comparison_at_the_threshold_would_be_seen(name: str, make: Callable[[Draw], Cell]) -> None:
    chosen = convention(name)
    other = replace(chosen, fires_at_threshold=not chosen.fires_at_threshold)
    with pytest.raises(AssertionError, match="spikes of step"):
        for seed in range(60):
            _compare_quarters(other, make, seed)


@pytest.mark.parametrize(("name", "nodes"), [("rockpool", refused_rockpool), ("spyx", refused_spyx)])
def test_a_layer_that_subtracts_its_threshold_is_refused(
    name: str, nodes: Callable[[Draw], list[nir.NIRNode]], rng: np.random.Generator
) -> None:
    for node in nodes(Draw(rng, 4, exact=False)):
        with pytest.raises(FrontendError, match=f"'n1': {name} subtracts the threshold"):
            imported(chain(nir.Linear(rng.normal(size=(4, 3))), node, out=(4,)), name)


def test_every_convention_has_a_layer_that_proves_it_and_a_row_in_the_guide(repository: Path) -> None:
    assert {name for name, _ in CELLS} == set(CONVENTIONS)
    page = (repository / "docs" / "frameworks.md").read_text()
    assert all(f"\n| {name} | " in page for name in CONVENTIONS)


@pytest.mark.parametrize("name", [name for name, item in CONVENTIONS.items() if item.reset is Reset.SUBTRACT])
def test_neurons_that_fire_are_not_written_for_who_would_subtract(
    name: str, rng: np.random.Generator
) -> None:
    graph = imported(chain(nir.Linear(rng.normal(size=(2, 3))), lif(2)))
    with pytest.raises(PreconditionError, match=f"'n1' fires, and {name} would subtract its threshold"):
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

"""Networks on the simulated core give the integers of the reference, bit for bit, whatever stalls."""

import gc
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from targets.rtl.declared import CAPABILITIES
from targets.rtl.image import memory_image
from targets.rtl.program import CoreSimulation, RtlProgram
from targets.rtl.simulator import Simulator
from targets.rtl.target import RtlTarget
from tests.exactness import check_session
from tests.graphs import chain, fixed_dense, fixed_lif
from tests.random_graphs import Recipe, random_fixed, random_stimuli
from tests.targets import conformance
from tests.targets.c.strict import drawn
from tests.targets.rtl.cores import check_equal, require
from toolchain import ir
from toolchain.errors import ArgumentError, SimulationError, TargetError
from toolchain.execution import reference


@pytest.fixture(autouse=True)
def _simulators() -> None:
    require(Simulator.VERILATOR)
    require(Simulator.ICARUS)


def test_it_keeps_the_contract_of_targets(tmp_path: Path) -> None:
    target = RtlTarget()
    conformance.check_equal_to_the_reference(target)
    conformance.check_limits(target)
    conformance.check_rest(target)
    conformance.check_save(target, tmp_path)


@pytest.mark.parametrize(("kind", "seeds"), [("networks", range(6000, 6008)), ("images", range(6000, 6004))])
def test_random_graphs_equal_the_reference_while_all_streams_stall(kind: str, seeds: range) -> None:
    for seed in seeds:
        check_equal(*drawn(kind, seed), CoreSimulation(seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize("kind", ["networks", "images"])
def test_lanes_change_nothing(lanes: int, kind: str) -> None:
    for seed in range(6100, 6105):
        check_equal(*drawn(kind, seed), CoreSimulation(lanes, seed=seed))


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_core_as_small_as_the_network_allows_gives_the_same_in_icarus(lanes: int) -> None:
    graph, stimuli = random_fixed(conformance.RECIPE), {"x": conformance.stimulus(2)}
    check_equal(graph, stimuli, CoreSimulation(lanes, Simulator.ICARUS, exact=True, seed=5))


@pytest.mark.slow
def test_exact_cores_equal_the_reference_in_icarus() -> None:
    for seed in range(6200, 6203):
        check_equal(*drawn("networks", seed), CoreSimulation(2, Simulator.ICARUS, exact=True, seed=seed))


def test_stalls_change_cycles_only() -> None:
    graph, stimuli = random_fixed(conformance.RECIPE), {"x": conformance.stimulus(2)}
    calm, stalled = (check_equal(graph, stimuli, CoreSimulation(seed=seed)) for seed in (0, 9))
    assert (stalled.cycles >= calm.cycles).all()
    assert stalled.cycles.sum() > calm.cycles.sum()


@pytest.mark.parametrize("simulator", Simulator)
def test_a_session_does_what_a_run_does(simulator: Simulator) -> None:
    recipe = Recipe(seed=5, sizes=(4, 3), channels=3, recurrent=True, synaptic_delays=True)
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 2, 4)
    program = RtlProgram(graph, CoreSimulation(simulator=simulator, exact=simulator is Simulator.ICARUS))
    check_session(program, graph, stimuli, reference.run(graph, stimuli))


def test_a_session_ends_with_its_last_name() -> None:
    session = RtlTarget().build(conformance.graph()).session(2)
    session.step({"x": conformance.stimulus(2)[:, 0]})
    child = session._child
    assert child.poll() is None
    # Nobody reads what a session sends out, and a file of it would grow with every step.
    assert "beats" not in str(child.args)
    del session
    gc.collect()
    assert child.poll() is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SimulationError("late", process="core", step=0)])
def test_a_session_that_ended_within_a_step_says_so(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | type[BaseException]
) -> None:
    session = RtlTarget().build(conformance.graph()).session(1)
    values = {"x": conformance.stimulus(1)[:, 0]}
    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SimulationError)):
        patch.setattr("targets.rtl.program.receive", Mock(side_effect=error))
        session.step(values)
    assert session._child.poll() is not None
    session.reset()
    with pytest.raises(SimulationError, match="ended within an earlier step"):
        session.step(values)


def test_a_core_that_hangs_or_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    program = RtlProgram(conformance.graph(), CoreSimulation(patience_s=0.2))
    core = program._call(("spikes",)).core
    for script, problem in (("sleep 60", "no progress for 0.2 s"), ("exit 7", "ended with status 7")):
        fake = replace(core, program=f"#!/bin/sh\n{script}\n".encode())
        monkeypatch.setattr("targets.rtl.program.simulated_core", lambda *_, fake=fake: fake)
        with pytest.raises(SimulationError, match=problem):
            program.run(conformance.stimulus(1))


def test_what_a_simulation_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="one of 1, 2, 4, 8, 16"):
        CoreSimulation(lanes=3)
    program = RtlProgram(conformance.graph(), CoreSimulation())
    with pytest.raises(TargetError, match="a core for each sample"):
        program.session(10**6)
    in_icarus = RtlProgram(conformance.graph(), CoreSimulation(simulator=Simulator.ICARUS, exact=True))
    with pytest.raises(TargetError, match="one sample at a time"):
        in_icarus.session(2)


def test_a_network_that_no_family_holds_gets_a_core_of_its_own() -> None:
    delay = ir.Delay(name="d", inputs=("x",), shape=(1,), steps=2**23)
    graph = chain(delay, fixed_dense("w", "d", np.ones((1, 1), np.int32) * 2), fixed_lif("p", ("w",), 1))
    program = RtlProgram(graph, CoreSimulation())
    assert program.size == program.image.size
    assert program.size.message_depth > 2**24


def test_a_network_beyond_all_simulations_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.rtl.program.CAPABILITIES", replace(CAPABILITIES, largest=1000))
    with pytest.raises(TargetError, match=r"takes [\d.]+ MiB as"):
        RtlProgram(conformance.graph(), CoreSimulation())
    assert memory_image(conformance.graph(), 1).size.lanes == 1

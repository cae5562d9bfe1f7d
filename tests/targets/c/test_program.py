"""Networks as C give the integers of the reference, bit for bit, and leave nothing behind."""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.c.program import CProgram
from targets.c.target import CTarget
from tests.exactness import check_apart, check_session
from tests.graphs import union
from tests.image_graphs import random_images, random_stimuli_of_pictures, wide_image_recipes
from tests.random_graphs import random_fixed, random_stimuli, recipes, wide_recipes
from tests.targets import conformance
from tests.targets.c.strict import SANITIZED, check_equal, drawn, strict_program
from toolchain.errors import SimulationError, StimulusError
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of temporary files whose name compilers must not read; empty again afterwards."""
    folder = tmp_path / 'it\'s "a" $folder'
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def test_it_keeps_the_contract_of_targets(tmp_path: Path) -> None:
    target = CTarget()
    conformance.check_equal_to_the_reference(target)
    conformance.check_limits(target)
    conformance.check_rest(target)
    conformance.check_save(target, tmp_path)
    with pytest.raises(StimulusError):
        target.build(conformance.graph()).run(conformance.stimulus()[:, :, :2])


def _together(kind: str, first: int, count: int) -> tuple[Graph, dict[str, Any]]:
    """Several random graphs as one, of which each gets as many steps: one compiler for all."""
    made = [drawn(kind, seed) for seed in range(first, first + count)]
    steps = min(next(iter(stimuli.values())).shape[1] for _, stimuli in made)
    stimuli = {f"g{i}-{name}": x[:, :steps] for i, (_, each) in enumerate(made) for name, x in each.items()}
    return union([graph for graph, _ in made]), stimuli


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("networks", 6), ("images", 4)])
def test_many_random_graphs_in_one_equal_the_reference_without_a_warning_or_undefined_behaviour(
    kind: str, count: int
) -> None:
    check_equal(*_together(kind, 5000, count), SANITIZED)


@settings(max_examples=6)
@given(recipe=wide_recipes)
def test_random_networks_equal_the_reference(recipe: Any) -> None:
    check_equal(random_fixed(recipe), random_stimuli(recipe, 2, 9))


@settings(max_examples=4)
@given(recipe=wide_image_recipes)
def test_random_networks_of_images_equal_the_reference(recipe: Any) -> None:
    check_equal(random_images(recipe), random_stimuli_of_pictures(recipe, 2, 5))


@settings(max_examples=3)
@given(recipe=recipes, steps=st.integers(1, 5))
def test_a_session_and_samples_alone_do_what_a_batch_does(recipe: Any, steps: int) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 3, steps)
    program, expected = strict_program(graph), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


def test_a_large_batch_is_stepped_without_waiting_for_one_another() -> None:
    graph, x = conformance.graph(), conformance.stimulus(5000)
    session = CTarget().build(graph).session(5000)
    expected = reference.run(graph, x[:3])
    for t in range(3):
        for name, spikes in session.step({"input": x[:, t]}).items():
            assert np.array_equal(spikes[:3], expected.spikes[name][:, t])


def test_samples_that_take_more_than_a_run_holds_are_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.c.program._TOGETHER", 1000)
    graph, x = conformance.graph(), conformance.stimulus(7)
    told: list[tuple[int, int]] = []
    trace = CTarget().build(graph).run(x, record=QUANTITIES, progress=lambda *done: told.append(done))
    assert first_mismatch(reference.run(graph, x), trace) is None
    assert told[-1] == (7, 7)
    assert told == sorted(told)


def test_nothing_is_left_wherever_temporary_files_are(place: Path) -> None:
    program = CTarget().build(conformance.graph())
    program.run(conformance.stimulus())
    session = program.session(2)
    session.step({"input": conformance.stimulus(2)[:, 0]})
    child = session._child
    assert child.poll() is None
    assert not list(place.iterdir())
    del session
    gc.collect()
    assert child.poll() is not None


def test_a_session_that_ended_within_a_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    session = CTarget().build(conformance.graph()).session(1)
    values = {"input": conformance.stimulus(1)[:, 0]}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("toolchain.child_process.select.select", Mock(side_effect=KeyboardInterrupt))
        session.step(values)
    session.reset()
    with pytest.raises(SimulationError, match="ended within an earlier step"):
        session.step(values)


def test_an_interrupt_ends_the_child_and_removes_its_files(place: Path) -> None:
    program = CTarget().build(conformance.graph())
    program.run(conformance.stimulus())
    x = np.broadcast_to(conformance.stimulus(1), (20_000, 9, 4))

    def interrupt() -> None:
        # Once the child has answered something, it is held by what ends it.
        while not any(answered.stat().st_size for answered in place.glob("*/answered")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        program.run(x, record=QUANTITIES)
    thread.join()


def _with_driver(monkeypatch: pytest.MonkeyPatch, patience_s: float, body: str) -> CProgram:
    program = CProgram(conformance.graph(), ("cc",), patience_s)
    text = f"#include <unistd.h>\n#include <stdlib.h>\nint main(void) {{ {body} }}\n"
    monkeypatch.setattr(type(program._code), "driver", lambda _: text)
    return program


def test_a_program_that_dies_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    dying = _with_driver(monkeypatch, 60, "abort();")
    with pytest.raises(SimulationError, match="ended with status -6 in sample 0"):
        dying.run(conformance.stimulus())
    with pytest.raises(SimulationError, match="status -6"):
        dying.session(1).step({"input": conformance.stimulus(1)[:, 0]})
    hanging = _with_driver(monkeypatch, 0.3, "for (;;) sleep(1);")
    with pytest.raises(SimulationError, match=r"no progress for 0\.3 s"):
        hanging.run(conformance.stimulus())
    with pytest.raises(SimulationError, match=r"no answer for 0\.3 s"):
        hanging.session(1).step({"input": conformance.stimulus(1)[:, 0]})
    refusing = _with_driver(monkeypatch, 60, "return 4;")
    with pytest.raises(SimulationError, match="for want of input"):
        refusing.run(conformance.stimulus())
    assert place.is_dir()


def test_a_build_is_written_as_a_header_and_a_source(tmp_path: Path) -> None:
    CTarget().build(conformance.graph()).export(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net_random.c", "net_random.h"]

"""A comparison in parts: the same judgement, and never more than a part in memory."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.emulator.program import EmulatorProgram
from tests.graphs import recurrent, spikes
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.report import write_report
from toolchain.ir import Graph
from toolchain.workflow import compared_shard as judge
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import Judgement, report_of
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.sizes import judge_float

SAMPLES = 11

Cut = Callable[[int], None]


def _graph(rng: np.random.Generator) -> Graph:
    """A network whose weights are few binary places: its sums are exact, however a batch is cut."""
    return recurrent(rng, neurons=20).map(
        lambda n: replace(n, weights=np.round(n.weights * 64) / 64) if isinstance(n, ir.Dense) else n
    )


@pytest.fixture
def build(rng: np.random.Generator) -> Build:
    x = spikes(rng, SAMPLES, 20, 6)
    stimulus = Stimulus({"x": x}, rng.integers(0, 3, SAMPLES), rng.integers(5, 21, SAMPLES))
    return compile_graph(
        _graph(rng), stimulus=stimulus, calibration=stimulus, quantization=Quantization(weight_bits=3)
    )


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    def after(size: int) -> None:
        monkeypatch.setattr(judge, "_PART_BYTES", 1)
        monkeypatch.setattr(EmulatorProgram, "batch_size", lambda *_: size)

    return after


def _same(one: Judgement, other: Judgement) -> None:
    assert one.comparison == other.comparison
    assert one.document() == other.document()
    assert one.costs == other.costs
    assert one.shown_samples == other.shown_samples
    for mine, others in zip(one.shown, other.shown, strict=True):
        records = others.by_key()
        assert all(np.array_equal(values, records[key]) for key, values in mine.by_key().items())


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_judgement_does_not_depend_on_the_parts(size: int, build: Build, cut: Cut) -> None:
    whole = compare_build(build)
    cut(size)
    _same(compare_build(build), whole)


def test_no_run_of_a_comparison_is_larger_than_a_part(
    build: Build, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(3)
    monkeypatch.setattr(judge, "_EXACT_BYTES", 1)
    original, sizes = EmulatorProgram.run, []

    def watched(program: EmulatorProgram, stimulus: Stimulus, **options: Any) -> object:
        sizes.append(stimulus.samples)
        return original(program, stimulus, **options)

    monkeypatch.setattr(EmulatorProgram, "run", watched)
    told: list[tuple[str, int, int]] = []
    judged = compare_build(
        build,
        exact=("emulator",),
        samples=5,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert judged.exact["emulator"].samples == 5
    assert judged.exact["emulator"].equal
    assert set(sizes) == {1, 2, 3}
    for stage, total in (("emulate float", SAMPLES), ("emulate fixed", SAMPLES), ("run on emulator", 5)):
        steps = [done for name, done, of in told if name == stage and of == total]
        assert steps == sorted(steps)
        assert steps[-1] == total


def test_a_target_that_differs_in_a_late_part_is_told_with_its_sample(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_EXACT_BYTES", 1)
    reference, calls = judge.run_reference, []

    def wrong(graph: Graph, stimulus: Stimulus) -> Any:
        calls.append(stimulus.samples)
        trace = reference(graph, stimulus)
        trace.u["hidden"][:] += len(calls) == 5
        return trace

    monkeypatch.setattr(judge, "run_reference", wrong)
    found = compare_build(build, exact=("emulator",), samples=8).exact["emulator"]
    assert (found.samples, found.against) == (8, "the integer reference")
    assert found.mismatch is not None
    assert (found.mismatch.record, found.mismatch.sample, found.mismatch.step) == ("hidden.u", 4, 0)


@pytest.fixture
def late(build: Build) -> Build:
    """Nine silent samples, then one that differs."""
    assert build.stimulus is not None
    firsts = [node.first for node in compare_build(build).comparison.nodes.values() if node.first]
    x = np.zeros((12, 20, 6), bool)
    x[9] = build.stimulus.values["x"][firsts[0].sample]
    return replace(build, stimulus=Stimulus({"x": x}))


@pytest.mark.parametrize("size", [1, 4, 12])
def test_the_sample_that_differs_is_shown_however_late_it_comes(size: int, late: Build, cut: Cut) -> None:
    cut(size)
    judged = compare_build(late)
    first = next(node.first for node in judged.comparison.nodes.values() if node.first)
    assert first.sample == 9
    assert judged.shown_samples == (0, 1, 2, 3, 9)
    assert not judged.shown[0].spikes["hidden"][:4].any()
    assert judged.shown[0].spikes["hidden"][4].any()


def test_the_page_shows_the_sample_that_the_text_speaks_of(late: Build, cut: Cut, tmp_path: Path) -> None:
    cut(4)
    judged = compare_build(late)
    write_report(tmp_path / "report.html", report_of(late, judged))
    page = (tmp_path / "report.html").read_text()
    assert "first differs in sample 9 at step" in page
    assert "Sample 9, in which a population first differs." in page
    assert "not among those shown" not in page
    found = re.search(r'id="explorer-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found.group(1))
    assert (data["samples"], data["start"]) == ([0, 1, 2, 3, 9], 4)
    assert data["populations"][0]["spikes"][0][4]
    assert not data["populations"][0]["spikes"][0][0]


def test_two_equal_executions_show_their_first_samples(build: Build, tmp_path: Path) -> None:
    silent = replace(build, stimulus=Stimulus({"x": np.zeros((2, 20, 6), bool)}))
    judged = compare_build(silent)
    assert judged.shown_samples == (0, 1)
    write_report(tmp_path / "report.html", report_of(silent, judged))
    assert "Sample 0. Spikes: dark in both" in (tmp_path / "report.html").read_text()


def test_events_and_accuracy_are_counted_in_parts_too(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.stimulus is not None
    whole = check_build(build, "loihi2"), judge_float(build.float_graph, build.stimulus)
    monkeypatch.setattr("toolchain.target.parts.ROOM_BYTES", 1)
    monkeypatch.setattr(EmulatorProgram, "batch_size", lambda *_: 2)
    assert check_build(build, "loihi2") == whole[0]
    assert judge_float(build.float_graph, build.stimulus) == whole[1]


def test_a_stimulus_that_stays_in_its_file_is_compared_alike(build: Build, tmp_path: Path) -> None:
    assert build.stimulus is not None
    whole = compare_build(build)
    build.stimulus.save(tmp_path / "s.npz")
    stored = Stimulus.open(tmp_path / "s.npz", held_bytes=0)
    assert type(stored.values["x"]).__name__ == "StoredArray"
    _same(compare_build(build, stored), whole)

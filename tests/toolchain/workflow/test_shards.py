"""A test set in shards: the figures and the trace of one process, to the last digit."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs import recurrent, spikes
from toolchain.cli.main import main
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import EdgeKind, Graph, Input, Stage
from toolchain.progress import StageProgress, no_stages
from toolchain.workflow import shards as shards_module
from toolchain.workflow.build_folder import MANIFEST, Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import Judgement
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.run import record_build
from toolchain.workflow.shards import Computed, OnWorkers, SharedSamples, Work, on_workers

pytestmark = pytest.mark.slow

SAMPLES = 11


class InPieces:
    """Computes shards in this process, in another order, and hands over copies as a worker would."""

    def __init__(self, build: Build, stimulus: Stimulus, rng: np.random.Generator, pieces: int) -> None:
        self.opened = build, stimulus
        self._rng, self._pieces = rng, pieces
        self.computed = Computed(pieces, {"here:1": pieces})

    def anew(self) -> "InPieces":
        return self

    def open(self) -> tuple[Build, Stimulus]:
        return self.opened

    def shards(self, samples: int, batch: int = 1, *, slow: bool = False) -> list[range]:
        assert batch == 1
        pieces = min(2 if slow else self._pieces, samples)
        inner = self._rng.choice(np.arange(1, samples), pieces - 1, replace=False) if samples > 1 else []
        edges = [0, *sorted(int(each) for each in inner), samples]
        return [range(a, b) for a, b in pairwise(edges)]

    def results(
        self, work: Work, tasks: Sequence[tuple[Any, ...]], progress: StageProgress, stage: str
    ) -> Iterator[tuple[int, Any]]:
        progress(stage, 0, len(tasks))
        for index in self._rng.permutation(len(tasks)):
            yield int(index), deepcopy(work(self, *tasks[index], progress=no_stages))


def _stimulus(rng: np.random.Generator, kind: str) -> Stimulus:
    x = spikes(rng, SAMPLES, 20, 6)
    labels, lengths = rng.integers(0, 3, SAMPLES), rng.integers(5, 21, SAMPLES)
    match kind:
        case "labels and lengths":
            return Stimulus({"x": x}, labels, lengths)
        case "real outputs":
            return Stimulus({"x": x}, rng.normal(size=(SAMPLES, 3)))
        case "nothing":
            return Stimulus({"x": x})
        case _:
            # Farther than the calibration: clipped values are counted.
            return Stimulus({"x": rng.normal(size=(SAMPLES, 20, 6)) * 3}, labels)


def _graph(rng: np.random.Generator, kind: str) -> Graph:
    graph = recurrent(rng, neurons=12)
    if kind != "graded":
        return graph
    return graph.map(lambda node: replace(node, edge=EdgeKind.GRADED) if isinstance(node, Input) else node)


def _build(rng: np.random.Generator, kind: str) -> Build:
    stimulus = _stimulus(rng, kind)
    few = stimulus.take(slice(0, 3))
    return compile_graph(
        _graph(rng, kind), stimulus=stimulus, calibration=few, quantization=Quantization(weight_bits=3)
    )


def _same(one: Judgement, other: Judgement) -> None:
    assert one.comparison == other.comparison
    assert one.costs == other.costs
    assert one.clipped == other.clipped
    assert one.exact == other.exact
    assert one.resources == other.resources
    assert one.shown_samples == other.shown_samples
    for mine, others in zip(one.shown, other.shown, strict=True):
        records = others.by_key()
        assert all(np.array_equal(values, records[key]) for key, values in mine.by_key().items())
    without = {"computed"}
    assert one.document().model_dump(exclude=without) == other.document().model_dump(exclude=without)


@pytest.mark.parametrize("kind", ["labels and lengths", "graded", "real outputs", "nothing"])
def test_figures_of_random_shards_are_those_of_one(kind: str, rng: np.random.Generator) -> None:
    build = _build(rng, kind)
    whole = compare_build(build, exact=("emulator",), samples=5)
    assert whole.computed is None
    if kind == "graded":
        assert whole.clipped
    assert build.stimulus is not None
    for pieces in (2, 5, SAMPLES):
        on = InPieces(build, build.stimulus, rng, pieces)
        judged = compare_build(build, exact=("emulator",), samples=5, on=on)
        _same(judged, whole)
        assert judged.computed == on.computed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "build"
    _build(np.random.default_rng(3), "labels and lengths").save(folder)
    return folder


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[OnWorkers]:
    with on_workers(folder, workers=2) as opened:
        yield opened


def test_workers_say_the_same_and_where_they_computed_it(place: OnWorkers) -> None:
    judged = compare_build(place.build, on=place)
    _same(judged, compare_build(place.build))
    assert judged.computed is not None
    assert judged.computed.shards == sum(judged.computed.workers.values()) == len(place.shards(SAMPLES))
    again = compare_build(place.build, on=place).computed
    assert again is not None
    assert again.shards == judged.computed.shards
    assert judged.sentences()[-1] == judged.computed.sentence()
    assert judged.document().model_dump(mode="json")["computed"]["shards"] == judged.computed.shards


@pytest.mark.parametrize("stage", [Stage.FIXED, Stage.FLOAT])
def test_a_trace_of_workers_is_the_file_of_one_process(
    stage: Stage, place: OnWorkers, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"stage": stage, "record": ("spikes", "v", "u")}
    alone = record_build(place.build, tmp_path / "one.npz", "emulator", **options)
    shared = record_build(place.build, tmp_path / "two.npz", "emulator", **options, on=place)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert shared == alone
    assert shared.computed is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]


def test_a_worker_that_dies_in_the_middle_changes_nothing(place: OnWorkers, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    shards = place.shards(SAMPLES)
    tasks = [(str(mark), shard) for shard in shards]
    numbers = sorted(place.results(_die_once, tasks, no_stages, "dying"))
    assert [shard for _, shard in numbers] == shards
    assert mark.exists()
    _same(compare_build(place.build, on=place), compare_build(place.build))


def _die_once(source: SharedSamples, mark: str, shard: range, *, progress: StageProgress) -> range:
    from tests.toolchain.cluster.tasks import die_once  # noqa: PLC0415 - runs in a worker

    del progress
    source.open()
    if shard.start:
        die_once(mark)
    return shard


def test_an_error_of_a_worker_is_the_error_of_the_call(place: OnWorkers, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resume"):
        record_build(place.build, tmp_path / "x.npz", on=place, resume=tmp_path)
    with pytest.raises(ArgumentError, match="mark") as raised:
        list(place.results(_refuse, [(1,)], no_stages, "refusing"))
    assert "this was on worker" in raised.value.__notes__[0]


def _refuse(source: SharedSamples, number: int, *, progress: StageProgress) -> None:
    del source, number, progress
    raise ArgumentError("mark", "a path", "none")


def test_a_build_that_changed_meanwhile_is_refused(folder: Path, tmp_path: Path) -> None:
    shared = SharedSamples.of(folder, None)
    with pytest.raises(CorruptArtifactError, match="was changed while workers computed"):
        replace(shared, manifest="0" * 64).read()
    samples = tmp_path / "samples.npz"
    Stimulus({"x": np.zeros((2, 20, 6))}).save(samples)
    with_file = SharedSamples.of(folder, samples)
    assert with_file.open()[1].samples == 2
    Stimulus({"x": np.zeros((3, 20, 6))}).save(samples)
    with pytest.raises(CorruptArtifactError, match=r"samples\.npz"):
        with_file.read()
    with pytest.raises(MissingFileError):
        SharedSamples.of(tmp_path / "none", None)
    assert shared.files == [folder / MANIFEST]


def test_the_commands_say_what_was_computed_where(
    folder: Path,
    place: OnWorkers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Workers that are there stand for those that are asked for, which the tests of the pages start."""
    asked: list[tuple[str | None, int | None]] = []

    def opened(scheduler: str | None, workers: int | None) -> Any:
        asked.append((scheduler, workers))
        return nullcontext(place.cluster)

    monkeypatch.setattr(shards_module, "open_cluster", opened)
    assert main(["compare", str(folder), "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("computed")["shards"] == len(place.shards(SAMPLES))
    assert main(["compare", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    assert main(["run", str(folder), "-o", str(files[0])]) == 0
    assert main(["run", str(folder), "-o", str(files[1]), "--workers", "1"]) == 0
    assert " shards: " in capsys.readouterr().out
    assert files[0].read_bytes() == files[1].read_bytes()
    assert asked == [(None, 1)] * 2


def test_shards_are_few_where_starting_takes_long(place: OnWorkers) -> None:
    workers = len(place.cluster.workers)
    assert len(place.shards(96)) == workers * shards_module.PER_WORKER
    assert len(place.shards(96, slow=True)) == workers
    assert place.shards(100, 64) == [range(64), range(64, 100)]

"""What a worker does for a point: trained once for all bits, measured, and written down."""

from pathlib import Path

import pytest

from tests.sweeps import small_sweep
from toolchain.errors import StorageError, TrainingError
from toolchain.files.documents import read_document
from toolchain.sweep import stages
from toolchain.sweep.plan import GridPlan
from toolchain.sweep.rows import PointState
from toolchain.sweep.stages import PointTask, measure_point, train_point
from toolchain.sweep.sweep_folder import SweepFolder, TrainingRecord
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.quantization import Quantization

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[PointTask]:
    """Points of one network with 4 and with 8 bits, measured."""
    place = tmp_path_factory.mktemp("sweep")
    more = '[compare]\nexact = ["onnx"]\nsamples = 3\nchip = "loihi1"'
    sweep = small_sweep(place, '"quantization.weight_bits" = [4, 8]', more)
    plan = GridPlan(sweep.shared, sweep.grid or {})
    tasks = [PointTask.of(point, place / "s") for point in plan.next(9)]
    train_point(tasks[0])
    for task in tasks:
        measure_point(task)
    return tasks


def test_one_training_serves_all_bits_and_each_build_has_its_own(tasks: list[PointTask]) -> None:
    folder = tasks[0].folder
    assert len(list((folder.path / "runs").iterdir())) == 1
    for task, bits in zip(tasks, (4, 8), strict=True):
        build = Build.load(folder.build(task.name))
        options = build.quantization.options
        assert options is not None
        assert options.weight_bits == bits
        assert (folder.build(task.name) / "report.html").is_file()


def test_figures_are_those_of_the_single_commands(tasks: list[PointTask], small_run: Path) -> None:
    build = compile_run(small_run, target="emulator", quantization=Quantization(weight_bits=4))
    judgement = compare_build(build)
    row = tasks[0].folder.row(tasks[0].name)
    assert row is not None
    figures = row.figures
    assert row.state is PointState.DONE
    assert row.settings == {"quantization.weight_bits": 4}
    assert figures.float_accuracy == judgement.comparison.float_accuracy
    assert figures.fixed_accuracy == judgement.comparison.fixed_accuracy
    assert figures.spike_f1 == judgement.comparison.spike_f1
    assert figures.operations == judgement.costs[1].total_operations
    assert figures.neurons == 20
    assert figures.exact == {"onnx": True}
    assert figures.validation is None
    assert figures.cores is not None
    assert figures.microjoules is not None
    assert figures.microjoules[0] <= figures.microjoules[1]


def test_a_row_says_where_its_folders_are_and_how_long_it_took(tasks: list[PointTask]) -> None:
    folder = tasks[0].folder
    row = folder.row(tasks[1].name)
    assert row is not None
    assert (folder.path / row.run / "run.json").is_file()
    assert (folder.path / row.build / "manifest.json").is_file()
    record = read_document(folder.training(tasks[1].run_name), TrainingRecord)
    assert row.train_seconds == record.seconds > 0
    assert row.compile_seconds is not None
    assert row.worker == record.worker


def _files(folder: Path) -> dict[Path, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_what_is_done_is_not_touched(tasks: list[PointTask]) -> None:
    before = _files(tasks[0].place)
    for task in tasks:
        train_point(task)
        measure_point(task)
    assert _files(tasks[0].place) == before


def test_what_cannot_be_compiled_has_a_row_that_says_why(tasks: list[PointTask], tmp_path: Path) -> None:
    task = PointTask(tmp_path / "s", tasks[0].name, tasks[0].run_name, tasks[0].point)
    row = measure_point(task)
    assert row == SweepFolder(tmp_path / "s").row(task.name)
    assert row.state is PointState.FAILED
    assert "does not exist" in row.error
    assert (row.run, row.build) == ("", "")


def test_a_bug_is_recorded_with_its_class_and_tried_again(
    tasks: list[PointTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PointTask(tasks[0].place, "other", tasks[0].run_name, tasks[0].point)

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr(stages, "compile_run", fail)
        assert measure_point(task).error == "ValueError: no such thing"
    assert measure_point(task).state is PointState.DONE


def test_a_full_disk_is_not_the_fault_of_a_point(
    tasks: list[PointTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PointTask(tasks[0].place, "third", tasks[0].run_name, tasks[0].point)

    def fail(*_: object, **__: object) -> None:
        raise StorageError(task.place, "cannot be written: the disk is full", "free some space")

    monkeypatch.setattr(stages, "compile_run", fail)
    with pytest.raises(StorageError):
        measure_point(task)
    assert task.folder.row("third") is None


def test_a_training_that_fails_raises_and_leaves_the_lock(
    tasks: list[PointTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PointTask(tmp_path, "x", "y", tasks[0].point)

    def fail(*_: object, **__: object) -> None:
        raise TrainingError("it left the finite numbers")

    monkeypatch.setattr(stages, "train", fail)
    for _ in range(2):
        with pytest.raises(TrainingError):
            train_point(task)


def test_training_with_integers_is_that_of_the_point(tmp_path: Path) -> None:
    few = '"data.train_samples" = [60]\n"data.test_samples" = [40]'
    sweep = small_sweep(tmp_path, f'"quantization.qat_epochs" = [0, 1]\n{few}')
    points = GridPlan(sweep.shared, sweep.grid or {}).next(2)
    tasks = [PointTask.of(point, tmp_path / "s") for point in points]
    train_point(tasks[0])
    rows = [measure_point(task) for task in tasks]
    assert [row.state for row in rows] == [PointState.DONE] * 2
    repairs = [Build.load(tasks[0].folder.build(task.name)).facts.repair for task in tasks]
    assert repairs[0] is None
    assert repairs[1] is not None
    assert repairs[1].epochs == 1
    assert not tasks[1].folder.unfinished(tasks[1].name).exists()


def test_validation_samples_are_judged_where_there_are_some(tmp_path: Path) -> None:
    sweep = small_sweep(tmp_path, '"data.validation_fraction" = [0.2]')
    (point,) = GridPlan(sweep.shared, sweep.grid or {}).next(1)
    task = PointTask.of(point, tmp_path / "s")
    train_point(task)
    figures = measure_point(task).figures
    assert figures.validation is not None
    assert figures.fixed_validation is not None
    assert abs(figures.validation - figures.fixed_validation) < 20

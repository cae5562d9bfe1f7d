"""The folder of a sweep is that of one sweep, which may grow."""

import json
from pathlib import Path

import pytest

from tests.sweeps import trivial_sweep
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError
from toolchain.sweep import sweep_folder as module
from toolchain.sweep.rows import PointRow, PointState
from toolchain.sweep.sweep_file import parse_sweep
from toolchain.sweep.sweep_folder import SWEEP, SweepFolder


def _row(name: str) -> PointRow:
    return PointRow(name=name, settings={"model.cluster_tau_ms": (1, 2.5), "seed": 1}, state=PointState.DONE)


def test_the_same_sweep_may_come_again(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "s")
    folder.claim(trivial_sweep(seed=[1, 2], model__cluster_tau_ms=[[5, 20]]))
    before = (folder.path / SWEEP).read_bytes()
    folder.claim(trivial_sweep(seed=[1, 2], model__cluster_tau_ms=[[5, 20]]))
    assert (folder.path / SWEEP).read_bytes() == before


def test_values_may_be_added(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "s")
    folder.claim(trivial_sweep(seed=[1, 2]))
    folder.claim(trivial_sweep(seed=[1, 2, 3]))
    assert folder.document().grid == {"seed": (1, 2, 3)}
    assert folder.document().shared == trivial_sweep(seed=[1]).shared


def test_trials_may_be_added(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "s")
    for trials in (4, 6):
        section = {"space": {"seed": [1, 2]}, "trials": trials}
        folder.claim(parse_sweep({"search": section, "experiment": {"data": {"validation_fraction": 0.2}}}))
    search = folder.document().search
    assert search is not None
    assert search.trials == 6


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        ({"grid": {"seed": [1]}}, "grid"),
        ({"grid": {"seed": [1, 2], "model.gain": [1.0]}}, "grid"),
        ({"grid": {"seed": [1, 2, 3]}, "experiment": {"model": {"gain": 2.0}}}, "experiment, grid"),
        ({"grid": {"seed": [1, 2]}, "target": "onnx"}, "target"),
        ({"grid": {"seed": [1, 2]}, "compare": {"samples": 4}}, "compare"),
        (
            {"search": {"space": {"seed": [1, 2]}}, "experiment": {"data": {"validation_fraction": 0.2}}},
            "experiment, grid, search",
        ),
    ],
)
def test_another_sweep_is_refused_and_its_difference_told(
    other: dict[str, object], parts: str, tmp_path: Path
) -> None:
    folder = SweepFolder(tmp_path / "s")
    folder.claim(trivial_sweep(seed=[1, 2]))
    message = f"is the folder of another sweep, which differs in: {parts}; choose another folder"
    with pytest.raises(UsageError, match=message):
        folder.claim(parse_sweep(other))


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="exists and is not the folder of a sweep"):
        SweepFolder(tmp_path).claim(trivial_sweep(seed=[1]))
    with pytest.raises(MissingFileError):
        SweepFolder(tmp_path).document()


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    assert list(folder.rows()) == []
    assert folder.row("b") is None
    for name in ("b", "a"):
        folder.write_row(_row(name))
    assert [row.name for row in folder.rows()] == ["a", "b"]
    assert folder.row("b") == _row("b")


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.write_row(_row("a"))
    (tmp_path / "points" / "a.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match=r"points/a.json"):
        list(folder.rows())


def test_a_damaged_row_says_what_to_do(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "a.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"a\.json") as raised:
        folder.row("a")
    assert "computes this point again" in raised.value.__notes__[0]
    with pytest.raises(CorruptArtifactError, match=r"a\.json"):
        list(folder.rows())


def test_the_row_of_another_point_is_no_row(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.write_row(_row("a"))
    (tmp_path / "points" / "b.json").write_bytes((tmp_path / "points" / "a.json").read_bytes())
    with pytest.raises(CorruptArtifactError, match=r"b.json' is the row of another point, 'a'"):
        folder.row("b")


def test_a_damaged_claim_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / SWEEP).write_text("{")
    with pytest.raises(CorruptArtifactError) as caught:
        SweepFolder(tmp_path).claim(trivial_sweep(seed=[1]))
    assert "begin the same sweep in another folder" in caught.value.__notes__[0]


def test_a_folder_of_other_code_or_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "net.py"
    file.write_text("first")
    document = {"experiment": {"model": {"module": f"{file}:Net"}}, "grid": {"seed": [1, 2]}}
    folder = SweepFolder(tmp_path / "sweep")
    folder.claim(parse_sweep(document))
    folder.claim(parse_sweep(document | {"grid": {"seed": [1, 2, 3]}}))
    file.write_text("second")
    # What is shown of it is what was computed.
    assert folder.document().shared.point({}).code != parse_sweep(document).shared.point({}).code
    with pytest.raises(UsageError, match="differs in: .*the code of the network"):
        folder.claim(parse_sweep(document | {"grid": {"seed": [1, 2, 3]}}))
    file.write_text("first")
    monkeypatch.setattr(module, "pumice_version", lambda: "9.9.9")
    with pytest.raises(UsageError, match="differs in: the version of pumice"):
        folder.claim(parse_sweep(document | {"grid": {"seed": [1, 2, 3]}}))


def test_a_folder_that_does_not_say_its_version_goes_on(tmp_path: Path) -> None:
    folder, sweep = SweepFolder(tmp_path), trivial_sweep(seed=[1])
    folder.claim(sweep)
    content = json.loads((tmp_path / SWEEP).read_text())
    del content["pumice"]
    (tmp_path / SWEEP).write_text(json.dumps(content))
    folder.claim(sweep)
    assert folder.document().pumice

"""Files of settings are small, flat and read as data only."""

from pathlib import Path

import pytest

from toolchain.errors import ExperimentError, MissingFileError
from toolchain.files.toml import MAX_TOML_BYTES, read_toml
from toolchain.workflow.experiment import load_experiment


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("a.b = 1\n[c]\nd = [1.5, 2.5]\n")
    assert read_toml(tmp_path / "x.toml", "file") == {"a": {"b": 1}, "c": {"d": [1.5, 2.5]}}
    with pytest.raises(MissingFileError, match="settings"):
        read_toml(tmp_path / "none.toml", "settings")


@pytest.mark.parametrize(
    "text",
    [
        "seed = " + "[" * 100_000,
        "seed = " + "{a = " * 40_000,
        "a" + ".a" * 100_000 + " = 1",
        '"a".' * 50_000 + "a = 1",
        "seed = " + "7" * 100_000,
        "seed = " + "7" * 400,
        "seed = 2020-01-01",
        "x" * MAX_TOML_BYTES + " = 1",
        "seed",
        '"a.b" = 1',
        '[model]\n"a.b" = 1',
        'seed = "\0"',
        "seed = true",
        'seed = "1"',
        "seed = 1.0",
        "[[model]]",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_large_deep_or_of_another_type_is_refused_at_once(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ExperimentError) as caught:
        load_experiment(tmp_path / "x.toml")
    assert len(str(caught.value)) < 500 + len(text) * text.startswith("x")


def test_a_file_of_holes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.toml").open("wb") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(ExperimentError, match="is larger than"):
        load_experiment(tmp_path / "x.toml")

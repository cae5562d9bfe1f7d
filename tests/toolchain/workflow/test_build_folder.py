"""Build folders: sealed, checked, atomic."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import targets.lava
from tests.graphs import recurrent, spikes
from toolchain.errors import (
    ArtifactError,
    CorruptArtifactError,
    FormatVersionError,
    MissingFileError,
    UsageError,
)
from toolchain.execution.stimulus import Stimulus
from toolchain.files.atomic import sha256
from toolchain.files.documents import read_document
from toolchain.ir import same_structure
from toolchain.workflow.build_folder import MANIFEST, Build, Manifest
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.load import load

LAVA = Path(targets.lava.__path__[0])


def _copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "build"))


def test_a_build_holds_what_its_contract_says(small_build: Path) -> None:
    files = {item.relative_to(small_build).as_posix() for item in small_build.rglob("*") if item.is_file()}
    assert files == {
        "manifest.json",
        "float/graph.json",
        "float/arrays.npz",
        "fixed/graph.json",
        "fixed/arrays.npz",
        "stimulus.npz",
        "quantization.json",
        "passes.json",
        "passes.npz",
        "input.json",
        "fidelity.json",
        "report.html",
        "lava/network.py",
        "lava/network.json",
        "lava/weights.npz",
        *(f"lava/{path.relative_to(LAVA)}" for path in (LAVA / "runtime").rglob("*.py")),
    }
    manifest = read_document(small_build / MANIFEST, Manifest)
    assert manifest.files.keys() == files - {"manifest.json"}
    assert manifest.target == "emulator"


def test_python_leaves_the_same_build_as_the_command(tmp_path: Path, rng: np.random.Generator) -> None:
    build = compile_graph(recurrent(rng), stimulus=Stimulus.of(spikes(rng, 2, 10, 6)))
    build.save(tmp_path / "b")
    assert (tmp_path / "b" / "lava" / "network.py").is_file()
    assert not (tmp_path / "b" / "report.html").exists()
    build.save(tmp_path / "b", compare_build(build))
    assert (tmp_path / "b" / "report.html").is_file()
    assert (tmp_path / "b" / "fidelity.json").is_file()


def test_a_build_comes_back_as_it_was(tmp_path: Path, rng: np.random.Generator) -> None:
    build = compile_graph(recurrent(rng), stimulus=Stimulus.of(spikes(rng, 2, 10, 6)))
    build.save(tmp_path / "b")
    loaded = Build.load(tmp_path / "b")
    assert same_structure(loaded.fixed_graph, build.fixed_graph)
    assert same_structure(loaded.float_graph, build.float_graph)
    assert loaded.quantization == build.quantization
    assert loaded.facts == build.facts
    assert loaded.stimulus is not None
    build.save(tmp_path / "b")


def test_a_failing_report_leaves_no_half_build(tmp_path: Path, rng: np.random.Generator) -> None:
    class Failing:
        def write(self, build: Build, folder: Path) -> None:
            del build, folder
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        compile_graph(recurrent(rng)).save(tmp_path / "b", Failing())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["fixed/arrays.npz", "quantization.json", "report.html", "stimulus.npz"])
def test_an_edited_file_is_found_by_its_hash(name: str, small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(CorruptArtifactError, match="was changed after the build"):
        Build.load(folder)


def test_a_missing_file_is_named(small_build: Path, tmp_path: Path) -> None:
    folder = _copy(small_build, tmp_path)
    (folder / "float" / "graph.json").unlink()
    with pytest.raises(MissingFileError, match="graph.json"):
        Build.load(folder)


@pytest.mark.parametrize(("version", "advice"), [(99, "update pumice"), (0, "pumice compile")])
def test_stale_and_newer_versions_say_what_to_do(
    version: int, advice: str, small_build: Path, tmp_path: Path
) -> None:
    folder = _copy(small_build, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    with pytest.raises(FormatVersionError, match=advice):
        Build.load(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("empty", "is not the report of a quantization"),
        ("no populations", "key 'populations' is missing"),
        ("a row without its scale", r"key 'populations\.hidden\.scale' is missing"),
        ("an old version", "has format version 2"),
    ],
)
def test_a_report_that_is_none_is_refused_even_if_its_hash_is_right(
    damage: str, said: str, small_build: Path, tmp_path: Path
) -> None:
    folder = _copy(small_build, tmp_path)
    path = folder / "quantization.json"
    told = json.loads(path.read_text())
    hidden = {key: value for key, value in told["populations"]["hidden"].items() if key != "scale"}
    documents = {
        "empty": {},
        "no populations": {key: value for key, value in told.items() if key != "populations"},
        "a row without its scale": told | {"populations": {"hidden": hidden}},
        "an old version": told | {"version": 2},
    }
    path.write_text(json.dumps(documents[damage]))
    _seal_again(folder, "quantization.json")
    with pytest.raises(ArtifactError, match=said):
        Build.load(folder)


def _seal_again(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_no_build_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="build folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="compile it first"):
        load(small_run)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match="not the manifest"):
        load(tmp_path)


def test_a_build_does_not_replace_somebody_elses_folder(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="choose another"):
        compile_graph(recurrent(rng)).save(tmp_path)

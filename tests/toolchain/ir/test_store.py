"""Graphs on disk: round trips, and files from strangers."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.graphs import feed_forward, recurrent
from tests.nodes import weights_of
from tests.random_graphs import Recipe, random_fixed, recipes
from toolchain import ir
from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError, ToolchainError
from toolchain.files.npz import write_arrays
from toolchain.ir import load_graph, same_structure, save_graph


def test_a_float_graph_comes_back_bit_for_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    varied = graph.map(
        lambda node: (
            ir.Delay(name="wait", inputs=("hidden",), shape=(12,), steps=rng.integers(1, 5, 12))
            if node.name == "wait"
            else node
        )
    )
    save_graph(varied, tmp_path)
    assert same_structure(load_graph(tmp_path), varied)


@given(recipe=recipes)
@settings(max_examples=25)
def test_a_fixed_graph_comes_back_bit_for_bit(
    recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("graph")
    graph = random_fixed(recipe)
    save_graph(graph, folder)
    assert same_structure(load_graph(folder), graph)


def test_one_changed_weight_is_another_structure() -> None:
    graph = feed_forward()
    weights = np.array(weights_of(graph, "encode"))
    weights[0, 0] += 1e-12
    other = graph.map(lambda node: replace(node, weights=weights) if node.name == "encode" else node)
    assert not same_structure(graph, other)


def test_a_node_without_an_array_is_another_than_one_with_it() -> None:
    bare = feed_forward()
    weights, bias = np.eye(2), np.ones(2)
    read = bare.map(lambda node: replace(node, weights=weights) if node.name == "output" else node)
    biased = read.map(lambda node: replace(node, bias=bias) if node.name == "output" else node)
    for one, other in ((bare, read), (read, biased)):
        assert not same_structure(one, other)
        assert not same_structure(other, one)


def _damaged(parts: dict[str, list[int]]) -> dict[str, np.ndarray]:
    sound = {"indices": [1, 2, 0], "indptr": [0, 2, 3]}
    return {key: np.array(value, np.int64) for key, value in (sound | parts).items()}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"indices": [1, 3, 0]}, "columns that do not exist"),
        ({"indices": [1, -1, 0]}, "columns that do not exist"),
        ({"indices": [2, 1, 0]}, "not in order, or stand twice"),
        ({"indices": [1, 1, 0]}, "not in order, or stand twice"),
        ({"indices": [1, 2]}, "do not fit one another"),
        ({"indptr": [0, 3]}, "do not fit one another"),
        ({"indptr": [1, 2, 3]}, "rows do not follow"),
        ({"indptr": [0, 3, 2]}, "rows do not follow"),
        ({"indptr": [0, -(2**63), 3]}, "rows do not follow"),
    ],
)
def test_a_damaged_sparse_matrix_never_reaches_scipy(
    parts: dict[str, list[int]], said: str, tmp_path: Path
) -> None:
    weights = csr_array(np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]))
    save_graph(
        feed_forward().map(lambda node: replace(node, weights=weights) if node.name == "decode" else node),
        tmp_path,
    )
    arrays = _arrays(tmp_path) | {f"decode/weights/{key}": value for key, value in _damaged(parts).items()}
    write_arrays(tmp_path / "arrays.npz", arrays)
    with pytest.raises(CorruptArtifactError, match=f"weights of node 'decode': .*{said}"):
        load_graph(tmp_path)


@pytest.mark.parametrize("dtype", ["float32", ">f8", "int64", "bool", "complex128", "U3"])
def test_an_array_of_another_type_is_refused(dtype: str, tmp_path: Path) -> None:
    save_graph(feed_forward(), tmp_path)
    write_arrays(tmp_path / "arrays.npz", _arrays(tmp_path) | {"hidden/vth": np.ones(3).astype(dtype)})
    with pytest.raises(CorruptArtifactError, match="'hidden/vth' of .* expected float64"):
        load_graph(tmp_path)


def test_a_graph_whose_keys_hold_points_is_still_read(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    save_graph(graph, tmp_path)
    path = tmp_path / "graph.json"
    document = json.loads(path.read_text())
    for node in document["nodes"]:
        for value in node.values():
            if isinstance(value, dict):
                for part in value.keys() & {"array", "csr", "elements"}:
                    value[part] = value[part].replace("/", ".")
    path.write_text(json.dumps(document))
    write_arrays(
        tmp_path / "arrays.npz", {k.replace("/", "."): value for k, value in _arrays(tmp_path).items()}
    )
    assert same_structure(load_graph(tmp_path), graph)


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    for name in ("a", "b"):
        save_graph(graph, tmp_path / name)
    for file in ("graph.json", "arrays.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="graph.json"):
        load_graph(tmp_path)


@pytest.mark.parametrize(("version", "advice"), [(2, "update pumice"), (0, "write it again")])
def test_another_format_version_says_what_to_do(tmp_path: Path, version: object, advice: str) -> None:
    save_graph(feed_forward(), tmp_path)
    _edit(tmp_path, version=version)
    with pytest.raises(FormatVersionError, match=advice):
        load_graph(tmp_path)


def test_a_file_cannot_name_a_class_outside_the_closed_set(tmp_path: Path) -> None:
    save_graph(feed_forward(), tmp_path)
    document = json.loads((tmp_path / "graph.json").read_text())
    document["nodes"][0]["kind"] = "os.system"
    (tmp_path / "graph.json").write_text(json.dumps(document))
    with pytest.raises(CorruptArtifactError, match="expected 'kind' to be one of 'input'"):
        load_graph(tmp_path)


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    save_graph(feed_forward(), tmp_path)
    arrays: dict[str, Any] = {"encode/weights": np.array([{"a": 1}], dtype=object)}
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises(CorruptArtifactError):
        load_graph(tmp_path)


@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@settings(max_examples=60)
def test_a_flipped_byte_ends_in_a_named_error_or_an_equal_graph(
    position: float, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("graph")
    save_graph(feed_forward(), folder)
    for name in ("graph.json", "arrays.npz"):
        content = bytearray((folder / name).read_bytes())
        content[int(position * len(content))] = value
        (folder / name).write_bytes(bytes(content))
        with contextlib.suppress(ToolchainError):
            load_graph(folder)
        save_graph(feed_forward(), folder)


def test_a_broken_rule_in_a_file_says_which_file(tmp_path: Path) -> None:
    save_graph(feed_forward(), tmp_path)
    arrays = _arrays(tmp_path)
    arrays["hidden/dv"] = np.full(3, 7.0)
    write_arrays(tmp_path / "arrays.npz", arrays)
    with pytest.raises(ToolchainError, match="must lie in 0 .. 1") as caught:
        load_graph(tmp_path)
    assert "graph.json" in "".join(caught.value.__notes__)


def _arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "arrays.npz") as archive:
        return dict(archive)


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "graph.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

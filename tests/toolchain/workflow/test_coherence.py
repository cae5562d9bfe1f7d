"""The parts of a build speak of one network, or it does not load."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.attack.small_builds import recurrent_graph, sealed
from tests.graphs import spikes
from toolchain.errors import CorruptArtifactError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph
from toolchain.workflow.build_folder import Build
from toolchain.workflow.coherence import check_coherent
from toolchain.workflow.compile import compile_graph


@pytest.fixture(scope="module")
def build() -> Build:
    rng = np.random.default_rng(3)
    return compile_graph(recurrent_graph(rng), stimulus=Stimulus.of(spikes(rng, 3, 5, 2)))


def _check(build: Build) -> None:
    check_coherent(Path("b"), (build.float_graph, build.fixed_graph), build.quantization, build.stimulus)


def test_the_parts_of_a_build_belong_together(build: Build) -> None:
    _check(build)


def _changed(graph: Graph, name: str, **changes: object) -> Graph:
    return graph.map(lambda node: replace(node, **changes) if node.name == name else node)


def test_graphs_of_two_stages_are_a_float_and_a_fixed_one(build: Build) -> None:
    with pytest.raises(CorruptArtifactError, match="the float graph is a fixed graph"):
        _check(replace(build, float_graph=build.fixed_graph))


def test_graphs_of_different_nodes_are_refused(build: Build) -> None:
    renamed = replace(build.fixed_graph["output"], name="other")
    nodes = (*(node for node in build.fixed_graph if node.name != "output"), renamed)
    with pytest.raises(CorruptArtifactError, match="the graphs differ in their nodes"):
        _check(replace(build, fixed_graph=build.fixed_graph.with_nodes(nodes)))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("output", {"classes": ("left", "wrong")}),
        ("x", {"shape": (3,)}),
        ("hidden", {"inputs": ("encode.excitatory",)}),
        ("encode.excitatory", {"weights": np.zeros((2, 2))}),
    ],
)
def test_a_node_that_differs_is_named(build: Build, name: str, changes: dict[str, object]) -> None:
    with pytest.raises(CorruptArtifactError, match=f"the graphs differ in '{name}'"):
        _check(replace(build, fixed_graph=_changed(build.fixed_graph, name, **changes)))


def test_steps_of_different_lengths_are_refused(build: Build) -> None:
    with pytest.raises(CorruptArtifactError, match="length of a step"):
        _check(replace(build, fixed_graph=replace(build.fixed_graph, dt_ms=2.0)))


def test_a_report_of_another_network_is_refused(build: Build) -> None:
    report = build.quantization
    others = {f"{name}x": row for name, row in report.connections.items()}
    with pytest.raises(CorruptArtifactError, match="other connections than the graphs"):
        _check(replace(build, quantization=report.model_copy(update={"connections": others})))
    row = report.populations["hidden"].model_copy(update={"neurons": 4})
    with pytest.raises(CorruptArtifactError, match="another 'hidden' than the graphs"):
        _check(replace(build, quantization=report.model_copy(update={"populations": {"hidden": row}})))
    name, link = next(iter(report.connections.items()))
    links = report.connections | {name: link.model_copy(update={"exponent": link.exponent + 1})}
    with pytest.raises(CorruptArtifactError, match=f"another '{name}' than the graphs"):
        _check(replace(build, quantization=report.model_copy(update={"connections": links})))


def test_samples_of_another_network_are_refused(build: Build) -> None:
    with pytest.raises(CorruptArtifactError, match=r"samples are not for this network: input 'x' expects"):
        _check(replace(build, stimulus=Stimulus.of(np.zeros((1, 4, 3), bool))))


def test_a_build_of_mixed_parts_does_not_load(build: Build, tmp_path: Path) -> None:
    build.save(tmp_path / "b")
    other = replace(recurrent_graph(np.random.default_rng(4)), dt_ms=2.0)
    compile_graph(other).save(tmp_path / "other")
    shutil.rmtree(tmp_path / "b" / "fixed")
    shutil.copytree(tmp_path / "other" / "fixed", tmp_path / "b" / "fixed")
    for name in ("fixed/graph.json", "fixed/arrays.npz"):
        sealed(tmp_path / "b", name)()
    with pytest.raises(CorruptArtifactError, match="parts of different networks"):
        Build.load(tmp_path / "b")


def test_a_target_that_is_not_known_is_told_when_it_is_needed(build: Build, tmp_path: Path) -> None:
    build.save(tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target": ""}))
    with pytest.raises(CorruptArtifactError, match="key 'target'"):
        Build.load(tmp_path / "b")

"""The graphs between the passes of a build: kept, shown, and the last one is what runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.graphs import feed_forward, recurrent, spikes
from toolchain.cli.main import main
from toolchain.errors import CorruptArtifactError, UnknownNameError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.files.atomic import sha256
from toolchain.ir import Graph, print_graph, same_structure
from toolchain.passes import FoldDelays, Pass, Pipeline, QuantizeGraph, RemoveDeadNeurons
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.show import graph_after

_PLAIN = ["remove-dead-neurons", "fold-delays", "split-signs", "quantize-graph"]
_BUILDS: dict[str, tuple[Quantization, str, list[str]]] = {
    "plain": (Quantization(), "emulator", _PLAIN),
    "signs together": (Quantization(split_signs=False), "emulator", [*_PLAIN[:2], "quantize-graph"]),
    "few decays": (
        Quantization(decay_profiles=2, tau_error=9),
        "emulator",
        [*_PLAIN[:3], "cluster-decays", "quantize-graph"],
    ),
    "two synapses a weight": (Quantization(weight_bits=12), "emulator", _PLAIN),
    "legalized": (Quantization(), "onnx", [*_PLAIN, "fold-delays-2"]),
}


def _build(name: str) -> Build:
    rng = np.random.default_rng(1)
    options, target, _ = _BUILDS[name]
    stimulus = Stimulus.of(spikes(rng, 2, 10, 6))
    return compile_graph(recurrent(rng), target=target, quantization=options, stimulus=stimulus)


@pytest.mark.parametrize("name", _BUILDS)
def test_every_pass_can_be_shown_and_the_last_made_the_integers_of_the_build(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, folder = _build(name), tmp_path / "b"
    build.save(folder)
    loaded = Build.load(folder)
    names = [each.name for each in loaded.passes]
    assert names == _BUILDS[name][2]
    for each in build.passes:
        graph = graph_after(loaded, each.name)
        assert same_structure(graph, each.graph)
        capsys.readouterr()
        assert main(["show", str(folder), "--after", each.name, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["after"], shown["passes"], shown["graph"]) == (each.name, names, print_graph(graph))
    assert graph_after(loaded, names[-1]) is loaded.fixed_graph
    assert same_structure(loaded.fixed_graph, build.fixed_graph)
    loaded.save(folder)
    assert all(
        same_structure(one.graph, other.graph)
        for one, other in zip(Build.load(folder).passes, build.passes, strict=True)
    )


def test_a_pass_that_did_not_run_is_answered_with_those_that_did(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(small_build), "--after", "quantise-graph"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'quantize-graph'?" in " ".join(said.split())
    assert main(["show", str(small_build), "--after", "split-signs"]) == 0
    assert "recur.excitatory = dense(" in capsys.readouterr().out
    assert main(["show", str(small_build), "--after", "split-signs", "--why", "recur"]) == 2
    with pytest.raises(UnknownNameError, match="remove-dead-neurons"):
        graph_after(Build.load(small_build), "training")


def _manifest(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["files"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_build_of_an_older_version_is_read_and_says_that_it_holds_no_passes(tmp_path: Path) -> None:
    _build("plain").save(tmp_path / "b")
    for name in ("passes.json", "passes.npz"):
        (tmp_path / "b" / name).unlink()
        _manifest(tmp_path / "b", lambda files, gone=name: files.pop(gone))
    loaded = Build.load(tmp_path / "b")
    with pytest.raises(UsageError, match="an older version wrote it; compile the network again"):
        graph_after(loaded, "quantize-graph")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"graph": "before"}, "names a graph before the first pass"),
        ({"graph": "elsewhere"}, "is not well formed"),
        ({"stage": "fixed", "graph": "stored"}, None),
    ],
)
def test_a_damaged_list_of_passes_is_refused(
    changes: dict[str, str], said: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    _build("plain").save(folder)
    document = json.loads((folder / "passes.json").read_text())
    document["passes"][0] |= changes
    if said is None:
        said, document["passes"] = "does not end with the integers", document["passes"][:-1]
    (folder / "passes.json").write_text(json.dumps(document))
    _manifest(folder, lambda files: files.update({"passes.json": sha256(folder / "passes.json")}))
    with pytest.raises(CorruptArtifactError, match=said):
        Build.load(folder)


def test_a_pipeline_shows_every_graph_in_order() -> None:
    calls: list[tuple[str, Graph]] = []

    def keep(step: Pass, graph: Graph) -> None:
        calls.append((step.name, graph))

    steps = (RemoveDeadNeurons(), FoldDelays(), QuantizeGraph())
    result = Pipeline(steps, keep)(feed_forward())
    assert [name for name, _ in calls] == [step.name for step in steps]
    assert calls[-1][1] is result

"""Files of other frameworks as plain calls and on the command line: compiled, judged, exported."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import toolchain
from tests.graphs import recurrent
from toolchain import ir
from toolchain.cli.main import main
from toolchain.errors import PreconditionError, TargetError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.interchange.nir.conventions import reader_convention
from toolchain.interchange.nir.file import read_nir, write_nir
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import AnyNode, EdgeKind, same_structure
from toolchain.target.registry import load_target
from toolchain.workflow import export
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.compile_file import compile_file, import_file
from toolchain.workflow.export import EXPORT_FORMATS, export_build
from toolchain.workflow.load import load
from toolchain.workflow.quantization import Quantization


@pytest.fixture
def network(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_nir(to_nir(recurrent(rng), reader_convention("snntorch")).graph, tmp_path / "net.nir")
    return tmp_path / "net.nir"


@pytest.fixture
def samples(tmp_path: Path, rng: np.random.Generator) -> Path:
    Stimulus.of(rng.random((6, 20, 6)) < 0.4).save(tmp_path / "stimulus.npz")
    return tmp_path / "stimulus.npz"


def test_a_nir_file_is_compiled_judged_and_exact_on_lava(
    network: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "compile",
        str(network),
        "--example",
        str(samples),
        "-t",
        "lava",
        "-o",
        str(tmp_path / "build"),
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "note: convention snntorch: a step is 0.0001 s" in said
    assert "closes a loop" in said
    assert "not judged" not in said
    assert main(["compare", str(tmp_path / "build"), "--exact", "lava", "--samples", "2"]) == 0
    assert "note: convention snntorch: a step is 0.0001 s" in capsys.readouterr().out
    build = load(tmp_path / "build")
    assert build.facts.imported is not None
    assert build.facts.imported.file == "net.nir"
    assert "snntorch" in (tmp_path / "build/report.html").read_text()
    assert compare_build(build).comparison.spike_f1 > 0.9


def test_without_samples_a_build_is_written_and_says_what_is_missing(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "compile",
        str(network),
        "--convention",
        "norse",
        "--dt",
        "1e-4",
        "-o",
        str(tmp_path / "build"),
    ]
    assert main(command) == 0
    assert "not judged: give samples as --example" in capsys.readouterr().out
    assert main([*command[:-1], str(tmp_path / "again"), "--json"]) == 0
    assert "convention norse" in json.loads(capsys.readouterr().out)["notes"][0]
    assert not (tmp_path / "build/report.html").exists()
    assert (tmp_path / "build/lava/network.py").exists()


def test_samples_that_are_not_spikes_make_a_graded_input(network: Path, rng: np.random.Generator) -> None:
    values = Stimulus.of(rng.uniform(-2, 2, (2, 5, 6)))
    (entered,) = import_file(network, samples=values).graph.inputs
    assert (entered.edge, entered.bits) == (EdgeKind.GRADED, 8)
    assert compile_file(network, stimulus=values).fixed_graph.inputs[0].scale == entered.scale


@pytest.mark.parametrize(
    ("name", "options", "code", "said"),
    [
        ("net.nir", ["--convention", "snntorhc"], 2, "did you mean 'snntorch'"),
        ("net.nir", ["--dt", "-1"], 2, "dt: expected a number at least 1e-09"),
        ("net.nir", ["--dt", "1"], 3, "expected at least one step of 1 s"),
        ("none.nir", [], 2, "does not exist"),
        ("net.net", ["--convention", "nir"], 2, "other files say it themselves"),
        ("net.txt", [], 2, "neither a run folder"),
        ("net.nir", ["--qat-epochs", "2"], 2, "give them as --calibration samples.npz"),
        ("net.nir", ["--resume", "state"], 2, "--resume keeps the state of --qat-epochs"),
        (".", ["--dt", "1e-3"], 2, "--dt does nothing for a run folder"),
        ("broken.nir", [], 3, "not an HDF5 file"),
        ("broken.onnx", [], 3, "not an ONNX model"),
    ],
)
def test_bad_requests_and_bad_files_end_with_their_codes(
    network: Path, capsys: pytest.CaptureFixture[str], name: str, options: list[str], code: int, said: str
) -> None:
    for other in ("net.net", "net.txt", "broken.nir", "broken.onnx"):
        (network.parent / other).write_text("nothing")
    command = ["compile", str(network.parent / name), *options, "-o", str(network.parent / "build")]
    assert main(command) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (network.parent / "build").exists()


def test_a_build_leaves_as_nir_and_comes_back(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "nir"
    assert main(["export", str(small_build), "-f", "nir", "--convention", "norse", "-o", str(folder)]) == 0
    assert str(folder / "network.nir") in capsys.readouterr().out
    back = import_file(folder / "network.nir").graph
    build = load(small_build)
    stimulus = build.stimulus_for(None).take(slice(0, 4))
    before, after = (
        load_target("emulator").build(graph).run(stimulus) for graph in (build.float_graph, back)
    )
    for name, spikes in before.spikes.items():
        assert np.array_equal(spikes, after.spikes[name])
    assert (
        main(["export", str(small_build), "-f", "nir", "--stage", "fixed", "-o", str(tmp_path / "no")]) == 3
    )
    assert "real numbers" in capsys.readouterr().err


def test_integers_leave_for_netx_once_they_are_made_for_it(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    fitting = graph.with_nodes(node for node in graph if node.name != "skip")
    fitting = fitting.map(_one_layer)
    stimulus = Stimulus.of(rng.random((4, 20, 6)) < 0.4)
    plain = compile_graph(fitting, stimulus=stimulus)
    with pytest.raises(PreconditionError, match="netx"):
        export_build(plain, tmp_path / "plain", "netx")
    options = Quantization(
        split_signs=False, per_neuron=False, decay_profiles=1, tau_error=9.0, exponents=False
    )
    build = compile_graph(fitting, stimulus=stimulus, quantization=options)
    export_build(build, tmp_path / "net", "netx")
    back = compile_file(tmp_path / "net/network.net", stimulus=stimulus, target="lava")
    first, again = build.fixed_graph, back.fixed_graph
    for one, other in zip(first.populations, again.populations, strict=True):
        assert all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("du", "dv", "vth", "bias")
        )
    with h5py.File(tmp_path / "net/network.net") as file:
        assert [np.asarray(file[f"layer/{i}/type"])[0] for i in range(3)] == [
            b"input",
            b"dense_rec",
            b"dense",
        ]
    assert compare_build(back, exact=("lava",), samples=2).exact["lava"].equal
    with pytest.raises(UsageError, match="which stay as they are"):
        compile_file(tmp_path / "net/network.net", quantization=options)
    with pytest.raises(UsageError, match="other files say it themselves"):
        import_file(tmp_path / "net/network.net", dt=1.0)


def _one_layer(node: AnyNode) -> AnyNode:
    if not isinstance(node, ir.Lif):
        return node
    kept = tuple(name for name in node.inputs if name != "skip")
    vth = np.where(np.isinf(node.vth), np.inf, 4.0)
    return replace(node, inputs=kept, du=np.ones_like(node.du), dv=np.full_like(node.dv, 0.2), vth=vth)


def test_an_exported_onnx_file_is_compiled_again(small_build: Path, tmp_path: Path) -> None:
    assert main(["export", str(small_build), "-o", str(tmp_path / "onnx")]) == 0
    for name in ("step.onnx", "network.onnx"):
        build = compile_file(tmp_path / "onnx" / name)
        assert same_structure(build.fixed_graph, load(small_build).fixed_graph)


def test_a_graph_in_memory_needs_no_file(rng: np.random.Generator) -> None:
    graph = to_nir(recurrent(rng), reader_convention("nir")).graph
    build = toolchain.compile_file(graph, stimulus=Stimulus.of(rng.random((3, 10, 6)) < 0.4))
    assert build.facts.imported is not None
    assert build.facts.imported.file is None
    assert "convention nir" in build.facts.imported.notes[0]


def test_formats_that_do_not_exist_are_named(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(small_build), "-f", "netcdf", "-o", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in EXPORT_FORMATS)
    assert main(["export", str(small_build), "--convention", "norse", "-o", str(tmp_path / "x")]) == 2
    assert "this format says it" in capsys.readouterr().err


def test_a_target_that_writes_no_files_is_an_error(
    small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "EXPORT_FORMATS", ("emulator",))
    with pytest.raises(TargetError, match="cannot be written as files that run without this toolchain"):
        export_build(load(small_build), tmp_path / "x", "emulator")
    assert not (tmp_path / "x").exists()


def test_steps_keep_their_length(small_build: Path, tmp_path: Path) -> None:
    build = load(small_build)
    for name, expected in (
        (None, build.float_graph.dt_ms),
        ("sinabs", 1.0),
        ("norse", 1.0),
        ("snntorch", 0.1),
    ):
        export_build(build, tmp_path / str(name), "nir", convention=name)
        assert import_file(tmp_path / str(name) / "network.nir").graph.dt_ms == pytest.approx(expected)


def test_what_nir_itself_reads_is_what_was_written(small_build: Path, tmp_path: Path) -> None:
    export_build(load(small_build), tmp_path / "nir", "nir")
    graph = nir.read(tmp_path / "nir/network.nir")
    assert set(graph.nodes) == set(read_nir(tmp_path / "nir/network.nir").nodes)
    assert json.loads((small_build / "manifest.json").read_text())["format"] == "pumice-build"


def test_what_the_host_reads_with_is_said_to_stay(tmp_path: Path, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    weighed = graph.map(
        lambda node: replace(node, weights=np.ones((3, 3))) if isinstance(node, ir.Output) else node
    )
    build = compile_graph(weighed, stimulus=Stimulus.of(rng.random((2, 10, 6)) < 0.4))
    assert "are not written" in export_build(build, tmp_path / "nir", "nir")[-1]


def test_every_input_has_a_scale_of_its_own(rng: np.random.Generator) -> None:
    ones, shape = np.ones(4), np.array([4])
    neurons = [nir.LIF(1e-3 * ones, 10 * ones, 0 * ones, ones, 0 * ones) for _ in range(2)]
    nodes = {
        "analog": nir.Input({"input": shape}),
        "events": nir.Input({"input": shape}),
        "a": neurons[0],
        "b": neurons[1],
        "first": nir.Output({"output": shape}),
        "second": nir.Output({"output": shape}),
    }
    edges = [("analog", "a"), ("a", "first"), ("events", "b"), ("b", "second")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    analog, events = rng.integers(-128, 100, (2, 20, 4)).astype(np.int8), rng.random((2, 20, 4)) < 0.5
    analog[0, 0, 0] = -128
    build = compile_file(graph, stimulus=Stimulus({"analog": analog, "events": events}))
    scales = {node.name: (node.edge, node.scale) for node in build.fixed_graph.inputs}
    assert scales == {"analog": (EdgeKind.GRADED, 255 / 128), "events": (EdgeKind.SPIKE, 1.0)}

"""The command line by exit code, stdout, stderr and files."""

import hashlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.small_run import TOML
from toolchain import ir
from toolchain.cli.main import main
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.files.atomic import sha256
from toolchain.ir import AnyNode
from toolchain.training.tensor_files import load_tensors, save_tensors
from toolchain.workflow.build_folder import Build


def _json(capsys: pytest.CaptureFixture[str]) -> dict:
    captured = capsys.readouterr()
    return json.loads(captured.out)


def _fails(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_without_arguments_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr()
    assert (text.err, text.out.count("Usage: pumice")) == ("", 1)
    for command in (
        "demo",
        "train",
        "prune",
        "compile",
        "check",
        "run",
        "compare",
        "show",
        "targets",
        "doctor",
    ):
        assert command in text.out + text.err


@pytest.mark.parametrize(
    "command",
    ["demo", "train", "prune", "compile", "check", "run", "compare", "export", "show", "targets", "doctor"],
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "--colour"]) == 2
    assert "--colour" in capsys.readouterr().err


def test_train_compile_run_compare_and_show_work_in_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.toml").write_text(TOML)
    run, build, trace = tmp_path / "run", tmp_path / "build", tmp_path / "trace.npz"
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(run)]) == 0
    assert "next: pumice compile" in capsys.readouterr().out
    assert main(["compile", str(run), "--target", "lava", "-o", str(build)]) == 0
    printed = capsys.readouterr().out
    for figure in ("equal predictions", "accuracy float", "All rules of the integers, on "):
        assert figure in printed
    assert "zeroed" in printed
    assert "encode.inhibitory" in printed
    assert main(["run", str(build), "-o", str(trace), "--samples", "2", "--record", "v,u", "--json"]) == 0
    assert _json(capsys)["samples"] == 2
    recorded = Trace.load(trace)
    assert recorded.spikes["hidden"].shape[:2] == (2, 6)
    assert set(recorded.u) == {"hidden", "readout"}
    assert main(["compare", str(build), "--exact", "lava", "--samples", "2", "--json"]) == 0
    document = _json(capsys)
    assert document["exact"] == {"lava": True}
    assert document["samples"] == 540
    assert main(["show", str(build)]) == 0
    assert "fixed_lif" in capsys.readouterr().out
    assert main(["show", str(build), "--stage", "float", "--json"]) == 0
    assert _json(capsys)["stage"] == "float"


def test_a_stimulus_of_ones_own_is_run(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Stimulus.of(np.ones((3, 5, 64), bool)).save(tmp_path / "s.npz")
    arguments = ["run", str(small_build), "--target", "emulator", "--input", str(tmp_path / "s.npz")]
    assert main([*arguments, "-o", str(tmp_path / "t.npz")]) == 0
    assert "in 3 samples" in capsys.readouterr().out


def test_the_float_network_runs_too(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(small_build), "--stage", "float", "--samples", "3", "-o", str(tmp_path / "t.npz")]
    assert main([*arguments, "--json"]) == 0
    assert _json(capsys)["samples"] == 3
    assert Trace.load(tmp_path / "t.npz").v["readout"].dtype == np.float64


def test_gates_and_baselines_decide_the_exit_code(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, baseline = str(small_build), str(tmp_path / "baseline.json")
    for arguments, held in (
        (
            ["--gate", "spike_f1=0.1", "--gate", "accuracy_drop=100"],
            "are met: spike_f1=0.1, accuracy_drop=100",
        ),
        (["--baseline", baseline, "--update"], f"baseline: {baseline}"),
        (["--baseline", baseline], f"no figure is worse than in the baseline {baseline}"),
    ):
        assert main(["compare", build, *arguments]) == 0
        assert held in capsys.readouterr().out
    assert main(["compare", build, "--gate", "spike_f1=1.5", "--json"]) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "gate 'spike_f1' not met at 'hidden'" in said
    assert "required 1.5 of 1 at least" in said


def test_bad_input_gets_one_clear_sentence(
    small_build: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, out = str(small_build), str(tmp_path / "out")
    wrong = tmp_path / "wrong.npz"
    Stimulus.of(np.ones((1, 5, 63))).save(wrong)
    flat = tmp_path / "flat.npz"
    Stimulus.of(np.ones(5)).save(flat)
    bad = tmp_path / "bad.toml"
    bad.write_text("[model]\nneuron = 5\n")
    edited = Path(shutil.copytree(small_build, tmp_path / "edited"))
    (edited / "quantization.json").write_text("{}")
    cases = [
        (["train", str(bad), "-o", out], 2, "experiment key 'model.neuron': is not known"),
        (["train", str(tmp_path / "none.toml"), "-o", out], 2, "none.toml' does not exist"),
        (["compile", str(tmp_path / "none"), "-o", out], 2, "does not exist"),
        (["compile", str(tmp_path), "-o", out], 2, "is neither a run folder"),
        (["compile", str(small_run), "-o", str(small_run)], 2, "choose another place"),
        (
            ["compile", str(small_run), "-o", out, "--calibration", str(tmp_path / "none.npz")],
            2,
            "does not exist",
        ),
        (["compile", str(small_run), "-o", out, "--calibration", str(wrong)], 2, "64], got [1, 5, 63]"),
        (["compile", str(small_run), "-o", out, "--target", "lawa"], 2, "did you mean 'lava'"),
        (["run", build, "-o", out, "--input", str(wrong)], 2, "expects [batch, time, 64], got [1, 5, 63]"),
        (["run", build, "-o", out, "--input", str(flat), "--samples", "1"], 2, "64], got [5]"),
        (["compare", build, "--input", str(flat)], 2, "64], got [5]"),
        (["run", build, "-o", out, "--input", str(tmp_path / "none.npz")], 2, "does not exist"),
        (["run", build, "-o", out, "--record", "w"], 2, "quantity 'w' is not known"),
        (["run", str(small_run), "-o", out], 2, "compile it first"),
        (["run", str(edited), "-o", out], 3, "was changed after the build"),
        (["compare", build, "--gate", "speed=1"], 2, "gate 'speed' is not known"),
        (["compare", build, "--update"], 2, "name it: --baseline FILE"),
        (["compare", build, "--baseline", str(tmp_path / "none.json")], 2, "write it with --update"),
        (["show", build, "--stage", "final"], 2, "is not one of 'fixed'"),
    ]
    for arguments, code, message in cases:
        _fails(arguments, code, message, capsys)
    assert not Path(out).exists()
    left = {item.name for item in tmp_path.iterdir()}
    assert left == {"wrong.npz", "flat.npz", "bad.toml", "edited"}


def test_compile_takes_bits_profiles_and_epochs_of_repair(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = str(tmp_path / "build")
    options = ["--weight-bits", "4", "--weight-bits", "encode=6", "--quantization", "threshold_profiles=3"]
    assert main(["compile", str(small_run), "-o", build, *options, "--qat-epochs", "1", "--json"]) == 0
    document = _json(capsys)["quantization"]
    assert document["options"]["weight_bits"] == {"*": 4, "encode": 6}
    bits = {name: row["weight_bits"] for name, row in document["connections"].items()}
    assert bits["encode.excitatory"] == 6
    assert bits["recur.inhibitory"] == 4
    assert document["populations"]["hidden"]["thresholds"] <= 3
    few = str(tmp_path / "few.npz")
    Stimulus.load(small_run / "calibration.npz").take(slice(0, 7)).save(Path(few))
    assert main(["compile", str(small_run), "-o", build, "--calibration", few, "--json"]) == 0
    assert _json(capsys)["quantization"]["calibration_samples"] == 7
    keys = ["--quantization", "rounding=nearest", "--quantization", "decay_profiles=5"]
    assert main(["compile", str(small_run), "-o", build, *keys]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "warning: '" in printed
    few_decays = ["--quantization", "decay_profiles=1", "--quantization", "tau_error=0.01"]
    _fails(
        ["compile", str(small_run), "-o", build, *few_decays],
        3,
        "allow more profiles or a larger --quantization tau_error",
        capsys,
    )
    _fails(["compile", str(small_run), "-o", build, "--weight-bits", "16"], 2, "weight bits 2 .. 15", capsys)
    _fails(
        ["compile", str(small_run), "-o", build, "--weight-bits", "encod=4"], 2, "did you mean 'enc", capsys
    )


def test_compare_splits_the_loss_and_show_says_why(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(small_build), "--causes", "--json"]) == 0
    causes = _json(capsys)["attribution"]
    assert {"weights", "thresholds", "decays", "truncation", "saturation"} == set(causes["alone"])
    assert main(["compare", str(small_build), "--causes"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "causes, each alone" in printed
    assert "first different spike: 'hidden', neuron" in printed
    assert main(["show", str(small_build), "--why", "hidden"]) == 0
    assert "What keeps S from doubling" in capsys.readouterr().out
    assert main(["show", str(small_build), "--why", "encode", "--json"]) == 0
    assert len(_json(capsys)["sentences"]) > 4
    _fails(["show", str(small_build), "--why", "hiden"], 2, "did you mean 'hidden'?", capsys)
    assert json.loads((small_build / "fidelity.json").read_text())["version"] == 2


def test_a_build_whose_integers_were_changed_is_named_and_exits_with_four(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every hash is right: whoever wrote this build made a mistake."""
    build = Build.load(small_build)

    def lowered(node: AnyNode) -> AnyNode:
        if not isinstance(node, ir.FixedLif) or node.name != "hidden":
            return node
        return replace(node, vth=node.vth - (np.arange(node.vth.size) == 3))

    replace(build, fixed_graph=build.fixed_graph.map(lowered), passes=()).save(tmp_path / "build")
    _fails(["compare", str(tmp_path / "build")], 4, "'hidden': threshold of neuron 3", capsys)


def test_a_loop_without_delay_in_a_stored_network_is_named(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build whose hashes are right but whose graph is not."""
    folder = Path(shutil.copytree(small_build, tmp_path / "b"))
    graph = folder / "fixed" / "graph.json"
    document = json.loads(graph.read_text())
    for node in document["nodes"]:
        if node["kind"] == "delay":
            node["steps"] = 0
    graph.write_text(json.dumps(document))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["fixed/graph.json"] = hashlib.sha256(graph.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    _fails(["show", str(folder)], 3, "has too little delay", capsys)


def test_weights_that_are_not_numbers_name_the_connection(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose hashes are right but whose training went wrong."""
    folder = Path(shutil.copytree(small_run, tmp_path / "r"))
    path = folder / "network" / "network.safetensors"
    tensors, _ = load_tensors(path)
    tensors["synapses.decode.weight"][1, 2] = float("nan")
    save_tensors(path, tensors)
    document = json.loads((folder / "run.json").read_text())
    document["files"]["network/network.safetensors"] = sha256(path)
    (folder / "run.json").write_text(json.dumps(document))
    arguments = ["compile", str(folder), "-o", str(tmp_path / "b")]
    _fails(arguments, 3, "holds nan in 'synapses.decode.weight' at [1, 2], expected finite numbers", capsys)
    assert not (tmp_path / "b").exists()


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "show", str(tmp_path / "none")]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_not_our_bug(
    small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toolchain.files.archive.ArrayWriter.append", full)
    _fails(["run", str(small_build), "-o", str(tmp_path / "t.npz")], 3, "the disk is full", capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_lava_can_be_told_where_to_keep_finished_samples(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["run", str(small_build), "-o", str(tmp_path / "t.npz"), "--resume", str(tmp_path / "kept")]
    assert main([*wanted, "--target", "lava", "--samples", "1"]) == 0
    assert not (tmp_path / "kept").exists()
    capsys.readouterr()
    _fails(
        [*wanted, "--target", "emulator"],
        3,
        "runs of EmulatorProgram cannot be resumed; start them again",
        capsys,
    )


def _interrupt_when(ready: Callable[[], object]) -> threading.Thread:
    """Start what sends this process the signal of Ctrl-C as soon as it is time."""

    def wait() -> None:
        while not ready():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_an_interrupted_training_ends_with_130_and_can_be_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.toml").write_text(TOML.replace("epochs = 2", "epochs = 400"))
    command = ["train", str(tmp_path / "x.toml"), "-o", str(tmp_path / "run")]
    state = tmp_path / "run/training-unpruned/state.safetensors"
    sender = _interrupt_when(state.exists)
    assert main(command) == 130
    sender.join()
    stderr = capsys.readouterr().err
    assert "the same command continues" in stderr
    # It may come within an epoch or between two.
    within = r"epoch \d+ of 400 was interrupted after step \d+ of \d+"
    between = r"the training was interrupted after epoch \d+ of 400"
    assert re.search(rf"({within}|{between}); .* holds the state after epoch \d+", stderr)
    assert "train unpruned network: " in stderr
    assert "Traceback" not in stderr
    files = {item.name for item in (tmp_path / "run").rglob("*") if item.is_file()}
    assert {"experiment.json", "state.safetensors"} <= files
    assert "run.json" not in files
    assert not any(name.startswith(".") for name in files)  # nothing half-written is left


def test_prune_shows_what_it_did_and_train_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.toml").write_text(TOML.replace("density = 0.3", 'density = 0.3\ntrain = ["dv"]'))
    run = tmp_path / "run"
    assert main(["prune", str(tmp_path / "x.toml"), "-o", str(run)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "20 neurons and 96 recurrent synapses are left" in printed
    assert "under noise" in printed
    assert "next: pumice train" in printed
    assert (run / "pruning" / "report.html").is_file()
    assert main(["prune", str(tmp_path / "x.toml"), "-o", str(run), "--json"]) == 0
    document = _json(capsys)
    assert (document["neurons"], document["synapses"]) == (20, 96)
    assert [record["iteration"] for record in document["records"]] == [0, 1, 2]
    _fails(["compile", str(run), "-o", str(tmp_path / "b")], 2, "is not finished", capsys)
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(run), "--json"]) == 0
    (row,) = _json(capsys)["time_constants"]
    assert (row["layer"], row["parameter"]) == ("hidden", "dv")
    assert row["before"]["mean_ms"] != row["after"]["mean_ms"]
    assert main(["train", str(tmp_path / "x.toml"), "-o", str(run)]) == 0
    mean = f"mean {row['before']['mean_ms']:.1f} and {row['after']['mean_ms']:.1f} ms"
    assert mean in " ".join(capsys.readouterr().out.split())


def test_prune_names_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, wrong = tmp_path / "plain.toml", tmp_path / "wrong.toml"
    plain.write_text(
        "pruning = false\n" + TOML.split("[pruning]")[0] + "[training]" + TOML.split("[training]")[1]
    )
    wrong.write_text(TOML.replace("iterations = 2", 'steps = ["tickling"]'))
    _fails(["prune", str(plain), "-o", str(tmp_path / "a")], 2, "does not prune", capsys)
    _fails(["prune", str(wrong), "-o", str(tmp_path / "b")], 2, "pruning.steps.0", capsys)
    wrong.write_text(TOML.replace("synapse_fraction = 0.2", "synapse_fraction = 0.9"))
    _fails(["prune", str(wrong), "-o", str(tmp_path / "c")], 3, "of the original synapses join", capsys)

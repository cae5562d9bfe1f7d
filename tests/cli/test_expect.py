"""`pumice compile --expect`: the network of a file beside what its framework computed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.plain_framework import Framework
from toolchain.cli.compile import EPILOG
from toolchain.cli.main import main
from toolchain.execution.stimulus import Stimulus
from toolchain.files.npz import write_arrays
from toolchain.interchange.nir.conventions import CONVENTIONS
from toolchain.interchange.nir.file import write_nir
from toolchain.interchange.nir.resets import WORDS
from toolchain.workflow.load import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, samples, and what its framework computes with its default reset."""
    place, framework = tmp_path_factory.mktemp("expect"), Framework()
    write_nir(framework.graph(), place / "net.nir")
    Stimulus.of(framework.x).save(place / "samples.npz")
    write_arrays(place / "outputs.npz", framework.run("subtract-delayed", np.float32))
    return place


def _compile(folder: Path, *options: str, expect: str = "outputs.npz") -> int:
    given = ("--convention", "snntorch", "--example", str(folder / "samples.npz"))
    return main(
        [
            *("compile", str(folder / "net.nir"), *given, "--expect", str(folder / expect)),
            *("-o", str(folder / "build"), *options),
        ]
    )


def test_what_is_equal_is_said_and_stays_in_the_build(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, "--reset", "subtract-delayed") == 0
    said = capsys.readouterr().out
    assert "what the framework computed, 4 samples of 30 steps" in said
    assert "equal to what the framework computed, at all 30 steps of 4 samples: every spike of" in said
    assert "Equal to what the framework computed" in (folder / "build/report.html").read_text()
    assert main(["show", str(folder / "build")]) == 0
    assert "note: equal to what the framework computed" in capsys.readouterr().out
    assert main(["show", str(folder / "build"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["source"]["equal"] is True


def test_what_is_not_equal_ends_with_4_and_names_the_option_that_would_be(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder, "--reset", "zero", "--json") == 4
    said = capsys.readouterr()
    assert "with --reset subtract-delayed all 30 steps of 4 samples are equal" in said.err
    assert "'lif1' first differs at step" in said.err
    # The build is there with the verdict, so that its report can be read.
    source = load(folder / "build").facts.source
    assert source is not None
    assert not source.equal
    document = json.loads(said.out)
    assert document["error"]["kind"] == "SourceMismatchError"
    assert document["source"]["otherwise"] == "`reset=subtract-delayed`"
    assert document["source"]["populations"]["lif1"]["first"]["last_spike"] is not None


def test_whoever_is_asked_for_the_reset_is_told_which_is_equal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compile(folder) == 3
    said = capsys.readouterr().err
    assert "state it as --reset" in said
    assert "with --reset subtract-delayed all steps are equal to what the framework computed" in said


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"lif9.spikes": (4, 30, 3)}, "population 'lif9' is not known; known: lif1, lif2, lif3"),
        ({"lif3.v": (30, 4, 3)}, "time stands first there"),
        ({"lif1.spikes": (4, 30, 8)}, "--expect: expected an array 'lif3.v'"),
        ({"lif3.v": (4, 30, 7)}, "'lif3.v' of shape [4, 30, 3]"),
    ],
)
def test_records_that_do_not_fit_are_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], arrays: dict[str, tuple[int, ...]], said: str
) -> None:
    write_arrays(folder / "wrong.npz", {key: np.zeros(shape) for key, shape in arrays.items()})
    assert _compile(folder, "--reset", "zero", expect="wrong.npz") == 2
    assert said in capsys.readouterr().err


def test_an_option_for_files_is_refused_for_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--reset", "zero"), ("--readout", "spikes"), ("--expect", "outputs.npz")):
        assert main(["compile", str(folder), option, value, "-o", str(folder / "x")]) == 2
        assert f"{option} does nothing for a run folder" in capsys.readouterr().err


def test_the_help_lists_the_resets_of_every_framework() -> None:
    listed: dict[str, list[str]] = {}
    name = ""
    for line in EPILOG.partition("What a spike does")[2].splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            name = line.split()[0].rstrip(",")
        listed.setdefault(name, []).extend(word for word in line.split() if word in WORDS)
    for each in ("snntorch", "sinabs", "norse", "spikingjelly"):
        words = [word for word, _ in CONVENTIONS[each].resets if word in WORDS]
        assert set(listed[each]) == set(words)
        assert listed[each][0] == words[0]
    assert {name for name, item in CONVENTIONS.items() if not item.resets} - {"nir"} <= {
        "rockpool",
        "lava-dl",
    }

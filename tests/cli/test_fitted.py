"""`pumice prune --fit`: what it prints, for people and for machines, and what it refuses."""

import json
from pathlib import Path

import pytest

from toolchain.cli.fitted import print_fit_record
from toolchain.cli.main import main
from toolchain.pruning.fit import FitRecord, FitStep, FittedPart

_RECORD = FitRecord(
    budget="2 cores on loihi1",
    limit="cores",
    target="loihi1",
    allowed=2,
    amount=2.0,
    unit="cores",
    connections=(FittedPart("encode", 100, 20, 1.0), FittedPart("recur", 300, 20, 0.5)),
    layers=(FittedPart("hidden", 40, 30), FittedPart("readout", 10, 10)),
    steps=(FitStep("after the training", 40, 40, 2.0, fits=True, accuracy=91.5),),
    candidates=(FitStep("after a short training", 40, 60, 2.0, fits=True, accuracy=90.0, weight_bits=4),),
    weight_bits=4,
)


def test_people_are_told_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit_record(_RECORD)
    printed = " ".join(capsys.readouterr().out.split())
    assert "fits 2 cores on loihi1: takes 2 cores with 40 of 400 synapses, weights of 4 bits" in printed
    assert "neurons of 'hidden': 30 of 40" in printed
    assert "readout" not in printed
    assert "4 bits: 60 synapses, validation 90.00 %" in printed


def test_a_run_is_pruned_to_fit_by_a_command(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small"
    words = ["prune", str(small_run), "-o", str(small), "--fit", "bram=1800 B", "--epochs", "1"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fit"]["amount"] <= 1800
    assert Path(document["report"]).is_file()
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "fits 1,800 bytes of memory in the FPGA" in printed
    assert "next: pumice compile" in printed


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--fit", "bram=100 B"], 3, "the nearest budget that is possible is"),
        (["--fit", "cores=2"], 2, "in one line 'loihi1 cores=2'"),
        (["--fit", "emulator cores=2"], 3, "has no cores to fill"),
        (["--epochs", "2"], 2, "--epochs does nothing without --fit"),
    ],
)
def test_what_cannot_be_done_is_named_and_leaves_nothing(
    words: list[str],
    code: int,
    message: str,
    small_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prune", str(small_run), "-o", str(tmp_path / "small"), *words]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "small").exists()

"""`pumice check`: verdicts, exit codes, files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.rtl.target import RtlTarget
from tests.board_fits import board_fit
from toolchain.cli.main import main
from toolchain.errors import DoesNotFitError, TargetError
from toolchain.execution.trace import Trace
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.firmware import check_firmware
from toolchain.workflow.fpga import check_fpga
from toolchain.workflow.load import load


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_it_says_that_a_network_fits_and_what_a_step_takes(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(small_build), "--target", "loihi1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Intel Loihi 1: fits" in text
    assert "binding limit:" in text
    assert "L1-min (Loihi 1, estimate" in text
    assert "L1-fit (Loihi 1, estimate" in text
    assert "second-hand" in text
    assert "NeuroBench: footprint" in text


def test_machines_get_one_document(small_build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(small_build), "--target", "loihi2", "--json"]) == 0
    document = _json(capsys)
    assert document["fits"] is True
    assert document["binding"] in document["limits"]
    assert document["limits"]["neurons"]["confidence"] == "M"
    assert document["estimates"][0]["dynamic_joules"] is None
    assert set(document["neurobench"]) >= {"footprint_bytes", "footprint_target_bits", "effective_acs"}
    assert (
        sum(sum(core["neurons"].values()) for core in document["cores"])
        == document["events"]["neuron updates"]
    )


def test_too_small_a_chip_is_refused_with_advice(
    small_build: Path, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (repository / "targets" / "loihi" / "loihi2.toml").read_text()
    text = text.replace("cores_per_chip = { value = 120", "cores_per_chip = { value = 1")
    (tmp_path / "tiny.toml").write_text(text)
    profile = ("--profile", str(tmp_path / "tiny.toml"))
    assert main(["check", str(small_build), "--target", "loihi2", *profile]) == 3
    captured = capsys.readouterr()
    assert "does not fit: 2 chips are needed" in captured.out
    assert "the network needs 2 cores, there are 1" in captured.err
    assert "--chips" in captured.err
    assert main(["check", str(small_build), "--target", "loihi2", *profile, "--chips", "2"]) == 0


def test_a_trace_of_another_network_is_refused(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Trace({"elsewhere": np.zeros((1, 2, 3), bool)}).save(tmp_path / "trace.npz")
    options = ["--target", "loihi2", "--trace", str(tmp_path / "trace.npz")]
    assert main(["check", str(small_build), *options]) == 2
    assert "the trace is not of this network: population 'hidden'" in capsys.readouterr().err
    Trace().save(tmp_path / "empty.npz")
    assert (
        main(["check", str(small_build), "--target", "loihi2", "--trace", str(tmp_path / "empty.npz")]) == 2
    )


def test_a_recorded_trace_counts_instead_of_a_run(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.npz"
    assert main(["run", str(small_build), "-o", str(trace), "--samples", "3", "--json"]) == 0
    capsys.readouterr()
    assert main(["check", str(small_build), "-t", "loihi2", "--trace", str(trace), "--json"]) == 0
    spikes = Trace.load(trace).spikes
    steps = next(iter(spikes.values())).shape[1]
    total = sum(int(values.sum()) for values in spikes.values())
    assert _json(capsys)["events"]["spikes"] == pytest.approx(total / 3 / steps)


def test_a_target_without_cores_and_a_profile_without_a_file_are_named(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(small_build)]) == 3
    assert "target 'emulator' has no cores to fill" in capsys.readouterr().err
    assert main(["check", str(small_build), "-t", "loihi2", "--profile", str(tmp_path / "no.toml")]) == 2


def test_a_page_shows_the_cores(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "chip.html"
    assert main(["check", str(small_build), "-t", "loihi1", "--report", str(page)]) == 0
    text = page.read_text()
    assert "<svg" in text
    assert "Intel Loihi 1" in text
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert str(page) in capsys.readouterr().out.replace("\n", "")


def test_a_build_for_loihi_1_shares_its_profiles_and_keeps_what_it_takes(
    small_run: Path, small_build: Path, tmp_path: Path
) -> None:
    build = compile_run(small_run, target="loihi1")
    assert build.quantization.options is not None
    assert build.quantization.options.decay_profiles == 31
    assert build.quantization.options.threshold_profiles == 7
    for node in build.fixed_graph.populations:
        assert len(np.unique(node.vth)) <= 7
        assert len({*zip(node.du.tolist(), node.dv.tolist(), strict=True)}) <= 31
    build.save(tmp_path / "build", compare_build(build))
    resources = json.loads((tmp_path / "build" / "resources.json").read_text())
    assert resources["chip"] == "loihi1"
    assert resources["fits"]
    assert "Intel Loihi 1" in (tmp_path / "build" / "report.html").read_text()
    # The stand-alone network stands in every build.
    for folder in (tmp_path / "build", small_build):
        names = {item.name for item in (folder / "lava").iterdir()}
        assert names == {"network.py", "network.json", "weights.npz", "runtime"}
        load(folder)


def test_a_network_that_no_core_holds_compiles_with_a_warning(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DoesNotFitError("hidden", "input axons for one neuron", 9, 4, "prune its inputs")

    monkeypatch.setattr("targets.loihi.fitting.fit_graph", refuse)
    assert main(["compile", str(small_run), "--target", "loihi2", "-o", str(tmp_path / "build")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "warning: it does not fit its chip: 'hidden' needs 9 input axons for one neuron, there are 4" in text
    )
    assert not (tmp_path / "build" / "resources.json").exists()
    assert "does not fit its chip" in (tmp_path / "build" / "report.html").read_text()


def test_microcontrollers_are_listed_and_one_is_shown(
    small_build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(small_build), "--target", "c"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("stm32f411", "stm32h743", "rp2040", "nrf52840", "esp32c3"))
    assert main(["check", str(small_build), "-t", "c", "--profile", "stm32f411"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "STM32F411xE (Cortex-M4, 100 MHz): fits" in shown
    assert "of 524,288 bytes" in shown
    assert "estimated, measured on no chip" in shown
    assert main(["check", str(small_build), "-t", "c", "--json"]) == 0
    assert [each["processor"] for each in _json(capsys)["processors"]][:2] == ["stm32f411", "stm32h743"]
    assert main(["check", str(small_build), "-t", "c", "--profile", "rp2040", "--json"]) == 0
    document = _json(capsys)
    assert document["fits"] is True
    assert document["limits"]["RAM"]["value"] == 270_336


def test_a_microcontroller_that_is_too_small_is_refused_with_advice(
    small_build: Path, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (repository / "targets" / "c" / "profiles" / "rp2040.toml").read_text()
    (tmp_path / "tiny.toml").write_text(text.replace("2_097_152", "1_000"))
    assert main(["check", str(small_build), "-t", "c", "--profile", str(tmp_path / "tiny.toml")]) == 3
    captured = capsys.readouterr()
    assert "does not fit" in captured.out
    assert "bytes of flash, there are 1000" in captured.err


def test_what_only_a_chip_with_cores_has_is_refused_for_a_microcontroller(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["--chips", "2"], ["--report", str(tmp_path / "page.html")]):
        assert main(["check", str(small_build), "-t", "c", *options]) == 2
        assert "no cores to map" in capsys.readouterr().err
    with pytest.raises(TargetError, match="writes no programs for processors"):
        check_firmware(load(small_build), target="emulator")


def test_boards_are_all_listed_and_one_is_told_with_its_sources(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = {
        "icebreaker": board_fit(),
        "ulx3s-85f": board_fit(board="ulx3s-85f", highest=None, problem="no room"),
    }
    monkeypatch.setattr(RtlTarget, "boards", tuple(fits))
    monkeypatch.setattr(RtlTarget, "fit_board", lambda *given: fits[str(given[3])])
    assert main(["check", str(small_build), "-t", "rtl"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "24.0 MHz" in text
    assert "does not fit" in text
    assert main(["check", str(small_build), "-t", "rtl", "--profile", "icebreaker"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "data sheet; stated by the maker" in text
    assert "highest clock 24.0 MHz, that of the board 12.0 MHz" in text
    assert "to take less: prune synapses" in text
    assert main(["check", str(small_build), "-t", "rtl", "--json"]) == 0
    assert [each["fits"] for each in _json(capsys)["boards"]] == [True, False]
    assert main(["check", str(small_build), "-t", "rtl", "--profile", "ulx3s-85f"]) == 3
    assert "found no place on the FPGA: no room" in capsys.readouterr().err
    assert main(["check", str(small_build), "-t", "rtl", "--chips", "2"]) == 2
    assert "no cores to map" in capsys.readouterr().err
    with pytest.raises(TargetError, match="makes no designs for FPGAs"):
        check_fpga(load(small_build), target="emulator")

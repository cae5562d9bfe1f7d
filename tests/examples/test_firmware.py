"""The firmware of the example says of digits what the emulator says, here and on emulated processors."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import toolchain
from tests.targets.c.emulated import MACHINES, Machine, emulate, link, require
from tests.targets.c.strict import SANITIZED, run_strictly


@pytest.fixture(scope="module")
def example(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "digits_firmware", repository / "examples" / "digits_firmware.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def firmware(example: ModuleType, small_build: Path, tmp_path: Path) -> tuple[Path, list[int]]:
    """A folder with the firmware of a small network, and the classes of its digits."""
    folder = tmp_path / "firmware"
    classes = example.write_firmware(toolchain.load(small_build), folder, 40)
    assert len(classes) == 40
    assert len(set(classes)) > 1
    return folder, classes


def _check(said: str, classes: list[int], labels: list[int]) -> None:
    *lines, verdict = said.splitlines()
    assert [int(word) for line in lines for word in line.split()] == classes
    right = sum(one == other for one, other in zip(classes, labels, strict=True))
    assert verdict == f"{right} of 40 are right"


@pytest.fixture
def labels(small_build: Path) -> list[int]:
    samples = toolchain.load(small_build).stimulus_for(None)
    assert samples.labels is not None
    return samples.labels[:40].tolist()


def test_here_every_warning_is_an_error(firmware: tuple[Path, list[int]], labels: list[int]) -> None:
    folder, classes = firmware
    _check(run_strictly(["main.c", "net_hrsnn.c"], folder, SANITIZED), classes, labels)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_on_an_emulated_processor(
    machine: Machine, firmware: tuple[Path, list[int]], labels: list[int]
) -> None:
    require(machine)
    folder, classes = firmware
    link(machine, ["main.c", "net_hrsnn.c"], folder)
    _check(emulate(machine, folder, b"").decode(), classes, labels)


def test_the_script_compares_what_it_ran(
    example: ModuleType, small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example.main(small_build, tmp_path / "out", 10, 1, "cc")
    assert "the firmware says of 10 digits what the emulator says" in capsys.readouterr().out

"""`pumice export`: files, and what is refused."""

import json
from pathlib import Path

import pytest

from targets.rtl.simulator import CORE_FILES
from tests.targets.rtl.fake_tools import put_fake_tools
from toolchain.cli.main import main


@pytest.mark.parametrize(
    ("target", "files"),
    [
        ("onnx", ["network.onnx", "step.onnx"]),
        ("c", ["net_hrsnn.c", "net_hrsnn.h"]),
        ("rtl", sorted([*CORE_FILES, "load.hex", "net_hrsnn.v"])),
        ("lava", ["network.json", "network.py", "runtime", "weights.npz"]),
    ],
)
def test_a_network_is_written_for_others(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, files: list[str]
) -> None:
    assert main(["export", str(small_build), "-f", target, "-o", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == files
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == files


def test_a_target_that_stays_here_and_a_full_folder_are_refused(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(small_build), "-f", "emulator", "-o", str(tmp_path / "out")]) == 2
    assert "is not known" in capsys.readouterr().err
    float_lava = ["export", str(small_build), "-f", "lava", "--stage", "float", "-o", str(tmp_path / "real")]
    assert main(float_lava) == 3
    assert "holds integers" in capsys.readouterr().err
    assert not (tmp_path / "real").exists()
    assert main(["export", str(small_build), "--stage", "float", "-o", str(tmp_path / "float")]) == 0
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["export", str(small_build), "-o", str(tmp_path)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_board_gets_its_bitstream_and_other_formats_have_none(
    small_build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_fake_tools(tmp_path, monkeypatch)
    folder = tmp_path / "out"
    asked = ["export", str(small_build), "-f", "rtl", "--board", "icebreaker", "-o", str(folder)]
    assert main(asked) == 0
    assert "tried on no board" in capsys.readouterr().out
    assert (folder / "board.bit").read_bytes() == b"bits"
    assert {"host.py", "image.bin", "network.json"} <= {item.name for item in folder.iterdir()}
    other = ["export", str(small_build), "-f", "onnx", "--board", "icebreaker", "-o", str(tmp_path / "onnx")]
    assert main(other) == 3
    assert "makes no designs for FPGAs" in capsys.readouterr().err
    assert not (tmp_path / "onnx").exists()

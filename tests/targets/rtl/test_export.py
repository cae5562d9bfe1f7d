"""An exported network is Verilog that a simulator takes, and says what its streams mean."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from targets.rtl.export import module_name, top_module
from targets.rtl.image import memory_image
from targets.rtl.simulator import CORE_FILES, Simulator
from targets.rtl.target import RtlTarget
from tests.image_graphs import ImageRecipe, random_images
from tests.targets import conformance
from tests.targets.rtl.cores import require


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Digits 2", "net_digits_2"),
        ("endmodule", "net_endmodule"),
        ("*/ é", "net"),
        ("a" * 99, "net_" + "a" * 60),
    ],
)
def test_a_name_becomes_one_of_verilog(name: str, module: str) -> None:
    assert module_name(name) == module


def test_icarus_takes_what_is_written(tmp_path: Path) -> None:
    require(Simulator.ICARUS)
    graph = replace(conformance.graph(), name="mine\nmodule x;")
    RtlTarget(lanes=2).build(graph).export(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*CORE_FILES, "load.hex", "net_mine_module_x.v"}
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", tmp_path / "x"]
    ended = subprocess.run([*command, *tmp_path.glob("*.v")], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    words = (tmp_path / "load.hex").read_text().split()
    image = memory_image(graph, 2)
    assert [int(word, 16) for word in words] == image.load_words(image.size).tolist()


def test_it_says_how_events_are_coded() -> None:
    text = top_module(memory_image(random_images(ImageRecipe(channels=3, size=(5, 6))), 1))
    assert "x: spikes, 3x5x6; an index is channel + (column << 2) + (row << 5)" in text
    assert "// What goes out, by the number of its source:" in text

"""A host and the whole top level of a board, simulated bit by bit of the serial line, against the reference."""

from pathlib import Path

import numpy as np
import pytest

from targets.rtl.fpga.board import load_board
from targets.rtl.fpga.design import Design, design_of
from targets.rtl.fpga.exporting import write_host_files
from targets.rtl.fpga.host import Board
from targets.rtl.image import memory_image
from tests.graphs import fixed_lif
from tests.targets.rtl.simulated_board import SimulatedLine, build_board
from toolchain import ir
from toolchain.execution import reference
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph


def recurrent_network(size: int = 40, classes: int = 5) -> Graph:
    """Spikes that recur a step later, and potentials of classes that are read."""
    rng = np.random.default_rng(6)

    def dense(name: str, source: str, shape: tuple[int, int]) -> ir.FixedDense:
        weights = 2 * rng.integers(-60, 90, shape) * (rng.random(shape) < 0.4)
        return ir.FixedDense(
            name=name, inputs=(source,), weights=weights, exponent=0, sign_mode=SignMode.MIXED
        )

    return Graph(
        (
            ir.Input(name="x", shape=(30,)),
            ir.Delay(name="late", inputs=("p",), shape=(size,), steps=1),
            dense("in", "x", (size, 30)),
            dense("again", "late", (size, size)),
            fixed_lif("p", ("in", "again"), size, vth=900, dv=300),
            dense("on", "p", (classes, size)),
            fixed_lif("q", ("on",), classes, vth=131071, dv=300),
            ir.Output(name="spikes", inputs=("p",), decode=Decode.SPIKE_COUNT),
            ir.Output(name="classes", inputs=("q",), decode=Decode.LAST_V),
        )
    )


def _design(graph: Graph, folder: Path, lanes: int) -> Design:
    image, board = memory_image(graph, lanes), load_board("icebreaker")
    design = design_of(image, board)
    write_host_files(folder, image, design, board)
    return design


def _line(design: Design, folder: Path) -> SimulatedLine:
    (folder / "verilog").mkdir()
    for name, text in design.sources.items():
        (folder / "verilog" / name).write_text(text)
    sources = [folder / "verilog" / name for name in design.sources if name != "top.v"]
    return SimulatedLine(build_board(folder / "built", sources, design.parameters))


@pytest.mark.slow
def test_a_board_answers_its_host_as_the_reference_does(tmp_path: Path) -> None:
    graph = recurrent_network()
    x = np.random.default_rng(2).random((3, 12, 30)) < 0.3
    expected = reference.run(graph, x, record=("spikes", "v"))
    line = _line(_design(graph, tmp_path, lanes=1), tmp_path)
    with Board(tmp_path, line) as board:
        for _ in range(2):
            # What is loaded anew after a break forgets what was there.
            board.load()
            answers = board.run({"x": x})
            np.testing.assert_array_equal(answers["spikes.spikes"], expected.spikes["p"])
            np.testing.assert_array_equal(answers["classes.v"], expected.v["q"])
    assert expected.spikes["p"].any()
    np.testing.assert_array_equal(
        board.classes(answers)["classes.classes"], expected.v["q"][:, -1].argmax(axis=1)
    )

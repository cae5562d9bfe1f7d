"""A host and the top level of a board, simulated bit by bit of its serial line, against the reference."""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.rtl.fpga.board import load_board
from targets.rtl.fpga.design import BoardDesign, design_of
from targets.rtl.fpga.exporting import write_host_files
from targets.rtl.fpga.host import Board, BoardError
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


def _design(graph: Graph, folder: Path, lanes: int) -> BoardDesign:
    image, board = memory_image(graph, lanes), load_board("icebreaker")
    design = design_of(image, board)
    write_host_files(folder, image, design, board)
    return design


def _line(design: BoardDesign, folder: Path) -> SimulatedLine:
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


class _ScriptedLine:
    """A board that only ends steps: one when it is asked for what it says, and never earlier."""

    def __init__(self, over: int = 0x80, talks: bool = True) -> None:
        self.over, self.talks = over, talks
        self.loaded = b""
        self.most_behind = 0
        self._steps: deque[int] = deque()
        self._since = 0

    def write(self, data: bytes, /) -> None:
        if data[0] >> 6 == 2:
            self.loaded += data[1:]
            return
        at = 0
        while at < len(data):
            length = 1 if data[at] & 0x80 else 2
            self._since += length
            if data[at] == 0xC0:
                self._steps.append(self._since)
                self._since = 0
            at += length
        self.most_behind = max(self.most_behind, sum(list(self._steps)[1:]))

    def read(self, _most: int, /) -> bytes:
        if not self.talks:
            return b""
        self._steps.popleft()
        return bytes([self.over])

    def send_break(self) -> None:
        self.loaded = b""

    def close(self) -> None: ...


class _TalkingLine(_ScriptedLine):
    """A board that says what it was told to say, once."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self._said = said

    def read(self, _most: int, /) -> bytes:
        said, self._said = self._said, b""
        return said


def test_a_host_sends_no_more_than_the_queue_of_the_board_holds(tmp_path: Path) -> None:
    design = _design(recurrent_network(), tmp_path, lanes=1)
    line = _ScriptedLine()
    x = np.random.default_rng(3).random((4, 30, 30)) < 0.6
    answers = Board(tmp_path, line).run({"x": x})
    assert design.queue_bytes - 70 < line.most_behind <= design.queue_bytes
    assert {name: values.shape for name, values in answers.items()} == {
        "spikes.spikes": (4, 30, 40),
        "classes.v": (4, 30, 5),
    }


def test_what_is_loaded_is_the_image(tmp_path: Path) -> None:
    image = memory_image(recurrent_network(), 2)
    _design(recurrent_network(), tmp_path, lanes=2)
    line = _ScriptedLine()
    Board(tmp_path, line).load()
    assert line.loaded == image.load_words(image.size).astype(">u2").tobytes()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (_ScriptedLine(talks=False), "the board says nothing"),
        (_ScriptedLine(0x82), "bytes were lost"),
        (_ScriptedLine(0x81), "no input for"),
    ],
)
def test_a_board_that_cannot_go_on_says_why(line: _ScriptedLine, said: str, tmp_path: Path) -> None:
    _design(recurrent_network(), tmp_path, lanes=1)
    with pytest.raises(BoardError, match=re.escape(said)):
        Board(tmp_path, line).run({"x": np.zeros((1, 2, 30), bool)})


def test_the_host_needs_nothing_of_ours(tmp_path: Path) -> None:
    _design(recurrent_network(), tmp_path, lanes=1)
    command = [sys.executable, "-I", tmp_path / "host.py"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "serial port" in done.stdout
    missing = ["--port", "none", "--input", "missing.npz"]
    failed = subprocess.run([*command, *missing], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert failed.returncode == 1
    assert "error: " in failed.stderr


def test_potentials_of_lanes_without_a_neuron_are_passed_over(tmp_path: Path) -> None:
    _design(recurrent_network(), tmp_path, lanes=2)
    answers = Board(tmp_path, _TalkingLine(b"\x50\x04\x00\x00\x07\x50\x05\x00\x00\x00\x80")).run(
        {"x": np.zeros((1, 1, 30), bool)}
    )
    np.testing.assert_array_equal(answers["classes.v"], [[[0, 0, 0, 0, 7]]])


@pytest.mark.parametrize("noise", [b"\x0f\xff", b"\xcf\xff\x00\x00\x01"])
def test_messages_of_no_neuron_are_told(noise: bytes, tmp_path: Path) -> None:
    _design(recurrent_network(), tmp_path, lanes=1)
    with pytest.raises(BoardError, match="names neuron 4095"):
        Board(tmp_path, _TalkingLine(noise + b"\x80")).run({"x": np.zeros((1, 1, 30), bool)})


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "lacks input 'x'"),
        ({"y": np.zeros((1, 2, 30))}, "lacks input 'x'"),
        ({"x": np.zeros((1, 2, 29))}, "expected [samples, steps, 30] for input 'x', got [1, 2, 29]"),
        ({"x": np.zeros(30)}, "expected [samples, steps, 30] for input 'x', got [30]"),
        ({"x": np.full((1, 1, 30), np.nan)}, "input 'x' holds what is no number"),
        ({"x": np.zeros((1, 0, 30))}, "no samples or no steps"),
    ],
)
def test_what_is_no_input_is_told_before_anything_is_sent(
    inputs: dict[str, NDArray[Any]], said: str, tmp_path: Path
) -> None:
    _design(recurrent_network(), tmp_path, lanes=1)
    with pytest.raises(BoardError, match=re.escape(said)):
        Board(tmp_path, _ScriptedLine()).run(inputs)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no array", "npy"])
def test_a_file_that_holds_no_samples_is_told(content: bytes | str, tmp_path: Path) -> None:
    _design(recurrent_network(), tmp_path, lanes=1)
    if isinstance(content, str):
        np.save(tmp_path / "one.npy", np.zeros(3))
        content = (tmp_path / "one.npy").read_bytes()
    (tmp_path / "x.npz").write_bytes(content)
    command = [sys.executable, "-I", "host.py", "--port", "none", "--input", "x.npz"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")

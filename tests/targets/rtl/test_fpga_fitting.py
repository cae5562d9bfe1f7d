"""What a network takes on a board, with stand-ins for the tools; and cycles, as they are simulated."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.rtl.fpga import fitting
from targets.rtl.fpga.board import load_board
from targets.rtl.fpga.cycles import count_cycles
from targets.rtl.fpga.design import check_memory, design_of
from targets.rtl.image import memory_image
from targets.rtl.program import CoreSimulation, RtlProgram
from tests.graphs import fixed_lif
from tests.targets.c.strict import drawn
from tests.targets.rtl.fake_tools import put_fake_tools
from tests.targets.rtl.test_host import recurrent_network
from toolchain import ir
from toolchain.errors import DoesNotFitError, TargetError, TargetUnavailableError
from toolchain.execution import reference
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph


def _activity(graph: Graph) -> Activity:
    x = np.random.default_rng(2).random((3, 12, 30)) < 0.3
    return count_events(graph, Stimulus.of(x), reference.run(graph, x))


def test_a_fit_says_what_is_used_and_how_fast_it_may_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_fake_tools(tmp_path, monkeypatch)
    graph = recurrent_network()
    stages: list[tuple[int, int]] = []
    fit = fitting.fit_graph(
        "icebreaker", graph, _activity(graph), 1, lambda done, total: stages.append((done, total))
    )
    assert fit.fits
    assert stages == [(1, 3), (2, 3), (3, 3)]
    assert fit.used == {"LUTs": 2100, "flip-flops": 1000, "block RAMs": 17, "SPRAMs": 2, "multipliers": 2}
    assert fit.highest == 20e6
    assert fit.binding == ("clock", 0.6)
    assert fit.tools == ("yosys 1.2", "nextpnr-ice40 1.2")
    assert fit.seconds == pytest.approx(fit.cycles / 12e6)
    assert "measured on no board" in fit.sentence()
    assert any("no energy" in note for note in fit.notes)
    called = (tmp_path / "calls.txt").read_text()
    assert "--up5k --package sg48" in called
    assert "--freq 12" in called


@pytest.mark.parametrize(
    ("options", "binding", "said"),
    [
        ({"megahertz": 10.0}, "clock", "12 MHz, there are 10"),
        ({"luts": 6000}, "LUTs", "6000 LUTs, there are 5280"),
        ({"fails": "nextpnr-ice40"}, "block RAMs", "no room for it"),
    ],
)
def test_what_does_not_fit_says_why(
    options: dict[str, float], binding: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_fake_tools(tmp_path, monkeypatch, **options)  # pyright: ignore[reportArgumentType]
    graph = recurrent_network()
    fit = fitting.fit_graph("icebreaker", graph, _activity(graph), 1)
    assert not fit.fits
    assert fit.binding[0] == binding
    assert fit.advice
    (tmp_path / "out").mkdir()
    with pytest.raises(TargetError, match=said):
        fitting.write_graph("icebreaker", graph, tmp_path / "out", 1)


def test_a_tool_that_is_missing_is_no_design_without_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_fake_tools(tmp_path, monkeypatch)
    graph = recurrent_network()
    with pytest.raises(TargetUnavailableError, match="ecppack"):
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
        monkeypatch.setattr("targets.rtl.fpga.tools.sys.executable", str(tmp_path / "python"))
        fitting.fit_graph("ulx3s", graph, _activity(graph), 1)


def test_an_export_has_all_that_a_board_and_its_host_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_fake_tools(tmp_path, monkeypatch)
    folder = tmp_path / "out"
    folder.mkdir()
    notes = fitting.write_graph("icebreaker", recurrent_network(), folder, 1)
    assert "tried on no board" in notes[0]
    expected = {"README.md", "board.bit", "board.pcf", "codes.npz", "host.py", "image.bin", "network.json"}
    assert {path.name for path in folder.iterdir()} == expected | {"run.ys", "verilog"}
    form = json.loads((folder / "network.json").read_text())
    assert (form["baud"], form["queue"], form["code_bits"]) == (1_000_000, 512, 6)
    assert "iceprog board.bit" in (folder / "README.md").read_text()
    written = {path.name for path in (folder / "verilog").iterdir()}
    assert {"top.v", "board.v", "core.v", "decay.v"} <= written
    assert all(f"verilog/{name}" in (folder / "run.ys").read_text() for name in written)


def _wide(inputs: int, size: int) -> Graph:
    weights = np.full((size, inputs), 2)
    dense = ir.FixedDense(
        name="in", inputs=("x",), weights=weights, exponent=0, sign_mode=SignMode.EXCITATORY
    )
    return Graph(
        (
            ir.Input(name="x", shape=(inputs,)),
            dense,
            fixed_lif("p", ("in",), size, vth=900, dv=300),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )


@pytest.mark.parametrize(
    ("shape", "said"), [((300, 300), "of them synapses"), ((2, 2500), r"bits of block memory \(tables")]
)
def test_memories_that_are_too_small_are_named_before_a_tool_runs(
    shape: tuple[int, int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = _wide(*shape)
    with pytest.raises(DoesNotFitError, match=said):
        fitting.write_graph("icebreaker", graph, tmp_path, 1)
    # A larger board has room for it.
    check_memory(memory_image(graph, 1), load_board("ulx3s"))


def test_more_outputs_than_the_line_tells_apart_are_refused() -> None:
    graph = _wide(4, 3)
    extra = [
        node
        for i in range(4)
        for node in (
            fixed_lif(f"p{i}", ("in",), 3, vth=900, dv=300),
            ir.Output(name=f"o{i}", inputs=(f"p{i}",), decode=Decode.SPIKE_COUNT),
        )
    ]
    with pytest.raises(TargetError, match="4 populations apart, and 5 are read"):
        design_of(memory_image(Graph((*graph.nodes, *extra)), 1), load_board("icebreaker"))


def _cycles(graph: Graph, stimuli: Any, lanes: int) -> tuple[float, float]:
    """Return the cycles of a step as they are counted, and as they are simulated."""
    if shutil.which("verilator") is None:
        pytest.skip("Verilator is not installed")
    program = RtlProgram(graph, CoreSimulation(lanes=lanes, exact=True))
    stimulus = fit_stimulus(graph, stimuli)
    activity = count_events(graph, stimulus, reference.run(graph, stimuli))
    counted = sum(count_cycles(program.image, activity).values())
    return counted, float(program.observe(stimuli).cycles.mean())


@pytest.mark.slow
def test_cycles_are_those_of_a_simulation() -> None:
    graph = recurrent_network()
    counted, simulated = _cycles(graph, np.zeros((2, 5, 30), bool), 1)
    assert counted == simulated
    counted, simulated = _cycles(graph, np.random.default_rng(2).random((3, 12, 30)) < 0.3, 1)
    assert counted == pytest.approx(simulated, rel=0.01)
    # Few steps and long delays: it counts that all steps are equally busy, which they are not.
    for kind, seed in (("networks", 2), ("images", 2)):
        counted, simulated = _cycles(*drawn(kind, seed), 2)
        assert counted == pytest.approx(simulated, rel=0.05)

"""Graded values beyond the calibrated range are counted, told and blamed, wherever they enter."""

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.graphs import lif
from toolchain import ir
from toolchain.cli.main import main
from toolchain.execution import reference
from toolchain.execution.clipping import ClippedInput, ClippedInputWarning, clipped_inputs
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import compare_traces
from toolchain.fidelity.report import write_report
from toolchain.ir import Decode, EdgeKind, Graph, Origin, Stage
from toolchain.target.protocol import session_of
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import report_of
from toolchain.workflow.run import record_build, run_build

TARGETS = ("emulator", "onnx", "lava")


def _graph(*, scale: float = 100.0) -> Graph:
    """A graded and a spiking input; values up to 2.55 are held by 8 bits."""
    return Graph(
        (
            ir.Input(name="light", shape=(3,), edge=EdgeKind.GRADED, scale=scale, bits=8),
            ir.Input(name="events", shape=(2,)),
            ir.Delay(name="later", inputs=("light",), shape=(3,), edge=EdgeKind.GRADED, steps=2),
            ir.Dense(name="see", inputs=("later",), weights=np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])),
            ir.Dense(name="hear", inputs=("events",), weights=np.eye(2) * 0.1),
            lif("cells", ("see", "hear"), 2, dv=1.0, vth=5.0),
            ir.Dense(name="read", inputs=("cells",), weights=np.eye(2)),
            lif("readout", ("read",), 2, vth=np.inf),
            ir.Output(name="output", inputs=("readout",), decode=Decode.LAST_V),
        )
    )


def _within(samples: int = 2, steps: int = 6) -> Stimulus:
    rng = np.random.default_rng(1)
    values = {
        "light": rng.uniform(-2, 2, (samples, steps, 3)),
        "events": rng.random((samples, steps, 2)) < 0.5,
    }
    return Stimulus(values, np.array([0, 1]))


def _beyond() -> Stimulus:
    """Element 0 of sample 1 leaves the range twice, element 2 of sample 0 once, and fires nobody."""
    given = _within()
    light = given.values["light"] * 0.1
    light[1, 1, 0], light[1, 3, 0], light[0, 2, 2] = 6.0, 7.65, -3.0
    return Stimulus({**given.values, "light": light}, given.labels)


@pytest.fixture
def build() -> Build:
    return compile_graph(_graph(), stimulus=_within(), calibration=_within())


FOUND = (ClippedInput("light", 3, 36, 2.55, 7.65),)


def test_values_at_the_end_of_the_range_are_not_clipped() -> None:
    """The end is where rounding would leave it, half a unit beyond the largest integer."""
    graph = compile_graph(_graph()).fixed_graph
    given = _within()
    for value, count in ((2.55, 0), (2.5549, 0), (-2.5549, 0), (2.5551, 1), (-2.5551, 1)):
        light = np.zeros_like(given.values["light"])
        light[0, 0, 0] = value
        found = clipped_inputs(graph, Stimulus({**given.values, "light": light}))
        assert sum(item.clipped for item in found) == count


@pytest.mark.parametrize("target", TARGETS)
def test_a_run_counts_what_it_clips_on_every_target(target: str, build: Build, tmp_path: Path) -> None:
    recording = record_build(build, tmp_path / "trace.npz", target, _beyond(), record=("spikes", "v", "u"))
    assert recording.clipped == FOUND
    with pytest.warns(ClippedInputWarning, match=r"3 of 36 values of input 'light' lie beyond .* at 3 times"):
        trace = run_build(build, target, _beyond(), record=("spikes", "v", "u"))
    expected = reference.run(build.fixed_graph, _beyond())
    assert all(np.array_equal(got, expected.by_key()[name]) for name, got in trace.by_key().items())


@pytest.mark.parametrize("target", ["emulator", "onnx"])
@pytest.mark.parametrize("stage", list(Stage))
def test_a_session_counts_what_it_clips_until_it_is_reset(target: str, stage: Stage, build: Build) -> None:
    graph = build.fixed_graph if stage is Stage.FIXED else build.float_graph
    session, given = session_of(load_target(target).build(graph), 2), _beyond()
    for t in range(given.steps):
        session.step({name: array[:, t] for name, array in given.values.items()})
    assert session.clipped == (FOUND if stage is Stage.FIXED else ())
    session.reset()
    assert session.clipped == ()


def test_nothing_is_told_where_nothing_is_clipped(build: Build, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ClippedInputWarning)
        run_build(build)
        run_build(build, None, _beyond(), stage=Stage.FLOAT)
    assert record_build(build, tmp_path / "t.npz").clipped == ()
    assert compare_build(build).clipped == ()


def test_the_first_divergence_blames_what_was_clipped(build: Build, tmp_path: Path) -> None:
    judgement = compare_build(build, _beyond())
    assert judgement.clipped == FOUND
    first = judgement.comparison.nodes["cells"].first
    assert first is not None
    assert (first.sample, first.step, first.neuron) == (1, 3, 0)
    told = (
        r"the integers had read 1 value of the graded input 'light' that had been clipped, the first of "
        r"element 0 at step 1, the farthest at 2\.35 times the end of the calibrated range, through 'see"
    )
    assert re.match(told, first.blame)
    second = judgement.comparison.nodes["readout"].first
    assert second is None or "neuron 0 of 'cells' had differed at step 3" in second.blame
    assert judgement.document().clipped[0].peak == 7.65
    write_report(tmp_path / "report.html", report_of(replace(build, stimulus=_beyond()), judgement))
    page = (tmp_path / "report.html").read_text()
    assert "3 of 36 values of input" in page
    assert "that had been clipped, the first of element" in page


def test_a_clipped_value_is_blamed_on_whoever_sees_it_through_pooling_and_convolution() -> None:
    """Only neurons whose windows cover the value read it."""
    image = ir.Input(name="image", shape=(1, 4, 4), edge=EdgeKind.GRADED, scale=100.0, bits=8)
    shape = (1, 2, 2)
    numbers = {
        "du": np.ones(shape),
        "dv": np.ones(shape),
        "vth": np.full(shape, 5.0),
        "bias": np.zeros(shape),
    }
    graph = Graph(
        (
            image,
            ir.SumPool2d(name="pool", inputs=("image",), kernel=(2, 2), stride=(2, 2)),
            ir.Conv2d(name="conv", inputs=("pool",), weights=np.ones((1, 1, 1, 1))),
            ir.Lif(name="cells", inputs=("conv",), origin=Origin.whole("cells", 4), **numbers),
            ir.Output(name="output", inputs=("cells",), decode=Decode.SPIKE_COUNT),
        )
    )
    build = compile_graph(graph)
    x = np.zeros((1, 3, 1, 4, 4))
    x[0, 0, 0, 0, 0], x[0, 1, 0, 3, 2] = 2.6, 5.1
    x[0, 1, 0, 0, 0] = 3.0
    judgement = compare_build(build, Stimulus({"image": x}))
    first = judgement.comparison.nodes["cells"].first
    assert first is not None
    assert (first.step, first.neuron) == (1, 3)
    (item,) = first.inputs
    assert (item.source, item.neuron, item.step, item.clipped, item.excess) == ("image", 14, 1, 1, 2.0)


def test_a_comparison_without_the_input_blames_as_before(build: Build) -> None:
    traces = tuple(reference.run(graph, _beyond()) for graph in (build.float_graph, build.fixed_graph))
    graphs = build.float_graph, build.fixed_graph
    first = compare_traces(graphs, (traces[0], traces[1])).nodes["cells"].first
    assert first is not None
    assert first.inputs == ()


def test_the_commands_say_what_was_clipped_and_what_to_do(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.save(tmp_path / "b")
    _beyond().save(tmp_path / "s.npz")
    told = "3 of 36 values of input 'light' lie beyond the range -2.55 .. 2.55 that it was calibrated for"
    remedy = "compile with samples as --calibration that cover the range"
    run = ["run", str(tmp_path / "b"), "-i", str(tmp_path / "s.npz"), "-o", str(tmp_path / "t.npz")]
    assert main(run) == 0
    said = capsys.readouterr().out
    assert f"warning: {told}" in said
    assert remedy in said
    assert main([*run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clipped"][0] == {
        "input": "light", "clipped": 3, "values": 36, "limit": 2.55, "peak": 7.65,
    }  # fmt: skip
    compare = ["compare", str(tmp_path / "b"), "-i", str(tmp_path / "s.npz")]
    assert main(compare) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert told in said
    assert "that had been clipped, the first of element 0 at step 1" in said
    assert main([*compare, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clipped"][0]["clipped"] == 3
    assert main(["show", str(tmp_path / "b")]) == 0
    assert (
        "input 'light': values from -2.55 to 2.55 become integers of 8 bits and a sign"
        in capsys.readouterr().out
    )

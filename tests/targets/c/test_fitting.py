"""What a network takes on a microcontroller: exact memory, an estimate that says so, advice that helps."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.c import fitting
from targets.c.measuring import Measured
from targets.c.operations import INSTRUCTIONS, count_operations, instructions_of
from targets.c.processor import BUILT_IN, ProcessorProfile, load_processor
from targets.c.source import NetworkCode
from targets.c.target import CTarget
from targets.c.thinning import largest_share, thinned
from tests.graphs import fixed_lif
from tests.targets.c.counting import count_instructions
from tests.targets.c.emulated import CORTEX_M4, require
from toolchain import ir
from toolchain.errors import MissingFileError, ProfileError
from toolchain.execution import reference
from toolchain.execution.activity import Activity, count_events
from toolchain.execution.stimulus import Stimulus
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph
from toolchain.ir.matrix import values_of
from toolchain.target.processor_fit import ProcessorFit


def _network(size: int = 60, density: float = 0.4) -> Graph:
    rng = np.random.default_rng(4)

    def dense(name: str, source: str, shape: tuple[int, int]) -> ir.FixedDense:
        weights = 2 * rng.integers(-60, 90, shape) * (rng.random(shape) < density)
        return ir.FixedDense(
            name=name, inputs=(source,), weights=weights, exponent=0, sign_mode=SignMode.MIXED
        )

    return Graph(
        (
            ir.Input(name="x", shape=(size,)),
            ir.Delay(name="late", inputs=("p",), shape=(size,), steps=1),
            dense("in", "x", (size, size)),
            dense("again", "late", (size, size)),
            fixed_lif("p", ("in", "again"), size, vth=900, dv=300),
            dense("on", "p", (4, size)),
            fixed_lif("q", ("on",), 4, vth=900, dv=300),
            ir.Output(name="o", inputs=("q",), decode=Decode.NONE),
        )
    )


def _run(graph: Graph) -> tuple[Stimulus, Activity]:
    x = np.random.default_rng(1).random((3, 20, graph.inputs[0].shape[0])) < 0.2
    stimulus = Stimulus.of(x)
    return stimulus, count_events(graph, stimulus, reference.run(graph, x))


def _fit(graph: Graph, profile: ProcessorProfile) -> ProcessorFit:
    return fitting.fit_graph(profile, graph, _run(graph)[1], ("cc",))


def _small(**limits: Any) -> ProcessorProfile:
    profile = load_processor("stm32f411")
    for name, value in limits.items():
        sourced = getattr(profile, name)
        profile = profile.model_copy(update={name: sourced.model_copy(update={"value": value})})
    return profile


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_figure_of_ours_has_a_source_that_is_spelled_out(name: str) -> None:
    profile = load_processor(name)
    assert profile.name == name
    for field in ("core", "flash", "ram", "clock"):
        sourced = getattr(profile, field)
        assert sourced.confidence.value == "H"
        assert any(sourced.source.startswith(words) for words in profile.references.values())
    assert "Nobody here has measured" in Path("targets/c/profiles", f"{name}.toml").read_text()


def test_a_file_names_a_core_and_never_a_command(tmp_path: Path) -> None:
    text = Path("targets/c/profiles/rp2040.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("2_097_152", "16_777_216"))
    assert load_processor(tmp_path / "own.toml").flash.value == 2**24
    with pytest.raises(
        MissingFileError, match="'stm32f4' does not exist; give a file, or one of ours: stm32"
    ):
        load_processor("stm32f4")
    (tmp_path / "bad.toml").write_text(text.replace('value = "cortex-m0plus"', 'value = "touch /tmp/x"'))
    with pytest.raises(ProfileError, match=r"core\.value.*cortex-m4"):
        load_processor(tmp_path / "bad.toml")
    (tmp_path / "less.toml").write_text(text.replace("clock =", "clocks ="))
    with pytest.raises(ProfileError, match="clock"):
        load_processor(tmp_path / "less.toml")


def test_a_network_that_fits_is_measured_and_estimated() -> None:
    graph = _network()
    for name in CTarget().processors:
        fit = CTarget().fit_processor(graph, _run(graph)[1], name)
        code = NetworkCode(graph)
        assert fit.fits
        assert fit.used["RAM"] == code.state_bytes
        assert fit.used["flash"] > code.table_bytes
        assert fit.exact == (shutil.which(load_processor(name).core.value.compiler[0]) is not None)
        assert fit.sentence().startswith("estimated, measured on no chip")
        assert fit.cycles == pytest.approx(fit.seconds * load_processor(name).clock.value)
        assert sum(layer.table_bytes for layer in fit.layers) == code.table_bytes
        assert [layer.neurons for layer in fit.layers] == [60, 4]


def test_without_a_cross_compiler_it_says_what_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _network()
    code = NetworkCode(graph)
    monkeypatch.setattr("targets.c.measuring.shutil.which", lambda name: name if name == "cc" else None)
    fit = _fit(graph, _small())
    assert not fit.exact
    assert fit.table_bytes == code.table_bytes
    assert "for another processor; for its exact size: apt-get install gcc-arm-none-eabi" in fit.notes[0]
    monkeypatch.setattr(fitting, "measure", lambda *_: Measured("", exact=False, memory=None))
    fit = _fit(graph, _small())
    assert fit.code_bytes is None
    assert "code is not counted" in fit.notes[0]


def test_advice_brings_a_network_into_flash() -> None:
    graph = _network()
    code = NetworkCode(graph)
    wanted = code.table_bytes // 2
    share = largest_share(graph, wanted)
    assert 0.2 < share < 0.6
    assert NetworkCode(thinned(graph, share)).table_bytes <= wanted
    assert NetworkCode(thinned(graph, share + 0.02)).table_bytes > wanted
    before, after = (each["in"] for each in (graph, thinned(graph, 0.5)))
    assert isinstance(before, ir.FixedDense)
    assert isinstance(after, ir.FixedDense)
    assert (values_of(after.weights) != 0).sum() == (values_of(before.weights) != 0).sum() // 2
    fit = _fit(graph, _small(flash=wanted + 2000))
    assert not fit.fits
    assert fit.binding[0] == "flash"
    assert fit.advice[0].startswith("pruning ")
    assert "narrower weights save nothing" in fit.advice[0]
    assert "prune neurons or channels" in _fit(graph, _small(flash=100)).advice[0]


def test_advice_on_ram_and_time_names_what_takes_it() -> None:
    graph = _network()
    fit = _fit(graph, _small(ram=400, clock=100_000))
    assert fit.binding[0] == "RAM"
    assert "a neuron takes" in fit.advice[0]
    assert "times its own time" in fit.advice[1]
    assert "prune synapses" in fit.advice[-1]
    assert "prune neurons" in _fit(_network(density=0.01), _small()).advice[-1]


def test_operations_are_those_of_the_run() -> None:
    graph = _network()
    stimulus, activity = _run(graph)
    counts = count_operations(NetworkCode(graph), activity)
    spikes = reference.run(graph, stimulus).spikes["p"].sum(axis=(0, 1)) / 60
    first, again, on = (graph[name] for name in ("in", "again", "on"))
    assert isinstance(first, ir.FixedDense)
    assert isinstance(again, ir.FixedDense)
    assert isinstance(on, ir.FixedDense)
    fans = [(np.asarray(node.weights) != 0).sum(axis=0) for node in (first, again)]
    entered = stimulus.values["input" if "input" in stimulus.values else "x"].sum(axis=(0, 1)) / 60
    assert counts["p"]["synaptic operations"] == pytest.approx(entered @ fans[0] + spikes @ fans[1])
    assert counts["q"]["messages"] == pytest.approx(spikes.sum())
    assert counts["p"]["neurons"] == 60
    assert set(counts["q"]) == set(INSTRUCTIONS)


@pytest.mark.parametrize("density", [0.05, 0.5])
def test_the_estimate_of_instructions_is_near_those_that_are_counted(density: float) -> None:
    require(CORTEX_M4)
    graph = _network(120, density)
    stimulus, activity = _run(graph)
    code = NetworkCode(graph)
    counted, _ = count_instructions(CORTEX_M4, code, stimulus)
    layers = count_operations(code, activity).values()
    assert sum(map(instructions_of, layers)) == pytest.approx(counted, rel=0.2)

"""Calibration takes as many samples as it needs, always the same ones, and says how many."""

from typing import Any

import numpy as np
import pytest

import toolchain
from tests.graphs import chain, dense, lif, recurrent
from tests.networks import images, small_vgg
from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph
from toolchain.passes import Calibration, SplitSigns
from toolchain.workflow import observation
from toolchain.workflow.compile import compile_graph
from toolchain.workflow.judgement import report_of
from toolchain.workflow.observation import observe_ranges


def _graph() -> Graph:
    return SplitSigns()(recurrent(np.random.default_rng(0)))


def _alike(rng: np.random.Generator, samples: int) -> Stimulus:
    return Stimulus.of(rng.random((samples, 40, 6)) < 0.4)


def _same(one: Calibration, other: Calibration) -> bool:
    names = ("v_low", "v_high", "u_peak", "v_mean", "u_mean", "drives")
    pairs = ((getattr(one, name), getattr(other, name)) for name in names)
    return all(np.array_equal(ranges[key], others[key]) for ranges, others in pairs for key in ranges)


def test_samples_that_are_alike_are_not_all_run_and_the_same_ones_each_time(rng: np.random.Generator) -> None:
    samples = _alike(rng, 2000)
    observed = observe_ranges(_graph(), samples)
    assert 16 < observed.samples < 2000
    assert _same(observed, observe_ranges(_graph(), samples))


def test_samples_in_order_of_their_classes_are_drawn_from_all_of_them(rng: np.random.Generator) -> None:
    """A thousand silent samples stand in front of a thousand that spike."""
    spiking = rng.random((1000, 40, 6)) < 0.4
    observed = observe_ranges(_graph(), Stimulus.of(np.concatenate([np.zeros_like(spiking), spiking])))
    assert observed.samples < 2000
    assert (observed.u_peak["hidden"] > 0).any()


def test_few_samples_are_all_run_whatever_they_show(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "has_settled", lambda *_: False)
    for count in (1, 15, 16, 17, 100):
        assert observe_ranges(_graph(), _alike(rng, count)).samples == count


def test_it_looks_after_twice_as_many_samples_each_time(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[int, int]] = []

    def look(_: Any, __: Any, before: Calibration, after: Calibration) -> bool:
        looks.append((before.samples, after.samples))
        return False

    monkeypatch.setattr(observation, "has_settled", look)
    observe_ranges(_graph(), _alike(rng, 100))
    assert looks == [(16, 32), (32, 64), (64, 100)]


def test_a_build_says_how_many_samples_calibration_took(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, samples = _graph(), _alike(rng, 100)
    whole = compile_graph(graph, stimulus=_alike(rng, 4), calibration=_alike(rng, 16))
    assert (whole.quantization.calibration_samples, whole.quantization.calibration_given) == (16, None)
    assert whole.quantization.calibration_sentence is None
    monkeypatch.setattr(observation, "has_settled", lambda *_: True)
    build = compile_graph(graph, stimulus=_alike(rng, 4), calibration=samples)
    report = build.quantization
    assert (report.calibration_samples, report.calibration_given) == (32, 100)
    assert report.calibration_sentence is not None
    assert report.calibration_sentence.startswith("calibrated on 32 of 100 samples, drawn at random")
    assert f"{report.calibration_sentence}." in report_of(build, toolchain.compare(build)).checks


def test_ranges_that_are_proved_do_not_depend_on_how_many_samples_were_run(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = chain(dense("w", "x", rng.normal(size=(5, 3))), lif("p", ("w",), 5, dv=0.5), shape=(3,))
    samples = Stimulus.of(rng.random((200, 10, 3)) < 0.5)
    rows: list[Any] = []
    for settled in (True, False):
        monkeypatch.setattr(observation, "has_settled", lambda *_, settled=settled: settled)
        report = compile_graph(graph, calibration=samples).quantization
        rows.append(report.populations["p"])
        assert report.calibration_samples == (32 if settled else 200)
    assert rows[0].range == rows[1].range == "proved"


def test_ranges_of_many_samples_are_those_of_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_vgg()
    graph = toolchain.compile(network, images(network, 7).float()).float_graph
    frames = Stimulus.of(np.repeat(images(network, 7).numpy()[:, None], 4, axis=1))
    whole = observe_ranges(graph, frames)
    monkeypatch.setattr(observation, "_OBSERVED_VALUES", 1)
    parts = observe_ranges(graph, frames)
    assert parts.samples == whole.samples == 7
    for name in whole.v_low:
        assert np.array_equal(whole.v_low[name], parts.v_low[name])
        assert np.array_equal(whole.u_peak[name], parts.u_peak[name])
        assert np.allclose(whole.v_mean[name], parts.v_mean[name])
        assert np.allclose(whole.drives[name], parts.drives[name], rtol=1e-4)
    with pytest.raises(UsageError, match="holds no samples"):
        observe_ranges(graph, frames.take(slice(0, 0)))

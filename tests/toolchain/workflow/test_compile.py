"""The public calls: compile a module, load it, compare it; and what happens when executions differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import toolchain
from targets.emulator.target import EmulatorTarget
from tests.networks import images, small_vgg
from toolchain import ir
from toolchain.errors import SimulationError, UnknownNameError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.ir import Graph
from toolchain.models import CubaLif
from toolchain.workflow.build_folder import LongerThanProvedWarning
from toolchain.workflow.judgement import Exactness
from toolchain.workflow.run import run_build


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16, bias=False),
        CubaLif(16, dv=0.2),
        nn.Linear(16, 3),
        CubaLif(3, dv=0.1, vth=float("inf")),
    )


def _example(rng: np.random.Generator) -> np.ndarray:
    return rng.random((12, 20, 8)) < 0.5


def test_a_module_is_compiled_compared_saved_and_loaded(tmp_path: Path, rng: np.random.Generator) -> None:
    build = toolchain.compile(_model(), torch.tensor(_example(rng)), classes=("a", "b", "c"))
    judgement = toolchain.compare(build)
    assert judgement.comparison.prediction_agreement == 100
    assert judgement.comparison.spike_f1 > 0.95
    build.save(tmp_path / "b", judgement)
    loaded = toolchain.load(tmp_path / "b")
    assert toolchain.compare(loaded).comparison == judgement.comparison
    assert loaded.float_graph.outputs[0].classes == ("a", "b", "c")


def test_still_images_are_shown_at_every_step_in_the_memory_of_one() -> None:
    network = small_vgg()
    pictures = images(network, 3).numpy()
    build = toolchain.compile(network, pictures)
    assert build.stimulus is not None
    shown = next(iter(build.stimulus.values.values()))
    assert np.array_equal(shown, np.repeat(pictures[:, None], network.steps, axis=1))
    assert np.shares_memory(shown, pictures)


def test_a_build_runs_on_its_target_by_default(rng: np.random.Generator) -> None:
    build = toolchain.compile(_model(), _example(rng))
    trace = run_build(build)
    assert trace.spikes["neurons1"].shape == (12, 20, 16)
    assert trace.v["neurons3"].shape == (12, 20, 3)


def test_lava_must_be_equal_bit_for_bit(rng: np.random.Generator) -> None:
    build = toolchain.compile(_model(), _example(rng), target="lava")
    judgement = toolchain.compare(build, exact=("lava",), samples=4)
    assert judgement.exact["lava"] == Exactness(4)
    judgement.require_exact()


def test_a_target_that_differs_is_a_named_bug(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulator whose decays are all off by one is caught, and the place is told."""
    original = EmulatorTarget.build

    def off_by_one(target: EmulatorTarget, graph: Graph) -> object:
        changed = graph.map(lambda n: replace(n, dv=n.dv + 1) if isinstance(n, ir.FixedLif) else n)
        return original(target, changed)

    build = toolchain.compile(_model(), _example(rng))
    monkeypatch.setattr(EmulatorTarget, "build", off_by_one)
    judgement = toolchain.compare(build, exact=("emulator",), samples=12)
    assert not judgement.exact["emulator"].equal
    with pytest.raises(SimulationError, match=r"differs from the integer reference: neurons1\.") as caught:
        judgement.require_exact()
    assert caught.value.process == "neurons1"


def test_without_stimulus_a_run_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="give samples as `stimulus`"):
        run_build(toolchain.compile(_model()))


def test_samples_longer_than_the_proof_are_warned_about(rng: np.random.Generator) -> None:
    build = toolchain.compile(_model(), _example(rng))
    longer = Stimulus.of(rng.random((2, 21, 8)) < 0.5)
    with pytest.warns(LongerThanProvedWarning, match="21 steps are longer than the 20"):
        run_build(build, stimulus=longer)


def test_an_unknown_target_is_named(rng: np.random.Generator) -> None:
    with pytest.raises(UnknownNameError, match="known: c, emulator, lava"):
        toolchain.compile(_model(), _example(rng), target="loihi9")


def test_fewer_bits_are_less_faithful(rng: np.random.Generator) -> None:
    f1 = [
        toolchain.compare(
            toolchain.compile(_model(), _example(rng), quantization=toolchain.Quantization(weight_bits=bits))
        ).comparison.spike_f1
        for bits in (3, 8)
    ]
    assert f1[0] < f1[1]


def test_an_attribute_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = toolchain.nothing


@pytest.mark.slow
def test_images_are_compiled_shown_and_judged(tmp_path: Path) -> None:
    network = small_vgg()
    still = images(network, 6).float()
    build = toolchain.compile(network, still, target="lava")
    assert build.stimulus is not None
    assert next(iter(build.stimulus.values.values())).shape == (6, 4, 2, 8, 8)
    assert build.facts.float_agreement is not None
    assert "every spike equal" in build.facts.float_agreement
    judgement = toolchain.compare(build, exact=("lava",), samples=2)
    judgement.require_exact()
    build.save(tmp_path / "b", judgement)
    assert toolchain.compare(toolchain.load(tmp_path / "b")).comparison == judgement.comparison

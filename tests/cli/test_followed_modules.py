"""Builds of modules whose own forward was followed: on Lava, saved, and by every command."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pumice
from tests.toolchain.frontends.modules.stand_ins import Leaky
from toolchain.arrays import Array
from toolchain.cli.main import main
from toolchain.ir import Stage

SAMPLES = (np.random.default_rng(4).random((6, 8, 5)) < 0.4).astype(np.float64)
LABELS = np.arange(6) % 3


class Spoken(nn.Module):
    """Recurrent neurons that a second input reaches later in the network, and neurons that never fire."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.fc, self.rec, self.side = nn.Linear(5, 10), nn.Linear(10, 10, bias=False), nn.Linear(3, 6)
        self.out, self.last = nn.Linear(10, 6), nn.Linear(6, 3)
        self.one, self.two = Leaky(0.75), Leaky(0.5, reset_mechanism="zero")
        self.three = Leaky(0.75, 1e9, reset_mechanism="none")
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(2)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Any:
        """Return the last potentials, and all spikes of the second layer."""
        states: list[Tensor | None] = [None, None, None]
        before, sent, mem = torch.zeros(len(first), 10, dtype=first.dtype), list[Tensor](), first
        for step, frame in enumerate(first.unbind(1)):
            before, states[0] = self.one(self.fc(frame) + self.rec(before), states[0])
            current = self.out(before)
            if second is not None:
                current = current + self.side(second[:, step])
            spikes, states[1] = self.two(current, states[1])
            _, mem = self.three(self.last(spikes), states[2])
            states[2] = mem
            sent.append(spikes)
        return mem, torch.stack(sent, 1)


def both(rng: np.random.Generator) -> dict[str, Array]:
    """Return two inputs of different width."""
    shapes = {"second": (6, 8, 3), "first": (6, 8, 5)}
    return {name: (rng.random(shape) < 0.5).astype(np.float64) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved build of a module, and other samples."""
    place = tmp_path_factory.mktemp("followed")
    stimulus = pumice.Stimulus({"input": SAMPLES}, LABELS)
    build = pumice.compile(Spoken().double(), stimulus, classes=("a", "b", "c"))
    build.save(place / "build", pumice.compare(build))
    pumice.Stimulus({"input": SAMPLES[::-1].copy()}).save(place / "other.npz")
    return place


def test_a_followed_module_runs_on_lava_with_every_integer_equal() -> None:
    build = pumice.compile(
        Spoken().double(), pumice.Stimulus({"input": SAMPLES[:2]}, LABELS[:2]), target="lava"
    )
    assert build.facts.source is not None
    build.facts.source.require_equal()
    judgement = pumice.compare(build, exact=("lava",))
    assert any("lava" in sentence and "equal" in sentence for sentence in judgement.sentences())


def test_two_inputs_of_different_width_run_on_lava(rng: np.random.Generator) -> None:
    given = {name: array[:2] for name, array in both(rng).items()}
    build = pumice.compile(Spoken().double(), given, target="lava")
    assert build.facts.source is not None
    build.facts.source.require_equal()
    assert "equal" in pumice.compare(build, exact=("lava",)).sentences()[-1]


def test_show_says_that_results_are_equal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder / "build")]) == 0
    assert "what was returned as 'output', 'output1'" in " ".join(capsys.readouterr().out.split())
    assert main(["show", str(folder / "build"), "--json"]) == 0
    source = json.loads(capsys.readouterr().out)["facts"]["source"]
    assert source["equal"] is True
    assert set(source["results"]) == {"output", "output1"}
    assert source["results"]["output1"]["tolerance"] == 0
    assert main(["show", str(folder / "build"), "--why", "two"]) == 0
    assert "'two'" in capsys.readouterr().out
    page = (folder / "build/report.html").read_text()
    assert "what was returned as" in page


def test_compare_and_check_read_a_saved_build(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(folder / "build"), "--exact", "emulator"]) == 0
    assert "what was returned as" in " ".join(capsys.readouterr().out.split())
    assert main(["check", str(folder / "build"), "--target", "loihi2"]) == 0


def test_run_and_predict_give_what_python_gives(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = pumice.load(folder / "build")
    assert main(["run", str(folder / "build"), "-o", str(folder / "trace.npz")]) == 0
    capsys.readouterr()
    trace = pumice.run(build)
    with np.load(folder / "trace.npz") as arrays:
        assert np.array_equal(arrays["two.spikes"], trace.spikes["two"])
    given = ("--input", str(folder / "other.npz"), "-o", str(folder / "classes.csv"))
    assert main(["predict", str(folder / "build"), *given]) == 0
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["class"]) for row in rows] == pumice.predict(build).classes[::-1].tolist()


def test_a_saved_build_of_two_inputs_is_run_by_their_names(
    rng: np.random.Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = both(rng)
    module = Spoken().double()
    build = pumice.compile(module, given)
    assert [(node.name, node.shape) for node in build.float_graph.inputs] == [
        ("second", (3,)),
        ("first", (5,)),
    ]
    assert build.facts.source is not None
    build.facts.source.require_equal()
    build.save(tmp_path / "build")
    assert pumice.load(tmp_path / "build").facts.source == build.facts.source
    with torch.no_grad():
        mem, _ = module(**{name: torch.from_numpy(values) for name, values in given.items()})
    scores = pumice.predict(pumice.load(tmp_path / "build"), stage=Stage.FLOAT).scores["output"]
    assert scores == pytest.approx(mem.numpy(), rel=1e-9)
    pumice.Stimulus(both(np.random.default_rng(9))).save(tmp_path / "other.npz")
    command = ["predict", str(tmp_path / "build"), "--input", str(tmp_path / "other.npz")]
    assert main([*command, "-o", str(tmp_path / "p.npz")]) == 0
    capsys.readouterr()
    expected = pumice.predict(build, pumice.Stimulus(both(np.random.default_rng(9))))
    with np.load(tmp_path / "p.npz") as arrays:
        assert np.array_equal(arrays["scores/output"], expected.scores["output"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first": SAMPLES, "third": SAMPLES}, "third"),
        ({"first": SAMPLES, "second": SAMPLES}, "mat1 and mat2 shapes cannot be multiplied"),
        ({"first": SAMPLES, "second": SAMPLES[:, :4, :3]}, "different numbers of steps: \\[4, 8\\]"),
        ({"first": SAMPLES, "second": SAMPLES[:4, :, :3]}, "different numbers of samples: \\[4, 6\\]"),
    ],
)
def test_inputs_that_do_not_go_together_are_named(given: Any, message: str) -> None:
    with pytest.raises(pumice.errors.ToolchainError, match=message):
        pumice.compile(Spoken().double(), given)

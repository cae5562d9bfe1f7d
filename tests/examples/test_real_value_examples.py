"""Each example that learns real values goes the whole way: trained, compiled, compared, predicted."""

import tomllib
from pathlib import Path

import pytest

from tests.data_files import REAL_VALUES
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import load_experiment, parse_experiment
from toolchain.workflow.predict import predict_build
from toolchain.workflow.train import train


@pytest.mark.parametrize("name", REAL_VALUES)
def test_an_example_shows_every_key_of_its_sections(name: str, repository: Path) -> None:
    path = repository / "examples" / "data" / f"{name}.toml"
    experiment, text = load_experiment(path), path.read_text()
    for section in ("data", "task", "encoding"):
        part = text.partition(f"[{section}]\n")[2].partition("\n[")[0]
        shown = {line.lstrip("# ").partition(" = ")[0] for line in part.splitlines() if " = " in line}
        assert shown == set(type(getattr(experiment, section)).model_fields), section


@pytest.mark.parametrize("name", REAL_VALUES)
def test_an_example_goes_from_its_file_to_a_comparison(name: str, repository: Path, tmp_path: Path) -> None:
    document = tomllib.loads((repository / "examples" / "data" / f"{name}.toml").read_text())
    write = REAL_VALUES[name]
    document["data"] |= {"train_samples": 48}
    if write is not None:
        document["data"] |= {"path": str(write(tmp_path))}
    if document["task"]["name"] == "forecast":
        document["task"] |= {"window": 5, "horizon": 3}
        document["data"] |= {"test_samples": 16}
    document["model"] = {"neurons": 12, "density": 0.3, "input_density": 1.0, "input_gain": 2.0}
    document["training"] = {"epochs": 1, "batch_size": 16}
    run = train(parse_experiment(document), tmp_path / "run")
    build = compile_run(tmp_path / "run", target="emulator")
    judged = compare_build(build, exact=("emulator",), samples=2)
    assert judged.exact["emulator"].equal
    figures = judged.comparison.outputs
    assert figures is not None
    assert figures.names == run.classes
    assert (judged.continuation is not None) is (document["task"]["name"] == "forecast")
    assert (figures.persistence_error is not None) is (judged.continuation is not None)
    assert figures.mean_error is not None
    real = predict_build(build).real
    assert real is not None
    assert real.errors is not None
    assert real.errors.float_error == figures.fixed_error

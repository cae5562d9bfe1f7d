"""From an experiment that forecasts, or says real values, to figures, a page and predictions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.data_files import write_houses
from tests.graphs import recurrent, spikes
from toolchain.cli.main import main
from toolchain.data import mackey_glass
from toolchain.errors import CorruptArtifactError, SeriesError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.continuation import series_in
from toolchain.files.documents import parse_document
from toolchain.workflow.attribution import attribute_loss
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph, compile_run
from toolchain.workflow.experiment import Experiment, parse_experiment
from toolchain.workflow.judgement import FidelityDocument, Judgement
from toolchain.workflow.predict import predict_build
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.schema import schema_of
from toolchain.workflow.train import train

WINDOW, HORIZON, TESTS = 6, 4, 60


def _experiment(**sections: Any) -> Experiment:
    small = {
        "model": {"neurons": 16, "density": 0.3, "input_density": 1.0, "input_gain": 2.0, "bias": 0.8},
        "training": {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "calibration_samples": 32},
    }
    return parse_experiment(small | sections)


@pytest.fixture(scope="module")
def forecast_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecast of a chaotic series, pruned, so that sizes before and after are known."""
    folder = tmp_path_factory.mktemp("forecast") / "run"
    data = {"name": "mackey_glass", "samples": 400, "train_samples": 96, "test_samples": TESTS}
    pruning = {"method": "magnitude", "neurons": 12, "synapse_fraction": 0.5}
    train(_experiment(data=data, task={"window": WINDOW, "horizon": HORIZON}, pruning=pruning), folder)
    return folder


@pytest.fixture(scope="module")
def forecast(forecast_run: Path) -> Build:
    return compile_run(forecast_run, target="emulator")


@pytest.fixture(scope="module")
def judged(forecast: Build) -> Judgement:
    return compare_build(forecast, exact=("emulator",), samples=2)


def test_a_run_says_errors_and_no_accuracies(forecast_run: Path) -> None:
    run = TrainedRun.load(forecast_run)
    assert (run.history.validation, run.history.test) == (None, None)
    for figures in (run.history.validation_error, run.history.test_error):
        assert figures is not None
        assert figures.names == ("x",)
        assert figures.float_error is not None
        assert figures.mean_error is not None
        assert figures.persistence_error is not None
        assert figures.mean_error.together > figures.persistence_error.together > 0


def test_samples_and_labels_are_the_test_part_of_the_series(forecast_run: Path) -> None:
    run, series = TrainedRun.load(forecast_run), mackey_glass(samples=400)
    assert run.outputs is not None
    there = series_in(run.stimulus, run.outputs)
    first = series.validation + WINDOW - 1
    assert run.outputs.scale.in_units(there) == pytest.approx(series.values[first : first + TESTS + 1])
    broken = replace(run.stimulus, present=np.asarray(run.stimulus.present)[::-1])
    assert len(series_in(broken, run.outputs)) == 2


def test_a_comparison_continues_the_series_by_itself(judged: Judgement) -> None:
    continued = judged.continuation
    assert continued is not None
    figures = continued.figures
    assert figures.starts == len(continued.truth) == 32
    assert len(figures.float_rmse) == len(figures.fixed_rmse) == HORIZON
    last = continued.history[:, -1:] - continued.truth
    assert figures.persistence_rmse == pytest.approx(np.sqrt(np.mean(last**2, axis=(0, 2))))
    assert judged.exact["emulator"].equal


def test_the_first_value_of_a_continuation_is_the_prediction_itself(
    forecast: Build, judged: Judgement
) -> None:
    continued, prediction = judged.continuation, predict_build(forecast)
    assert continued is not None
    assert prediction.real is not None
    # The series begins with the last value of the first window, so the windows lie so much later.
    values = prediction.real.values[WINDOW - 1]
    assert continued.form.scale.in_units(continued.fixed[0, 0]) == pytest.approx(values, abs=1e-9)


def test_a_raw_series_is_forecast_window_by_window(forecast: Build, tmp_path: Path) -> None:
    values = mackey_glass(samples=400).values[:20, 0]
    rows = [f"2026-01-{i + 1:02d},{value!r}" for i, value in enumerate(values.tolist())]
    (tmp_path / "new.csv").write_text("\n".join(["day,x", *rows]) + "\n")
    said = predict_build(forecast, tmp_path / "new.csv")
    assert said.real is not None
    assert said.real.names == ("x",)
    assert said.real.truth is None
    # The table of the training was computed, and so named no column of times.
    assert said.sources == tuple(f"row {i + 2}" for i in range(WINDOW - 1, 20))
    assert len(said.real.values) == 20 - WINDOW + 1
    encoder = forecast.encoder
    assert encoder is not None
    trains = encoder.encode([values[i : i + WINDOW, None] for i in range(20 - WINDOW + 1)])
    by_hand = predict_build(forecast, Stimulus({"input": trains}))
    assert np.array_equal(by_hand.scores["output"], said.scores["output"])
    assert forecast.facts.outputs is not None
    change = forecast.facts.outputs.scale.deviation[0] * by_hand.scores["output"]
    assert said.real.values == pytest.approx(values[WINDOW - 1 :, None] + change)
    np.savez(tmp_path / "new.npz", input=np.stack([values[:WINDOW, None], values[1 : WINDOW + 1, None]]))
    again = predict_build(forecast, tmp_path / "new.npz", encoded=False)
    assert again.real is not None
    assert np.array_equal(again.real.values, said.real.values[:2])


def test_windows_of_the_test_part_are_forecast_as_the_run_did(forecast: Build, tmp_path: Path) -> None:
    series = mackey_glass(samples=400)
    part = series.values[series.validation : series.test]
    (tmp_path / "new.csv").write_text("\n".join(["x", *map(repr, part[:, 0].tolist())]) + "\n")
    said, own = predict_build(forecast, tmp_path / "new.csv"), predict_build(forecast)
    assert said.real is not None
    assert own.real is not None
    assert said.real.values[:TESTS] == pytest.approx(own.real.values)


def test_a_forecast_names_the_time_of_the_last_value(tmp_path: Path) -> None:
    rows = [f"day {i};{np.sin(i / 3):.4f};{np.cos(i / 5):.4f}".replace(".", ",") for i in range(120)]
    (tmp_path / "a.csv").write_text("\n".join(["day;x;y", *rows]) + "\n")
    data = {"name": "csv", "path": str(tmp_path / "a.csv")}
    task = {"window": WINDOW, "horizon": HORIZON}
    train(_experiment(data=data, task=task, pruning=False), tmp_path / "run")
    build = compile_run(tmp_path / "run", target="emulator")
    build.save(tmp_path / "build")
    (tmp_path / "new.csv").write_text("\n".join(["day;x;y", *rows[:WINDOW], ";0,5;0,25"]) + "\n")
    said = predict_build(Build.load(tmp_path / "build"), tmp_path / "new.csv")
    assert said.sources == (f"day {WINDOW - 1}", f"row {WINDOW + 2}")
    assert said.real is not None
    said.save(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "sample,source,x,y"
    (tmp_path / "short.csv").write_text("\n".join(["day;x;y", *rows[: WINDOW - 1]]) + "\n")
    with pytest.raises(SeriesError, match=f"has {WINDOW - 1} values, and the network sees {WINDOW}"):
        predict_build(build, tmp_path / "short.csv")
    (tmp_path / "other.csv").write_text("day;x\n1;2\n")
    with pytest.raises(SeriesError, match="has no column 'y'") as refused:
        predict_build(build, tmp_path / "other.csv")
    assert "trained on the columns x, y" in refused.value.__notes__[0]


def test_a_table_that_holds_its_targets_says_the_error(tmp_path: Path) -> None:
    path = write_houses(tmp_path)
    data = {"name": "csv", "path": str(path), "targets": ["price", "rent"]}
    train(_experiment(data=data, pruning=False), tmp_path / "run")
    build = compile_run(tmp_path / "run", target="emulator")
    said = predict_build(build, path)
    assert said.real is not None
    assert said.real.errors is not None
    lines = path.read_text().splitlines()
    prices = [float(line.split(";")[3].replace(",", ".")) for line in lines[1:]]
    assert said.real.truth is not None
    assert said.real.truth[:, 0] == pytest.approx(prices)
    cells = lines[2].split(";")
    lines[2] = ";".join([*cells[:3], "", *cells[4:]])
    path.write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="does not say 'price' of every row.*no error is known"):
        ignored = predict_build(build, path)
    assert ignored.real is not None
    assert ignored.real.truth is None
    assert np.array_equal(ignored.real.values, said.real.values)


def test_the_figures_are_what_their_schema_says_and_come_back(judged: Judgement) -> None:
    document = judged.document()
    assert document.outputs is not None
    assert document.forecast is not None
    text = document.model_dump_json()
    jsonschema.validate(json.loads(text), schema_of("fidelity"))
    assert parse_document(text, Path("f.json"), FidelityDocument) == document


def test_pruning_says_errors_before_and_after(forecast: Build) -> None:
    sizes = forecast.facts.sizes
    assert sizes is not None
    assert sizes.accuracy is None
    assert sizes.error is not None
    assert "float RMSE, standard deviations" in dict(sizes.rows())


def test_causes_are_told_by_the_error(forecast: Build) -> None:
    causes = attribute_loss(forecast, samples=8)
    assert causes.together.error_rise is not None
    assert "% of error" in causes.sentence()


def test_the_page_shows_errors_and_the_forecast(forecast: Build, judged: Judgement, tmp_path: Path) -> None:
    forecast.save(tmp_path / "build", judged)
    page = (tmp_path / "build" / "report.html").read_text()
    for words in ("<h2>Forecast</h2>", "Forecast of x", "Error of the forecasts", "holding the last value"):
        assert words in page
    assert "equal predictions" not in page
    loaded = Build.load(tmp_path / "build")
    assert loaded.facts.outputs == forecast.facts.outputs
    assert compare_build(loaded).comparison == judged.comparison


def test_outputs_of_another_network_are_refused(forecast: Build, tmp_path: Path) -> None:
    form = forecast.facts.outputs
    assert form is not None
    scale = form.scale.model_copy(update={"names": ("a", "b"), "mean": (0.0, 0.0), "deviation": (1.0, 1.0)})
    facts = forecast.facts.model_copy(update={"outputs": form.model_copy(update={"scale": scale})})
    replace(forecast, facts=facts).save(tmp_path / "build")
    with pytest.raises(CorruptArtifactError, match="2 real outputs, the network has 1"):
        Build.load(tmp_path / "build")


def test_predictions_are_values_in_the_units_of_the_series(forecast: Build, tmp_path: Path) -> None:
    prediction, series = predict_build(forecast), mackey_glass(samples=400)
    assert prediction.real is not None
    start = series.validation + WINDOW
    assert prediction.real.truth == pytest.approx(series.values[start : start + TESTS])
    said = prediction.real.values - series.values[start : start + TESTS]
    assert prediction.real.errors is not None
    assert prediction.real.errors.float_error is not None
    assert prediction.real.errors.float_error.rmse == pytest.approx([np.sqrt(np.mean(said**2))])
    assert prediction.accuracy is None
    with pytest.raises(UsageError, match="says real values, no classes; read `real.values`"):
        _ = prediction.classes
    assert f"Prediction of {TESTS} samples: x; RMSE in standard deviations: network" in repr(prediction)
    prediction.save(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "sample,x,true x"
    prediction.save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as arrays:
        assert np.array_equal(arrays["values"], prediction.real.values)
        assert "classes" not in arrays


def test_changes_without_present_values_are_called_so(forecast: Build) -> None:
    assert forecast.stimulus is not None
    prediction = predict_build(forecast, Stimulus({"input": forecast.stimulus.values["input"][:3]}))
    assert prediction.real is not None
    assert prediction.real.names == ("change of x",)
    assert prediction.real.truth is None
    assert compare_build(forecast, Stimulus(forecast.stimulus.values)).continuation is None


def test_a_network_of_ones_own_with_real_labels_says_errors_in_its_units(rng: np.random.Generator) -> None:
    labels = rng.normal(size=(7, 3))
    build = compile_graph(recurrent(rng), stimulus=Stimulus({"x": spikes(rng, 7, 12, 6)}, labels))
    figures, prediction = compare_build(build).comparison.outputs, predict_build(build)
    assert figures is not None
    assert not figures.normalised
    assert figures.fixed_error is not None
    assert prediction.real is not None
    assert prediction.real.names == ("output 0", "output 1", "output 2")
    assert np.array_equal(prediction.real.truth, labels)  # pyright: ignore[reportArgumentType]
    errors = np.sqrt(np.mean((next(iter(prediction.scores.values())) - labels) ** 2, axis=0))
    assert figures.fixed_error.rmse == pytest.approx(errors)
    assert figures.mean_error is None


def test_training_with_the_integers_learns_real_values_too(forecast_run: Path) -> None:
    build = compile_run(forecast_run, target="emulator", qat_epochs=1)
    assert build.facts.repair is not None
    assert build.facts.repair.loss is not None
    assert build.facts.outputs is not None
    assert compare_build(build).continuation is not None


def test_a_run_that_knows_the_units_of_other_outputs_is_refused(forecast_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(forecast_run, tmp_path / "run")
    document = json.loads((run / "run.json").read_text())
    document["facts"]["outputs"]["scale"]["names"] = ["other"]
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(CorruptArtifactError, match="names other outputs than those whose units it knows"):
        TrainedRun.load(run)


def test_a_table_with_targets_goes_all_the_way_by_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_houses(tmp_path)
    (tmp_path / "houses.toml").write_text(
        f"""pruning = false
[data]
name = "csv"
path = "{table}"
targets = ["price", "rent"]
[encoding]
name = "direct"
steps = 6
[model]
neurons = 16
density = 0.3
[training]
epochs = 2
"""
    )
    run, build = str(tmp_path / "run"), str(tmp_path / "build")
    assert main(["train", str(tmp_path / "houses.toml"), "-o", run]) == 0
    said = capsys.readouterr().out
    assert "training RMSE" in said
    assert "test: RMSE in standard deviations: network" in said
    assert "accuracy" not in said
    assert main(["compile", run, "-o", build]) == 0
    assert main(["compare", build, "--gate", "error_rise=1000", "--causes"]) == 0
    said = capsys.readouterr().out
    assert "always the training mean" in said
    assert "last value" not in said
    assert "equal predictions 0" not in said
    assert main(["compare", build, "--gate", "error_rise=-100"]) == 4
    capsys.readouterr()
    assert main(["predict", build, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outputs"] == ["price", "rent"]
    truth = [float(row.split(";")[3]) for row in table.read_text().splitlines()[1:]]
    prices = [row[0] for row in document["labels"]]
    assert all(min(abs(price - each) for each in truth) < 1e-9 * max(truth) for price in prices)
    assert document["errors"]["network"]["together"] > 0

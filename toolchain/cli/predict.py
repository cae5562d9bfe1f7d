"""`pumice predict`: what a build says of samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from toolchain.cli.console import answer, out, stages
from toolchain.cli.options import AsJson, BuildFolder, OwnTarget, StageName

if TYPE_CHECKING:
    from toolchain.fidelity.outputs import OutputErrors
    from toolchain.workflow.predict import Prediction


def predict(
    build: BuildFolder,
    *,
    stimulus: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            readable=False,
            metavar="PATH",
            help="New samples as those of the training: a table, or a file or folder of pictures, WAV files "
            "or event recordings; or arrays (.npz). By default the samples of the build.",
        ),
    ] = None,
    encoded: Annotated[
        bool | None,
        typer.Option(
            "--encoded/--raw",
            help="Whether an .npz holds what enters the network, or samples as those of the training; by "
            "default its shape says so.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            readable=False,
            metavar="FILE",
            help="File for all classes and scores, or values: a table (.csv), or arrays (.npz).",
        ),
    ] = None,
    target: OwnTarget = None,
    samples: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N samples.")] = None,
    stage: StageName = "fixed",
    as_json: AsJson = False,
) -> None:
    """Say the class of every sample and all scores, or real values in the units of the data."""
    from toolchain.files.disk import check_output_file
    from toolchain.progress import stage_progress
    from toolchain.stage import Stage
    from toolchain.workflow.build_folder import check_apart
    from toolchain.workflow.load import load
    from toolchain.workflow.predict import check_prediction_file, predict_build

    if output is not None:
        check_output_file(output)
        check_prediction_file(output)
    loaded = load(build)
    if output is not None:
        check_apart(build, output)
    with stages(quiet=as_json) as progress:
        prediction = predict_build(
            loaded,
            stimulus,
            target,
            stage=Stage(stage),
            samples=samples,
            encoded=encoded,
            progress=stage_progress(progress, "predict"),
        )
    if output is not None:
        prediction.save(output)
    if as_json:
        answer(_document(prediction) | {"file": None if output is None else str(output)})
        return
    _print(prediction, output)
    if output is not None:
        out.print(f"prediction: {output}", soft_wrap=True)


def _document(prediction: "Prediction") -> dict[str, object]:
    """Return what machines are told: classes or real values, and the scores."""
    scores = {name: each.tolist() for name, each in prediction.scores.items()}
    real = prediction.real
    if real is None:
        labels = None if prediction.labels is None else prediction.labels.tolist()
        return {
            "classes": prediction.classes.tolist(),
            "scores": scores,
            "labels": labels,
            "names": prediction.names or None,
            "class_names": prediction.class_names or None,
            "sources": prediction.sources or None,
            "accuracy": prediction.accuracy,
        }
    truth, errors = real.truth, real.errors
    return {
        "outputs": list(real.names),
        "values": real.values.tolist(),
        "sources": prediction.sources or None,
        "scores": scores,
        "labels": None if truth is None else truth.tolist(),
        "errors": None if errors is None else _errors(errors),
    }


def _errors(figures: "OutputErrors") -> dict[str, object]:
    """Return the errors of the network, and of guesses that need none."""
    named = {
        "network": figures.float_error,
        "training_mean": figures.mean_error,
        "last_value": figures.persistence_error,
    }
    return {name: each.model_dump(mode="json") for name, each in named.items() if each is not None}


def _print(prediction: "Prediction", output: Path | None) -> None:
    line, head, rows = prediction.summary()
    table = Table(*head)
    for row in rows:
        table.add_row(*map(str, row))
    out.print(table)
    more = len(next(iter(prediction.scores.values()))) - len(rows)
    if more > 0:
        remedy = "; -o writes all of them to a file" if output is None else ""
        out.print(f"... {more} more samples{remedy}")
    out.print(line, soft_wrap=True)

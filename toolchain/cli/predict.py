"""`pumice predict`: what a build says of samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from toolchain.cli.console import answer, out, stages
from toolchain.cli.options import AsJson, BuildFolder, OwnTarget, StageName

if TYPE_CHECKING:
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
            help="File for all classes and scores: a table (.csv), or arrays (.npz).",
        ),
    ] = None,
    target: OwnTarget = None,
    samples: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N samples.")] = None,
    stage: StageName = "fixed",
    as_json: AsJson = False,
) -> None:
    """Say the class of every sample, and the scores of all classes."""
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
        scores = {name: each.tolist() for name, each in prediction.scores.items()}
        labels = None if prediction.labels is None else prediction.labels.tolist()
        document = {"classes": prediction.classes.tolist(), "scores": scores, "labels": labels}
        for name in ("names", "class_names", "sources"):
            document[name] = getattr(prediction, name) or None
        answer(document | {"accuracy": prediction.accuracy, "file": None if output is None else str(output)})
        return
    _print(prediction)
    if output is not None:
        out.print(f"prediction: {output}", soft_wrap=True)


def _print(prediction: "Prediction") -> None:
    line, head, rows = prediction.summary()
    table = Table(*head)
    for row in rows:
        table.add_row(*map(str, row))
    out.print(table)
    if len(prediction.classes) > len(rows):
        out.print(f"... {len(prediction.classes) - len(rows)} more samples; -o writes all of them to a file")
    out.print(line, soft_wrap=True)

"""`pumice run`: execute a build on a target."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import answer, out, stages
from toolchain.cli.options import (
    AsJson,
    BuildFolder,
    OwnTarget,
    Scheduler,
    StageName,
    StimulusFile,
    Workers,
)
from toolchain.cli.places import opened_build


def run(
    build: BuildFolder,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", readable=False, metavar="FILE", help="File (.npz) to write."),
    ],
    *,
    target: OwnTarget = None,
    stimulus: StimulusFile = None,
    samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run only the first N samples.")
    ] = None,
    stage: StageName = "fixed",
    record: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Record more than spikes: v for potentials, u for currents, v,u."),
    ] = "",
    resume: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            metavar="FOLDER",
            help="Keep finished samples in this folder, and go on after them if a run on Lava ended early.",
        ),
    ] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Run a build on a target, and write what every population did."""
    from toolchain.files.disk import check_output_file, check_output_folder
    from toolchain.progress import stage_progress
    from toolchain.stage import Stage
    from toolchain.target.protocol import RESUMED
    from toolchain.workflow.build_folder import check_apart
    from toolchain.workflow.run import record_build

    check_output_file(output)
    if resume is not None:
        check_output_folder(resume, RESUMED, "a folder of finished samples")
    opened = opened_build(build, stimulus, scheduler, workers)
    with opened as (loaded, given, on), stages(quiet=as_json) as progress:
        check_apart(build, output)
        recording = record_build(
            loaded,
            output,
            target,
            given,
            stage=Stage(stage),
            samples=samples,
            record=("spikes", *(name.strip() for name in record.split(",") if name.strip())),
            resume=resume,
            progress=stage_progress(progress, "run"),
            on=on,
        )
    if as_json:
        document = {"trace": str(output), "samples": recording.samples, "spikes": recording.spikes}
        computed = {} if recording.computed is None else {"computed": asdict(recording.computed)}
        answer(document | {"clipped": [asdict(item) for item in recording.clipped]} | computed)
        return
    for item in recording.clipped:
        out.tell(f"warning: {item}")
    for name, count in recording.spikes.items():
        out.print(f"{name}: {count} spikes in {recording.samples} samples", soft_wrap=True)
    if recording.computed is not None:
        out.tell(recording.computed.sentence())
    out.print(f"trace: {output}", soft_wrap=True)

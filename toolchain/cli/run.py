"""`pumice run`: execute a build on a target."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import out, print_json, stages
from toolchain.cli.options import AsJson, BuildFolder, StimulusFile
from toolchain.files.disk import check_output_file, check_output_folder
from toolchain.ir import Stage


def run(
    build: BuildFolder,
    output: Annotated[Path, typer.Option("--output", "-o", readable=False, help="trace.npz to write")],
    *,
    target: Annotated[str | None, typer.Option("--target", "-t", help="by default the build's own")] = None,
    stimulus: StimulusFile = None,
    samples: Annotated[int | None, typer.Option(min=1, help="run only the first samples")] = None,
    stage: Annotated[
        Stage, typer.Option(help="the integers, or the real numbers they came from")
    ] = Stage.FIXED,
    record: Annotated[str, typer.Option(help="further records, such as v,u")] = "",
    resume: Annotated[
        Path | None,
        typer.Option(readable=False, help="folder that keeps finished samples if a run on Lava ends early"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a build on a target and write what every population did."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.progress import stage_progress
    from toolchain.target.protocol import RESUMED
    from toolchain.workflow.build_folder import check_apart
    from toolchain.workflow.load import load
    from toolchain.workflow.run import record_build

    check_output_file(output)
    if resume is not None:
        check_output_folder(resume, RESUMED, "a folder of finished samples", "--resume")
    loaded = load(build)
    check_apart(build, output)
    given = None if stimulus is None else Stimulus.open(stimulus)
    wanted = ("spikes", *(name.strip() for name in record.split(",") if name.strip()))
    with stages(quiet=as_json) as progress:
        recording = record_build(
            loaded,
            output,
            target,
            given,
            stage=stage,
            samples=samples,
            record=wanted,
            resume=resume,
            progress=stage_progress(progress, "run"),
        )
    if as_json:
        clipped = [asdict(item) for item in recording.clipped]
        document = {"trace": str(output), "samples": recording.samples, "spikes": recording.spikes}
        print_json(document | {"clipped": clipped})
        return
    for item in recording.clipped:
        out.tell(f"warning: {item}")
    for name, count in recording.spikes.items():
        out.print(f"{name}: {count} spikes in {recording.samples} samples", markup=False)
    out.print(f"trace: {output}", markup=False, soft_wrap=True)

"""`pumice run`: execute a build on a target."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import out, print_json, stages
from toolchain.cli.options import AsJson, BuildFolder, StimulusFile


def run(
    build: BuildFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="trace.npz to write")],
    *,
    target: Annotated[str | None, typer.Option("--target", "-t", help="by default the build's own")] = None,
    stimulus: StimulusFile = None,
    samples: Annotated[int | None, typer.Option(min=1, help="run only the first samples")] = None,
    record: Annotated[str, typer.Option(help="further records, such as v,u")] = "",
    as_json: AsJson = False,
) -> None:
    """Run a build on a target and write what every population did."""
    from toolchain.driver import load, run_build  # noqa: PLC0415 - loads torch
    from toolchain.errors import UsageError  # noqa: PLC0415
    from toolchain.progress import of_stage  # noqa: PLC0415
    from toolchain.stimulus import Stimulus  # noqa: PLC0415

    loaded = load(build)
    given = loaded.stimulus if stimulus is None else Stimulus.load(stimulus)
    if given is None:
        raise UsageError("the build holds no stimulus; give one with --input")
    part = given if samples is None else given.take(slice(0, samples))
    wanted = ("spikes", *(name.strip() for name in record.split(",") if name.strip()))
    with stages(quiet=as_json) as progress:
        trace = run_build(loaded, target, part, record=wanted, progress=of_stage(progress, "run"))
    trace.save(output)
    counts = {name: int(values.sum()) for name, values in trace.spikes.items()}
    if as_json:
        print_json({"trace": str(output), "samples": part.samples, "spikes": counts})
        return
    for name, count in counts.items():
        out.print(f"{name}: {count} spikes in {part.samples} samples", markup=False)
    out.print(f"trace: {output}", markup=False, soft_wrap=True)

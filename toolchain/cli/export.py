"""`pumice export`: a network as files that run without this toolchain."""

from typing import Annotated, Literal

import typer

from toolchain.cli.console import answer, out, stages
from toolchain.cli.options import AsJson, BuildFolder, OutFolder


def export(
    build: BuildFolder,
    output: OutFolder,
    *,
    written: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help="onnx for onnxruntime, c for any C compiler, rtl for FPGAs, lava for lava-nc alone, nir for "
            "other frameworks, netx for Lava-DL.",
        ),
    ] = "onnx",
    stage: Annotated[
        Literal["fixed", "float"] | None,
        typer.Option(metavar="STAGE", help="fixed for the integers, float for real numbers (as in nir)."),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="For nir, the framework that will read it; by default NIR's equations."
        ),
    ] = None,
    dt: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="For nir, the length of a step.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For rtl, make the bitstream of a board, too: icebreaker, ulx3s, or a file of another one.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a build so that it runs elsewhere."""
    from toolchain.files.disk import check_output_folder
    from toolchain.stage import Stage
    from toolchain.workflow.export import export_build
    from toolchain.workflow.load import load

    check_output_folder(output)
    chosen = None if stage is None else Stage(stage)
    with stages(quiet=as_json or board is None) as progress:
        notes = export_build(
            load(build),
            output,
            written,
            chosen,
            convention=convention,
            dt=dt,
            board=board,
            progress=lambda done, total: progress("place and route", done, total),
        )
    files = sorted(item.name for item in output.iterdir())
    if as_json:
        answer({"folder": str(output), "format": written, "files": files, "notes": list(notes)})
        return
    for note in notes:
        out.tell(f"note: {note}")
    for name in files:
        out.print(str(output / name), soft_wrap=True)

"""`pumice export`: a network as files that run without this toolchain."""

from typing import Annotated

import typer

from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder, OutFolder
from toolchain.files.disk import check_output_folder
from toolchain.ir import Stage


def export(
    build: BuildFolder,
    output: OutFolder,
    *,
    written: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="onnx for onnxruntime, lava for lava-nc alone, nir for other frameworks, netx for Lava-DL",
        ),
    ] = "onnx",
    stage: Annotated[
        Stage | None,
        typer.Option(help="the integers, or the real numbers they came from; nir holds real numbers"),
    ] = None,
    convention: Annotated[
        str | None, typer.Option(help="for nir: the framework that will read it; by default NIR's equations")
    ] = None,
    dt: Annotated[float | None, typer.Option(help="for nir: seconds of a step")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a build so that it runs elsewhere."""
    from toolchain.workflow.export import export_build
    from toolchain.workflow.load import load

    check_output_folder(output)
    notes = export_build(load(build), output, written, stage, convention=convention, dt=dt)
    files = sorted(item.name for item in output.iterdir())
    if as_json:
        print_json({"folder": str(output), "format": written, "files": files, "notes": list(notes)})
        return
    for note in notes:
        out.tell(f"note: {note}")
    for name in files:
        out.print(str(output / name), markup=False, soft_wrap=True)

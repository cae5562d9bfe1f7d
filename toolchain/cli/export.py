"""`pumice export`: a network as files that run without this toolchain."""

from typing import Annotated

import typer

from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder, OutFolder
from toolchain.ir import Stage


def export(
    build: BuildFolder,
    output: OutFolder,
    *,
    target: Annotated[
        str, typer.Option("--target", "-t", help="onnx for onnxruntime, lava for lava-nc alone")
    ] = "onnx",
    stage: Annotated[
        Stage, typer.Option(help="the integers, or the real numbers they came from")
    ] = Stage.FIXED,
    as_json: AsJson = False,
) -> None:
    """Write a build so that it runs elsewhere."""
    from toolchain.driver import export_build, load

    export_build(load(build), output, target, stage)
    written = sorted(item.name for item in output.iterdir())
    if as_json:
        print_json({"folder": str(output), "target": target, "files": written})
        return
    for name in written:
        out.print(str(output / name), markup=False, soft_wrap=True)

"""`pumice export`: a network as files that run without this toolchain."""

from typing import Annotated

import typer

from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder, OutFolder


def export(
    build: BuildFolder,
    output: OutFolder,
    *,
    target: Annotated[
        str, typer.Option("--target", "-t", help="onnx for onnxruntime, lava for lava-nc alone")
    ] = "onnx",
    as_json: AsJson = False,
) -> None:
    """Write the integers of a build so that they run elsewhere."""
    from toolchain.driver import export_build, load

    export_build(load(build), output, target)
    written = sorted(item.name for item in output.iterdir())
    if as_json:
        print_json({"folder": str(output), "target": target, "files": written})
        return
    for name in written:
        out.print(str(output / name), markup=False, soft_wrap=True)

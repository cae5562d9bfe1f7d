"""`pumice show`: what is in a build."""

from typing import Annotated

import typer

from toolchain.cli.compile import print_quantization
from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder
from toolchain.errors import UnknownNameError


def show(
    build: BuildFolder,
    *,
    stage: Annotated[str, typer.Option(help="float or fixed")] = "fixed",
    as_json: AsJson = False,
) -> None:
    """Print the network of a build and what quantization did to it."""
    from toolchain.driver import load  # noqa: PLC0415 - loads torch
    from toolchain.ir import print_graph  # noqa: PLC0415

    loaded = load(build)
    graphs = {"float": loaded.float_graph, "fixed": loaded.fixed_graph}
    if stage not in graphs:
        raise UnknownNameError("stage", stage, graphs)
    if as_json:
        print_json(
            {
                "target": loaded.target,
                "stage": stage,
                "graph": print_graph(graphs[stage]),
                "quantization": loaded.quantization,
                "facts": loaded.facts,
            }
        )
        return
    out.print(print_graph(graphs[stage]), markup=False, soft_wrap=True)
    print_quantization(dict(loaded.quantization))

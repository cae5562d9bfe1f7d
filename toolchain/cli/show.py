"""`pumice show`: what is in a build."""

from typing import Annotated

import typer

from toolchain.cli.compile import print_quantization
from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder
from toolchain.ir import Stage


def show(
    build: BuildFolder,
    *,
    stage: Annotated[
        Stage, typer.Option(help="the integers, or the real numbers they came from")
    ] = Stage.FIXED,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="NODE", help="all that is known about one node, in sentences"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the network of a build and what quantization did to it."""
    from toolchain.workflow.load import load
    from toolchain.workflow.show import show_graph, show_node

    loaded = load(build)
    if why is not None:
        sentences = show_node(loaded, why)
        if as_json:
            print_json({"node": why, "sentences": sentences})
            return
        for sentence in sentences:
            out.print(sentence, markup=False)
        return
    if as_json:
        print_json(
            {
                "target": loaded.target,
                "stage": stage.value,
                "graph": show_graph(loaded, stage),
                "quantization": loaded.quantization.model_dump(mode="json"),
                "facts": loaded.facts.model_dump(mode="json", exclude_none=True),
            }
        )
        return
    out.print(show_graph(loaded, stage), markup=False, soft_wrap=True)
    print_quantization(loaded.quantization)

"""`pumice show`: what is in a build."""

from typing import Annotated

import typer

from toolchain.cli.compile import print_quantization
from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson, BuildFolder
from toolchain.errors import UsageError
from toolchain.ir import Stage, print_graph


def show(
    build: BuildFolder,
    *,
    stage: Annotated[
        Stage, typer.Option(help="the integers, or the real numbers they came from")
    ] = Stage.FIXED,
    after: Annotated[
        str | None,
        typer.Option(metavar="PASS", help="the network as this pass of the compiler left it"),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="NODE", help="all that is known about one node, in sentences"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the network of a build and what quantization did to it."""
    from toolchain.workflow.load import load
    from toolchain.workflow.show import graph_after, show_graph, show_node

    if after is not None and why is not None:
        raise UsageError("`after` shows a network and `why` a node", "give one of the two")
    loaded = load(build)
    passes = [each.name for each in loaded.passes]
    if why is not None:
        sentences = show_node(loaded, why)
        if as_json:
            print_json({"node": why, "sentences": sentences})
            return
        for sentence in sentences:
            out.print(sentence, markup=False)
        return
    if after is not None:
        graph = graph_after(loaded, after)
        text = print_graph(graph)
        if as_json:
            print_json({"after": after, "passes": passes, "stage": graph.stage.value, "graph": text})
            return
        out.print(text, markup=False, soft_wrap=True)
        return
    if as_json:
        print_json(
            {
                "target": loaded.target,
                "stage": stage.value,
                "graph": show_graph(loaded, stage),
                "passes": passes,
                "quantization": loaded.quantization.model_dump(mode="json"),
                "facts": loaded.facts.model_dump(mode="json", exclude_none=True),
            }
        )
        return
    out.print(show_graph(loaded, stage), markup=False, soft_wrap=True)
    print_quantization(loaded.quantization)

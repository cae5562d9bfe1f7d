"""`pumice show`: what is in a build."""

from typing import Annotated

import typer

from toolchain.cli.compile import print_quantization
from toolchain.cli.console import answer, out
from toolchain.cli.options import AsJson, BuildFolder, StageName


def show(
    build: BuildFolder,
    *,
    stage: StageName = "fixed",
    why: Annotated[
        str | None, typer.Option(metavar="NODE", help="Say in sentences all that is known about one node.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the network of a build, and what quantization did to it."""
    from toolchain.ir import Stage
    from toolchain.workflow.load import load
    from toolchain.workflow.show import show_graph, show_node

    loaded = load(build)
    if why is not None:
        sentences = show_node(loaded, why)
        if as_json:
            answer({"node": why, "sentences": sentences})
            return
        for sentence in sentences:
            out.tell(sentence)
        return
    graph = show_graph(loaded, Stage(stage))
    if as_json:
        answer(
            {
                "target": loaded.target,
                "stage": stage,
                "graph": graph,
                "quantization": loaded.quantization.model_dump(mode="json"),
                "facts": loaded.facts.model_dump(mode="json", exclude_none=True),
            }
        )
        return
    out.print(graph, soft_wrap=True)
    print_quantization(loaded.quantization)

"""`pumice show`: what is in a build, and what came of a run or of a sweep."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from toolchain.cli.builds import print_quantization
from toolchain.cli.console import answer, out
from toolchain.cli.options import AsJson
from toolchain.cli.show_sweep import show_sweep
from toolchain.cli.train import print_run, run_document

ShownFolder = Annotated[
    Path,
    typer.Argument(
        readable=False,
        metavar="BUILD",
        help="Folder that 'pumice compile', 'pumice train' or 'pumice sweep' wrote.",
    ),
]


def show(
    build: ShownFolder,
    *,
    stage: Annotated[
        Literal["fixed", "float"] | None,
        typer.Option(
            metavar="STAGE", help="fixed (the default) for the integers, float for the real numbers."
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="PASS", help="Show the network as this pass of the compiler left it."),
    ] = None,
    why: Annotated[
        str | None, typer.Option(metavar="NODE", help="Say in sentences all that is known about one node.")
    ] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help="Of a sweep: write sweep.csv and report.html anew from its points."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the network of a build and what quantization did to it, or what came of a run or a sweep."""
    from toolchain.errors import UsageError
    from toolchain.sweep.sweep_folder import SWEEP

    if (build / SWEEP).is_file():
        if (stage, after, why) != (None, None, None):
            raise UsageError(f"'{build}' is a sweep, and has no network of its own", "name one of its builds")
        show_sweep(build, write=write, as_json=as_json)
        return
    if write:
        raise UsageError(f"'{build}' is no sweep, and only a sweep has a table", "leave out `write`")
    _show_build(build, stage=stage, after=after, why=why, as_json=as_json)


def _show_build(
    build: Path,
    *,
    stage: Literal["fixed", "float"] | None,
    after: str | None,
    why: str | None,
    as_json: bool,
) -> None:
    from toolchain.errors import UsageError
    from toolchain.ir import print_graph
    from toolchain.stage import Stage
    from toolchain.workflow.load import load
    from toolchain.workflow.run_folder import is_run
    from toolchain.workflow.show import graph_after, show_graph, show_node

    if after is not None and why is not None:
        raise UsageError("`after` shows a network and `why` a node", "give one of the two")
    if after is not None and stage is not None:
        raise UsageError("a pass decides whether its network is in integers", "leave out `stage`")
    if is_run(build):
        _show_run(build, as_json=as_json, asked=(stage, after, why))
        return
    loaded = load(build)
    passes = [each.name for each in loaded.passes]
    if why is not None:
        sentences = show_node(loaded, why)
        answer({"node": why, "sentences": sentences})
        for sentence in () if as_json else sentences:
            out.tell(sentence)
    elif after is not None:
        graph = graph_after(loaded, after)
        text = print_graph(graph)
        answer({"after": after, "passes": passes, "stage": graph.stage.value, "graph": text})
        if not as_json:
            out.print(text, soft_wrap=True)
    else:
        shown = Stage(stage or "fixed")
        text = show_graph(loaded, shown)
        quantization = loaded.quantization.model_dump(mode="json")
        facts = loaded.facts.model_dump(mode="json", exclude_none=True)
        network = {"target": loaded.target, "stage": shown.value, "graph": text, "passes": passes}
        answer(network | {"quantization": quantization, "facts": facts})
        if not as_json:
            out.print(text, soft_wrap=True)
            for note in loaded.notes:
                out.tell(f"note: {note}")
            print_quantization(loaded.quantization)


def _show_run(folder: Path, *, as_json: bool, asked: Sequence[str | None]) -> None:
    """Say the experiment of a run, its epochs, and what it reached."""
    from toolchain.errors import UsageError
    from toolchain.workflow.run_folder import TrainedRun

    if any(each is not None for each in asked):
        raise UsageError(
            f"'{folder}' is a run, which has no integers yet: `stage`, `after` and `why` are of builds",
            f"compile it first: 'pumice compile {folder} -o BUILD'",
        )
    trained = TrainedRun.load(folder)
    experiment = trained.experiment.model_dump(mode="json", exclude_defaults=True)
    records = [asdict(each) for each in trained.history.network]
    answer(run_document(trained, folder) | {"experiment": experiment, "records": records})
    if as_json:
        return
    data, model = trained.experiment.data.name, trained.experiment.model.name
    out.print(f"run of data '{data}', network '{model}', seed {trained.experiment.seed}")
    print_run(trained, folder)

"""What the child does, `child.py FOLDER PARENT`: builds Lava processes and runs them.

No torch is imported here: it hangs after a fork.
"""

import traceback
from pathlib import Path
from typing import Any

import networkx as nx
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from numpy.typing import NDArray

from targets.lava.job import Models, process_names, read_job
from targets.lava.networks import build_layers, build_mixed, build_stock, is_gated
from targets.lava.watch import Watch, die_with_parent, report_failure, stay_within
from toolchain.files.temporary import work_in

Processes = dict[str, Any]
Gates = dict[str, tuple[int, NDArray[Any]]]


def components(document: dict[str, Any]) -> list[list[str]]:
    """Return the groups of processes that are connected: Lava runs one group at a time."""
    graph = nx.Graph()
    for item in (*document["connections"], *document["convolutions"]):
        graph.add_edges_from([(item["source"], item["name"]), (item["name"], item["target"])])
    names = dict.fromkeys(process_names(document))
    graph.add_nodes_from(names)
    groups = (sorted(names.keys() & group) for group in nx.connected_components(graph))
    return [group for group in groups if group]


def _models(document: dict[str, Any]) -> dict[Any, Any]:
    """Return the models of ours that take the place of Lava's own."""
    if document["models"] != Models.MIXED.value or not document["convolutions"]:
        return {}
    from lava.proc.conv.process import Conv  # noqa: PLC0415 - slow to import, and few networks need it

    from targets.lava.convolution import (  # noqa: PLC0415
        FixedConvolutionModel,
        FloatConvolutionModel,
    )

    return {Conv: FixedConvolutionModel if document["tag"] == "fixed_pt" else FloatConvolutionModel}


def run(folder: Path) -> None:
    """Run a job to its end; records and heartbeats are files in its folder."""
    document, arrays = read_job(folder)
    rows = {name: row for row, name in enumerate(process_names(document))}
    watch = Watch(folder)
    watch.install()
    match Models(document["models"]):
        case Models.MIXED:
            _simulate(document, build_mixed(document, arrays), watch, rows, document["steps"])
        case Models.LAYERS:
            _simulate(document, build_layers(document, arrays), watch, rows, document["steps"])
        case Models.STOCK:
            gates = {
                item["name"]: (item["window"][0], arrays[f"{item['arrays']}.bias_mant"])
                for item in document["neurons"]
                if is_gated(item, arrays)
            }
            for sample in range(document["samples"]):
                processes = build_stock(document, arrays, sample)
                watch.tap(sample, document, {name: processes[name].id for name in rows})
                _simulate(document, processes, watch, rows, document["period"], gates)


def _simulate(
    document: dict[str, Any],
    processes: Processes,
    watch: Watch,
    rows: dict[str, int],
    steps: int,
    gates: Gates | None = None,
) -> None:
    """Run connected processes to their end.

    Args:
        document: The job.
        processes: By name.
        watch: Told which process is which.
        rows: Row of the heartbeat file by name.
        steps: How many.
        gates: By population, the step after which its bias is set, and the bias.
    """
    watch.begin({processes[name].id: (row, name) for name, row in rows.items()})
    configuration = Loihi2SimCfg(select_tag=document["tag"], exception_proc_model_map=_models(document))
    for group in components(document):
        top = processes[group[0]]
        stopping = watch.guard(top)
        late = {name: gate for name, gate in (gates or {}).items() if name in group}
        done = 0
        for stop in sorted({steps, *(step for step, _ in late.values())}):
            top.run(condition=RunSteps(num_steps=stop - done), run_cfg=configuration)
            done = stop
            for name, (step, bias) in late.items():
                if step == stop:
                    processes[name].bias_mant.set(bias)
        stopping.set()
        top.stop()


def main(arguments: list[str]) -> int:
    """Run the job named on the command line; return the exit code."""
    folder, parent = Path(arguments[0]), int(arguments[1])
    work_in(folder)
    die_with_parent(parent, folder)
    stay_within(folder)
    try:
        run(folder)
    except Exception as error:  # noqa: BLE001 - whatever Lava raises is reported to the parent
        report_failure(
            folder,
            process="lava",
            step=0,
            reason=f"{type(error).__name__}: {error}",
            detail=traceback.format_exc(),
        )
        return 1
    (folder / "done").touch()
    return 0

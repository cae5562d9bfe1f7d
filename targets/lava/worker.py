"""The child, `python -m targets.lava.worker FOLDER PARENT PREFIX`: builds Lava processes and runs them.

No torch is imported here: it hangs after a fork.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from targets.lava.job import process_names, read_job
from targets.lava.processes.convolution import FixedConvolutionModel, FloatConvolutionModel
from targets.lava.processes.graded_relay import GradedRelay
from targets.lava.processes.source import FileSource
from targets.lava.processes.windowed_lif import WindowedLif
from targets.lava.watch import Watch, die_with_parent, name_shared_memory, report_failure

Arrays = dict[str, NDArray[Any]]
_REVERSED = [2, 1, 0]


def build(document: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return all Lava processes by name, connected."""
    processes: dict[str, Any] = {}
    for item in document["sources"]:
        processes[item["name"]] = FileSource(path=item["path"], shape=tuple(item["shape"]), name=item["name"])
    for item in document["neurons"]:
        fields = ("du", "dv", "vth", "bias_mant", "bias_exp")
        processes[item["name"]] = WindowedLif(
            **{field: arrays[f"{item['arrays']}.{field}"] for field in fields},
            window=tuple(item["window"]),
            records=item["records"],
            name=item["name"],
        )
    for item in document["graded"]:
        processes[item["name"]] = GradedRelay(
            shape=tuple(item["shape"]), window=tuple(item["window"]), name=item["name"]
        )
    for item in document["connections"]:
        connection = _connection(item, arrays)
        _shaped(processes[item["source"]].s_out, connection.s_in.shape).connect(connection.s_in)
        target = processes[item["target"]].a_in
        _shaped(connection.a_out, target.shape).connect(target)
        processes[item["name"]] = connection
    for item in document["convolutions"]:
        connection = _convolution(item, arrays)
        # Lava's images are columns, rows, channels; ours channels, rows, columns.
        processes[item["source"]].s_out.transpose(_REVERSED).connect(connection.s_in)
        connection.a_out.transpose(_REVERSED).connect(processes[item["target"]].a_in)
        processes[item["name"]] = connection
    return processes


def _shaped(port: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - Lava ships no types
    return port if port.shape == shape else port.reshape(shape)


def _convolution(item: dict[str, Any], arrays: Arrays) -> Any:  # noqa: ANN401
    return Conv(
        name=item["name"],
        weight=np.array(arrays[item["arrays"]]),
        input_shape=tuple(item["input_shape"]),
        stride=tuple(item["stride"]),
        padding=tuple(item["padding"]),
        dilation=tuple(item["dilation"]),
        groups=item["groups"],
        num_message_bits=24 if item["graded"] else 0,
    )


def _connection(item: dict[str, Any], arrays: Arrays) -> Any:  # noqa: ANN401 - Lava ships no types
    options: dict[str, Any] = {
        "name": item["name"],
        # Any number above zero means graded; the CPU models use no other meaning.
        "num_message_bits": 24 if item["graded"] else 0,
    }
    if item["sign_mode"] is not None:
        options |= {
            "weight_exp": item["exponent"],
            "num_weight_bits": item["weight_bits"],
            "sign_mode": SignMode[item["sign_mode"].upper()],
        }
    key = item["arrays"]
    if item["sparse"]:
        parts = tuple(np.array(arrays[f"{key}.{part}"]) for part in ("data", "indices", "indptr"))
        return Sparse(weights=csr_matrix(parts, shape=tuple(item["shape"])), **options)
    return Dense(weights=np.array(arrays[f"{key}.dense"]), **options)


def components(document: dict[str, Any]) -> list[list[str]]:
    """Return the groups of processes that are connected: Lava runs one group at a time."""
    graph = nx.Graph()
    graph.add_nodes_from(process_names(document))
    for item in (*document["connections"], *document["convolutions"]):
        graph.add_edges_from([(item["source"], item["name"]), (item["name"], item["target"])])
    return [sorted(group) for group in nx.connected_components(graph)]


def _models(document: dict[str, Any]) -> dict[Any, Any]:
    """Return the models of ours that take the place of Lava's own."""
    if document["stock_convolution"]:
        return {}
    return {Conv: FixedConvolutionModel if document["tag"] == "fixed_pt" else FloatConvolutionModel}


def run(folder: Path) -> None:
    """Run a job to its end; records and heartbeats are files in its folder."""
    document, arrays = read_job(folder)
    processes = build(document, arrays)
    rows = {name: row for row, name in enumerate(process_names(document))}
    watch = Watch(folder, {process.id: (rows[name], name) for name, process in processes.items()})
    watch.install()
    for group in components(document):
        top = processes[group[0]]
        stopping = watch.guard(top)
        top.run(
            condition=RunSteps(num_steps=document["steps"]),
            run_cfg=Loihi2SimCfg(select_tag=document["tag"], exception_proc_model_map=_models(document)),
        )
        stopping.set()
        top.stop()


def main(arguments: list[str]) -> int:
    """Run the job named on the command line; return the exit code."""
    folder, parent, prefix = Path(arguments[0]), int(arguments[1]), arguments[2]
    name_shared_memory(prefix)
    die_with_parent(parent, folder, prefix)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

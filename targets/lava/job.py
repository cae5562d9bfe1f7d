"""A run of Lava as a folder: what to build, what to send, where to write. The seam between two processes.

The parent writes the folder, the child reads it, and neither shares anything else:

- `job.json`, `arrays.npz`: the plan;
- `source<n>.npy`: what each source sends, one row per step, for every simulation;
- `record<n>-<quantity>.npy`: records, mapped and filled row by row;
- `heartbeat.npy`: per process, its step and whether it waits for a message;
- `failure.json`: written by whoever fails first.

Files are numbered in the order of the plan: names can be those of other files, or differ only as `A` and `a`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.lava.plan import ConnectionProcess, ConvolutionProcess, NeuronProcess, Plan, SourceProcess
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.files.documents import read_json, write_json
from toolchain.files.npz import read_arrays, reserve_array, write_array, write_arrays
from toolchain.fixedpoint import encode_graded
from toolchain.ir import EdgeKind, Graph, Stage
from toolchain.ir.matrix import sources_of, targets_of

_PARTS: Final = ("sources", "neurons", "graded", "connections", "convolutions")

RUNNING: Final = 0
WAITING: Final = 1


class Models(Enum):
    """How many of the processes and models are Lava's own. All give the same integers."""

    STOCK = "stock"
    """All of them, but for the relay of graded messages: the judge. One simulation per sample."""
    MIXED = "mixed"
    """Lava's connections, our windowed populations around Lava's dynamics, our model of `Conv`."""
    LAYERS = "layers"
    """One process of ours per population: the fewest messages."""


@final
@dataclass(frozen=True)
class SampleWindow:
    """Sample windows in clock time.

    Attributes:
        period: Steps from one sample to the next; where every sample is a simulation, its length.
        steps: Length of a sample.
        samples: How many.
        total: Steps of the whole run.
    """

    period: int
    steps: int
    samples: int
    total: int

    def finished(self, done: int) -> int:
        """Return how many samples are complete when every process has done so many steps."""
        last = self.total - (self.samples - 1) * self.period
        return min(max((done - last) // self.period + 1, 0), self.samples)


def window_of(plan: Plan, samples: int, steps: int, models: Models = Models.MIXED) -> SampleWindow:
    """Return windows between which lies the gap of the plan, or one simulation after the other.

    Lava's own populations have no windows: there every sample is a simulation of its own.
    """
    period = steps + (plan.latest if models is Models.STOCK else plan.gap)
    return SampleWindow(period, steps, samples, (samples - 1) * period + steps + plan.latest)


def write_job(
    folder: Path,
    plan: Plan,
    graph: Graph,
    stimulus: Stimulus,
    records: Mapping[str, tuple[str, ...]],
    models: Models = Models.MIXED,
) -> SampleWindow:
    """Write everything the child needs.

    Args:
        folder: Empty folder.
        plan: Processes to build.
        graph: For the scales of graded inputs.
        stimulus: Fitted to the graph.
        records: Per population, the quantities to keep.
        models: How many of the processes are Lava's own.
    """
    window = window_of(plan, stimulus.samples, stimulus.steps, models)
    arrays: dict[str, NDArray[Any]] = {}
    for i, item in enumerate(plan.neurons):
        arrays |= {f"n{i}.{name}": values for name, values in _parameters(item.neurons).items()}
    for i, link in enumerate(plan.connections):
        arrays |= _matrix_parts(f"c{i}", link.weights)
    for i, link in enumerate(plan.convolutions):
        arrays[f"v{i}"] = in_lava_order(link.weights)
    document: dict[str, Any] = {
        "tag": "fixed_pt" if plan.stage is Stage.FIXED else "floating_pt",
        "steps": window.total,
        "period": window.period,
        "samples": window.samples,
        "models": models.value,
        "sources": [
            {"name": item.name, "shape": list(item.shape), "path": str(_source_file(folder, i))}
            for i, item in enumerate(plan.sources)
        ],
        "neurons": [
            {
                "name": item.name,
                "arrays": f"n{i}",
                "window": [item.offset, window.period, window.steps, window.samples],
                "records": _make_records(folder, plan, item, window, records.get(item.name, ())),
            }
            for i, item in enumerate(plan.neurons)
        ],
        "graded": [
            {
                "name": item.name,
                "shape": list(item.shape),
                "window": [item.offset, window.period, window.steps, window.samples],
            }
            for item in plan.graded
        ],
        "connections": [_describe(link, f"c{i}") for i, link in enumerate(plan.connections)],
        "convolutions": [_describe_convolution(link, f"v{i}") for i, link in enumerate(plan.convolutions)],
    }
    _write_sources(folder, plan, graph, stimulus, window, models)
    write_arrays(folder / "arrays.npz", arrays)
    write_json(folder / "job.json", document)
    write_array(folder / "heartbeat.npy", np.zeros((len(process_names(document)), 2), dtype=np.int64))
    return window


def _make_records(
    folder: Path, plan: Plan, item: NeuronProcess, window: SampleWindow, quantities: tuple[str, ...]
) -> dict[str, str]:
    """Create the record files of a population, all zero; return their paths by quantity."""
    number = np.int32 if plan.stage is Stage.FIXED else np.float64
    shape = (window.samples, window.steps, *item.neurons.vth.shape)
    paths = {quantity: str(record_file(folder, plan, item.name, quantity)) for quantity in quantities}
    for quantity, path in paths.items():
        reserve_array(Path(path), np.bool_ if quantity == "spikes" else number, shape)
    return paths


def record_file(folder: Path, plan: Plan, population: str, quantity: str) -> Path:
    """Return the file that a population writes a quantity to."""
    index = [item.name for item in plan.neurons].index(population)
    return folder / f"record{index}-{quantity}.npy"


def _source_file(folder: Path, index: int) -> Path:
    return folder / f"source{index}.npy"


def _describe(link: ConnectionProcess, key: str) -> dict[str, Any]:
    return {
        "name": link.name,
        "source": link.source,
        "target": link.target,
        "arrays": key,
        "shape": [targets_of(link.weights), sources_of(link.weights)],
        "sparse": isinstance(link.weights, csr_array),
        "exponent": link.exponent,
        "sign_mode": None if link.sign_mode is None else link.sign_mode.value,
        "weight_bits": link.weight_bits,
        "graded": link.graded,
    }


def _describe_convolution(link: ConvolutionProcess, key: str) -> dict[str, Any]:
    """Return a convolution in Lava's order: columns before rows."""
    window = link.window
    return {
        "name": link.name,
        "source": link.source,
        "target": link.target,
        "arrays": key,
        "input_shape": list(link.shape[::-1]),
        "stride": list(window.stride[::-1]),
        "padding": list(window.padding[::-1]),
        "dilation": list(window.dilation[::-1]),
        "groups": link.groups,
        "graded": link.graded,
    }


def in_lava_order(weights: NDArray[Any]) -> NDArray[Any]:
    """Return weights `[out, in, rows, columns]` as Lava wants them: `[out, columns, rows, in]`, flipped.

    Lava convolves in the sense of mathematics, whose kernel runs backwards.
    """
    return np.ascontiguousarray(weights[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))


def process_names(document: Mapping[str, Any]) -> list[str]:
    """Return the names of all processes, in the order of the heartbeat's rows."""
    parts = ("neurons", "graded") if document["models"] == Models.LAYERS.value else _PARTS
    return [item["name"] for part in parts for item in document[part]]


def read_job(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the document and the arrays that `write_job` wrote."""
    return read_json(folder / "job.json"), read_arrays(folder / "arrays.npz")


def _parameters(neurons: ir.Lif | ir.FixedLif) -> dict[str, NDArray[Any]]:
    shared = {"du": neurons.du, "dv": neurons.dv, "vth": neurons.vth}
    if isinstance(neurons, ir.FixedLif):
        return shared | {"bias_mant": neurons.bias_mantissa, "bias_exp": neurons.bias_exponent}
    return shared | {"bias_mant": neurons.bias, "bias_exp": np.zeros(neurons.bias.shape)}


def _matrix_parts(key: str, matrix: NDArray[Any] | csr_array) -> dict[str, NDArray[Any]]:
    if isinstance(matrix, csr_array):
        return {f"{key}.{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
    return {f"{key}.dense": matrix}


def _write_sources(
    folder: Path, plan: Plan, graph: Graph, stimulus: Stimulus, window: SampleWindow, models: Models
) -> None:
    """Write one file per source: `[steps, size]`, or `[samples, steps, size]` if each is a simulation.

    What a simulation is sent is made from the samples that it runs and from nothing else.
    """
    inputs = {node.name: node for node in graph.inputs}
    number = np.int32 if plan.stage is Stage.FIXED else np.float64
    for i, item in enumerate(plan.sources):
        node, values = inputs[item.input], stimulus.values[item.input]
        if node.edge is EdgeKind.GRADED and plan.stage is Stage.FIXED:
            values = encode_graded(values, node.scale, node.bits)
        flat = values.reshape(*values.shape[:2], -1)
        if models is Models.STOCK:
            rows = np.zeros((window.samples, window.period, flat.shape[2]), number)
            for sample, part in zip(flat, rows, strict=True):
                _send(sample[None], item, window, part)
        else:
            rows = np.zeros((window.total, flat.shape[2]), number)
            _send(flat, item, window, rows)
        write_array(_source_file(folder, i), rows)


def _send(values: NDArray[Any], item: SourceProcess, window: SampleWindow, rows: NDArray[Any]) -> None:
    """Write samples `[samples, steps, size]` into the rows of one simulation, each a period after the last.

    What would be sent after the last row is for steps that nobody records.
    """
    for sample, value in enumerate(values):
        sent = rows[item.offset + item.wait + sample * window.period :][: window.steps]
        sent[:] = value[: len(sent)]

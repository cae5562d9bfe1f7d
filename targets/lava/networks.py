"""From a job to connected Lava processes: Lava's own, Lava's with our neurons, or one per population."""

from typing import Any

import numpy as np
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from targets.lava.processes.graded_relay import GradedRelay
from targets.lava.processes.layer import OWN, PORTS, Conduct, LayerProcess, LayerSynapses, Link
from targets.lava.processes.source import FileSource
from targets.lava.processes.windowed_lif import WindowedLif
from toolchain.errors import TargetError

Arrays = dict[str, NDArray[Any]]
Document = dict[str, Any]
_REVERSED = [2, 1, 0]
_FIELDS = ("du", "dv", "vth", "bias_mant", "bias_exp")


def build_mixed(document: Document, arrays: Arrays) -> dict[str, Any]:
    """Return Lava's connections between our sources and our windowed populations, by name."""
    processes: dict[str, Any] = {}
    for item in document["sources"]:
        processes[item["name"]] = FileSource(path=item["path"], shape=tuple(item["shape"]), name=item["name"])
    for item in document["neurons"]:
        processes[item["name"]] = WindowedLif(
            **{field: arrays[f"{item['arrays']}.{field}"] for field in _FIELDS},
            window=tuple(item["window"]),
            records=item["records"],
            name=item["name"],
        )
    for item in document["graded"]:
        processes[item["name"]] = GradedRelay(
            shape=tuple(item["shape"]), window=tuple(item["window"]), name=item["name"]
        )
    _connect(processes, document, arrays)
    return processes


def build_stock(document: Document, arrays: Arrays, sample: int) -> dict[str, Any]:
    """Return Lava's own processes for one sample, by name.

    Only the relay of a graded message is ours: Lava has none. A biased population that starts late begins
    without its bias, which is set when its turn comes.

    No other sample can be felt. The processes are new: every population is at rest, every connection holds
    nothing, every source holds what this sample sends. And no population leaves rest before its offset: at
    rest, without bias and without input it does not spike, since no threshold is negative; so by induction
    nothing is sent to it before.
    """
    period = document["period"]
    processes: dict[str, Any] = {}
    for item in document["sources"]:
        rows = np.load(item["path"], mmap_mode="r", allow_pickle=False)[sample]
        shown = np.ascontiguousarray(rows.T).reshape(*item["shape"], period)
        processes[item["name"]] = RingBuffer(data=shown)
    for item in document["neurons"]:
        values: dict[str, Any] = {field: arrays[f"{item['arrays']}.{field}"] for field in _FIELDS}
        if is_gated(item, arrays):
            values["bias_mant"] = np.zeros_like(values["bias_mant"])
        processes[item["name"]] = LIF(shape=values["vth"].shape, name=item["name"], **values)
    for item in document["graded"]:
        offset, _, steps, _ = item["window"]
        processes[item["name"]] = GradedRelay(
            shape=tuple(item["shape"]), window=(offset, period, steps, 1), name=item["name"]
        )
    _connect(processes, document, arrays)
    return processes


def is_gated(item: dict[str, Any], arrays: Arrays) -> bool:
    """Return whether a population has a bias that must not act before its window."""
    return bool(item["window"][0] > 0 and arrays[f"{item['arrays']}.bias_mant"].any())


def build_layers(document: Document, arrays: Arrays) -> dict[str, Any]:
    """Return one process per population, by name; connections and sources are inside."""
    files = {item["name"]: item["path"] for item in document["sources"]}
    shapes = {item["name"]: arrays[f"{item['arrays']}.vth"].shape for item in document["neurons"]} | {
        item["name"]: tuple(item["shape"]) for item in document["graded"]
    }
    incoming: dict[str, list[tuple[dict[str, Any], Conduct]]] = {name: [] for name in shapes}
    fixed = document["tag"] == "fixed_pt"
    for item in document["connections"]:
        incoming[item["target"]].append((item, LayerSynapses(_matrix(item, arrays), item["exponent"], fixed)))
    for item in document["convolutions"]:
        incoming[item["target"]].append((item, _image_sums(item, arrays, fixed=fixed)))
    processes: dict[str, Any] = {}
    wires: list[tuple[str, str, int]] = []
    for item in (*document["neurons"], *document["graded"]):
        name = item["name"]
        others = sorted({link["source"] for link, _ in incoming[name]} - {name, *files})
        if len(others) > PORTS:
            raise TargetError(
                f"'{name}' reads {len(others)} populations, expected at most {PORTS} where a population is "
                "one process: use target 'lava'"
            )
        links = [
            Link(
                port=others.index(link["source"]) if link["source"] in others else OWN,
                path=files.get(link["source"], ""),
                graded=link["graded"],
                conduct=conduct,
            )
            for link, conduct in incoming[name]
        ]
        processes[name] = LayerProcess(
            shape=shapes[name],
            parameters=_parameters(item, arrays, fixed=fixed) if "arrays" in item else None,
            links=links,
            ports=[shapes[other] for other in others],
            window=tuple(item["window"]),
            records=item.get("records", {}),
            name=name,
        )
        wires += [(other, name, i) for i, other in enumerate(others)]
    for source, target, port in wires:
        processes[source].s_out.connect(getattr(processes[target], f"s_in{port}"))
    return processes


def _parameters(item: dict[str, Any], arrays: Arrays, *, fixed: bool) -> Arrays:
    held = {field: np.array(arrays[f"{item['arrays']}.{field}"]) for field in _FIELDS}
    mantissa, exponent = held.pop("bias_mant"), held.pop("bias_exp")
    return held | {"bias": np.left_shift(mantissa, exponent) if fixed else mantissa}


def _image_sums(item: dict[str, Any], arrays: Arrays, *, fixed: bool) -> Conduct:
    # SciPy's signal package, which comes with Lava's convolutions, is half of what a start costs.
    from targets.lava.convolution import Convolver, exact_sums  # noqa: PLC0415

    stride, padding, dilation = (np.array(item[field]) for field in ("stride", "padding", "dilation"))
    convolver = Convolver(np.array(arrays[item["arrays"]]), stride, padding, dilation, item["groups"])
    shape = tuple(item["input_shape"])[::-1]

    def sums(x: NDArray[Any]) -> NDArray[Any]:
        image = x.reshape(shape).transpose(_REVERSED)
        return (exact_sums(convolver, image) if fixed else convolver(image, None)).transpose(_REVERSED)

    return sums


def _connect(processes: dict[str, Any], document: Document, arrays: Arrays) -> None:
    """Add Lava's connections and join them to their ends."""
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


def _shaped(port: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - Lava ships no types
    return port if port.shape == shape else port.reshape(shape)


def _convolution(item: dict[str, Any], arrays: Arrays) -> Any:  # noqa: ANN401
    from lava.proc.conv.process import Conv  # noqa: PLC0415 - see _image_sums

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


def _matrix(item: dict[str, Any], arrays: Arrays) -> NDArray[Any] | csr_array:
    key = item["arrays"]
    if not item["sparse"]:
        return np.array(arrays[f"{key}.dense"])
    parts = tuple(np.array(arrays[f"{key}.{part}"]) for part in ("data", "indices", "indptr"))
    return csr_array(parts, shape=tuple(item["shape"]))


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
    matrix = _matrix(item, arrays)
    if isinstance(matrix, csr_array):
        return Sparse(weights=csr_matrix(matrix), **options)
    return Dense(weights=matrix, **options)

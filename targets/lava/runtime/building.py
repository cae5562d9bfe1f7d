"""From a job to connected Lava processes: Lava's own, Lava's with our neurons, or one per population."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFRefractory
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_array, csr_matrix

from .documents import LavaAdder, LavaConnection, LavaConvolution, LavaPopulation, Numbers
from .firing import Array, Firing
from .jobs import PARAMETERS, LavaJob
from .processes.file_source import FileSource
from .processes.graded_relay import GradedRelay
from .processes.layer import OWN, PORTS, LayerLink, LayerProcess, LayerSynapses
from .processes.windowed_lif import WindowedLif

Processes = dict[str, Any]
"""Processes of Lava by name."""
_REVERSED: Final = (2, 1, 0)


def build_mixed(job: LavaJob) -> Processes:
    """Return Lava's connections between our sources and our windowed populations."""
    processes: Processes = {}
    for index, source in enumerate(job.network.sources):
        path = str(job.source_path(index))
        processes[source.name] = FileSource(path=path, shape=source.shape, name=source.name)
    for population in job.network.populations:
        processes[population.name] = WindowedLif(
            **_parameters(job, population),
            firing=job.firing(population),
            windows=job.windows,
            offset=population.offset,
            records=_records(job, population),
            name=population.name,
        )
    for adder in job.network.adders:
        processes[adder.name] = GradedRelay(
            shape=adder.shape, windows=job.windows, offset=adder.offset, name=adder.name
        )
    _connect(processes, job)
    return processes


def build_stock(job: LavaJob, sample: int) -> Processes:
    """Return Lava's own processes for one sample.

    Only the relay of a graded message is ours: Lava has none. A biased population that starts late begins
    without its bias, which is set when its turn comes, see `late_biases`.

    No other sample can be felt. The processes are new: every population is at rest, every connection holds
    nothing, every source holds what this sample sends. And no population leaves rest before its offset: at
    rest, without bias and without input it does not spike, since no threshold is negative; so by induction
    nothing is sent to it before.
    """
    processes: Processes = {}
    for index, source in enumerate(job.network.sources):
        rows = np.load(job.source_path(index), mmap_mode="r", allow_pickle=False)[sample]
        data = np.ascontiguousarray(rows.T).reshape(*source.shape, job.windows.period)
        processes[source.name] = RingBuffer(data=data)
    late = late_biases(job)
    for population in job.network.populations:
        values: dict[str, Any] = _parameters(job, population)
        if population.name in late:
            values["bias_mant"] = np.zeros_like(values["bias_mant"])
        processes[population.name] = _stock_neurons(population, job.firing(population), values)
    window = job.windows.of_one_sample()
    for adder in job.network.adders:
        processes[adder.name] = GradedRelay(
            shape=adder.shape, windows=window, offset=adder.offset, name=adder.name
        )
    _connect(processes, job)
    return processes


def _stock_neurons(population: LavaPopulation, firing: Firing, values: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return Lava's own population.

    Raises:
        ValueError: Lava has no such population.
    """
    lacks = firing.beyond_stock(values["dv"])
    if lacks:
        raise ValueError(f"population '{population.name}' has {', '.join(lacks)}: Lava's own LIF has not")
    if firing.period == 0:
        return LIF(shape=population.shape, name=population.name, **values)
    # Lava's refractory model indexes what it updates, and cannot index one decay per neuron with it.
    values["dv"] = float(values["dv"].flat[0])
    return LIFRefractory(
        shape=population.shape, name=population.name, refractory_period=firing.period, **values
    )


def late_biases(job: LavaJob) -> dict[str, tuple[int, Array]]:
    """Return, by population, the step before which its bias must not act, and the bias."""
    biases = {item: job.weights[f"{item.name}/bias_mant"] for item in job.network.populations if item.offset}
    return {item.name: (item.offset, bias) for item, bias in biases.items() if bias.any()}


def build_layers(job: LavaJob) -> Processes:
    """Return one process per population; connections and sources are inside.

    Raises:
        ValueError: A population reads too many others.
    """
    nodes = (*job.network.populations, *job.network.adders)
    shapes = {node.name: node.shape for node in nodes}
    senders = {name: _senders(job, name, shapes) for name in shapes}
    processes: Processes = {}
    for node in nodes:
        processes[node.name] = LayerProcess(
            shape=node.shape,
            parameters=_layer_parameters(job, node),
            firing=job.firing(node) if isinstance(node, LavaPopulation) else Firing(),
            links=_layer_links(job, node.name, senders[node.name]),
            ports=[shapes[sender] for sender in senders[node.name]],
            windows=job.windows,
            offset=node.offset,
            records=_records(job, node) if isinstance(node, LavaPopulation) else {},
            name=node.name,
        )
    for name, names in senders.items():
        for port, sender in enumerate(names):
            processes[sender].s_out.connect(getattr(processes[name], f"s_in{port}"))
    return processes


def _senders(job: LavaJob, name: str, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the other populations and adders that one of them reads, in the order of its ports."""
    sources = {link.source for link in job.network.links if link.target == name}
    senders = sorted(sources & shapes.keys() - {name})
    if len(senders) > PORTS:
        raise ValueError(
            f"'{name}' reads {len(senders)} populations, expected at most {PORTS} where a population is one "
            "process: run it with one process per connection"
        )
    return senders


def _layer_links(job: LavaJob, name: str, senders: list[str]) -> list[LayerLink]:
    files = {source.name: str(job.source_path(i)) for i, source in enumerate(job.network.sources)}
    fixed = job.network.numbers is Numbers.FIXED
    links: list[LayerLink] = []
    for link in job.network.links:
        if link.target == name:
            if isinstance(link, LavaConvolution):
                currents = _image_sums(job, link)
            else:
                currents = LayerSynapses(_matrix(job, link), link.exponent, fixed)
            port = senders.index(link.source) if link.source in senders else OWN
            links.append(LayerLink(port, files.get(link.source, ""), link.graded, currents))
    return links


def _layer_parameters(job: LavaJob, node: LavaPopulation | LavaAdder) -> dict[str, Array] | None:
    if isinstance(node, LavaAdder):
        return None
    parameters = _parameters(job, node)
    mantissa, exponent = parameters.pop("bias_mant"), parameters.pop("bias_exp")
    fixed = job.network.numbers is Numbers.FIXED
    return parameters | {"bias": np.left_shift(mantissa, exponent) if fixed else mantissa}


def _image_sums(job: LavaJob, link: LavaConvolution) -> Callable[[Array], Array]:
    """Return a function from an image `[C, H, W]` to the currents of all targets, in the same order."""
    # SciPy's signal package, which comes with Lava's convolutions, is half of what a start costs.
    from .convolution import Convolver, exact_sums  # noqa: PLC0415

    stride, padding, dilation = (np.array(pair) for pair in (link.stride, link.padding, link.dilation))
    convolver = Convolver(job.weights[f"{link.name}/kernel"], stride, padding, dilation, link.groups)
    shape, fixed = link.input_shape[::-1], job.network.numbers is Numbers.FIXED

    def sums(x: Array) -> Array:
        image = x.reshape(shape).transpose(_REVERSED)
        return (exact_sums(convolver, image) if fixed else convolver(image, None)).transpose(_REVERSED)

    return sums


def _parameters(job: LavaJob, population: LavaPopulation) -> dict[str, Array]:
    return {part: job.weights[f"{population.name}/{part}"] for part in PARAMETERS}


def _records(job: LavaJob, population: LavaPopulation) -> dict[str, str]:
    return {quantity: str(path) for quantity, path in job.record_paths(population.name).items()}


def _connect(processes: Processes, job: LavaJob) -> None:
    """Add Lava's connections and join them to their ends."""
    for link in job.network.connections:
        connection = _connection(job, link)
        _shaped(processes[link.source].s_out, connection.s_in.shape).connect(connection.s_in)
        target = processes[link.target].a_in
        _shaped(connection.a_out, target.shape).connect(target)
        processes[link.name] = connection
    for link in job.network.convolutions:
        convolution = _convolution(job, link)
        # Lava's images are columns, rows, channels; ours channels, rows, columns.
        processes[link.source].s_out.transpose(list(_REVERSED)).connect(convolution.s_in)
        convolution.a_out.transpose(list(_REVERSED)).connect(processes[link.target].a_in)
        processes[link.name] = convolution


def _shaped(port: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - Lava ships no types
    return port if port.shape == shape else port.reshape(shape)


def _convolution(job: LavaJob, link: LavaConvolution) -> Any:  # noqa: ANN401 - Lava ships no types
    from lava.proc.conv.process import Conv  # noqa: PLC0415 - see _image_sums

    return Conv(
        name=link.name,
        weight=job.weights[f"{link.name}/kernel"],
        input_shape=link.input_shape,
        stride=link.stride,
        padding=link.padding,
        dilation=link.dilation,
        groups=link.groups,
        num_message_bits=_message_bits(link),
    )


def _message_bits(link: LavaConnection | LavaConvolution) -> int:
    """Return Lava's number of bits: any above zero means graded; the CPU models use no other meaning."""
    return 24 if link.graded else 0


def _matrix(job: LavaJob, link: LavaConnection) -> Array | csr_array:
    if not link.sparse:
        return job.weights[f"{link.name}/dense"]
    parts = tuple(job.weights[f"{link.name}/{part}"] for part in ("data", "indices", "indptr"))
    return csr_array(parts, shape=link.shape)


def _connection(job: LavaJob, link: LavaConnection) -> Any:  # noqa: ANN401 - Lava ships no types
    options: dict[str, Any] = {"name": link.name, "num_message_bits": _message_bits(link)}
    if link.sign_mode is not None:
        options |= {
            "weight_exp": link.exponent,
            "num_weight_bits": link.weight_bits,
            "sign_mode": SignMode[link.sign_mode.upper()],
        }
    matrix = _matrix(job, link)
    if isinstance(matrix, csr_array):
        return Sparse(weights=csr_matrix(matrix), **options)
    return Dense(weights=matrix, **options)

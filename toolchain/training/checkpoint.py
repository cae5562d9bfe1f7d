"""Networks on disk: safetensors for numbers, JSON for structure. Never pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, cast

import torch
from pydantic import Field
from torch import Tensor

from toolchain.errors import CorruptArtifactError, FrontendError, IRError, TrainingError, UsageError
from toolchain.files.documents import (
    OMITTED,
    Document,
    FileDocument,
    omitted,
    parse_document,
    read_content,
    write_document,
)
from toolchain.intake import PathText, path_of
from toolchain.models.delays import LONGEST_LEARNT
from toolchain.models.input_code import InputCode
from toolchain.models.network import Connection, Network, Readout, check_part_names
from toolchain.models.neurons import TAU_LIMITS, CubaLif, MaskedSynapses
from toolchain.models.surrogates import Surrogate
from toolchain.reset import MOST_SPIKES, Reset
from toolchain.training.compiler_cache import unallocated
from toolchain.training.tensor_files import fill_module, parse_tensors, read_tensor_bytes, save_tensors

NETWORK_FILES: Final = ("network.json", "network.safetensors")
"""What a folder of a network holds."""

Size = Annotated[int, Field(ge=1, lt=2**31)]


class LayerRow(Document):
    """A population.

    Attributes:
        size: Number of neurons.
        train_bias: Whether its biases are trained.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of the spike derivative.
        reset: Effect of a spike on the potential.
        max_spikes: Most spikes that a neuron sends in one step.
        train: Parameters that are learnt, beside the bias.
        tau_limits: Shortest and longest time constant that is learnt, in steps.
        hold_rheobase: Whether thresholds follow the decays that are learnt.
    """

    size: Size
    train_bias: bool
    surrogate: Surrogate
    slope: float
    reset: Annotated[Reset, omitted(Reset.ZERO)] = Reset.ZERO
    max_spikes: Annotated[int, Field(ge=1, le=MOST_SPIKES), omitted(1)] = 1
    train: Annotated[tuple[str, ...], omitted(())] = ()
    tau_limits: Annotated[tuple[float, float], omitted(TAU_LIMITS)] = TAU_LIMITS
    hold_rheobase: Annotated[bool, omitted(default=False)] = False


class ConnectionRow(Document):
    """A connection.

    Attributes:
        name: Name of the connection.
        source: Population or input that it reads.
        target: Population that it drives.
        delay: Steps that a spike waits.
        longest_delay: The longest delay of a synapse that is learnt; None if none is.
    """

    name: str
    source: str
    target: str
    delay: Annotated[int, Field(ge=0, lt=2**31)]
    longest_delay: Annotated[int | None, Field(ge=1, le=LONGEST_LEARNT), OMITTED] = None


class InputDocument(FileDocument):
    """What every `network.json` says of its inputs.

    Attributes:
        graded: Whether the input carries intensities, not spikes.
        graded_scale: Integers per unit of intensity; without meaning for spikes.
        graded_bits: Bits of an intensity as an integer; without meaning for spikes.
    """

    graded: bool
    graded_scale: float
    graded_bits: int

    @property
    def input_code(self) -> InputCode | None:
        """The integers that stand for the real values that enter; None if spikes enter."""
        return InputCode(self.graded_scale, self.graded_bits) if self.graded else None


def input_fields(code: InputCode | None) -> dict[str, Any]:
    """Return the fields of an `InputDocument`."""
    numbers = code or InputCode(1.0, 1)
    return {"graded": code is not None, "graded_scale": numbers.scale, "graded_bits": numbers.bits}


class NetworkDocument(InputDocument):
    """What a network is, but its numbers.

    Attributes:
        inputs: Number of channels per input.
        layers: Populations by name.
        connections: All connections.
        output: Population that is read out.
        readout: How the output becomes class scores.
        dt_ms: Length of a step in milliseconds.
    """

    FORMAT: ClassVar[str] = "pumice-network"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "structure of a pumice network"
    WRITTEN_BY: ClassVar[str] = "pumice train"

    format: str = FORMAT
    version: int = VERSION
    inputs: Annotated[dict[str, Size], Field(min_length=1)]
    layers: Annotated[dict[str, LayerRow], Field(min_length=1)]
    connections: tuple[ConnectionRow, ...]
    output: str
    readout: Readout
    dt_ms: float


def save_network(network: Network, folder: PathText) -> None:
    """Write `network.json` and `network.safetensors` into `folder`."""
    folder = path_of(folder, "folder")
    for arrow in network.connections:
        if not isinstance(network.synapses[arrow.name], MaskedSynapses):
            raise TrainingError(
                f"connection '{arrow.name}' is a {type(network.synapses[arrow.name]).__name__}; "
                "only Synapses can be saved"
            )
    document = NetworkDocument(
        inputs=network.inputs,
        layers={name: _layer_row(network.layer(name)) for name in network.layers},
        connections=tuple(
            ConnectionRow(
                name=arrow.name,
                source=arrow.source,
                target=arrow.target,
                delay=arrow.delay,
                longest_delay=_longest_delay(network, arrow.name),
            )
            for arrow in network.connections
        ),
        output=network.output,
        readout=network.readout,
        **input_fields(network.input_code),
        dt_ms=network.dt_ms,
    )
    save_tensors(folder / "network.safetensors", network.state_dict())
    write_document(folder / "network.json", document)


def load_network(folder: PathText) -> Network:
    """Read a network.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a network.
    """
    folder = path_of(folder, "folder")
    structure, numbers = (folder / name for name in NETWORK_FILES)
    return network_of(read_content(structure), read_tensor_bytes(numbers), folder)


def network_of(structure: bytes, numbers: bytes, folder: Path) -> Network:
    """Return the network whose two files in `folder` hold these bytes; see `load_network`."""
    path, tensor_path = (folder / name for name in NETWORK_FILES)
    document = parse_document(structure, path, NetworkDocument)
    tensors, _ = parse_tensors(numbers, tensor_path)
    try:
        with unallocated():
            network = _rebuild(document, tensors)
    except (FrontendError, IRError, UsageError, RuntimeError) as error:
        # PyTorch counts elements even of what holds none.
        raise CorruptArtifactError(path, f"is not a well-formed network: {error}") from None
    fill_module(network, tensors, tensor_path)
    return network


def _layer_row(layer: CubaLif) -> LayerRow:
    return LayerRow(
        size=layer.size,
        train_bias=layer.bias.requires_grad,
        surrogate=layer.surrogate,
        slope=layer.slope,
        reset=layer.reset,
        max_spikes=layer.max_spikes,
        train=layer.train_names,
        tau_limits=layer.tau_limits,
        hold_rheobase=layer.hold_rheobase,
    )


def _longest_delay(network: Network, name: str) -> int | None:
    delays = cast("MaskedSynapses", network.synapses[name]).delays
    return None if delays is None else delays.longest_learnt


def _rebuild(document: NetworkDocument, tensors: dict[str, Tensor]) -> Network:
    """Return the network without its numbers; only the tensors say what there is of masks and the like."""
    check_part_names([row.name for row in document.connections], "connection")
    sizes = document.inputs | {name: row.size for name, row in document.layers.items()}
    connections: dict[Connection, MaskedSynapses] = {}
    for row in document.connections:
        # Ends that are unknown are refused by the network, with those that it knows.
        weight = torch.empty(sizes.get(row.target, 1), sizes.get(row.source, 1))
        masked = f"synapses.{row.name}.mask" in tensors
        delays = tensors.get(f"synapses.{row.name}.delays.position")
        arrow = Connection(row.name, row.source, row.target, row.delay)
        connections[arrow] = MaskedSynapses(
            weight,
            torch.empty(weight.shape, dtype=torch.bool) if masked else None,
            delays=None if delays is None else torch.empty_like(delays, device=weight.device),
            longest_delay=row.longest_delay,
        )
    return Network(
        inputs=document.inputs,
        layers={name: _layer(name, row, tensors) for name, row in document.layers.items()},
        connections=connections,
        output=document.output,
        readout=document.readout,
        input_code=document.input_code,
        dt_ms=document.dt_ms,
    )


def _layer(name: str, row: LayerRow, tensors: Mapping[str, Tensor]) -> CubaLif:
    """Return a population without its numbers."""
    given = {
        field: 1
        for field in ("reset_amount", "refractory", "adaptation", "adaptation_decay")
        if f"layers.{name}.{field}" in tensors or field in row.train
    }
    return CubaLif(
        row.size,
        train_bias=row.train_bias,
        surrogate=row.surrogate,
        slope=row.slope,
        reset=row.reset,
        max_spikes=row.max_spikes,
        train=row.train,
        tau_limits=row.tau_limits,
        hold_rheobase=row.hold_rheobase,
        **given,
    )

"""Networks and training state on disk: safetensors for numbers, JSON for structure. Never pickle."""

from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from toolchain.atomic import replacing_file
from toolchain.disk import check_file
from toolchain.documents import read_json, write_json
from toolchain.errors import CorruptArtifactError, FormatVersionError, TrainingError
from toolchain.intake import PathText, path_of
from toolchain.memory import budget
from toolchain.models.network import Connection, Network, Readout
from toolchain.models.neurons import CubaLif, Synapses
from toolchain.models.surrogates import Surrogate

FORMAT_VERSION: Final = 1
_HEADER_GROWTH: Final = 24
"""Bytes of objects for every byte of a header of safetensors, measured."""
NETWORK_FILES: Final = ("network.json", "network.safetensors")
"""What a folder of a network holds."""


def save_network(network: Network, folder: PathText) -> None:
    """Write `network.json` and `network.safetensors` into `folder`."""
    folder = path_of(folder, "folder")
    layers = {name: _layer_header(network.layer(name)) for name in network.layers}
    connections = [
        {"name": arrow.name, "source": arrow.source, "target": arrow.target, "delay": arrow.delay}
        for arrow in network.connections
    ]
    for arrow in network.connections:
        if not isinstance(network.synapses[arrow.name], Synapses):
            raise TrainingError(
                f"connection '{arrow.name}' is a {type(network.synapses[arrow.name]).__name__}; "
                "only Synapses can be saved"
            )
    document = {
        "format": "pumice-network",
        "version": FORMAT_VERSION,
        "inputs": network.inputs,
        "layers": layers,
        "connections": connections,
        "output": network.output,
        "readout": network.readout.value,
        "graded": network.graded,
        "graded_scale": network.graded_scale,
        "graded_bits": network.graded_bits,
        "dt_ms": network.dt_ms,
    }
    save_tensors(folder / "network.safetensors", network.state_dict())
    write_json(folder / "network.json", document)


def load_network(folder: PathText) -> Network:
    """Read a network.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a network.
    """
    folder = path_of(folder, "folder")
    path = folder / "network.json"
    document = read_header(path, "pumice-network", FORMAT_VERSION)
    tensors, _ = load_tensors(folder / "network.safetensors")
    try:
        return _rebuild(document, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CorruptArtifactError(path, f"is not a well-formed network: {error!r}") from None


def read_header(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Return the JSON of a network of a known kind and version.

    Raises:
        MissingFileError: There is no such file.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is something else.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != kind:
        raise CorruptArtifactError(path, f"is not a {kind.replace('-', ' ', 1)}")
    if document.get("version") != version:
        raise FormatVersionError(f"'{path}'", document.get("version"), version)
    return document


def save_tensors(path: Path, tensors: dict[str, Tensor], note: str = "") -> None:
    """Write tensors, and a note in the header, as one safetensors file, atomically."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    needed = sum(tensor.nbytes for tensor in plain.values())
    with replacing_file(path, needed) as temporary:
        save_file(plain, temporary, metadata={"note": note})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the tensors and the note of a safetensors file.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is not a safetensors file.
    """
    check_file("file", path)
    with path.open("rb") as head:
        # The library reads up to 100 MB of names and shapes into objects.
        budget().check_document(path, _HEADER_GROWTH * int.from_bytes(head.read(8), "little"))
    budget().check_file(path, 2 * path.stat().st_size)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return tensors, (file.metadata() or {}).get("note", "")
    except SafetensorError as error:
        raise CorruptArtifactError(path, f"is not a safetensors file: {error}") from None


def _layer_header(layer: CubaLif) -> dict[str, Any]:
    return {
        "size": layer.size,
        "train_bias": layer.bias.requires_grad,
        "surrogate": layer.surrogate.value,
        "slope": layer.slope,
    }


def _rebuild(document: dict[str, Any], tensors: dict[str, Tensor]) -> Network:
    layers = {
        name: CubaLif(
            int(header["size"]),
            train_bias=bool(header["train_bias"]),
            surrogate=Surrogate(header["surrogate"]),
            slope=float(header["slope"]),
        )
        for name, header in document["layers"].items()
    }
    connections = {}
    for entry in document["connections"]:
        key = f"synapses.{entry['name']}"
        mask = tensors.get(f"{key}.mask")
        weight = torch.zeros_like(tensors[f"{key}.weight"])
        arrow = Connection(entry["name"], entry["source"], entry["target"], int(entry["delay"]))
        connections[arrow] = Synapses(weight, mask)
    network = Network(
        inputs={name: int(size) for name, size in document["inputs"].items()},
        layers=layers,
        connections=connections,
        output=document["output"],
        readout=Readout(document["readout"]),
        graded=bool(document["graded"]),
        graded_scale=float(document["graded_scale"]),
        graded_bits=int(document["graded_bits"]),
        dt_ms=float(document["dt_ms"]),
    )
    network.to(next(iter(tensors[name].dtype for name in tensors if name.endswith(".weight"))))
    network.load_state_dict(tensors)
    return network

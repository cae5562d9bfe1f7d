"""Feed-forward networks on disk: safetensors for numbers, JSON for structure. Never pickle."""

from typing import Any, Final

import torch
from torch import nn

from toolchain.documents import write_json
from toolchain.errors import CorruptArtifactError, FrontendError, TrainingError
from toolchain.intake import PathText, path_of
from toolchain.models import Add, Block, FeedForward, GatedNorm, Select, Spiking, Surrogate
from toolchain.training.checkpoint import load_tensors, read_header, save_tensors

FORMAT_VERSION: Final = 1
_FIELDS: Final[dict[type[nn.Module], tuple[str, ...]]] = {
    nn.Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"),
    nn.Linear: ("in_features", "out_features"),
    GatedNorm: ("channels", "momentum", "eps"),
    Spiking: ("vth", "dv", "slope"),
    nn.MaxPool2d: ("kernel_size", "stride", "padding"),
    nn.AvgPool2d: ("kernel_size", "stride", "padding"),
    nn.Flatten: (),
    Add: (),
    Select: (),
}
"""The modules that can be saved and the arguments that make them again."""
_TYPES: Final = {kind.__name__: kind for kind in _FIELDS}


def save_feed_forward(network: FeedForward, folder: PathText) -> None:
    """Write `network.json` and `network.safetensors` into `folder`.

    Raises:
        TrainingError: A block is of a type that cannot be saved.
    """
    folder = path_of(folder, "folder")
    document = {
        "format": "pumice-feed-forward",
        "version": FORMAT_VERSION,
        "blocks": [_header(block, network.parts[block.name]) for block in network.blocks],
        "shape": list(network.shape),
        "steps": network.steps,
        "graded": network.graded,
        "graded_scale": network.graded_scale,
        "graded_bits": network.graded_bits,
        "dt_ms": network.dt_ms,
    }
    save_tensors(folder / "network.safetensors", network.state_dict())
    write_json(folder / "network.json", document)


def load_feed_forward(folder: PathText) -> FeedForward:
    """Read a network, in evaluation mode.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a feed-forward network.
    """
    folder = path_of(folder, "folder")
    path = folder / "network.json"
    document = read_header(path, "pumice-feed-forward", FORMAT_VERSION)
    tensors, _ = load_tensors(folder / "network.safetensors")
    try:
        blocks = {
            Block(entry["name"], tuple(entry["sources"])): _module(entry, tensors)
            for entry in document["blocks"]
        }
        channels, height, width = document["shape"]
        network = FeedForward(
            blocks,
            shape=(int(channels), int(height), int(width)),
            steps=int(document["steps"]),
            graded=bool(document["graded"]),
            graded_scale=float(document["graded_scale"]),
            graded_bits=int(document["graded_bits"]),
            dt_ms=float(document["dt_ms"]),
        )
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, FrontendError) as error:
        raise CorruptArtifactError(path, f"is not a well-formed network: {error!r}") from None
    return network.eval()


def _header(block: Block, module: nn.Module) -> dict[str, Any]:
    if type(module) not in _FIELDS:
        raise TrainingError(
            f"block '{block.name}' is a {type(module).__name__}, which cannot be saved; known: "
            f"{', '.join(sorted(_TYPES))}"
        )
    arguments = {name: getattr(module, name) for name in _FIELDS[type(module)]}
    if isinstance(module, nn.Conv2d | nn.Linear):
        arguments["bias"] = "bias" in dict(module.named_parameters())
    if isinstance(module, Spiking):
        arguments["surrogate"] = module.surrogate.value
    return {
        "name": block.name,
        "sources": list(block.sources),
        "type": type(module).__name__,
        "arguments": arguments,
    }


def _module(entry: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
    kind = _TYPES[entry["type"]]
    arguments: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry["arguments"].items()
    }
    unknown = arguments.keys() - {*_FIELDS[kind], "bias", "surrogate"}
    if unknown:
        raise ValueError(f"block '{entry['name']}' has unknown arguments {sorted(unknown)}")
    if kind is Spiking:
        arguments["surrogate"] = Surrogate(arguments["surrogate"])
    if kind is Select:
        return Select(torch.zeros_like(tensors[f"parts.{entry['name']}.index"]))
    # On torch's meta device nothing is allocated: a header cannot ask for more than the file brought.
    make: Any = kind
    with torch.device("meta"):
        made: nn.Module = make(**arguments)
    state = {name: tensors[f"parts.{entry['name']}.{name}"] for name in made.state_dict()}
    made.load_state_dict(state, assign=True)
    return made

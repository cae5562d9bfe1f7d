"""Feed-forward networks on disk: safetensors for numbers, JSON for structure. Never pickle."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import torch
from pydantic import Field, JsonValue, ValidationError
from torch import Tensor, nn

from toolchain.errors import CorruptArtifactError, FrontendError, TrainingError, UsageError
from toolchain.files.documents import (
    OMITTED,
    Document,
    explain,
    omitted,
    parse_document,
    read_content,
    write_document,
)
from toolchain.intake import PathText, path_of
from toolchain.models import Add, FeedForward, GatedNorm, NetworkBlock, Select, Spiking, Surrogate
from toolchain.models.network import check_part_names
from toolchain.reset import Reset
from toolchain.training.checkpoint import NETWORK_FILES, InputDocument, Size, input_fields
from toolchain.training.compiler_cache import unallocated
from toolchain.training.tensor_files import (
    check_names,
    fill_module,
    parse_tensors,
    read_tensor_bytes,
    save_tensors,
)

Extent = Annotated[int, Field(ge=1, lt=2**31)]
Margin = Annotated[int, Field(ge=0, lt=2**31)]
Extents = Extent | tuple[Extent, Extent]
Margins = Margin | tuple[Margin, Margin]


class NoArguments(Document):
    """Arguments of a module that takes none."""


class ConvolutionArguments(Document):
    """Arguments of a convolution."""

    in_channels: Extent
    out_channels: Extent
    kernel_size: Extents
    stride: Extents
    padding: Margins
    dilation: Extents
    groups: Extent
    bias: bool


class LinearArguments(Document):
    """Arguments of a fully connected layer."""

    in_features: Extent
    out_features: Extent
    bias: bool


class NormArguments(Document):
    """Arguments of a batch normalisation."""

    channels: Extent
    momentum: float
    eps: float


class SpikingArguments(Document):
    """Arguments of neurons."""

    vth: float
    dv: float
    slope: float
    surrogate: Surrogate
    reset: Annotated[Reset, omitted(Reset.ZERO)] = Reset.ZERO
    reset_amount: Annotated[float | None, OMITTED] = None


class PoolingArguments(Document):
    """Arguments of a pooling."""

    kernel_size: Extents
    stride: Extents
    padding: Margins


_ARGUMENTS: Final[dict[type[nn.Module], type[Document]]] = {
    nn.Conv2d: ConvolutionArguments,
    nn.Linear: LinearArguments,
    GatedNorm: NormArguments,
    Spiking: SpikingArguments,
    nn.MaxPool2d: PoolingArguments,
    nn.AvgPool2d: PoolingArguments,
    nn.Flatten: NoArguments,
    Add: NoArguments,
    Select: NoArguments,
}
"""The modules that can be saved and the arguments that make them again."""
_TYPES: Final = {kind.__name__: kind for kind in _ARGUMENTS}


class BlockRow(Document):
    """A block.

    Attributes:
        name: Name of the block.
        sources: Blocks or input that it reads.
        type: Class of the module.
        arguments: Arguments of the module.
    """

    name: str
    sources: tuple[str, ...]
    type: str
    arguments: dict[str, JsonValue]


class FeedForwardDocument(InputDocument):
    """What a feed-forward network is, but its numbers.

    Attributes:
        blocks: Blocks in the order in which they run.
        shape: Channels, rows and columns of the input.
        steps: Number of steps for which a still image is shown.
        dt_ms: Length of a step in milliseconds.
    """

    FORMAT: ClassVar[str] = "pumice-feed-forward"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "structure of a pumice feed-forward network"
    WRITTEN_BY: ClassVar[str] = "save_feed_forward"

    format: str = FORMAT
    version: int = VERSION
    blocks: Annotated[tuple[BlockRow, ...], Field(min_length=1)]
    shape: tuple[Size, Size, Size]
    steps: int
    dt_ms: float


def save_feed_forward(network: FeedForward, folder: PathText) -> None:
    """Write `network.json` and `network.safetensors` into `folder`.

    Raises:
        TrainingError: A block is of a type that cannot be saved.
    """
    folder = path_of(folder, "folder")
    document = FeedForwardDocument(
        blocks=tuple(_row(block, network.parts[block.name]) for block in network.blocks),
        shape=network.shape,
        steps=network.steps,
        **input_fields(network.input_code),
        dt_ms=network.dt_ms,
    )
    save_tensors(folder / "network.safetensors", network.state_dict())
    write_document(folder / "network.json", document)


def load_feed_forward(folder: PathText) -> FeedForward:
    """Read a network, in evaluation mode.

    Raises:
        MissingFileError: A file is missing.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a feed-forward network.
    """
    folder = path_of(folder, "folder")
    structure, numbers = (folder / name for name in NETWORK_FILES)
    return feed_forward_of(read_content(structure), read_tensor_bytes(numbers), folder)


def feed_forward_of(structure: bytes, numbers: bytes, folder: Path) -> FeedForward:
    """Return the network whose two files in `folder` hold these bytes; see `load_feed_forward`."""
    path, tensor_path = (folder / name for name in NETWORK_FILES)
    document = parse_document(structure, path, FeedForwardDocument)
    tensors, _ = parse_tensors(numbers, tensor_path)
    try:
        check_part_names([row.name for row in document.blocks], "block")
        blocks = {
            NetworkBlock(row.name, row.sources): _module(row, tensors, tensor_path) for row in document.blocks
        }
        network = FeedForward(
            blocks,
            shape=document.shape,
            steps=document.steps,
            input_code=document.input_code,
            dt_ms=document.dt_ms,
        )
    except (KeyError, TypeError, ValueError, RuntimeError, FrontendError, UsageError) as error:
        # Each of PyTorch's modules refuses arguments in its own way.
        raise CorruptArtifactError(path, f"is not a well-formed network: {error}") from None
    check_names(tensors, network.state_dict(), tensor_path)
    return network.eval()


def _row(block: NetworkBlock, module: nn.Module) -> BlockRow:
    form = _ARGUMENTS.get(type(module))
    if form is None:
        raise TrainingError(
            f"block '{block.name}' is a {type(module).__name__}, which cannot be saved; known: "
            f"{', '.join(sorted(_TYPES))}"
        )
    bias = {"bias": "bias" in dict(module.named_parameters())}
    given = {name: bias[name] if name in bias else getattr(module, name) for name in form.model_fields}
    arguments = form.model_validate(given).model_dump(mode="json")
    return BlockRow(name=block.name, sources=block.sources, type=type(module).__name__, arguments=arguments)


def _module(row: BlockRow, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    kind = _TYPES.get(row.type)
    if kind is None:
        raise FrontendError(
            f"block '{row.name}' is a '{row.type}', which is not known; known: {', '.join(sorted(_TYPES))}"
        )
    arguments = _arguments(row, _ARGUMENTS[kind])
    start = f"parts.{row.name}."
    state = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    if kind is Select:
        arguments["index"] = torch.empty_like(state.get("index", torch.empty(0)), device="meta")
    make: Any = kind
    # On torch's meta device nothing is allocated: a header cannot ask for more than the file brought.
    with unallocated():
        made: nn.Module = make(**arguments)
    fill_module(made, state, path)
    return made


def _arguments(row: BlockRow, form: type[Document]) -> dict[str, Any]:
    try:
        return dict(form.model_validate_json(json.dumps(row.arguments)))
    except ValidationError as error:
        key, reason = explain(error)
        raise FrontendError(f"block '{row.name}': argument '{key}' {reason}") from None

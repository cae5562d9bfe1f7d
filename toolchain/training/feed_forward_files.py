"""Feed-forward networks on disk: safetensors for numbers, JSON for structure. Never pickle."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from toolchain.disk import check_file
from toolchain.documents import Document, FileDocument, parse_document, write_document
from toolchain.errors import CorruptArtifactError, FrontendError, TrainingError, UsageError
from toolchain.intake import PathText, choice_of, path_of
from toolchain.models import Add, Block, FeedForward, GatedNorm, Select, Spiking, Surrogate
from toolchain.training.checkpoint import NETWORK_FILES, Size
from toolchain.training.tensor_files import check_names, fill_module, parse_tensors, save_tensors

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


Extent = Annotated[int, Field(ge=0, lt=2**31)]
Extents = Extent | tuple[Extent, Extent]
Argument = bool | Extents | float | str
"""What a module is made with: a number, a word, or a number per axis."""


class BlockRow(Document):
    """A block in `network.json`."""

    name: str
    sources: tuple[str, ...]
    type: str
    arguments: dict[str, Argument]


class FeedForwardDocument(FileDocument):
    """`network.json`: what a feed-forward network is, but its numbers."""

    FORMAT: ClassVar[str] = "pumice-feed-forward"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "structure of a pumice feed-forward network"
    WRITTEN_BY: ClassVar[str] = "save_feed_forward"

    format: str = FORMAT
    version: int = VERSION
    blocks: Annotated[tuple[BlockRow, ...], Field(min_length=1)]
    shape: tuple[Size, Size, Size]
    steps: int
    graded: bool
    graded_scale: float
    graded_bits: int
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
        graded=network.graded,
        graded_scale=network.graded_scale,
        graded_bits=network.graded_bits,
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
    path, numbers = (folder / name for name in NETWORK_FILES)
    check_file("file", path)
    check_file("file", numbers)
    document = parse_document(path.read_bytes(), path, FeedForwardDocument)
    tensors, _ = parse_tensors(numbers.read_bytes(), numbers)
    try:
        blocks = {Block(row.name, row.sources): _module(row, tensors, numbers) for row in document.blocks}
        network = FeedForward(
            blocks,
            shape=document.shape,
            steps=document.steps,
            graded=document.graded,
            graded_scale=document.graded_scale,
            graded_bits=document.graded_bits,
            dt_ms=document.dt_ms,
        )
    except (KeyError, TypeError, ValueError, RuntimeError, FrontendError, UsageError) as error:
        # Each of PyTorch's modules refuses arguments in its own way.
        raise CorruptArtifactError(path, f"is not a well-formed network: {error}") from None
    check_names(tensors, network.state_dict(), numbers)
    return network.eval()


def _row(block: Block, module: nn.Module) -> BlockRow:
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
    return BlockRow(name=block.name, sources=block.sources, type=type(module).__name__, arguments=arguments)


def _module(row: BlockRow, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    kind = _TYPES.get(row.type)
    if kind is None:
        raise FrontendError(
            f"block '{row.name}' is a '{row.type}', which is not known; known: {', '.join(sorted(_TYPES))}"
        )
    arguments: dict[str, Any] = dict(row.arguments)
    unknown = arguments.keys() - {*_FIELDS[kind], "bias", "surrogate"}
    if unknown:
        raise FrontendError(f"block '{row.name}' has unknown arguments {sorted(unknown)}")
    if kind is Spiking:
        arguments["surrogate"] = choice_of(arguments.get("surrogate"), "surrogate", Surrogate)
    start = f"parts.{row.name}."
    state = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    if kind is Select:
        arguments["index"] = torch.empty_like(state.get("index", torch.empty(0)), device="meta")
    make: Any = kind
    # On torch's meta device nothing is allocated: a header cannot ask for more than the file brought.
    with torch.device("meta"):
        made: nn.Module = make(**arguments)
    fill_module(made, state, path)
    return made

"""A feed-forward network: named blocks in order, all steps of a batch through one block at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast, final

import torch
from torch import Tensor, nn

from toolchain.errors import FrontendError
from toolchain.intake import count_of, real_of
from toolchain.models.entering import tensor_of
from toolchain.models.input_code import BYTES, InputCode, optional_code
from toolchain.models.integration import loops_obstacle
from toolchain.models.masked_layer import MaskedLayer
from toolchain.models.network import NetworkRecord, check_part_names
from toolchain.models.over_steps import mean_over_steps
from toolchain.models.spiking import Spiking
from toolchain.options import LONGEST_MS, MOST, SHORTEST_MS

INPUT: Final = "input"
"""Name of what enters."""


@final
class Add(nn.Module):
    """The sum of its sources: the end of a residual branch."""


@final
class Select(nn.Module):
    """Some channels of its source, in order: where a pruned layer reads a stream that stays whole.

    Args:
        index: Numbers of the selected channels, `[C]`.
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: Tensor) -> Tensor:
        """Return the selected channels."""
        return x.index_select(1, self.index)


@final
@dataclass(frozen=True)
class NetworkBlock:
    """A named step of the computation.

    Attributes:
        name: Unique name of letters, digits and underscores.
        sources: Names of earlier blocks, or `input`. One, except for an `Add`.
    """

    name: str
    sources: tuple[str, ...]


@final
class FeedForward(nn.Module):
    """Convolutions, norms, neurons and pooling in the order in which they are computed.

    Because nothing feeds back, a block sees all steps at once: stateless modules get them folded into the
    batch (so batch-norm takes its statistics over samples and steps), neurons integrate over them. A
    still image is convolved and normalised once, and shown to the first neurons at every step.

    Args:
        blocks: Steps of the computation and the module of each. The last block is a `Linear`; its mean
            over the steps gives the class scores.
        shape: Shape `(C, H, W)` of an image or frame.
        steps: Number of steps `T` for which still images are shown; frames bring their own.
        input_code: Integers that stand for the real values that enter (direct coding); None if spikes enter
            (events).
        dt_ms: Length of a step.

    Raises:
        ArgumentError: A number means nothing.
        FrontendError: A name stands twice or cannot be one, or a block reads nothing or something that does
            not stand before it.
    """

    def __init__(
        self,
        blocks: Mapping[NetworkBlock, nn.Module],
        *,
        shape: tuple[int, int, int],
        steps: int = 4,
        input_code: InputCode | None = BYTES,
        dt_ms: float = 1.0,
    ) -> None:
        super().__init__()
        check_part_names([block.name for block in blocks], "block")
        self.blocks = tuple(blocks)
        self.parts = nn.ModuleDict({block.name: module for block, module in blocks.items()})
        channels, height, width = (count_of(extent, "shape", least=1, most=MOST) for extent in shape)
        self.shape = (channels, height, width)
        self.steps = count_of(steps, "steps", least=1, most=MOST)
        self.input_code = optional_code(input_code, "input_code")
        self.averaged = False
        """Whether its graph says the mean over the steps, as real values need; a sum ranks classes alike."""
        self.dt_ms = real_of(dt_ms, "dt_ms", least=SHORTEST_MS, most=LONGEST_MS)
        self.masked: dict[str, MaskedLayer] = {}
        """Blocks that have few weights for as long as somebody sees to it: these compute them."""
        self._check()
        # Convolutions on a CPU are several times faster with the channels last.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = _channels_last(module.weight.data)

    def _check(self) -> None:
        known = {INPUT}
        for block in self.blocks:
            if block.name in known:
                raise FrontendError(f"two blocks are called '{block.name}'; names must be unique")
            if not block.sources:
                raise FrontendError(f"block '{block.name}' reads nothing; name its source, or '{INPUT}'")
            missing = [name for name in block.sources if name not in known]
            if missing:
                raise FrontendError(
                    f"block '{block.name}' reads '{', '.join(missing)}', which is not before it"
                )
            if len(block.sources) > 1 and not isinstance(self.parts[block.name], Add):
                raise FrontendError(f"block '{block.name}' reads {len(block.sources)} blocks; only Add may")
            known.add(block.name)
        if not self.blocks or not isinstance(self.parts[self.blocks[-1].name], nn.Linear):
            raise FrontendError("the last block must be a Linear: its mean over the steps gives the scores")

    @property
    def layers(self) -> dict[str, Spiking]:
        """The layers of neurons by name, in order."""
        return {
            block.name: module
            for block in self.blocks
            if isinstance(module := self.parts[block.name], Spiking)
        }

    @property
    def scores(self) -> int:
        """Number of scores, one per class."""
        return cast("nn.Linear", self.parts[self.blocks[-1].name]).out_features

    def obstacle(self) -> str | None:
        """Return why its neurons do not pass through time in compiled loops; None if they do."""
        return loops_obstacle(next(self.parameters()))

    def with_blocks(self, blocks: Mapping[NetworkBlock, nn.Module]) -> "FeedForward":
        """Return a network of other blocks that is fed in the same way."""
        return FeedForward(
            blocks,
            shape=self.shape,
            steps=self.steps,
            input_code=self.input_code,
            dt_ms=self.dt_ms,
        )

    def readers(self, name: str) -> tuple[NetworkBlock, ...]:
        """Return the blocks that read `name`."""
        return tuple(block for block in self.blocks if name in block.sources)

    def forward(self, x: Tensor, *, record: bool = False, lengths: Tensor | None = None) -> NetworkRecord:
        """Run a batch from rest.

        Args:
            x: Still images `[batch, C, H, W]`, shown for `steps` steps; or frames `[batch, time, C, H, W]`;
                computed in the network's own precision, whatever type of number it has.
            record: Whether to keep spikes and potentials of every layer of neurons (else none are).
            lengths: Number of valid frames of each sample; later ones are not read. None if all are valid.

        Raises:
            FrontendError: The images are of another size.
        """
        like = next(self.parameters())
        x = tensor_of(x, "x").to(like.device, like.dtype)
        frames = self._frames(x)
        steps = self.steps if len(frames) == 1 and x.dim() == 4 else len(frames)
        values: dict[str, Tensor] = {INPUT: frames}
        last_reader = {source: block.name for block in self.blocks for source in block.sources}
        spikes: dict[str, Tensor] = {}
        potentials: dict[str, Tensor] = {}
        value = frames
        for block in self.blocks:
            module = self.parts[block.name]
            operands = [values[name] for name in block.sources]
            for name in block.sources:
                if last_reader[name] == block.name:
                    values.pop(name, None)
            if isinstance(module, Spiking):
                value, potential = module(operands[0], steps)
                if record:
                    spikes[block.name] = value.transpose(0, 1)
                    potentials[block.name] = module.after(potential, value).transpose(0, 1)
            elif isinstance(module, Add):
                value = sum(operands[1:], operands[0])
            else:
                value = _folded(self.masked.get(block.name, module), operands[0])
            values[block.name] = value
        # Of another type under autocast.
        return NetworkRecord(mean_over_steps(value.to(like.dtype), lengths, time=0), spikes, potentials, {})

    def _frames(self, x: Tensor) -> Tensor:
        if x.dim() not in {4, 5} or tuple(x.shape[-3:]) != self.shape:
            expected = "x".join(map(str, self.shape))
            raise FrontendError(
                f"x: expected images [batch, {expected}] or frames [batch, time, {expected}], "
                f"got {list(x.shape)}"
            )
        if x.shape[0] < 1:
            raise FrontendError("x: expected at least 1 sample, got none")
        if x.dim() == 4:
            return _channels_last(x)[None]
        if x.shape[1] < 1:
            raise FrontendError("x: expected at least 1 frame, got none")
        batch, steps = x.shape[:2]
        folded = x.transpose(0, 1).reshape(steps * batch, *self.shape)
        return _channels_last(folded).unflatten(0, (steps, batch))


def _channels_last(x: Tensor) -> Tensor:
    """Return `[N, C, H, W]` with the channels last in memory, and said to be so where there is only one.

    The strides of a single channel can be read either way; PyTorch would take it for a tensor whose channels
    come first, and so would be every tensor that is computed from it.
    """
    dense = x.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = x.shape
    return dense.as_strided(x.shape, (height * width * channels, 1, width * channels, channels))


def _folded(module: Callable[[Tensor], object], x: Tensor) -> Tensor:
    """Apply a stateless module to all steps at once: `[T, N, ...]` is folded to `[T N, ...]`."""
    steps, batch = x.shape[:2]
    return cast("Tensor", module(x.flatten(0, 1))).unflatten(0, (steps, batch))

"""Spiking pre-activation ResNets: neurons in front of every convolution, a stream of currents past them."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from toolchain.errors import FrontendError
from toolchain.models.feed_forward import INPUT, Add, FeedForward, NetworkBlock
from toolchain.models.gated_norm import GatedNorm
from toolchain.models.input_code import BYTES, InputCode, optional_code
from toolchain.models.vgg import NeuronShape, convolution, matrix
from toolchain.options import each, flag, hold, real, whole


@final
@dataclass(frozen=True, kw_only=True)
class PreResNetShape:
    """What defines a pre-activation ResNet but its random numbers. The defaults are PreResNet18.

    Attributes:
        widths: Channels of the stages; each but the first halves the image.
        blocks: Basic blocks of each stage.
        image: Shape `(C, H, W)` of an image.
        classes: Number of classes.
        steps: Number of steps `T` for still images.
        input_code: Integers that stand for the real values that enter; None if spikes enter.
        neurons: Parameters that all neurons share.
        gamma: Initial scale of the batch-norms.
        spiking_shortcut: Where the 1 x 1 shortcut of a stage begins: at the spikes of the block's first
            neurons, so that a chip carries spikes only; or at the stream of currents before them.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    image: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    steps: int = 4
    input_code: InputCode | None = BYTES
    neurons: NeuronShape = field(default_factory=NeuronShape)
    gamma: float = 0.5
    spiking_shortcut: bool = True

    def __post_init__(self) -> None:
        hold(
            self,
            widths=each(whole(1), least=1),
            blocks=each(whole(1), least=1),
            image=each(whole(1), least=3, most=3),
            classes=whole(1),
            steps=whole(1),
            input_code=optional_code,
            gamma=real(),
            spiking_shortcut=flag,
        )


def build_preresnet(shape: PreResNetShape, generator: torch.Generator) -> FeedForward:
    """Return an untrained network: stem, stages of basic blocks, neurons, mean over the image, classifier.

    Args:
        shape: Shape of the network.
        generator: Source of the random weights.

    Raises:
        FrontendError: Widths and blocks differ in number, or the image is too small.
    """
    if len(shape.widths) != len(shape.blocks) or not shape.widths:
        raise FrontendError(
            f"expected one number of blocks per stage, got {len(shape.blocks)} for {len(shape.widths)}"
        )
    _, height, width = shape.image
    if min(height, width) < 2 ** (len(shape.widths) - 1):
        raise FrontendError(f"an image of {height}x{width} is too small for {len(shape.widths)} stages")
    builder = _Builder(shape, generator)
    stream = builder.stem()
    channels = shape.widths[0]
    for stage, (targets, number) in enumerate(zip(shape.widths, shape.blocks, strict=True), 1):
        for i in range(1, number + 1):
            stride = 2 if stage > 1 and i == 1 else 1
            stream = builder.basic_block(f"s{stage}b{i}", stream, channels, targets, stride)
            channels = targets
            height, width = -(-height // stride), -(-width // stride)
    builder.head(stream, channels, (height, width))
    return FeedForward(builder.blocks, shape=shape.image, steps=shape.steps, input_code=shape.input_code)


@final
class _Builder:
    def __init__(self, shape: PreResNetShape, generator: torch.Generator) -> None:
        self.shape = shape
        self.generator = generator
        self.blocks: dict[NetworkBlock, nn.Module] = {}

    def add(self, name: str, module: nn.Module, *sources: str) -> str:
        self.blocks[NetworkBlock(name, sources)] = module
        return name

    def conv(self, name: str, source: str, ends: tuple[int, int], size: int, stride: int = 1) -> str:
        return self.add(name, convolution(*ends, size, self.generator, stride=stride), source)

    def norm(self, name: str, channels: int, source: str) -> str:
        return self.add(name, GatedNorm(channels, gamma=self.shape.gamma), source)

    def stem(self) -> str:
        first = self.shape.widths[0]
        conv = self.conv("stem", INPUT, (self.shape.image[0], first), 3)
        return self.norm("stem_norm", first, conv)

    def basic_block(self, name: str, stream: str, sources: int, targets: int, stride: int) -> str:
        """Add norm, neurons and convolution twice, and the shortcut past them."""
        norm = self.norm(f"{name}_norm1", sources, stream)
        spikes = self.add(f"{name}_spikes1", self.shape.neurons.layer(), norm)
        conv = self.conv(f"{name}_conv1", spikes, (sources, targets), 3, stride)
        norm = self.norm(f"{name}_norm2", targets, conv)
        second = self.add(f"{name}_spikes2", self.shape.neurons.layer(), norm)
        branch = self.conv(f"{name}_conv2", second, (targets, targets), 3)
        if stride > 1 or sources != targets:
            start = spikes if self.shape.spiking_shortcut else stream
            stream = self.conv(f"{name}_shortcut", start, (sources, targets), 1, stride)
        return self.add(f"{name}_sum", Add(), stream, branch)

    def head(self, stream: str, channels: int, size: tuple[int, int]) -> None:
        norm = self.norm("final_norm", channels, stream)
        spikes = self.add("final_spikes", self.shape.neurons.layer(), norm)
        pooled = self.add("pool", nn.AvgPool2d(size), spikes)
        flat = self.add("flatten", nn.Flatten(), pooled)
        self.add("classifier", matrix(channels, self.shape.classes, self.generator, bias=True), flat)

"""Spiking VGG networks of any depth, width and image size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, final

import torch
from torch import nn

from toolchain.errors import FrontendError, UnknownNameError
from toolchain.models.feed_forward import INPUT, FeedForward, NetworkBlock
from toolchain.models.gated_norm import GatedNorm
from toolchain.models.input_code import BYTES, InputCode, optional_code
from toolchain.models.spiking import Spiking
from toolchain.models.surrogates import Surrogate
from toolchain.options import choice, each, factor, hold, optional, real, whole
from toolchain.reset import Reset

POOL: Final = 0
"""Stands for a 2 x 2 max-pooling in a plan."""

_PLANS: Final[Mapping[str, tuple[tuple[int, ...], int]]] = {
    "vgg5": ((64, POOL, 128, 128, POOL), 1),
    "vgg9": ((64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL), 1),
    "vgg11": ((64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL), 2),
    "vgg16": (
        (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL),
        2,
    ),
}
"""Widths of the 3 x 3 convolutions, and the number of hidden fully connected layers."""


@final
@dataclass(frozen=True, kw_only=True)
class NeuronShape:
    """What all neurons of a network share.

    Attributes:
        vth: Threshold of all neurons.
        tau: Membrane time constant in steps, for leaky neurons; None for integrate-and-fire.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.
        reset: Effect of a spike on the potential: zero, or the threshold taken away, or none.
    """

    vth: float = 1.0
    tau: float | None = None
    surrogate: Surrogate = Surrogate.SIGMOID
    slope: float = 4.0
    reset: Reset = Reset.ZERO

    def __post_init__(self) -> None:
        hold(
            self,
            vth=factor,
            tau=optional(real(1)),
            surrogate=choice(Surrogate),
            slope=factor,
            reset=choice(Reset),
        )
        self.layer()

    def layer(self) -> Spiking:
        """Return a layer of such neurons."""
        dv = 0.0 if self.tau is None else 1 / self.tau
        return Spiking(vth=self.vth, dv=dv, reset=self.reset, surrogate=self.surrogate, slope=self.slope)


@final
@dataclass(frozen=True, kw_only=True)
class VggShape:
    """What defines a spiking VGG but its random numbers.

    Attributes:
        plan: Widths of the 3 x 3 convolutions in order, `POOL` for a 2 x 2 max-pooling.
        hidden: Sizes of the fully connected layers before the classifier.
        image: Shape `(C, H, W)` of an image.
        classes: Number of classes.
        steps: Number of steps `T` for still images.
        input_code: Integers that stand for the real values that enter; None if spikes enter.
        neurons: Parameters that all neurons share.
    """

    plan: tuple[int, ...]
    hidden: tuple[int, ...] = ()
    image: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    steps: int = 4
    input_code: InputCode | None = BYTES
    neurons: NeuronShape = field(default_factory=NeuronShape)

    def __post_init__(self) -> None:
        hold(
            self,
            hidden=each(whole(1)),
            image=each(whole(1), least=3, most=3),
            classes=whole(1),
            steps=whole(1),
            input_code=optional_code,
        )

    @classmethod
    def named(cls, name: str, *, width: float = 1.0, hidden: int = 512) -> "VggShape":
        """Return the shape called vgg5, vgg9, vgg11 or vgg16.

        Args:
            name: One of vgg5, vgg9, vgg11 and vgg16.
            width: Factor on the number of channels.
            hidden: Size of the fully connected layers.

        Raises:
            UnknownNameError: There is no such shape.
        """
        if name not in _PLANS:
            raise UnknownNameError("VGG", name, _PLANS)
        plan, depth = _PLANS[name]
        scaled = tuple(POOL if item == POOL else max(1, round(item * width)) for item in plan)
        return cls(plan=scaled, hidden=(hidden,) * depth)

    def with_widths(self, widths: list[int]) -> "VggShape":
        """Return the shape with other numbers of channels, one per convolution."""
        given = iter(widths)
        return replace(self, plan=tuple(POOL if item == POOL else next(given) for item in self.plan))


def build_vgg(shape: VggShape, generator: torch.Generator) -> FeedForward:
    """Return an untrained network: convolution, batch-norm and neurons, pooling, classifier.

    Max-pooling stands after the neurons, on spikes: it is an OR. Weights are drawn as the released
    code of SCA does: convolutions from N(0, 2 / (k k C_out)), matrices from N(0, 0.02^2).

    Args:
        shape: Shape of the network.
        generator: Source of the random weights.

    Raises:
        FrontendError: The image is too small for the poolings.
    """
    channels, height, width = shape.image
    blocks: dict[NetworkBlock, nn.Module] = {}
    source, number, poolings = INPUT, 0, 0
    for item in shape.plan:
        if item == POOL:
            height, width = height // 2, width // 2
            if not height or not width:
                raise FrontendError(
                    f"an image of {shape.image[1]}x{shape.image[2]} is too small for "
                    f"{shape.plan.count(POOL)} poolings"
                )
            poolings += 1
            pool = f"pool{number}" if poolings == 1 else f"pool{number}_{poolings}"
            blocks[NetworkBlock(pool, (source,))] = nn.MaxPool2d(2)
            source = pool
            continue
        number, poolings = number + 1, 0
        blocks[NetworkBlock(f"conv{number}", (source,))] = convolution(channels, item, 3, generator)
        blocks[NetworkBlock(f"norm{number}", (f"conv{number}",))] = GatedNorm(item)
        blocks[NetworkBlock(f"spikes{number}", (f"norm{number}",))] = shape.neurons.layer()
        source, channels = f"spikes{number}", item
    blocks[NetworkBlock("flatten", (source,))] = nn.Flatten()
    source, size = "flatten", channels * height * width
    for i, neurons in enumerate(shape.hidden, 1):
        blocks[NetworkBlock(f"hidden{i}", (source,))] = matrix(size, neurons, generator, bias=False)
        blocks[NetworkBlock(f"hidden_norm{i}", (f"hidden{i}",))] = GatedNorm(neurons)
        blocks[NetworkBlock(f"hidden_spikes{i}", (f"hidden_norm{i}",))] = shape.neurons.layer()
        source, size = f"hidden_spikes{i}", neurons
    blocks[NetworkBlock("classifier", (source,))] = matrix(size, shape.classes, generator, bias=True)
    return FeedForward(blocks, shape=shape.image, steps=shape.steps, input_code=shape.input_code)


def convolution(
    sources: int, targets: int, size: int, generator: torch.Generator, *, stride: int = 1
) -> nn.Conv2d:
    """Return a square convolution of random weights, without bias, that keeps the size of the image."""
    module = nn.Conv2d(sources, targets, size, stride=stride, padding=size // 2, bias=False)
    deviation = math.sqrt(2 / (size * size * targets))
    with torch.no_grad():
        module.weight.normal_(0, deviation, generator=generator)
    return module


def matrix(sources: int, targets: int, generator: torch.Generator, *, bias: bool) -> nn.Linear:
    """Return a fully connected layer of random weights, whose bias is zero."""
    module = nn.Linear(sources, targets, bias=bias)
    with torch.no_grad():
        module.weight.normal_(0, 0.02, generator=generator)
        if bias:
            module.bias.zero_()
    return module

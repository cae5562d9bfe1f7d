"""Small feed-forward networks whose batch-norms do something, used by many tests."""

from typing import Any, TypeVar

import torch
from torch import nn

from toolchain.models import (
    POOL,
    FeedForward,
    GatedNorm,
    PreResNetShape,
    VggShape,
    build_preresnet,
    build_vgg,
)

Part = TypeVar("Part", bound=nn.Module)


def small_vgg(seed: int = 0, *, steps: int = 4, hidden: tuple[int, ...] = (20,), **more: Any) -> FeedForward:
    """Three convolutions, two poolings, a hidden layer; on images of 2 x 8 x 8 unless told otherwise."""
    more = {"image": (2, 8, 8)} | more
    shape = VggShape(plan=(6, 8, POOL, 10, POOL), hidden=hidden, steps=steps, **more)
    return stirred(build_vgg(shape, torch.Generator().manual_seed(seed)), seed)


def small_preresnet(seed: int = 0, *, spiking_shortcut: bool = True, steps: int = 4) -> FeedForward:
    """Two stages, three blocks; on images of 3 x 8 x 10."""
    shape = PreResNetShape(
        widths=(6, 8), blocks=(2, 1), image=(3, 8, 10), steps=steps, spiking_shortcut=spiking_shortcut
    )
    return stirred(build_preresnet(shape, torch.Generator().manual_seed(seed)), seed)


def stirred(network: FeedForward, seed: int) -> FeedForward:
    """Give the norms scales of both signs, shifts and statistics; return the network in evaluation mode."""
    generator = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, GatedNorm):
                for tensor, spread, centre in (
                    (module.weight, 0.6, 0.8),
                    (module.bias, 0.3, 0.0),
                    (module.running_mean, 0.2, 0.0),
                ):
                    tensor.copy_(torch.randn(module.channels, generator=generator) * spread + centre)
                module.running_var.copy_(torch.rand(module.channels, generator=generator) + 0.3)
    return network.eval()


def part(network: nn.Module, path: str, kind: type[Part]) -> Part:
    """The module at a dotted path, which the test knows to be of this kind."""
    found = network.get_submodule(path)
    assert isinstance(found, kind), f"{path} is a {type(found).__name__}"
    return found


def images(network: FeedForward, samples: int = 3, seed: int = 0) -> torch.Tensor:
    """Random still images of the network's size, in 0 .. 1, as its own integers represent them."""
    grey = torch.randint(0, 256, (samples, *network.shape), generator=torch.Generator().manual_seed(seed))
    return grey.double() / 255

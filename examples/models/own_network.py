"""A network of one's own: any `torch.nn.Module`, here with a loop over the steps in its forward.

The neurons may be those of snnTorch, SpikingJelly, sinabs or Norse just as well.
"""

import torch
from torch import Tensor, nn

from toolchain.models import Spiking


class OwnNetwork(nn.Module):
    """A convolution, and two layers of neurons that leak.

    Args:
        shape: Channels, rows and columns of a picture; asked for by its name.
        classes: Number of classes; likewise.
        steps: Steps for which it shows a picture; likewise.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, steps: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.steps = steps
        self.maps = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.inner = Spiking(vth=1.0, dv=0.2)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(8 * (height // 2) * (width // 2), classes)
        self.last = Spiking(vth=1.0, dv=0.2)

    def forward(self, picture: Tensor) -> Tensor:
        """Return how often each class fired."""
        spikes: list[Tensor] = []
        for _ in range(self.steps):
            pooled = self.pool(self.inner(self.maps(picture)))
            spikes.append(self.last(self.head(torch.flatten(pooled, 1))))
        return torch.stack(spikes).sum(0)

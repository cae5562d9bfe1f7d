"""Code of users that builds networks, and experiments with it."""

from pathlib import Path
from typing import Any

CODE = """
import torch
from torch import nn

from toolchain.frontends import as_model
from toolchain.models import Connection, CubaLif, Network, Spiking


class InLoop(nn.Module):
    def __init__(self, channels, classes, hidden=12):
        super().__init__()
        self.inner, self.outer = nn.Linear(channels, hidden), nn.Linear(hidden, classes)
        self.drop = nn.Dropout(0.2)
        self.norm = nn.BatchNorm1d(hidden)
        self.first, self.last = Spiking(vth=1.0, dv=0.2), Spiking(vth=1.0, dv=0.2)

    def forward(self, x):
        spikes = []
        for t in range(x.shape[1]):
            s = self.first(self.norm(self.inner(x[:, t])))
            spikes.append(self.last(self.outer(self.drop(s))))
        return torch.stack(spikes)


class TimeFirst(InLoop):
    def forward(self, x):
        return super().forward(x.transpose(0, 1)).mean(0) * len(x)


def sequential(channels, classes):
    return nn.Sequential(
        nn.Linear(channels, 12), CubaLif(12, dv=0.2), nn.Linear(12, classes), CubaLif(classes, vth=1e9)
    )


def filtered(channels, classes):
    return nn.Sequential(
        nn.Linear(channels, 12), CubaLif(12, du=0.5), nn.Linear(12, classes), CubaLif(classes, vth=1e9)
    )


def recurrent(channels, classes):
    return Network(
        inputs={"input": channels},
        layers={"hidden": CubaLif(12, dv=0.2), "readout": CubaLif(classes, vth=float("inf"))},
        connections={
            Connection("encode", "input", "hidden"): nn.Linear(channels, 12, bias=False),
            Connection("recur", "hidden", "hidden", delay=1): nn.Linear(12, 12),
            Connection("decode", "hidden", "readout"): nn.Linear(12, classes, bias=False),
        },
        output="readout",
    )


def two_too_many(channels, classes):
    return InLoop(channels, classes + 2)


class Weightless(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes, self.last = classes, Spiking(vth=0.5)

    def forward(self, x):
        spikes = [self.last(x[:, t, : self.classes]) for t in range(x.shape[1])]
        return torch.stack(spikes)


def weightless(classes):
    return Weightless(classes)


def frozen(channels, classes):
    return InLoop(channels, classes).requires_grad_(False)


def lazy(classes):
    return nn.Sequential(nn.LazyLinear(classes), CubaLif(classes, vth=1e9))


class Detached(InLoop):
    def forward(self, x):
        return super().forward(x).detach()


class Values(InLoop):
    def forward(self, x):
        return super().forward(x).sum(0)


class Means(InLoop):
    def forward(self, x):
        return super().forward(x).mean(0)


class Shares(InLoop):
    def forward(self, x):
        return super().forward(x).sum(0).softmax(-1)


class Still(InLoop):
    def forward(self, x):
        return super().forward(torch.stack([x.flatten(1)] * 3, 1)).sum(0)


def pictures(shape, classes):
    maps = nn.Conv2d(shape[0], 4, 3, padding=1, bias=False)
    return nn.Sequential(maps, Spiking(), nn.Flatten(), nn.Linear(4 * shape[1] * shape[2], classes))


def made(shape, classes):
    return as_model(pictures(shape, classes), torch.rand(1, *shape))


def leaves():
    raise SystemExit(3)


def nothing(**_):
    return 3


def asks(colour):
    return None


def fails():
    raise RuntimeError("out of luck")
"""


def own_document(code: Path, name: str, **model: object) -> dict[str, Any]:
    """Return what an experiment file with such a module holds."""
    return {
        "data": {"name": "sequential_digits", "train_samples": 80, "test_samples": 40},
        "encoding": {"steps": 2},
        "model": {"module": f"{code}:{name}", "flat": True, **model},
        "training": {"epochs": 2, "batch_size": 20, "calibration_samples": 16},
    }

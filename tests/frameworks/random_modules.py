"""Random modules: depth, branches, loops and layers drawn by chance."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.frameworks.random_readouts import RandomReadout

Neurons = Callable[[random.Random, int], nn.Module]


def potential(neurons: nn.Module, sent: torch.Tensor) -> torch.Tensor:
    """Return the potentials of neurons after a step; what they sent, if they do not show them."""
    shown = [getattr(neurons, name, None) for name in ("mem", "v")]
    return next((each for each in shown if isinstance(each, torch.Tensor) and each.shape == sent.shape), sent)


class RandomNet(nn.Module):
    """Layers that read any earlier ones of the step, and any of the step before.

    Args:
        make: Makes neurons by chance, for a number of them.
        seed: Seed of all that is drawn.
        readout: Whether what is returned is drawn from all read-outs that there are.
    """

    def __init__(self, make: Neurons, seed: int, *, readout: bool = False) -> None:
        super().__init__()
        draw = random.Random(seed)  # noqa: S311 - no secret
        torch.manual_seed(seed)
        sizes: list[int] = [6]
        self.layers, self.neurons = nn.ModuleList(), nn.ModuleList()
        self.reads: list[list[int]] = []
        self.late: list[int | None] = []
        self.ways: list[str] = []
        depth = draw.randint(1, 4)
        widths = [draw.randint(3, 9) for _ in range(depth)]
        self.widths = widths
        self.back = nn.ModuleList()
        for place in range(depth):
            count = draw.randint(1, min(2, place + 1))
            reads = draw.sample(range(place + 1), count)
            if place not in reads and draw.random() < 0.7:
                reads[0] = place
            reads = list(dict.fromkeys(reads))
            way = draw.choice(["cat", "sum", "residual"])
            if len({sizes[i] for i in reads}) > 1 or len(reads) == 1:
                way = "cat"
            width = sum(sizes[i] for i in reads) if way == "cat" else sizes[reads[0]]
            parts: list[nn.Module] = [nn.Linear(width, widths[place], bias=draw.random() < 0.7)]
            if draw.random() < 0.25:
                parts.append(nn.BatchNorm1d(widths[place]))
            if draw.random() < 0.3:
                parts.append(nn.Dropout(0.4))
            if draw.random() < 0.15:
                parts.append(nn.Linear(widths[place], widths[place]))
            self.layers.append(nn.Sequential(*parts))
            self.neurons.append(make(draw, widths[place]))
            self.reads.append(reads)
            self.ways.append(way)
            late = draw.randrange(depth) if draw.random() < 0.35 else None
            self.late.append(late)
            self.back.append(
                nn.Identity()
                if late is None
                else nn.Linear(widths[late], widths[place], bias=draw.random() < 0.5)
            )
            sizes.append(widths[place])
        self.result = draw.choice(["stack", "sum", "mean", "all", "add"])
        self.factor = draw.choice([1.0, 1.0, 0.5])
        self.readout = RandomReadout(draw, widths[-1]) if readout else None

    def forward(self, x: torch.Tensor) -> Any:
        for each in self.neurons:
            begin: Any = getattr(each, "begin", None)
            if begin is not None:
                begin()
        before = [torch.zeros(len(x), width, dtype=x.dtype) for width in self.widths]
        rows: list[list[torch.Tensor]] = []
        potentials: list[torch.Tensor] = []
        for frame in x.unbind(1):
            sent = [frame]
            for place, (layer, neurons) in enumerate(zip(self.layers, self.neurons, strict=True)):
                parts = [sent[i] for i in self.reads[place]]
                joined = torch.cat(parts, 1) if self.ways[place] == "cat" else sum(parts[1:], parts[0])
                current = layer(joined * self.factor)
                late = self.late[place]
                if late is not None:
                    current = current + self.back[place](before[late])
                sent.append(neurons(current))
            before = sent[1:]
            rows.append(before)
            potentials.append(potential(self.neurons[-1], before[-1]))
        if self.readout is not None:
            return self.readout(torch.stack([row[-1] for row in rows]), torch.stack(potentials))
        return self._read_out(rows)

    def _read_out(self, rows: list[list[torch.Tensor]]) -> Any:
        last = torch.stack([row[-1] for row in rows])
        match self.result:
            case "sum":
                return last.sum(0)
            case "mean":
                return last.mean(0)
            case "add":
                total = rows[0][-1]
                for row in rows[1:]:
                    total = total + row[-1]
                return total
            case "all":
                return tuple(torch.stack([row[i] for row in rows], 1) for i in range(len(self.widths)))
            case _:
                return last

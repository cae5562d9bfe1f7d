"""Random read-outs: what a module returns of its neurons, drawn by chance."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


class RandomReadout(nn.Module):
    """Takes spikes, potentials or a linear layer of them over the steps, and does something to the scores.

    Args:
        draw: Draws.
        size: Number of neurons that are read.
    """

    def __init__(self, draw: random.Random, size: int) -> None:
        super().__init__()
        self.head = nn.Linear(size, draw.randint(2, 5), bias=draw.random() < 0.7)
        self.results = [self._drawn(draw, size) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
        self.shape = draw.choice(["tuple", "dict", "nested"])

    def forward(self, sent: Tensor, potentials: Tensor) -> Any:
        """Return the results of spikes and potentials `[time, batch, neurons]`."""
        made = [self._result(*each, sent, potentials) for each in self.results]
        if len(made) == 1:
            return made[0]
        if self.shape == "tuple":
            return tuple(made)
        return (
            {"a": made[0], "b": made[1:]} if self.shape == "nested" else dict(zip("abc", made, strict=False))
        )

    def __str__(self) -> str:
        return f"{self.results} as {self.shape}"

    def _drawn(self, draw: random.Random, size: int) -> tuple[str, str, list[tuple[str, Any]]]:
        source = draw.choice(["spikes", "spikes", "potentials", "head", "head late"])
        over = draw.choice(
            ["sum", "mean", "last", "max", "loop", "stack", "batch first", "part", "every other", "latest"]
        )
        width = self.head.out_features if source.startswith("head") else size
        changes: list[tuple[str, Any]] = []
        for _ in range(draw.choice([0, 0, 1, 1, 2])):
            kind = draw.choice(
                ["factor", "factor", "order", "cut", "constant", "softmax", "log", "sigmoid", "axis"]
            )
            value: Any = None
            match kind:
                case "factor":
                    value = draw.choice([0.5, 2.0, 1 / 3, 0.1, -1.0, "vector"])
                    value = torch.rand(width) + 0.5 if value == "vector" else value
                case "order":
                    value = draw.sample(range(width), width)
                case "cut":
                    width = draw.randint(1, width)
                    value = width
                case "constant":
                    value = draw.choice([1.0, torch.rand(width)])
                case _:
                    pass
            changes.append((kind, value))
        return source, over, changes

    def _result(
        self, source: str, over: str, changes: list[tuple[str, Any]], sent: Tensor, potentials: Tensor
    ) -> Tensor:
        series = potentials if source == "potentials" else sent
        if source == "head":
            series = self.head(series)
        made = _over_steps(over, series)
        if source == "head late":
            made = self.head(made)
        for kind, value in changes:
            made = _changed(made, kind, value)
        return made


def _over_steps(over: str, series: Tensor) -> Tensor:
    ways: dict[str, Change] = {
        "sum": lambda x: x.sum(0),
        "mean": lambda x: x.mean(0),
        "last": lambda x: x[-1],
        "max": lambda x: x.max(0).values,
        "loop": lambda x: sum(x.unbind(0)[1:], x[0]),
        "batch first": lambda x: x.transpose(0, 1),
        "part": lambda x: x[2:].sum(0),
        "every other": lambda x: x[::2].mean(0),
        "latest": lambda x: x[-3:].mean(0),
    }
    return ways.get(over, lambda x: x)(series)


def _changed(x: Tensor, kind: str, value: Any) -> Tensor:
    match kind:
        case "factor":
            return x * value
        case "order":
            return x[..., value]
        case "cut":
            return x[..., :value]
        case "constant":
            return x + value
        case "softmax":
            return torch.softmax(x, -1)
        case "log":
            return torch.log_softmax(x, -1)
        case "sigmoid":
            return torch.sigmoid(x)
        case _:
            return x.unsqueeze(1)

"""Modules of snnTorch's neurons, as its users write them."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from typing import Any

import snntorch as snn
import torch
from torch import nn
from torch.nn import functional


def each(low: float, high: float, count: int = 8) -> torch.Tensor:
    return torch.linspace(low, high, count)


class TwoLayers(nn.Module):
    """What its tutorials write: a loop in forward, states handed on, records stacked."""

    def __init__(
        self, hidden: nn.Module, last: nn.Module, *, dropout: bool = False, mean: bool = False
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(6, 8)
        self.lif1: Any = hidden
        self.dropout = nn.Dropout(0.5 if dropout else 0.0)
        self.fc2 = nn.Linear(8, 4)
        self.lif2: Any = last
        self.mean = mean

    def forward(self, x: torch.Tensor) -> Any:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        first = mem1 if isinstance(mem1, tuple) else (mem1,)
        second = mem2 if isinstance(mem2, tuple) else (mem2,)
        spikes, potentials = [], []
        for step in range(x.shape[1]):
            spk1, *first = self.lif1(self.fc1(x[:, step]), *first)
            spk2, *second = self.lif2(self.fc2(self.dropout(spk1)), *second)
            spikes.append(spk2)
            potentials.append(second[-1])
        record = torch.stack(spikes)
        return record.mean(0) if self.mean else (record, torch.stack(potentials))


class Recurrent(nn.Module):
    """RLeaky and RSynaptic, whose spikes are handed on, too."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.lif: Any = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.lif.reset_mem()
        out = []
        for frame in x.unbind(1):
            state = self.lif(self.fc(frame), *state)
            out.append(state[0])
        return torch.stack(out, 1)


class ByHand(nn.Module):
    """Recurrence that the user writes."""

    def __init__(self, *, one_to_one: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.fc, self.rec, self.lif = nn.Linear(6, 8), nn.Linear(8, 8, bias=bias), snn.Leaky(beta=0.8)
        self.own = nn.Parameter(torch.linspace(-0.5, 0.5, 8))
        self.one_to_one = one_to_one

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem, spk = self.lif.reset_mem(), torch.zeros(len(x), 8, dtype=x.dtype)
        out = []
        for frame in x.unbind(1):
            back = spk * self.own if self.one_to_one else self.rec(spk)
            spk, mem = self.lif(self.fc(frame) + back, mem)
            out.append(spk)
        return torch.stack(out, 1)


def hidden(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def leaky(**options: Any) -> snn.Leaky:
    return snn.Leaky(**{"beta": 0.8, "init_hidden": True, **options})


def residual(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    spk = self.lif1(self.fc1(x))
    return self.lif3(self.fc3(self.lif2(self.fc2(spk)) + spk))


def residual_current(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    current = self.fc1(x)
    spk = self.lif1(current)
    return self.lif3(self.fc2(self.lif2(self.fc3(spk))) + current)


def parts() -> dict[str, nn.Module]:
    return {
        "fc1": nn.Linear(6, 8),
        "lif1": leaky(),
        "fc2": nn.Linear(8, 8),
        "lif2": leaky(beta=0.7),
        "fc3": nn.Linear(8, 8),
        "lif3": leaky(beta=0.9),
    }


def concatenated(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one, two = self.lif1(self.fc1(x)), self.lif2(self.fc2(x))
    return self.lif3(self.fc3(torch.cat([two, one, x], dim=1)))


def skipping(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    """What was sent a step ago, by hand."""
    spk = self.lif1(self.fc1(x))
    late = state.get("late", torch.zeros_like(spk))
    state["late"] = spk
    return self.lif2(self.fc2(spk) + self.fc3(late))


def scaled(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    return self.lif2(0.5 * self.fc2(2 * self.lif1(self.fc1(x))) - 0.1)


def conv_concatenated(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one, two = self.lif1(self.c1(x)), self.lif2(self.c2(x))
    return self.lif3(self.fc(self.c3(torch.cat([one, two], 1)).flatten(1)))


def resnet(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one = self.lif1(self.b1(self.c1(x)))
    two = self.lif2(self.b2(self.c2(one)) + self.down(one))
    return self.lif3(self.fc(functional.adaptive_avg_pool2d(two, 1).flatten(1)))


def norm2d() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(4)


def conv(*layers: nn.Module, size: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, 5), leaky())


class Branching(nn.Module):
    """Several inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.l1, self.l2 = nn.Linear(6, 8), nn.Linear(6, 8), leaky(), leaky(beta=0.5)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        one, two = [], []
        for frame in x.unbind(1):
            spk = self.l1(self.a(frame))
            one.append(spk)
            two.append(self.l2(self.b(frame) + spk))
        return {"one": torch.stack(one, 1), "two": torch.stack(two, 1)}


class Shared(nn.Module):
    """One layer of neurons in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.lif = nn.Linear(6, 8), nn.Linear(8, 8), leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.lif(self.b(self.lif(self.a(frame)))) for frame in x.unbind(1)])


class SharedWeights(nn.Module):
    """One Linear in two places, which is two connections."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.l1, self.l2, self.l3 = (
            nn.Linear(6, 8),
            nn.Linear(8, 8),
            leaky(),
            leaky(),
            leaky(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = [self.l3(self.b(self.l2(self.b(self.l1(self.a(frame)))))) for frame in x.unbind(1)]
        return torch.stack(steps)


class Readout(nn.Module):
    """Ways to read out."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2 = nn.Linear(6, 8), leaky(), nn.Linear(8, 4)
        self.lif2 = snn.Leaky(beta=0.9, reset_mechanism="none", threshold=100.0)
        self.how = how

    def forward(self, x: torch.Tensor) -> Any:
        mem, rows, spikes, total = self.lif2.reset_mem(), [], [], 0
        for frame in x.unbind(1):
            spk = self.lif1(self.fc1(frame))
            current = self.fc2(spk)
            _, mem = self.lif2(current, mem)
            rows.append(current if "current" in self.how else mem)
            spikes.append(spk)
            total = total + spk
        match self.how:
            case "last potential":
                return mem
            case "mean potential" | "mean current":
                return torch.stack(rows).mean(0)
            case "max potential":
                return torch.stack(rows).max(0).values
            case "sum of spikes by hand":
                return total / x.shape[1]
            case "Linear behind the mean of spikes":
                return self.fc2(torch.stack(spikes).mean(0))
            case _:
                return torch.stack(rows, 1).softmax(-1)


class Bad(nn.Module):
    """Things that are no graph."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc, self.lif, self.fc2, self.lif2 = (
            nn.Linear(6, 8),
            snn.Leaky(beta=0.8),
            nn.Linear(8, 8),
            leaky(),
        )
        self.norm, self.how = nn.LayerNorm(8), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem, out = self.lif.reset_mem(), []
        for step, frame in enumerate(x.unbind(1)):
            current = self.fc(frame)
            if self.how == "branch on data" and current.sum() > 0:
                current = current * 2
            if self.how == "layer norm":
                current = self.norm(current)
            if self.how == "relu":
                current = functional.relu(current)
            if self.how == "another step":
                current = current * (1 + step)
            if self.how == "random":
                current = current + torch.rand_like(current)
            if self.how == "attention":
                current = functional.scaled_dot_product_attention(
                    current[:, None], current[:, None], current[:, None]
                )[:, 0]
            spk, mem = self.lif(current, mem)
            if self.how == "reset by hand":
                mem = mem * (1 - spk)
            if self.how == "potential read":
                spk = mem
            out.append(self.lif2(self.fc2(spk)))
        return torch.stack(out)


class Static(nn.Module):
    """One picture at every step, whose convolution is computed once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1, self.fc, self.lif2 = nn.Conv2d(2, 4, 3), leaky(), nn.Linear(144, 5), leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.conv(x)
        return torch.stack([self.lif2(self.fc(self.lif1(current).flatten(1))) for _ in range(9)])


class TwoArguments(nn.Module):
    """Two streams that forward takes as arguments, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 10), nn.Linear(4, 10)
        self.hidden, self.out, self.last = leaky(), nn.Linear(10, 3), leaky()

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        self.hidden.reset_mem()
        self.last.reset_mem()
        sent = []
        for a, b in zip(left, right, strict=True):
            sent.append(self.last(self.out(self.hidden(self.left(a) + self.right(b)))))
        return torch.stack(sent)


class TwoInputs(nn.Module):
    """Two streams of spikes; the second is the first, backwards in channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.lif = nn.Linear(6, 8), nn.Linear(6, 8), leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.lif(self.a(frame) + self.b(frame.flip(1))) for frame in x.unbind(1)])


class OneLayer(nn.Module):
    """A layer whose states are handed on."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.lif: Any = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = self.lif.reset_mem()
        state = state if isinstance(state, tuple) else (state,)
        out = []
        for frame in x.unbind(1):
            spk, *state = self.lif(self.fc(frame), *state)
            out.append(spk)
        return torch.stack(out, 1)

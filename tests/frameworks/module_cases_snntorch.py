"""Modules of snnTorch's neurons."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial
from typing import Any

import snntorch as snn
import torch
from torch import nn
from torch.nn import functional

from tests.frameworks.module_cases import Case, Loop

NAME = "snntorch"


def _each(low: float, high: float, count: int = 8) -> torch.Tensor:
    return torch.linspace(low, high, count)


class TwoLayers(nn.Module):
    """What its tutorials write: a loop in forward, states handed on, records stacked."""

    def __init__(
        self, hidden: nn.Module, last: nn.Module, *, dropout: bool = False, mean: bool = False
    ) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 8), hidden
        self.dropout = nn.Dropout(0.5 if dropout else 0.0)
        self.fc2, self.lif2 = nn.Linear(8, 4), last
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
        self.fc, self.lif = nn.Linear(6, 8), layer

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


def _hidden(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def _leaky(**options: Any) -> snn.Leaky:
    return snn.Leaky(**{"beta": 0.8, "init_hidden": True, **options})


def _residual(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    spk = self.lif1(self.fc1(x))
    return self.lif3(self.fc3(self.lif2(self.fc2(spk)) + spk))


def _residual_current(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    current = self.fc1(x)
    spk = self.lif1(current)
    return self.lif3(self.fc2(self.lif2(self.fc3(spk))) + current)


def _parts() -> dict[str, nn.Module]:
    return {
        "fc1": nn.Linear(6, 8),
        "lif1": _leaky(),
        "fc2": nn.Linear(8, 8),
        "lif2": _leaky(beta=0.7),
        "fc3": nn.Linear(8, 8),
        "lif3": _leaky(beta=0.9),
    }


def _concatenated(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one, two = self.lif1(self.fc1(x)), self.lif2(self.fc2(x))
    return self.lif3(self.fc3(torch.cat([two, one, x], dim=1)))


def _skipping(self: Any, x: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    """What was sent a step ago, by hand."""
    spk = self.lif1(self.fc1(x))
    late = state.get("late", torch.zeros_like(spk))
    state["late"] = spk
    return self.lif2(self.fc2(spk) + self.fc3(late))


def _scaled(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    return self.lif2(0.5 * self.fc2(2 * self.lif1(self.fc1(x))) - 0.1)


def _conv_concatenated(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one, two = self.lif1(self.c1(x)), self.lif2(self.c2(x))
    return self.lif3(self.fc(self.c3(torch.cat([one, two], 1)).flatten(1)))


def _resnet(self: Any, x: torch.Tensor, _: Any) -> torch.Tensor:
    one = self.lif1(self.b1(self.c1(x)))
    two = self.lif2(self.b2(self.c2(one)) + self.down(one))
    return self.lif3(self.fc(functional.adaptive_avg_pool2d(two, 1).flatten(1)))


def _norm2d() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(4)


def _conv(*layers: nn.Module, size: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, 5), _leaky())


class Branching(nn.Module):
    """Several inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.l1, self.l2 = nn.Linear(6, 8), nn.Linear(6, 8), _leaky(), _leaky(beta=0.5)

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
        self.a, self.b, self.lif = nn.Linear(6, 8), nn.Linear(8, 8), _leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.lif(self.b(self.lif(self.a(frame)))) for frame in x.unbind(1)])


class SharedWeights(nn.Module):
    """One Linear in two places, which is two connections."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.l1, self.l2, self.l3 = (
            nn.Linear(6, 8),
            nn.Linear(8, 8),
            _leaky(),
            _leaky(),
            _leaky(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = [self.l3(self.b(self.l2(self.b(self.l1(self.a(frame)))))) for frame in x.unbind(1)]
        return torch.stack(steps)


class Readout(nn.Module):
    """Ways to read out."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2 = nn.Linear(6, 8), _leaky(), nn.Linear(8, 4)
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
            _leaky(),
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
        self.conv, self.lif1, self.fc, self.lif2 = nn.Conv2d(2, 4, 3), _leaky(), nn.Linear(144, 5), _leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.conv(x)
        return torch.stack([self.lif2(self.fc(self.lif1(current).flatten(1))) for _ in range(9)])


class TwoInputs(nn.Module):
    """Two streams of spikes; the second is the first, backwards in channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.lif = nn.Linear(6, 8), nn.Linear(6, 8), _leaky()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.lif(self.a(frame) + self.b(frame.flip(1))) for frame in x.unbind(1)])


class OneLayer(nn.Module):
    """A layer whose states are handed on."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 8), layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = self.lif.reset_mem()
        state = state if isinstance(state, tuple) else (state,)
        out = []
        for frame in x.unbind(1):
            spk, *state = self.lif(self.fc(frame), *state)
            out.append(spk)
        return torch.stack(out, 1)


LAYERS: list[tuple[str, Any]] = [
    ("Leaky", partial(snn.Leaky, beta=_each(0.1, 0.95), threshold=_each(0.5, 1.2))),
    (
        "Synaptic",
        partial(snn.Synaptic, alpha=_each(0.8, 0.2), beta=_each(0.1, 0.95), threshold=_each(0.5, 1.2)),
    ),
]
RECURRENT: list[tuple[str, Any]] = [
    ("RLeaky", partial(snn.RLeaky, beta=0.8, threshold=0.7, linear_features=8)),
    ("RLeaky, all_to_all=False", partial(snn.RLeaky, beta=0.8, V=_each(-0.5, 0.5), all_to_all=False)),
    ("RSynaptic", partial(snn.RSynaptic, alpha=0.5, beta=0.8, threshold=0.7, linear_features=8)),
]
IMAGE = (3, 8, 2, 8, 8)
CASES: list[Case] = [
    Case(
        NAME,
        "own module, loop in forward, dropout",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9), dropout=True),
    ),
    Case(
        NAME,
        "time first",
        lambda: Loop(lambda s, x, _: s.lif(s.fc(x)), time=0, fc=nn.Linear(6, 8), lif=_leaky()),
        lies="tb",
    ),
    Case(NAME, "values enter", lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)), graded=True),
    Case(NAME, "single precision", lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)), double=False),
    *(
        Case(
            NAME,
            f"{name}, reset_mechanism='{how}', reset_delay={delay}",
            lambda make=make, how=how, delay=delay: OneLayer(make(reset_mechanism=how, reset_delay=delay)),
        )
        for name, make in LAYERS
        for how in ("subtract", "zero", "none")
        for delay in (True, False)
    ),
    *(
        Case(
            NAME,
            f"{name}, reset_mechanism='{how}', reset_delay={delay}",
            lambda make=make, how=how, delay=delay: Recurrent(make(reset_mechanism=how, reset_delay=delay)),
            refused="its own step fails" if "RSyn" in name and not delay else "",
        )
        for name, make in RECURRENT
        for how in ("subtract", "zero", "none")
        for delay in (True, False)
    ),
    Case(
        NAME,
        "Leaky, learnt beta and threshold",
        lambda: TwoLayers(
            snn.Leaky(beta=0.7, learn_beta=True, learn_threshold=True), snn.Leaky(beta=_each(0.3, 0.9, 4))
        ),
    ),
    Case(
        NAME,
        "RLeaky in maps, conv2d_channels",
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            snn.RLeaky(beta=0.7, conv2d_channels=4, kernel_size=3, init_hidden=True),
        ),
        IMAGE,
    ),
    Case(NAME, "recurrence by hand", ByHand),
    Case(NAME, "recurrence by hand, one to one", lambda: ByHand(one_to_one=True)),
    Case(
        NAME,
        "Sequential, init_hidden",
        lambda: _hidden(nn.Linear(6, 8), _leaky(), nn.Dropout(), nn.Linear(8, 4), _leaky(output=True)),
    ),
    Case(
        NAME,
        "nested Sequential",
        lambda: _hidden(
            _hidden(nn.Linear(6, 8), _leaky()), _hidden(nn.Identity(), nn.Linear(8, 4), _leaky())
        ),
    ),
    Case(NAME, "residual of spikes", lambda: Loop(_residual, **_parts())),
    Case(NAME, "residual of currents", lambda: Loop(_residual_current, **_parts())),
    Case(
        NAME,
        "concatenation",
        lambda: Loop(_concatenated, **{**_parts(), "fc2": nn.Linear(6, 8), "fc3": nn.Linear(22, 8)}),
    ),
    Case(
        NAME,
        "concatenated maps",
        lambda: Loop(
            _conv_concatenated,
            c1=nn.Conv2d(2, 3, 3, padding=1),
            c2=nn.Conv2d(2, 2, 1),
            lif1=_leaky(),
            lif2=_leaky(),
            c3=nn.Conv2d(5, 3, 3),
            fc=nn.Linear(108, 5),
            lif3=_leaky(),
        ),
        IMAGE,
    ),
    Case(NAME, "spikes of the step before", lambda: Loop(_skipping, **_parts())),
    Case(NAME, "factors and constants", lambda: Loop(_scaled, **_parts())),
    Case(
        NAME,
        "residual block with norms",
        lambda: Loop(
            _resnet,
            c1=nn.Conv2d(2, 4, 3, padding=1),
            b1=_norm2d(),
            c2=nn.Conv2d(4, 4, 3, padding=1, stride=2),
            b2=_norm2d(),
            down=nn.Conv2d(4, 4, 1, stride=2),
            lif1=_leaky(),
            lif2=_leaky(),
            fc=nn.Linear(4, 5),
            lif3=_leaky(),
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, BatchNorm2d, MaxPool2d behind neurons",
        lambda: _conv(nn.Conv2d(2, 4, 3, padding=1), _norm2d(), _leaky(), nn.MaxPool2d(2), size=64),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, AvgPool2d before neurons",
        lambda: _conv(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), _leaky(), size=36),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, MaxPool2d before neurons",
        lambda: _conv(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), _leaky(), size=36),
        IMAGE,
        refused="takes the largest of what is not spikes",
    ),
    Case(
        NAME,
        "Conv2d, padding='same', groups, dilation",
        lambda: _conv(
            nn.Conv2d(2, 4, 3, padding="same", groups=2, dilation=2),
            _leaky(),
            nn.Conv2d(4, 4, 3, stride=2, groups=4),
            _leaky(),
            size=36,
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, padding='same' with an even kernel",
        lambda: _conv(nn.Conv2d(2, 4, 2, padding="same"), _leaky(), size=256),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv1d, BatchNorm1d, AvgPool1d",
        lambda: _conv(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), _leaky(), nn.AvgPool1d(2), size=20),
        (3, 8, 2, 10),
    ),
    Case(
        NAME,
        "Conv1d, MaxPool1d behind neurons",
        lambda: _conv(nn.Conv1d(2, 4, 3, padding=1, dilation=1), _leaky(), nn.MaxPool1d(2), size=20),
        (3, 8, 2, 10),
    ),
    Case(
        NAME,
        "Linear, BatchNorm1d",
        lambda: _hidden(nn.Linear(6, 8), nn.BatchNorm1d(8), _leaky(), nn.Linear(8, 4), _leaky()),
    ),
    Case(
        NAME,
        "BatchNorm2d of the input",
        lambda: _conv(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3), _leaky(), size=144),
        IMAGE,
    ),
    Case(
        NAME,
        "AdaptiveAvgPool2d",
        lambda: _conv(nn.Conv2d(2, 4, 3, padding=1), _leaky(), nn.AdaptiveAvgPool2d((2, 2)), size=16),
        IMAGE,
    ),
    Case(
        NAME,
        "AvgPool2d, padding and ceil_mode",
        lambda: _conv(
            nn.Conv2d(2, 4, 3, padding=1), _leaky(), nn.AvgPool2d(3, 2, 1, ceil_mode=True), size=100
        ),
        IMAGE,
        quiet=True,
    ),
    Case(
        NAME,
        "ConvTranspose2d",
        lambda: _conv(
            nn.Conv2d(2, 4, 3, stride=2),
            _leaky(),
            nn.ConvTranspose2d(4, 2, 2, stride=2),
            _leaky(beta=0.5, threshold=0.3),
            size=72,
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Upsample",
        lambda: _conv(
            nn.Conv2d(2, 4, 3, stride=2),
            _leaky(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4, 2, 3),
            _leaky(),
            size=32,
        ),
        IMAGE,
    ),
    Case(NAME, "one picture at every step", Static, (3, 2, 8, 8), graded=True, lies="b"),
    Case(NAME, "several outputs", Branching),
    Case(NAME, "several inputs", TwoInputs),
    Case(NAME, "weights in two places", SharedWeights),
    Case(NAME, "neurons in two places", Shared, refused="neurons that stand in several places share"),
    *(
        Case(NAME, f"read-out: {how}", lambda how=how: Readout(how), quiet=True)
        for how in (
            "last potential",
            "mean potential",
            "max potential",
            "softmax of potentials",
            "mean current",
            "sum of spikes by hand",
            "Linear behind the mean of spikes",
        )
    ),
    Case(NAME, "branch on data", lambda: Bad("branch on data"), refused="looks at values of the data"),
    Case(NAME, "LayerNorm", lambda: Bad("layer norm"), refused="layer_norm"),
    Case(NAME, "attention", lambda: Bad("attention"), refused="scaled_dot_product_attention"),
    Case(NAME, "ReLU", lambda: Bad("relu"), refused="relu"),
    Case(
        NAME,
        "a factor that changes with the step",
        lambda: Bad("another step"),
        refused="is not computed as in step",
    ),
    Case(NAME, "random numbers", lambda: Bad("random"), refused="draws random numbers"),
    Case(NAME, "reset by hand", lambda: Bad("reset by hand"), refused="something else than it returned"),
    Case(
        NAME,
        "potential that another layer reads",
        lambda: Bad("potential read"),
        refused="the potential of 'lif' is read by another module",
    ),
    Case(
        NAME,
        "half precision",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)).half(),
        refused="compile `module.float()`",
        double=False,
    ),
    Case(
        NAME,
        "DataParallel",
        lambda: nn.DataParallel(TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9))),
        refused="compile what it wraps",
    ),
    Case(
        NAME,
        "another number of channels",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)),
        (4, 12, 7),
        refused="does not run on the example",
    ),
    Case(
        NAME,
        "inhibition=True",
        lambda: _hidden(nn.Linear(6, 8), _leaky(inhibition=True)),
        refused="inhibition=True",
    ),
    Case(
        NAME,
        "Alpha",
        lambda: _hidden(nn.Linear(6, 8), snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)),
        refused="two synaptic currents",
    ),
    Case(NAME, "SLSTM", lambda: _hidden(snn.SLSTM(6, 8, init_hidden=True)), refused="its gates multiply"),
    Case(
        NAME,
        "Lapicque",
        lambda: _hidden(nn.Linear(6, 8), snn.Lapicque(beta=0.9, init_hidden=True)),
        refused="use Leaky",
    ),
]

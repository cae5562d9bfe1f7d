"""Modules of Norse's neurons."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial
from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from torch import nn

from tests.frameworks.module_cases import Case

NAME = "norse"
IMAGE = (3, 8, 2, 8, 8)
FAST = LIFParameters(v_th=torch.as_tensor(0.3))
OTHER = LIFParameters(
    v_th=torch.as_tensor(0.3),
    v_leak=torch.as_tensor(-0.1),
    v_reset=torch.as_tensor(-0.2),
    tau_mem_inv=torch.as_tensor(300.0),
    tau_syn_inv=torch.as_tensor(150.0),
)
EACH = LIFParameters(v_th=torch.linspace(0.2, 0.5, 8), tau_mem_inv=torch.linspace(50.0, 400.0, 8))


class Loop(nn.Module):
    """A loop over the steps, states handed on."""

    def __init__(self, hidden: nn.Module, last: nn.Module, *, dropout: bool = False) -> None:
        super().__init__()
        self.fc1, self.one, self.drop = nn.Linear(6, 8), hidden, nn.Dropout(0.5 if dropout else 0)
        self.fc2, self.two = nn.Linear(8, 4), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = second = None
        out = []
        for frame in x:
            spikes, first = self.one(self.fc1(frame), first)
            result, second = self.two(self.fc2(self.drop(spikes)), second)
            out.append(result)
        return torch.stack(out)


class Lifted(nn.Module):
    """All steps in one call of each layer."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.layers = norse.SequentialState(*parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)[0]


class MaxOfPotentials(nn.Module):
    """The read-out of its tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif, self.fc2, self.li = (
            nn.Linear(6, 8),
            norse.LIFCell(FAST),
            nn.Linear(8, 4),
            norse.LICell(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = two = None
        rows = []
        for frame in x:
            spikes, one = self.lif(self.fc1(frame), one)
            v, two = self.li(self.fc2(spikes), two)
            rows.append(v)
        return torch.log_softmax(torch.max(torch.stack(rows), 0).values, dim=1)


def _lif(p: LIFParameters = FAST) -> Any:
    return norse.LIFCell(p)


def _image(*parts: nn.Module, size: int) -> nn.Module:
    return norse.SequentialState(*parts, nn.Flatten(1), nn.Linear(size, 5), norse.LIFCell(FAST))


class Recurrent(nn.Module):
    """Cells that hold their weights."""

    def __init__(self, *, autapses: bool) -> None:
        super().__init__()
        self.one = norse.LIFRecurrentCell(6, 8, p=FAST, autapses=autapses)
        self.fc, self.two = nn.Linear(8, 4), norse.LIFCell(FAST)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = second = None
        out = []
        for frame in x:
            spikes, first = self.one(frame, first)
            result, second = self.two(self.fc(spikes), second)
            out.append(result)
        return torch.stack(out)


CASES: list[Case] = [
    *(
        Case(
            NAME,
            f"LIFCell, {title}, loop in forward",
            lambda p=p: Loop(norse.LIFCell(p), norse.LIFCell(FAST)),
            lies="tb",
        )
        for title, p in (
            ("defaults but v_th", FAST),
            ("v_leak, v_reset", OTHER),
            ("one value per neuron", EACH),
        )
    ),
    Case(NAME, "Dropout", lambda: Loop(_lif(), _lif(), dropout=True), lies="tb"),
    Case(NAME, "IAFCell", lambda: Loop(norse.IAFCell(), norse.IAFCell()), lies="tb", double=True),
    Case(
        NAME,
        "LIFBoxCell",
        lambda: Loop(
            norse.LIFBoxCell(LIFBoxParameters(v_th=torch.as_tensor(0.2))),
            norse.LIFBoxCell(LIFBoxParameters(v_th=torch.as_tensor(0.1))),
        ),
        lies="tb",
    ),
    Case(
        NAME,
        "LIFBoxCell, reset_subtract",
        lambda: Loop(
            norse.LIFBoxCell(LIFBoxParameters(v_th=torch.as_tensor(0.2), reset_method=reset_subtract)),
            norse.LIFBoxCell(LIFBoxParameters(v_th=torch.as_tensor(0.1))),
        ),
        lies="tb",
    ),
    Case(NAME, "LICell as read-out", lambda: Loop(_lif(), norse.LICell()), lies="tb"),
    Case(NAME, "LIBoxCell as read-out", lambda: Loop(_lif(), norse.LIBoxCell()), lies="tb"),
    Case(NAME, "maximum of potentials, log_softmax", MaxOfPotentials, lies="tb"),
    Case(
        NAME,
        "SequentialState, a step at a time",
        lambda: norse.SequentialState(nn.Linear(6, 8), _lif(), nn.Linear(8, 4), _lif()),
        strength=12,
    ),
    Case(
        NAME,
        "LIF, all steps",
        lambda: Lifted(nn.Linear(6, 8), norse.LIF(FAST), nn.Linear(8, 4), norse.LIF(FAST)),
        lies="tb",
    ),
    Case(
        NAME,
        "IAF, all steps",
        lambda: Lifted(nn.Linear(6, 8), norse.IAF(), nn.Linear(8, 4), norse.LI()),
        lies="tb",
        double=True,
    ),
    Case(
        NAME,
        "Lift of convolutions",
        lambda: Lifted(
            norse.Lift(nn.Conv2d(2, 4, 3)), norse.LIF(FAST), nn.Flatten(2), nn.Linear(144, 5), norse.LI()
        ),
        IMAGE,
        lies="tb",
    ),
    Case(
        NAME,
        "Conv2d, BatchNorm2d, AvgPool2d",
        lambda: _image(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), _lif(), nn.AvgPool2d(2), size=36),
        IMAGE,
    ),
    Case(
        NAME, "Conv2d, MaxPool2d", lambda: _image(nn.Conv2d(2, 4, 3), _lif(), nn.MaxPool2d(2), size=36), IMAGE
    ),
    Case(
        NAME,
        "LSNN",
        lambda: norse.SequentialState(nn.Linear(6, 8), norse.LSNNCell()),
        refused="only LIF, LIFRecurrent",
    ),
    Case(
        NAME,
        "LIFAdExCell",
        lambda: norse.SequentialState(nn.Linear(6, 8), norse.LIFAdExCell()),
        refused="only LIF, LIFRecurrent",
    ),
    Case(NAME, "LIFRecurrentCell", partial(Recurrent, autapses=False), lies="tb"),
    Case(NAME, "LIFRecurrentCell, autapses", partial(Recurrent, autapses=True), lies="tb"),
    Case(
        NAME,
        "LIFRecurrent, all steps",
        lambda: Lifted(norse.LIFRecurrent(6, 8, p=FAST), nn.Linear(8, 4), norse.LIF(FAST)),
        lies="tb",
    ),
    Case(
        NAME,
        "RecurrentSequential",
        lambda: norse.RecurrentSequential(nn.Linear(6, 6), norse.LIFCell(FAST)),
        strength=6,
    ),
]

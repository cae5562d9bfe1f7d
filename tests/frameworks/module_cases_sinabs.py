"""Modules of sinabs's neurons."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial
from typing import Any

import sinabs.activation as act
import sinabs.layers as sl
import torch
from sinabs.from_torch import from_model
from torch import nn

from tests.frameworks.module_cases import Case

NAME = "sinabs"
IMAGE = (3, 8, 2, 8, 8)


def _net(make: Any) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), make(), nn.Linear(8, 4), make())


class Squeezed(nn.Module):
    """Layers that take samples and steps in one axis."""

    def __init__(self, steps: int, *, merge: bool = False) -> None:
        super().__init__()
        make = partial(sl.LIFSqueeze, tau_mem=5.0, num_timesteps=steps, norm_input=False)
        self.conv, self.one, self.pool, self.flat = (
            nn.Conv2d(2, 4, 3, padding=1),
            make(),
            sl.SumPool2d(2),
            nn.Flatten(),
        )
        self.fc, self.two, self.merge, self.skip = nn.Linear(64, 5), make(), merge, nn.Conv2d(4, 4, 1)
        self.steps, self.adder, self.three = steps, sl.Merge(), make()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = x.shape[:2]
        spikes = self.one(self.conv(x.flatten(0, 1)))
        if self.merge:
            spikes = self.adder(spikes, self.three(self.skip(spikes)))
        return self.two(self.fc(self.flat(self.pool(spikes)))).unflatten(0, shape)


class Repeats(nn.Module):
    """Layers of PyTorch inside of Repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            sl.Repeat(nn.Conv2d(2, 4, 3)),
            sl.IAF(),
            sl.Repeat(nn.AvgPool2d(2)),
            nn.Flatten(2),
            nn.Linear(36, 5),
            sl.IAF(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).sum(1)


def _converted() -> nn.Module:
    """A classifier of ReLU, converted; its neurons have a floor at -1."""
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 5), nn.ReLU()
    )
    return from_model(layers, input_shape=(2, 8, 8), batch_size=1, min_v_mem=-100.0).spiking_model


SINGLE: dict[str, Any] = {"spike_fn": act.SingleSpike}
CASES: list[Case] = [
    *(
        Case(
            NAME,
            f"{title}, {how}",
            lambda make=make, options=options: _net(partial(make, **options)),
            strength=8 if "True" in title else 2.5,
        )
        for title, make in (
            ("IAF", sl.IAF),
            ("LIF", partial(sl.LIF, tau_mem=5.0, norm_input=False)),
            ("LIF, norm_input=True", partial(sl.LIF, tau_mem=1.5)),
            ("LIF, tau_syn", partial(sl.LIF, tau_mem=5.0, tau_syn=2.0, norm_input=False)),
            ("LIF, train_alphas", partial(sl.LIF, tau_mem=5.0, train_alphas=True, norm_input=False)),
        )
        for how, options in (
            ("MultiSpike, MembraneSubtract", {}),
            ("SingleSpike, MembraneSubtract", SINGLE),
            ("SingleSpike, MembraneReset", {**SINGLE, "reset_fn": act.MembraneReset()}),
            ("MaxSpike(2), MembraneSubtract", {"spike_fn": act.MaxSpike(2)}),
            ("SingleSpike, MembraneSubtract(0.5)", {**SINGLE, "reset_fn": act.MembraneSubtract(0.5)}),
        )
    ),
    Case(
        NAME,
        "LIFRecurrent",
        lambda: nn.Sequential(
            nn.Linear(6, 8),
            sl.LIFRecurrent(tau_mem=5.0, rec_connect=nn.Linear(8, 8, bias=False), norm_input=False, **SINGLE),
        ),
        strength=1.5,
    ),
    Case(
        NAME,
        "IAFRecurrent",
        lambda: nn.Sequential(
            nn.Linear(6, 8),
            sl.IAFRecurrent(rec_connect=nn.Sequential(nn.Flatten(), nn.Linear(8, 8, bias=False)), **SINGLE),
        ),
        strength=1.5,
    ),
    Case(
        NAME,
        "ExpLeak as read-out",
        lambda: nn.Sequential(nn.Linear(6, 8), sl.IAF(), nn.Linear(8, 4), sl.ExpLeak(tau_mem=5.0)),
    ),
    Case(NAME, "LIFSqueeze, SumPool2d", lambda: Squeezed(8), IMAGE),
    Case(NAME, "Merge", lambda: Squeezed(8, merge=True), IMAGE),
    Case(NAME, "Repeat, mean over steps", Repeats, IMAGE),
    Case(NAME, "from_model", _converted, IMAGE),
    Case(
        NAME,
        "LIF with a floor that is reached",
        lambda: _net(partial(sl.LIF, tau_mem=5.0, min_v_mem=-0.1, norm_input=False)),
        refused="not what the framework computed",
    ),
    Case(
        NAME,
        "LIFRecurrent with a bias",
        lambda: nn.Sequential(
            nn.Linear(6, 8), sl.LIFRecurrent(tau_mem=5.0, rec_connect=nn.Linear(8, 8), **SINGLE)
        ),
        refused="from the second step on",
    ),
    Case(
        NAME,
        "ALIF",
        lambda: nn.Sequential(nn.Linear(6, 8), sl.ALIF(tau_mem=5.0, tau_adapt=5.0)),
        refused="only LIF, IAF and",
    ),
    Case(
        NAME,
        "MembraneReset(0.2)",
        lambda: _net(partial(sl.IAF, spike_fn=act.SingleSpike, reset_fn=act.MembraneReset(0.2))),
        refused="adds a reset_value",
    ),
    Case(
        NAME,
        "MultiSpike, MembraneReset",
        lambda: _net(partial(sl.IAF, reset_fn=act.MembraneReset())),
        refused="several spikes a step with MembraneReset",
    ),
]

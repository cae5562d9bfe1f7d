"""Modules of the frameworks that are compiled as they are: each is equal, or refused with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.arrays import Array
from toolchain.execution.stimulus import Stimulus
from toolchain.frontends.modules import recorded
from toolchain.workflow.import_check import check_graph


@dataclass(frozen=True)
class Case:
    """A module and an example.

    Attributes:
        framework: The framework of its neurons.
        construct: What it shows.
        make: Makes the module.
        shape: Shape of the example, `[batch, time, ...]` unless `lies` says otherwise.
        refused: A part of the message, where it is refused.
        double: Whether it runs in double precision, where rounding flips no spike.
        graded: Whether values enter, not spikes.
        lies: Order of the axes of the example: `bt`, `tb` or `b` for one picture.
        quiet: Whether some of its neurons are not meant to fire.
        strength: Factor of the weights.
    """

    framework: str
    construct: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (4, 12, 6)
    refused: str = ""
    double: bool = False
    graded: bool = False
    lies: str = "bt"
    quiet: bool = False
    strength: float = 2.5

    def example(self) -> Array:
        """Return samples."""
        x = np.random.default_rng(3).random(self.shape)
        spikes = x if self.graded else (x < 0.4).astype(np.float64)
        return np.moveaxis(spikes, 0, 1) if self.lies == "tb" else spikes

    def result(self) -> str:
        """Return `equal`, or `silent` if nothing fires; else the first difference, or why it is refused.

        What is equal are all spikes, and what the module returns.
        """
        torch.manual_seed(1)
        module = self.make()
        strengthen(module, self.strength)
        if self.double:
            module = module.double()
        x = {"example": self.example()}
        try:
            record = recorded(module, x)
        except Exception as error:  # noqa: BLE001 - any error is a result here
            return f"{type(error).__name__}: {error}"
        if self.lies != "b" and (record.steps, record.layout.time) != (self.shape[1], int(self.lies == "bt")):
            return f"{record.steps} steps, {record.layout}"
        stimulus = Stimulus(record.arranged(x))
        check = check_graph(
            record.imported.graph,
            record.outputs,
            stimulus,
            record.imported.rests,
            partly=True,
            results=record.results,
        )
        if not check.equal:
            said = check.sentences()
            return said[0] if check.first is not None else f"{said[0]}; {said[-1]}"
        fired = [values.mean() for key, values in record.outputs.items() if key.endswith(".spikes")]
        return "silent" if fired and (max if self.quiet else min)(fired) == 0 else "equal"


def strengthen(module: nn.Module, factor: float) -> None:
    """Make weights so large that neurons fire again and again."""
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.Linear | nn.Conv1d | nn.Conv2d):
                child.weight *= factor
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                assert child.running_mean is not None
                assert child.running_var is not None
                child.running_mean.uniform_(-0.2, 0.2)
                child.running_var.uniform_(0.5, 2)
                child.weight.uniform_(0.5, 2)
                child.bias.uniform_(-0.2, 0.4)


class Loop(nn.Module):
    """A loop over the steps around a function of one step."""

    def __init__(self, step: Callable[..., Any], time: int = 1, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._step, self._time = step, time

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: dict[str, Any] = {}
        return torch.stack([self._step(self, frame, state) for frame in x.unbind(self._time)])

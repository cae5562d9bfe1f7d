"""The update of a population as the compiled loops take it: a row of their table, and rows of numbers."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.models.loops.neurons import (
    ADAPTATION,
    AMOUNT,
    BIAS,
    COLUMNS,
    KEEP_RISE,
    KEEP_U,
    KEEP_V,
    KEEPS,
    KIND,
    MOST,
    NUMBERS,
    REFRACTORY,
    REMEMBERS,
    RULED,
    SURROGATE,
    VTH,
)
from toolchain.models.loops.ruled_neurons import (
    AT_ONCE,
    FORGETS,
    IN_PARTS,
    NOWHERE,
    SATURATES,
    TRUNCATES,
    UNIT,
    WIDE,
)
from toolchain.models.surrogate_loops import in_loops
from toolchain.reset import Reset
from toolchain.training.neuron_update import NeuronUpdate

Numbers = NDArray[Any]
_ROWS: Final = {
    KEEP_U: "keep_u",
    KEEP_V: "keep_v",
    VTH: "threshold",
    AMOUNT: "reset_amount",
    KEEP_RISE: "keep_rise",
    ADAPTATION: "adaptation",
    REFRACTORY: "refractory",
}


def row_of(neurons: NeuronUpdate, kind: torch.dtype) -> Numbers:
    """Return what the table of layers says of a population, without its place; see `ruled_neurons`.

    Args:
        neurons: Its update.
        kind: Type of the numbers of the loops.
    """
    row = np.zeros(COLUMNS, np.int64)
    single = kind is torch.float32
    row[[KIND, UNIT]] = RULED, int(neurons.unit)
    row[REMEMBERS] = neurons.refractory is not None or neurons.adaptation is not None
    row[[KEEPS, MOST]] = neurons.reset in {Reset.SUBTRACT, Reset.NONE}, neurons.max_spikes
    row[TRUNCATES] = (IN_PARTS if single else AT_ONCE) if neurons.truncates else NOWHERE
    row[[FORGETS, SATURATES, WIDE]] = neurons.forgets, neurons.saturates, neurons.wide
    row[SURROGATE], _ = in_loops(neurons.surrogate, neurons.slope)
    return row


def slope_of(neurons: NeuronUpdate) -> float:
    """Return the sharpness of the surrogate as the loops take it."""
    return in_loops(neurons.surrogate, neurons.slope)[1]


def numbers_of(neurons: NeuronUpdate, bias: Tensor) -> Numbers:
    """Return the numbers of all neurons of a population, `[8, N]`, in the order of its features.

    Args:
        neurons: Its update.
        bias: Its biases, flat.
    """
    numbers = np.zeros((NUMBERS, bias.numel()), bias.detach().numpy().dtype)
    numbers[BIAS] = bias.detach().numpy()
    for row, name in _ROWS.items():
        values: Tensor | None = getattr(neurons, name)
        if values is not None:
            numbers[row] = values.reshape(-1).numpy()
    return numbers

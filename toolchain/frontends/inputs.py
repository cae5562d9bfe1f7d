"""What enters a network: its code, and its node in the graph."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.ir import EdgeKind
from toolchain.models.input_code import InputCode


def code_for(example: NDArray[Any] | None) -> InputCode | None:
    """Return a code that fits an example; None for spikes (only 0 and 1) and without an example."""
    if example is None or np.isin(example, (0, 1)).all():
        return None
    return InputCode.up_to(float(np.abs(example).max()))


def input_node(name: str, shape: tuple[int, ...], code: InputCode | None) -> ir.Input:
    """Return the node at which spikes enter, or real values with their code."""
    if code is None:
        return ir.Input(name=name, shape=shape)
    return ir.Input(name=name, shape=shape, edge=EdgeKind.GRADED, scale=code.scale, bits=code.bits)

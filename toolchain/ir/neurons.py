"""Neuron populations of the float graph."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain.ir.node import Node
from toolchain.ir.types import EdgeKind, Origin, ValueType, frozen, size_of


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Lif(Node):
    r"""A population of current-based leaky integrate-and-fire neurons, each with its own parameters.

    .. math::
        u_t = (1 - d_u)\, u_{t-1} + a_t, \qquad v_t = (1 - d_v)\, v_{t-1} + u_t + b

        s_t = [v_t > \theta], \qquad v_t \leftarrow 0 \text{ where } s_t

    Here :math:`a` is the sum of the currents that it reads. `du = 1` means that the current is not filtered,
    `dv = 0` that the potential does not leak. A read-out population never fires: its threshold is infinite.

    Attributes:
        du: Decay of the current per step, 0 .. 1, `[N]` or `[C, H, W]`.
        dv: Decay of the potential per step, 0 .. 1, of the same shape as all others.
        vth: Thresholds; infinite for a read-out neuron.
        bias: Constant that is added to `v` in every step.
        origin: Module and indices of the neurons in the user's model.
    """

    kind: ClassVar[str] = "lif"

    du: NDArray[np.float64]
    dv: NDArray[np.float64]
    vth: NDArray[np.float64]
    bias: NDArray[np.float64]
    origin: Origin

    def __post_init__(self) -> None:
        for name in ("du", "dv", "vth", "bias"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of the population's shape."""
        shape = self.vth.shape
        check_population(self, shape, operands, self.origin)
        for name in ("du", "dv", "bias"):
            values = getattr(self, name)
            if values.shape != shape:
                raise self.fail(f"{name} has shape {values.shape}, but vth has {shape}")
            self.check_reals(name, values)
        for name in ("du", "dv"):
            values = getattr(self, name)
            if values.size and not (values.min() >= 0 and values.max() <= 1):
                raise self.fail(f"{name} must lie in 0 .. 1, got {values.min()} .. {values.max()}")
        if np.isnan(self.vth).any() or (self.vth <= 0).any():
            raise self.fail("expected thresholds > 0 (infinite for a read-out)")
        finite = self.vth[np.isfinite(self.vth)]
        self.check_reals("vth", finite)
        self.check_reals("1 / vth", 1 / np.maximum(finite, np.finfo(np.float64).tiny))
        return ValueType(shape, EdgeKind.SPIKE)


def check_population(
    node: Node, shape: tuple[int, ...], operands: tuple[ValueType, ...], origin: Origin
) -> None:
    """Raise unless a population reads currents of its shape, and `origin` names every neuron."""
    if not operands:
        raise node.fail("a population needs at least one incoming connection")
    for operand in operands:
        if operand.kind is not EdgeKind.CURRENT:
            raise node.fail(f"expected currents, got {operand}; put a connection in between")
        if operand.shape != shape:
            raise node.fail(f"has shape {shape}, but its input has {operand.shape}")
    if origin.elements.size != size_of(shape):
        raise node.fail(f"origin names {origin.elements.size} neurons, expected {size_of(shape)}")

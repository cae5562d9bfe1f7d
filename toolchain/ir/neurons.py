"""Neuron populations of the float graph."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain.ir.firing import Neurons
from toolchain.ir.types import Origin, ValueType
from toolchain.reset import Reset


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Lif(Neurons):
    r"""A population of current-based leaky integrate-and-fire neurons, each with its own parameters.

    .. math::
        u_t = (1 - d_u)\, u_{t-1} + a_t, \qquad v_t = (1 - d_v)\, v_{t-1} + u_t + b

        s_t = [v_t > \theta + h_t], \qquad v_t \leftarrow reset(v_t) \text{ where } s_t, \qquad
        h_{t+1} = (1 - d_h)\, h_t + k\, s_t

    Here :math:`a` is the sum of the currents that it reads. `du = 1` means that the current is not filtered,
    `dv = 0` that the potential does not leak. A read-out population never fires: its threshold is infinite.
    For the steps of its refractory period a neuron keeps its potential and sends nothing, while its current
    goes on. What adaptation adds to the threshold, :math:`h`, is 0 at rest.

    A population with `max_spikes` above 1 sends counts, a graded message:
    :math:`s_t = \lfloor (v_t - \theta - h_t) / r \rfloor + 1` above the threshold, or one less where the
    potential is not above it any more once so many amounts :math:`r` less one are taken away. All spikes of
    a step are subtracted, and raise the threshold.

    Attributes:
        du: Decay of the current per step, 0 .. 1, `[N]` or `[C, H, W]`.
        dv: Decay of the potential per step, 0 .. 1, of the same shape as all others.
        vth: Thresholds; infinite for a read-out neuron.
        bias: Constant that is added to `v` in every step.
        origin: Module and indices of the neurons in the user's model.
        reset: Effect of a spike on the potential.
        reset_amount: Potential that a spike sets, or that it takes away; None if the reset needs no number.
        refractory: Steps after a spike for which a neuron is refractory, 0 .. 4095; None for none.
        adaptation: Amount `k` by which a spike raises the threshold of the next step; None for none.
        adaptation_decay: Decay of what was added to the threshold, per step, above 0 and at most 1; None
            without adaptation.
        max_spikes: Most spikes that a neuron sends in one step, 1 .. 255.
    """

    kind: ClassVar[str] = "lif"
    required: ClassVar[tuple[str, ...]] = ("du", "dv", "vth", "bias")

    du: NDArray[np.float64]
    dv: NDArray[np.float64]
    vth: NDArray[np.float64]
    bias: NDArray[np.float64]
    origin: Origin
    reset: Reset = Reset.ZERO
    reset_amount: NDArray[np.float64] | None = None
    refractory: NDArray[np.int32] | None = None
    adaptation: NDArray[np.float64] | None = None
    adaptation_decay: NDArray[np.float64] | None = None
    max_spikes: int = 1

    def __post_init__(self) -> None:
        self.freeze(vth=np.float64, refractory=np.int32)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of the population's shape, or counts if a neuron may send several in a step."""
        self.check_population(operands)
        for name, values in self.per_neuron.items():
            if name != "vth":
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
        decay = self.adaptation_decay
        if decay is not None and decay.size and not (decay.min() > 0 and decay.max() <= 1):
            raise self.fail(
                f"adaptation_decay must lie above 0 and at most at 1, got {decay.min()} .. {decay.max()}; "
                "with 0 the threshold would rise without end"
            )
        return self.sent

"""A LIF population with one parameter per neuron that works only inside its sample windows.

Below the threshold the dynamics are Lava's own: the models derive from its abstract fixed-point and float LIF
models. Lava's LIF only resets to zero, so what a spike does is ours: a method for each rule.
"""

# pyright: reportAssignmentType=false, reportCallIssue=false, reportArgumentType=false
# Lava declares an attribute by assigning a LavaPyType where the builder later puts the value.
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import AbstractPyLifModelFixed, AbstractPyLifModelFloat
from numpy.typing import NDArray

from ... import integers, reals
from ...firing import Firing
from ...windows import SampleWindows, WindowedModel


class WindowedLif(AbstractProcess):
    """Leaky integrate-and-fire neurons for many samples in one run.

    Sample `k` occupies the steps `offset + k * period ...` for `steps` steps. Outside these
    windows input is read and thrown away, the neurons are at rest and no spike is sent, so that
    neither bias nor anything in flight reaches the next sample.

    Args:
        du: Current decay, `[N]`.
        dv: Potential decay, `[N]`.
        vth: Threshold, `[N]`.
        bias_mant: Bias mantissa (or the bias itself, in floating point), `[N]`.
        bias_exp: Bias exponent, `[N]`.
        firing: What a spike does.
        windows: When the samples of the simulation begin and end.
        offset: Step of Lava at which it does step 0 of the first sample.
        records: Paths of `.npy` files `[samples, steps, N]` for `spikes`, `v`, `u`.
        name: Name of the process, for messages.
    """

    def __init__(
        self,
        *,
        du: NDArray[Any],
        dv: NDArray[Any],
        vth: NDArray[Any],
        bias_mant: NDArray[Any],
        bias_exp: NDArray[Any],
        firing: Firing,
        windows: SampleWindows,
        offset: int,
        records: dict[str, str],
        name: str,
    ) -> None:
        super().__init__(firing=firing, windows=windows, offset=offset, records=records, name=name)
        shape = vth.shape
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.waiting = Var(shape=shape, init=0)
        self.rise = Var(shape=shape, init=0)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.vth = Var(shape=shape, init=vth)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


class _WindowedLifModel(WindowedModel):
    """Takes its input summed from its connections."""

    a_in: Any
    s_out: Any

    subthr_dynamics: Any
    """Lava's: it advances the current and the potential."""

    def run_spk(self) -> None:
        """Advance inside a window; rest outside."""
        a = self.a_in.recv()
        position = self.enter_step()
        if position is None:
            self.s_out.send(np.zeros(self.u.shape, dtype=bool))
            return
        spikes = self.advance(a)
        self.record(*position, spikes)
        self.s_out.send(spikes)

    @property
    def firing(self) -> Firing:
        """What a spike does."""
        return self.proc_params["firing"]

    def advance(self, a: NDArray[Any]) -> NDArray[Any]:
        """Do one step: Lava's dynamics, then what a spike does."""
        before = self.state._replace(v=self.v.copy())
        self.subthr_dynamics(activation_in=a)
        self.v[:] = self.firing.held(self.v, before)
        spikes = self.spiking_activation()
        self.reset_voltage(spikes)
        self.raise_threshold(spikes)
        self.begin_refractory(spikes)
        return spikes

    def spiking_activation(self) -> NDArray[Any]:
        """Return the spikes of neurons that are strictly above their threshold and not refractory."""
        raise TypeError("a windowed population must say when it spikes")

    def reset_voltage(self, spike_vector: NDArray[Any]) -> None:
        """Set the potential to zero or to a value, take an amount from it, or leave it."""
        self.v[:] = self.firing.reset_potential(self.v, spike_vector)

    def raise_threshold(self, spike_vector: NDArray[Any]) -> None:
        """Raise the threshold of the next step, and let what was added decay."""
        del spike_vector
        raise TypeError("a windowed population must say how its thresholds rise")

    def begin_refractory(self, spike_vector: NDArray[Any]) -> None:
        """Make neurons that spiked refractory, and count down those that are."""
        self.waiting[:] = self.firing.next_wait(self.state, spike_vector)


@implements(proc=WindowedLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedWindowedLifModel(_WindowedLifModel, AbstractPyLifModelFixed):
    """Integer dynamics of Lava's bit-accurate LIF."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    u = LavaPyType(np.ndarray, np.int32, precision=24)
    v = LavaPyType(np.ndarray, np.int32, precision=24)
    waiting = LavaPyType(np.ndarray, np.int32)
    rise = LavaPyType(np.ndarray, np.int32, precision=24)
    du = LavaPyType(np.ndarray, np.int32, precision=12)
    dv = LavaPyType(np.ndarray, np.int32, precision=12)
    vth = LavaPyType(np.ndarray, np.int32, precision=17)
    bias_mant = LavaPyType(np.ndarray, np.int32, precision=13)
    bias_exp = LavaPyType(np.ndarray, np.int32, precision=3)

    def advance(self, a: NDArray[Any]) -> NDArray[Any]:
        """Do one step of the fixed-point dynamics."""
        if not self.isthrscaled:
            self.scale_bias()
            self.scale_threshold()
        return super().advance(a)

    def scale_threshold(self) -> None:
        """Align the threshold with the potential, as Lava's own model does."""
        self.effective_vth = np.left_shift(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> NDArray[Any]:
        """Return spikes, or how many."""
        return integers.fire(self.firing, self.v, self.effective_vth, self.state)

    def raise_threshold(self, spike_vector: NDArray[Any]) -> None:
        """Raise thresholds in units of the potential; they saturate as it does."""
        self.rise[:] = integers.next_rise(self.firing, self.state, spike_vector)


@implements(proc=WindowedLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatWindowedLifModel(_WindowedLifModel, AbstractPyLifModelFloat):
    """Real-valued dynamics of Lava's floating-point LIF."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_in = LavaPyType(PyInPort.VEC_DENSE, float)
    u = LavaPyType(np.ndarray, float)
    v = LavaPyType(np.ndarray, float)
    waiting = LavaPyType(np.ndarray, np.int32)
    rise = LavaPyType(np.ndarray, float)
    du = LavaPyType(np.ndarray, float)
    dv = LavaPyType(np.ndarray, float)
    vth = LavaPyType(np.ndarray, float)
    bias_mant = LavaPyType(np.ndarray, float)
    bias_exp = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> NDArray[Any]:
        """Return spikes, or how many."""
        return reals.fire(self.firing, self.v, self.vth, self.state)

    def raise_threshold(self, spike_vector: NDArray[Any]) -> None:
        """Raise thresholds."""
        self.rise[:] = reals.next_rise(self.firing, self.state, spike_vector)

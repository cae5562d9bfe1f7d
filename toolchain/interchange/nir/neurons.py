"""From NIR's neurons to populations: an equation, a convention, and what becomes of both in a step."""

from dataclasses import dataclass, field
from typing import Final, final

import nir
import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.conventions import Convention, Drive, Rest
from toolchain.interchange.nir.parameters import numbers
from toolchain.ir.currents import spread
from toolchain.reset import Reset

Neuron = nir.LIF | nir.CubaLIF | nir.IF | nir.LI | nir.CubaLI | nir.I | nir.Threshold
NEURONS: Final = (nir.LIF, nir.CubaLIF, nir.IF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)
SILENT: Final = (nir.LI, nir.CubaLI, nir.I)
"""Neurons that never fire: read-outs."""
_ROUNDING: Final = 1e-6
"""Far more than single precision loses, far less than anybody means."""
_LONG: Final = 1000.0
"""Steps per time constant that are worth a word: few networks are run that long."""


@final
@dataclass(frozen=True)
class Dynamics:
    """What `Lif` needs, for every neuron of a shape.

    Attributes:
        du: Share of the current that a step loses.
        dv: Share of the potential that a step loses.
        gain: Factor of the incoming weights.
        bias: What is added to the potential every step.
        vth: Threshold over the resting potential.
        rest: Potential that is zero here: where potentials begin and return to.
        notes: Sentences for the user.
    """

    du: Floats
    dv: Floats
    gain: Floats
    bias: Floats
    vth: Floats
    rest: Floats
    notes: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether the neurons never fire."""
        return bool(np.isinf(self.vth).all())


def dynamics(name: str, node: Neuron, shape: tuple[int, ...], convention: Convention) -> Dynamics:
    r"""Return one step of a NIR neuron.

    With `d_s`, `d_m` the shares that a step loses,

    .. math::
        u_t = (1 - d_s) u_{t-1} + g_s x_t, \qquad v_t = (1 - d_m) v_{t-1} + g_m u_t + d_m v_{leak}

    which is `Lif` with incoming weights times `g_s g_m`, and everything measured from where potentials begin.

    Raises:
        FrontendError: A time constant is shorter than a step or too long for the convention, a spike
            subtracts, or potentials begin elsewhere than a spike sets them to.
    """
    reader = _Parameters(name, node, shape)
    ones, zeros = np.ones(shape), np.zeros(shape)
    leak = reader.get("v_leak") if hasattr(node, "v_leak") else zeros
    match node:
        case nir.CubaLIF() | nir.CubaLI():
            du, dv = reader.decay("tau_syn", convention), reader.decay("tau_mem", convention)
            gain = reader.get("w_in") * convention.gain(reader.get("tau_syn"), convention.synapse)
            gain = gain * reader.get("r") * convention.gain(reader.get("tau_mem"), convention.membrane)
        case nir.LIF() | nir.LI():
            du, dv = ones, reader.decay("tau", convention)
            r = np.ones(shape) if convention.ignores_r else reader.get("r")
            gain = r * convention.gain(reader.get("tau"), convention.membrane)
        case nir.IF() | nir.I():
            du, dv = ones, zeros
            step = convention.dt if convention.integrator is Drive.INTEGRATED else 1.0
            gain = reader.get("r") * step
        case nir.Threshold():
            du, dv, gain = ones, ones, ones
    vth, reset = _firing(name, node, reader, convention)
    start = {Rest.ZERO: zeros, Rest.RESET: reset, Rest.LEAK: leak}[convention.rest]
    if isinstance(node, SILENT) and convention.rest is Rest.RESET:
        start = leak
    if not isinstance(node, (*SILENT, nir.Threshold)) and (start != reset).any():
        raise FrontendError(
            f"node '{name}' begins at {start[start != reset][0]:g} but is reset to "
            f"{reset[start != reset][0]:g}; only neurons that begin where a spike sets them can be converted"
        )
    above = vth - start
    if (above <= 0).any():
        raise FrontendError(
            f"node '{name}' has a threshold of {vth[above <= 0][0]:g}, expected more than its resting "
            f"potential of {start[above <= 0][0]:g}"
        )
    if convention.fires_at_threshold:
        above = np.where(np.isfinite(above), np.nextafter(above, -np.inf), above)
    # A resistance that undoes the decay does so but for rounding.
    gain = np.where(np.abs(gain - 1) < _ROUNDING, 1.0, gain)
    return Dynamics(du, dv, gain, dv * (leak - start), above, start, tuple(reader.notes))


def _firing(name: str, node: Neuron, reader: "_Parameters", convention: Convention) -> tuple[Floats, Floats]:
    """Return threshold and reset potential."""
    if isinstance(node, SILENT):
        return np.full(reader.shape, np.inf), np.zeros(reader.shape)
    if isinstance(node, nir.Threshold):
        return reader.get("threshold"), np.zeros(reader.shape)
    if convention.reset is Reset.SUBTRACT:
        raise FrontendError(
            f"node '{name}': {convention.name} subtracts the threshold at a spike, which nothing on the chip "
            "does; train with a reset to a value"
        )
    return reader.get("v_threshold"), reader.get("v_reset")


@final
@dataclass(frozen=True)
class _Parameters:
    """The parameters of a node, one for every neuron."""

    name: str
    node: Neuron
    shape: tuple[int, ...]
    notes: list[str] = field(default_factory=list)

    def get(self, parameter: str) -> Floats:
        values = numbers(self.name, parameter, getattr(self.node, parameter))
        return np.array(spread(values, self.shape, self.name))

    def decay(self, parameter: str, convention: Convention) -> Floats:
        tau = self.get(parameter)
        decays = convention.decays(tau)
        wrong = ~((tau > 0) & (decays > 0) & (decays <= 1))
        if wrong.any():
            raise FrontendError(
                f"node '{self.name}' has {parameter} = {tau[wrong][0]:g} s, expected at least one step of "
                f"{convention.dt:g} s",
                "state the `convention` of the file, or the length of its step as `dt`",
            )
        steps = float((tau / convention.dt).max())
        if steps >= convention.longest:
            raise FrontendError(
                f"node '{self.name}' has {parameter} = {tau.max():g}, which is {steps:,.0f} steps under the "
                f"convention '{convention.name}': the file hardly means that",
                f"take `convention={convention.otherwise}` and the dt of its cells as `dt`, or "
                f"`dt={convention.dt:g}` if it does",
            )
        if steps >= _LONG:
            self.notes.append(
                f"'{self.name}' has a {parameter} of {steps:,.0f} steps and hardly forgets; make sure that "
                "`convention` and `dt` are those of the file"
            )
        return decays

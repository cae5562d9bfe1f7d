"""From NIR's neurons to populations: an equation, a convention, and what becomes of both in a step."""

from dataclasses import dataclass, field
from typing import Final, final

import nir
import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.interchange.nir.conventions import Convention, Drive, Rest
from toolchain.interchange.nir.parameters import numbers
from toolchain.interchange.nir.resets import NirReset, StatedReset
from toolchain.ir.currents import spread
from toolchain.reset import MOST_SPIKES, Reset

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
class AfterSpike:
    """What a spike does to its neuron.

    Attributes:
        reset: Effect on the potential.
        amount: Potential that a spike sets or takes away; None if the reset needs no number.
        refractory: Steps after a spike in which a neuron is refractory; None for none.
        most: Most spikes in one step.
        later: What a spike takes from the potential one step later, beside the reset; None for nothing.
        threshold_again: Threshold that counts twice after a step that left the potential above it; None where
            it always counts once.
        stated: Who says so; None for neurons without a reset.
    """

    reset: Reset = Reset.ZERO
    amount: Floats | None = None
    refractory: NDArray[np.int32] | None = None
    most: int = 1
    later: Floats | None = None
    threshold_again: Floats | None = None
    stated: StatedReset | None = None


@final
@dataclass(frozen=True)
class Dynamics:
    """What `Lif` needs, for every neuron of a shape.

    Attributes:
        du: Share of the current that a step loses.
        dv: Share of the potential that a step loses.
        gain: Factor of the incoming weights.
        bias: What is added to the potential every step.
        vth: Threshold over the potential at the beginning.
        rest: Potential that is zero here: where potentials begin.
        firing: What a spike does.
        late: Whether spikes leave one step after the threshold was passed.
        notes: Sentences for the user.
    """

    du: Floats
    dv: Floats
    gain: Floats
    bias: Floats
    vth: Floats
    rest: Floats
    firing: AfterSpike = field(default_factory=AfterSpike)
    late: bool = False
    notes: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether the neurons never fire."""
        return bool(np.isinf(self.vth).all())


def dynamics(
    name: str,
    node: Neuron,
    shape: tuple[int, ...],
    convention: Convention,
    *,
    recurrent: bool = False,
    membrane: bool = False,
) -> Dynamics:
    r"""Return one step of a NIR neuron.

    With `d_s`, `d_m` the shares that a step loses,

    .. math::
        u_t = (1 - d_s) u_{t-1} + g_s x_t, \qquad v_t = (1 - d_m) v_{t-1} + g_m u_t + d_m v_{leak}

    which is `Lif` with incoming weights times `g_s g_m`, and everything measured from where potentials begin.

    Args:
        name: Name of the node.
        node: The node.
        shape: Shape of its neurons.
        convention: What a step is.
        recurrent: Whether its spikes come back to it through no other neurons.
        membrane: Whether it is read as a membrane, which never fires.

    Raises:
        FrontendError: A time constant is shorter than a step or too long for the convention, nobody says what
            a spike does, or potentials begin at the threshold.
    """
    reader = _Parameters(name, node, shape)
    fires = not isinstance(node, SILENT)
    zeros = np.zeros(shape)
    leak = reader.get("v_leak") if hasattr(node, "v_leak") else zeros
    du, dv, gain = _filters(node, reader, convention)
    v_reset = reader.get("v_reset") if hasattr(node, "v_reset") else zeros
    begins_at_reset = v_reset if fires else leak
    start = {Rest.ZERO: zeros, Rest.RESET: begins_at_reset, Rest.LEAK: leak}[convention.rest]
    vth = reader.get("threshold" if isinstance(node, nir.Threshold) else "v_threshold") if fires else None
    firing = AfterSpike()
    if vth is not None and not membrane and not isinstance(node, nir.Threshold):
        stated = _stated(name, node, v_reset, convention)
        lossy = recurrent or isinstance(node, nir.CubaLIF)
        firing = after_a_spike(name, stated, vth, v_reset, start=start, dv=dv, lossy=lossy)
    above = np.full(shape, np.inf) if membrane or vth is None else _above(name, vth, start, convention)
    # A resistance that undoes the decay does so but for rounding.
    gain = np.where(np.abs(gain - 1) < _ROUNDING, 1.0, gain)
    return Dynamics(
        du=du,
        dv=dv,
        gain=gain,
        bias=dv * (leak - start),
        vth=above,
        rest=start,
        firing=firing,
        late=convention.sends_late and fires and not membrane,
        notes=tuple(reader.notes),
    )


def _filters(node: Neuron, reader: "_Parameters", convention: Convention) -> tuple[Floats, Floats, Floats]:
    """Return the shares of current and potential that a step loses, and the factor of what comes in."""
    ones, zeros = np.ones(reader.shape), np.zeros(reader.shape)
    without_r = convention.fires_without_r and not isinstance(node, SILENT)
    match node:
        case nir.CubaLIF() | nir.CubaLI():
            du, dv = reader.decay("tau_syn", convention), reader.decay("tau_mem", convention)
            gain = reader.get("w_in") * convention.gain(reader.get("tau_syn"), convention.synapse)
            if not without_r:
                gain = gain * reader.get("r") * convention.gain(reader.get("tau_mem"), convention.membrane)
            return du, dv, gain
        case nir.LIF() | nir.LI():
            dv = reader.decay("tau", convention)
            r = ones if convention.ignores_r else reader.get("r")
            gain = ones if without_r else r * convention.gain(reader.get("tau"), convention.membrane)
            return ones, dv, gain
        case nir.IF() | nir.I():
            step = convention.dt if convention.integrator is Drive.INTEGRATED else 1.0
            return ones, zeros, reader.get("r") * step
        case nir.Threshold():
            return ones, ones, ones


def _above(name: str, vth: Floats, start: Floats, convention: Convention) -> Floats:
    """Return thresholds over the potentials at the beginning."""
    above = vth - start
    if (above <= 0).any():
        raise FrontendError(
            f"node '{name}' has a threshold of {vth[above <= 0][0]:g}, expected more than its resting "
            f"potential of {start[above <= 0][0]:g}"
        )
    if convention.fires_at_threshold:
        above = np.where(np.isfinite(above), np.nextafter(above, -np.inf), above)
    return above


def _stated(name: str, node: Neuron, v_reset: Floats, convention: Convention) -> StatedReset:
    """Return what a spike does, as the file says it, or its framework, or the user.

    Raises:
        FrontendError: None of them does; says which resets there are.
    """
    if v_reset.any():
        return StatedReset(NirReset.VALUE, "the file has a v_reset")
    if convention.reset is None or type(node).__name__ in convention.unknown:
        raise FrontendError(
            f"node '{name}' fires, and files of {convention.name} do not say what a spike does to the "
            "potential",
            f"state it as `reset`: {convention.choices()}",
        )
    return convention.reset


def after_a_spike(
    name: str,
    stated: StatedReset,
    vth: Floats,
    v_reset: Floats,
    *,
    start: Floats,
    dv: Floats,
    lossy: bool,
    most: int = MOST_SPIKES,
) -> AfterSpike:
    """Return a reset in the terms of `Lif`.

    A threshold that leaves one step later, after the decay, is `vth / (1 - dv)` that leaves at once; where a
    step forgets the potential, it has to come back as a current.

    Args:
        name: Name of the node.
        stated: What a spike does.
        vth: Thresholds of the file.
        v_reset: Reset potentials of the file.
        start: Where potentials begin.
        dv: Share of the potential that a step loses.
        lossy: Whether a late reset to zero loses the input of its step: not that of snnTorch's Leaky.
        most: Most spikes of a step, where a neuron sends several.
    """
    if stated.kind.subtracts and (vth <= 0).any():
        raise FrontendError(
            f"node '{name}' has a threshold of {vth.min():g}, which a spike would add to the potential",
            "state another `reset`",
        )
    match stated.kind:
        case NirReset.SUBTRACT:
            return AfterSpike(Reset.SUBTRACT, vth, stated=stated)
        case NirReset.SNNTORCH:
            return AfterSpike(Reset.SUBTRACT, vth, threshold_again=vth, stated=stated)
        case NirReset.SEVERAL:
            return AfterSpike(Reset.SUBTRACT, vth, most=most, stated=stated)
        case NirReset.LATE_SUBTRACT:
            stays = 1 - dv
            amount = np.divide(vth, stays, out=np.zeros_like(vth), where=stays > 0)
            later = np.where(stays > 0, 0.0, vth)
            return AfterSpike(Reset.SUBTRACT, amount, later=later if later.any() else None, stated=stated)
        case NirReset.NONE:
            return AfterSpike(Reset.NONE, stated=stated)
        case NirReset.VALUE | NirReset.LATE_ZERO:
            late = stated.kind is NirReset.LATE_ZERO
            target = v_reset if stated.value is None and not late else np.full_like(vth, stated.value or 0.0)
            refractory = np.ones(vth.shape, np.int32) if late and lossy else None
            amount = target - start
            if amount.any():
                return AfterSpike(Reset.VALUE, amount, refractory, stated=stated)
            return AfterSpike(refractory=refractory, stated=stated)


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
                f'take `convention="{convention.otherwise}"` and the dt of its cells as `dt`, or '
                f"`dt={convention.dt:g}` if it does",
            )
        if steps >= _LONG:
            self.notes.append(
                f"'{self.name}' has a {parameter} of {steps:,.0f} steps and hardly forgets; make sure that "
                "`convention` and `dt` are those of the file"
            )
        return decays

"""What a step is in the framework that wrote a NIR file, or that will read one.

NIR says differential equations. How long a step is, how an equation becomes a step, and what happens at the
threshold is the framework's own, and the file rarely says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import UnknownNameError
from toolchain.intake import real_of
from toolchain.interchange.nir.resets import NirReset, StatedReset, stated_reset
from toolchain.options import LONGEST_MS, SHORTEST_MS

NIR: Final = "nir"
"""The convention of the equations themselves."""
PRODUCER: Final = "pumice"
"""Written into our files, which are meant as their reader means them."""


_SHORTEST_DT: Final = SHORTEST_MS / 1000
"""Of a step in a file whose unit is the second; the longest is in milliseconds, the other unit in use."""
_FORGOTTEN: Final = 1000.0
"""Steps per time constant after which nothing is left of a state, to the last bit."""
_ROUNDING: Final = 1e-6
"""More than single precision loses, less than anybody means."""


class Decay(Enum):
    """How much of a state a step of `dt` loses."""

    EULER = "dt / tau"
    EXPONENTIAL = "1 - exp(-dt / tau)"


class Drive(Enum):
    """What a unit of input adds to a state in one step."""

    INTEGRATED = "gain times the decay"
    """As the equation says: `r dt / tau`, and `r dt` where nothing leaks."""
    EULER = "gain times dt / tau"
    """As the equation says by Euler's method, whatever the state loses."""
    ADDED = "gain"
    """The input as it is, times `r` or `w_in`."""
    KEPT = "gain times what the state keeps"
    """The input decays with the rest of the state in the step in which it comes."""


class Rest(Enum):
    """Where a potential begins."""

    ZERO = "zero"
    RESET = "v_reset"
    LEAK = "v_leak"


@final
@dataclass(frozen=True, kw_only=True)
class Convention:
    """One framework's meaning of a NIR file.

    Attributes:
        name: Name by which a user asks for it.
        dt: Length of a step, in the file's unit of time.
        step_ms: Length of a step in milliseconds for reports, where the file's unit is another; else None.
        decay: How much of a state a step loses.
        synapse: What input adds to the current of CubaLIF and CubaLI.
        membrane: What the current adds to a potential that leaks.
        integrator: What input adds to a potential that does not leak.
        reset: What a spike does to the potential; None where the file cannot say it.
        resets: Words for a reset, each with what the framework calls it, its default first.
        unknown: Types of neurons that versions of the framework reset in different ways.
        fires_at_threshold: Whether a potential equal to the threshold fires.
        rest: Where potentials begin.
        ignores_r: Whether the resistance of LIF and LI counts as 1, whatever the file says.
        fires_without_r: Whether that of neurons that fire does, CubaLIF included.
        sends_late: Whether a spike leaves its neuron one step after the threshold was passed.
        floor: Limit at which the framework stops potentials by default, which no file says and nothing here
            does; None where it has no such limit.
        longest: Steps per time constant beyond which a file is none of this convention, because it has its
            numbers in another unit.
        otherwise: The convention that such a file is likely to have been written in.
        note: What the file cannot say.
    """

    name: str
    dt: float = 1e-4
    step_ms: float | None = None
    decay: Decay = Decay.EULER
    synapse: Drive = Drive.INTEGRATED
    membrane: Drive = Drive.INTEGRATED
    integrator: Drive = Drive.INTEGRATED
    reset: StatedReset | None = None
    resets: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    fires_at_threshold: bool = False
    rest: Rest = Rest.ZERO
    ignores_r: bool = False
    fires_without_r: bool = False
    sends_late: bool = False
    floor: float | None = None
    longest: float = np.inf
    otherwise: str = ""
    note: str = ""

    def decays(self, tau: Floats) -> Floats:
        """Return the share of a state that is lost in a step; outside 0 .. 1 the step is too long."""
        with np.errstate(divide="ignore", over="ignore"):
            ratio = self.dt / tau
            if self.decay is Decay.EXPONENTIAL:
                return -np.expm1(-ratio)
            # A time constant of one step is that in single precision, too.
            return np.where((ratio > 1) & (ratio < 1 + _ROUNDING), 1.0, ratio)

    def taus(self, decays: Floats) -> Floats:
        """Return the time constants of decays; infinite for 0.

        No time constant makes an exponential forget all of a state, but a very small one does in floating
        point.
        """
        with np.errstate(divide="ignore"):
            if self.decay is Decay.EULER:
                return self.dt / decays
            return self.dt / np.minimum(-np.log1p(-decays), _FORGOTTEN)

    def gain(self, tau: Floats, drive: Drive) -> Floats:
        """Return what a unit of input, before its resistance or weight, adds to a state in a step."""
        match drive:
            case Drive.INTEGRATED:
                return self.decays(tau)
            case Drive.EULER:
                return self.dt / tau
            case Drive.ADDED:
                return np.ones_like(tau)
            case Drive.KEPT:
                return 1 - self.decays(tau)

    def _step(self) -> str:
        if self.step_ms is None:
            return f"{self.dt:g} s"
        return f"{self.dt:g} in the file's unit of time, taken as {self.step_ms:g} ms"

    def sentence(self) -> str:
        """Return the convention in words."""
        equal = "at or above" if self.fires_at_threshold else "above"
        return (
            f"{self.name}: a step is {self._step()}, a state loses {self.decay.value}, a neuron fires "
            f"{equal} its threshold" + (f". {self.note}" if self.note else "")
        )

    def choices(self) -> str:
        """Return the words for a reset, each with what the framework calls it."""
        return "; ".join(f"{word} for {meaning}" for word, meaning in self.resets)


_SINABS: Final = (
    ("subtract-several", "MultiSpike and MembraneSubtract, its default"),
    ("subtract", "SingleSpike and MembraneSubtract"),
    ("zero", "SingleSpike and MembraneReset"),
)
_NORSE: Final = (
    ("zero", "v_reset=0, its default"),
    ("a number", "any other v_reset, which its files leave out"),
)

CONVENTIONS: Final[Mapping[str, Convention]] = {
    item.name: item
    for item in (
        Convention(
            name=NIR,
            reset=StatedReset(NirReset.VALUE, "NIR's own equations"),
            note="Euler's method",
        ),
        Convention(
            name="snntorch",
            integrator=Drive.ADDED,
            resets=(
                (
                    "subtract-delayed",
                    "reset_mechanism='subtract', its default, with the default reset_delay=True",
                ),
                ("subtract-snntorch", "reset_delay=False, which takes a second population"),
                (
                    "subtract",
                    "reset_delay=False where a spike never leaves the potential above the threshold",
                ),
                ("zero", "reset_mechanism='zero' with reset_delay=False"),
                ("zero-delayed", "reset_mechanism='zero' with the default reset_delay=True"),
                ("none", "reset_mechanism='none'"),
            ),
        ),
        Convention(
            name="norse",
            dt=1e-6,
            step_ms=1.0,
            synapse=Drive.ADDED,
            integrator=Drive.ADDED,
            resets=_NORSE,
            rest=Rest.LEAK,
            longest=1000.0,
            otherwise="norse-seconds",
            note="Norse 1.1 writes dt * tau where NIR has tau, so a step of 1 ms stands in the file as 1e-6, "
            "and its current jumps by the input",
        ),
        Convention(
            name="norse-seconds",
            dt=1e-3,
            synapse=Drive.ADDED,
            integrator=Drive.ADDED,
            resets=_NORSE,
            rest=Rest.LEAK,
            note="Norse before 1.1 and after it writes tau itself, in seconds, so a step is the dt of its "
            "cells, which the file does not say: 1 ms unless they were given another",
        ),
        Convention(
            name="sinabs",
            dt=1.0,
            step_ms=1.0,
            decay=Decay.EXPONENTIAL,
            membrane=Drive.ADDED,
            integrator=Drive.ADDED,
            resets=_SINABS,
            fires_at_threshold=True,
            floor=-1.0,
            note="The file does not say norm_input, tau_syn and min_v_mem: it is right for norm_input=False "
            "and min_v_mem=None without tau_syn",
        ),
        Convention(
            name="sinabs-normalised",
            dt=1.0,
            step_ms=1.0,
            decay=Decay.EXPONENTIAL,
            integrator=Drive.ADDED,
            resets=_SINABS,
            fires_at_threshold=True,
            floor=-1.0,
            note="As sinabs, for layers with norm_input=True, the default of LIF. The file does not say "
            "tau_syn and min_v_mem: it is right for min_v_mem=None without tau_syn",
        ),
        Convention(
            name="spikingjelly",
            resets=(
                ("zero", "v_reset=0.0, its default"),
                ("subtract", "v_reset=None, which versions before 2.0 wrote as 0"),
            ),
            fires_at_threshold=True,
            rest=Rest.RESET,
        ),
        Convention(
            name="lava-dl",
            integrator=Drive.ADDED,
            reset=StatedReset(NirReset.VALUE, "every neuron of SLAYER that NIR has words for", 0.0),
            note="SLAYER rounds its states toward zero, to multiples of 1 / 4096; here they are not rounded",
        ),
        Convention(
            name="rockpool",
            dt=1e-3,
            decay=Decay.EXPONENTIAL,
            synapse=Drive.KEPT,
            membrane=Drive.EULER,
            reset=StatedReset(NirReset.SEVERAL, "every neuron of Rockpool that fires"),
            fires_at_threshold=True,
            fires_without_r=True,
            note="Rockpool's files leave out biases, recurrent weights and the step, 1 ms by default",
        ),
        Convention(
            name="spyx",
            dt=1.0,
            step_ms=1.0,
            synapse=Drive.ADDED,
            membrane=Drive.ADDED,
            integrator=Drive.ADDED,
            reset=StatedReset(NirReset.LATE_SUBTRACT, "LIF and IF of every version of Spyx"),
            resets=(("subtract", "CuBaLIF of Spyx 1.0, whose earlier versions subtracted otherwise"),),
            unknown=("CubaLIF",),
            ignores_r=True,
            fires_without_r=True,
            sends_late=True,
            note="Spyx sends a spike one step late; the r of its files is the share of the potential that "
            "stays, which it does not multiply by",
        ),
    )
}
"""How every framework's own exporter means its files."""

_TO_V_RESET: Final = StatedReset(NirReset.VALUE, "its importer")
_NORSE_READER: Final = Convention(
    name="norse", dt=1e-3, integrator=Drive.ADDED, reset=_TO_V_RESET, rest=Rest.LEAK, ignores_r=True
)
"""Its importer takes tau as it stands, and the current of CubaLIF is a leaky integrator of its own."""
_SINABS_READS: Final = (
    "sinabs's importer makes neurons that fire several times a step, subtract their thresholds and stop at "
    "min_v_mem: give them SingleSpike, MembraneReset and min_v_mem=None by hand"
)
READERS: Final[Mapping[str, Convention]] = {
    **{
        name: replace(item, reset=item.reset or _TO_V_RESET, resets=(), unknown=(), floor=None, note="")
        for name, item in CONVENTIONS.items()
    },
    **{
        name: replace(
            CONVENTIONS[name],
            reset=StatedReset(NirReset.SEVERAL, "its importer"),
            resets=(),
            floor=None,
            note=_SINABS_READS,
        )
        for name in ("sinabs", "sinabs-normalised")
    },
    "norse": _NORSE_READER,
    "norse-seconds": replace(_NORSE_READER, name="norse-seconds"),
}
"""How every framework's own importer means a file; the same unless said here. A note is for who exports."""


def convention(name: str, dt: float | None = None, reset: str | float | None = None) -> Convention:
    """Return a convention by name, with another step or a reset if they are given.

    Args:
        name: Its name.
        dt: Length of a step in the file's unit of time.
        reset: What a spike does to the potential; see `stated_reset`.

    Raises:
        UnknownNameError: Lists the names, or the resets.
        ArgumentError: The step is not a positive number within reason, or a reset potential is not finite.
    """
    chosen = _chosen(CONVENTIONS, name, dt)
    return chosen if reset is None else replace(chosen, reset=stated_reset(reset, "you said so"), unknown=())


def reader_convention(name: str, dt: float | None = None) -> Convention:
    """Return what the importer of a framework makes of a file, with another step if one is given."""
    return _chosen(READERS, name, dt)


def _chosen(known: Mapping[str, Convention], name: str, dt: float | None) -> Convention:
    if name not in known:
        raise UnknownNameError("convention", name, known)
    if dt is None:
        return known[name]
    step = real_of(dt, "dt", least=_SHORTEST_DT, most=LONGEST_MS)
    # Who states the step has judged the unit of the file.
    return replace(known[name], dt=step, longest=np.inf)

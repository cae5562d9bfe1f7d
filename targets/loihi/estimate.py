"""The cost of a step: events first, then time and energy under a stated set of coefficients."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from targets.loihi.encodings import DENSE, RUN_LENGTH, SHARED, SPARSE
from targets.loihi.placement import CorePlacement
from targets.loihi.profile import Costs
from toolchain.arrays import Floats
from toolchain.target.chip_fit import Estimate
from toolchain.target.profile_files import Sourced

_NANO: Final = 1e-9
_PICO: Final = 1e-12
_KIND: Final = {DENSE: "dense", SPARSE: "sparse", RUN_LENGTH: "sparse", SHARED: "shared"}
_FALLING_CONFIDENCE: Final = ("H", "M", "L", "INF")


@final
@dataclass(frozen=True, eq=False)
class Events:
    """Events of every core in a step, as means over a recorded run.

    Attributes:
        operations: Synaptic operations, by encoding.
        neurons: Updated neurons, which are all neurons of the core.
        spikes: Spikes of its neurons.
        sent: Messages that leave a core, one per link and core that a spike reaches, its own included.
        received: Messages that arrive, those from the host included.
        from_host: Messages from the host in all.
        hops: Routers passed along x and along y.
        heaviest: Spikes on the link that carries most.
        routers: Number of routers with cores that are used.
        chips: Number of chips in use.
    """

    operations: Mapping[str, Floats] = field(repr=False)
    neurons: Floats = field(repr=False)
    spikes: Floats = field(repr=False)
    sent: Floats = field(repr=False)
    received: Floats = field(repr=False)
    from_host: float
    hops: tuple[float, float]
    heaviest: float
    routers: int
    chips: int

    def totals(self) -> dict[str, float]:
        """Return the sums over all cores, and the amounts of the busiest core."""
        operations = np.sum([*self.operations.values()], axis=0) if self.operations else np.zeros(1)
        return {
            "synaptic operations": float(np.sum(operations)),
            "synaptic operations of the busiest core": float(np.max(operations)),
            "neuron updates": float(self.neurons.sum()),
            "neuron updates of the busiest core": float(self.neurons.max()),
            "spikes": float(self.spikes.sum()),
            "messages": float(self.sent.sum()),
            "messages from the host": self.from_host,
            "hops along x": self.hops[0],
            "hops along y": self.hops[1],
            "messages on the busiest link": self.heaviest,
        }


def estimate(costs: Costs, events: Events, link_rate: float | None) -> Estimate:
    r"""Return time and energy of a step.

    .. math::
        E = \sum_c \sum_k o_{ck} E_k + a_c (E_{active} + E_{spike}) + (n_c - a_c) E_{inactive} + m_c
            E_{message} + h_x E_x + h_y E_y

        T = \max\big( \max_c (n_c t_n + a_c (t_a + t_s) + m_c t_{out}),\;
                      \max_c (r_c t_{in} + \sum_k o_{ck} t_k),\; l / rate \big) + t_{barrier}

    with operations `o` by encoding `k`, neurons `n`, spikes `a`, messages sent `m` and received `r`, hops
    `h` and the load of the heaviest link `l`. Neurons that spike count as active. All are means over the run;
    a step with more spikes takes longer.
    """

    def time(name: str) -> float:
        return _value(getattr(costs, f"time_{name}"))

    neurons = events.neurons * time("neuron") + events.spikes * (time("neuron_active") + time("spike"))
    out_side = neurons + events.sent * time("message_out")
    in_side = events.received * time("message_in")
    for kind, visited in events.operations.items():
        in_side = in_side + visited * time(f"synapse_{_KIND[kind]}")
    link = 0.0 if link_rate is None else events.heaviest / link_rate / _NANO
    busiest = max(float(out_side.max()), float(in_side.max()), link)
    seconds = (busiest + _barrier(costs, events.routers)) * _NANO
    least, most = (power * events.chips * seconds for power in costs.static_power.value)
    return Estimate(
        costs.name,
        costs.label,
        _sources(costs),
        _least_sure(costs),
        seconds,
        _energy(costs, events),
        (least, most),
    )


def _energy(costs: Costs, events: Events) -> float | None:
    if not costs.has_energies:
        return None

    def energy(name: str) -> float:
        return _value(getattr(costs, f"energy_{name}"))

    spikes, silent = float(events.spikes.sum()), float((events.neurons - events.spikes).sum())
    total = spikes * (energy("neuron_active") + energy("spike")) + silent * energy("neuron_inactive")
    total += (float(events.sent.sum()) + events.from_host) * energy("message")
    total += events.hops[0] * energy("hop_x") + events.hops[1] * energy("hop_y")
    for kind, visited in events.operations.items():
        total += float(visited.sum()) * energy(f"synapse_{_KIND[kind]}")
    return total * _PICO


def _barrier(costs: Costs, routers: int) -> float:
    return float(np.interp(routers, costs.barrier_routers.value, costs.barrier_time.value))


def _value(coefficient: Sourced[float] | None) -> float:
    return 0.0 if coefficient is None else float(coefficient.value)


def _coefficients(costs: Costs) -> list[Sourced[object]]:
    values = (getattr(costs, name) for name in type(costs).model_fields)
    return [value for value in values if isinstance(value, Sourced)]


def _sources(costs: Costs) -> str:
    sources = {re.split("[,:;(]", value.source)[0].strip() for value in _coefficients(costs)}
    return ", ".join(sorted(sources))


def _least_sure(costs: Costs) -> str:
    return max((value.confidence.value for value in _coefficients(costs)), key=_FALLING_CONFIDENCE.index)


def events_of(
    operations: Mapping[str, Floats],
    neurons: Floats,
    spikes: Floats,
    messages: Floats,
    placement: CorePlacement,
) -> Events:
    """Return the events of placed cores.

    Args:
        operations: Synaptic operations of every core, by encoding.
        neurons: Number of neurons of every core.
        spikes: Spikes of every core.
        messages: Messages `[cores + 1, cores]`, the last row from the host.
        placement: Place of the cores.
    """
    links = placement.links()
    return Events(
        operations=operations,
        neurons=neurons,
        spikes=spikes,
        sent=messages[:-1].sum(axis=1),
        received=messages.sum(axis=0),
        from_host=float(messages[-1].sum()),
        hops=placement.hops,
        heaviest=max((link.messages for link in links), default=0.0),
        routers=len(np.unique(placement.routers, axis=0)),
        chips=int(placement.routers[:, 0].max()) // placement.mesh.columns.value + 1,
    )

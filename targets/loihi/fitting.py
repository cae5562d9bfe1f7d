"""From a fixed graph and a recorded run to the verdict of a chip."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import numpy as np

from targets.loihi.advice import advise, hints
from targets.loihi.cores import Chip, CoreLayout, neurons_by_layer
from targets.loihi.estimate import Events, estimate, events_of
from targets.loihi.memory import DECAY_PROFILES, THRESHOLD_PROFILES
from targets.loihi.network import chip_network
from targets.loihi.partition import lay_by_structure, lay_in_order
from targets.loihi.placement import CorePlacement, place_in_order, place_near
from targets.loihi.profile import ChipProfile, PoolMemory
from toolchain.arrays import Floats
from toolchain.errors import DoesNotFitError
from toolchain.execution.activity import Activity
from toolchain.ir import Graph
from toolchain.target.acceptance import check_graph
from toolchain.target.chip_fit import CoreLoad, Fit, LayerLoad, Packing

_COMFORTABLE: Final = 0.5


def fit_graph(profile: ChipProfile, graph: Graph, activity: Activity, chips: int = 1) -> Fit:
    """Spread a network over the cores of a chip and return what that takes.

    Args:
        profile: Limits and costs of the chip.
        graph: A fixed graph.
        activity: Events of its sources in a recorded run.
        chips: Number of chips that may be used.

    Raises:
        DoesNotFitError: A part of the network is too large for any core.
        LackingNeuronsError: The chip has no neurons that do what those of a population do.
        TargetError: The graph cannot be put on such a chip.
    """
    check_graph(graph, profile.capabilities())
    network = chip_network(graph, graded=profile.core.graded_spikes.value)
    chip = Chip(profile, network)
    rates = {name: activity.rates(name) for name in activity.events}
    in_order, shaped, refusal = None, None, None
    try:
        shaped = lay_by_structure(chip, rates)
    except DoesNotFitError as error:
        refusal = error
    with suppress(DoesNotFitError):
        in_order = lay_in_order(chip)
    if refusal is not None and in_order is None:
        raise refusal
    layouts = [layout for layout in (shaped, in_order) if layout is not None]
    placed = [(layout, _placed(layout, rates, near=True)) for layout in layouts]
    layout, placement = min(placed, key=lambda pair: (len(pair[0].cores), sum(pair[1].hops)))
    plain = None if in_order is None else _placed(in_order, rates, near=False)
    fit = _verdict(layout, placement, plain, activity, chips)
    return fit.advised(_advice(chip, fit))


def _placed(layout: CoreLayout, rates: Mapping[str, Floats], *, near: bool) -> CorePlacement:
    place = place_near if near else place_in_order
    return place(layout.chip.profile.mesh, layout.messages(dict(rates))[:-1])


def _verdict(
    layout: CoreLayout,
    placement: CorePlacement,
    plain: CorePlacement | None,
    activity: Activity,
    chips: int,
) -> Fit:
    """Return the verdict without advice."""
    chip, profile = layout.chip, layout.chip.profile
    mesh, usage = profile.mesh, layout.usage()
    rates = {name: activity.rates(name) for name in activity.events}
    operations = layout.operations(rates)
    events = _events(layout, placement, operations, rates)
    per_core = np.sum([*operations.values()], axis=0) if operations else np.zeros(len(layout.cores))
    cores = tuple(
        _core(layout, i, used, placement.where(i), float(per_core[i]), float(events.received[i]))
        for i, used in enumerate(usage)
    )
    rate = None if mesh.link_rate is None else mesh.link_rate.value
    return Fit(
        chip=profile.name,
        title=profile.title,
        chips=chips,
        chips_needed=-(-len(layout.cores) // mesh.cores_per_chip.value),
        cores_per_chip=mesh.cores_per_chip.value,
        mesh=(mesh.columns.value, mesh.rows.value, mesh.cores_per_router.value),
        limits=dict(chip.memory.limits),
        cores=cores,
        layers=tuple(_layer(layout, layer.name, usage) for layer in chip.network.layers),
        links=placement.links(),
        packing=_packing(placement),
        in_order=None if plain is None else _packing(plain),
        events=events.totals() | _host_writes(layout, activity),
        estimates=tuple(estimate(costs, events, rate) for costs in profile.costs),
        notes=_notes(layout, events),
        advice=(),
        steps=activity.steps,
    )


def _events(
    layout: CoreLayout,
    placement: CorePlacement,
    operations: Mapping[str, Floats],
    rates: dict[str, Floats],
) -> Events:
    neurons = np.array([sum(share.neurons.size for share in core) for core in layout.cores], np.float64)
    spikes = np.array(
        [
            sum(float(rates[share.neurons.layer][share.neurons.indices].sum()) for share in core)
            for core in layout.cores
        ]
    )
    return events_of(operations, neurons, spikes, layout.messages(rates), placement)


def _advice(chip: Chip, fit: Fit) -> tuple[str, ...]:
    """Return what would make the network fit; nothing if it fits with ease."""
    room = fit.chips * fit.cores_per_chip
    if not all(chip.legal_profiles(layer) for layer in chip.network.layers):
        few = "neurons have more distinct decays or thresholds than a core has profiles, so few share one"
        options = ", ".join(
            f"{name.replace(' ', '_')}={fit.limits[name].value:g}"
            for name in (DECAY_PROFILES, THRESHOLD_PROFILES)
        )
        return (f'{few}: compile with `{options}`, as `target="loihi1"` does for its own',)
    if fit.fits and len(fit.cores) <= max(1, room * _COMFORTABLE):
        return ()
    if fit.in_order is None:
        # Every trial would fail as this one did, after seconds.
        return hints(fit.binding[0])
    wanted = room if not fit.fits else len(fit.cores) - 1
    return advise(chip, len(fit.cores), fit.binding[0], wanted)


def _packing(placement: CorePlacement) -> Packing:
    between = placement.messages.sum() - np.trace(placement.messages)
    return Packing(len(placement.messages), float(between), sum(placement.hops))


def _core(
    layout: CoreLayout,
    index: int,
    used: dict[str, int],
    where: tuple[int, int, int],
    operations: float,
    messages: float,
) -> CoreLoad:
    neurons = neurons_by_layer(layout.cores[index])
    return CoreLoad(where[0], where[1:], neurons, used, operations, messages)


def _layer(layout: CoreLayout, name: str, usage: list[dict[str, int]]) -> LayerLoad:
    holders = layout.holders[name]
    encodings: dict[str, set[str]] = {}
    for _, share in holders:
        for block in share.blocks:
            encodings.setdefault(block.link, set()).add(block.encoding)
    limits = layout.chip.memory.limits
    loads = [(key, used / limits[key].value) for i, _ in holders for key, used in usage[i].items()]
    binding, load = max(loads, key=lambda pair: pair[1])
    return LayerLoad(
        name,
        sum(share.neurons.size for _, share in holders),
        len({i for i, _ in holders}),
        sum(share.words for _, share in holders),
        {link: ", ".join(sorted(kinds)) for link, kinds in encodings.items()},
        binding,
        load,
    )


def _host_writes(layout: CoreLayout, activity: Activity) -> dict[str, float]:
    """Return the biases that the host writes per step where it computes a connection."""
    hosted = layout.chip.network.hosted
    if not hosted:
        return {}
    still = activity.still >= set(layout.chip.network.inputs)
    return {"biases written by the host": sum(hosted.values()) / (activity.steps if still else 1)}


def _notes(layout: CoreLayout, events: Events) -> tuple[str, ...]:
    network, memory = layout.chip.network, layout.chip.profile.memory
    notes: list[str] = []
    if isinstance(memory, PoolMemory):
        notes.append(
            "the memory of this chip is inferred from what Intel's compiler printed for public networks, not "
            f"stated by Intel; {memory.head_room.value:.0%} are left free"
        )
    if network.hosted:
        names = ", ".join(f"'{name}'" for name in network.hosted)
        notes.append(
            f"this chip takes no graded input: the host computes {names} and writes the currents as biases, "
            "once per sample if the input does not change, otherwise every step"
        )
    notes += _notes_on_neurons(layout)
    if events.chips > 1:
        notes.append("times do not include the barrier between chips, which took 14 us or more on Loihi 1")
    notes.append(
        "times are of the mean step; time and energy of the host, its link and the embedded processors are "
        "not included"
    )
    return tuple(notes)


def _notes_on_neurons(layout: CoreLayout) -> list[str]:
    """Return what has to be known of neurons that do more than reset to zero."""
    layers, neurons = layout.chip.network.layers, layout.chip.profile.neurons
    notes: list[str] = []
    beyond = [f"'{layer.name}' ({', '.join(layer.beyond)})" for layer in layers if layer.beyond]
    if beyond and neurons is not None and neurons.programs.value:
        notes.append(
            f"a neuron program of their own is needed for {', '.join(beyond)}: Lava's LIF only resets to "
            "zero; what such a program takes is not public, here it is a LIF with parameters per neuron"
        )
    counts = ", ".join(f"'{layer.name}'" for layer in layers if layer.counts)
    if counts:
        notes.append(f"a message of {counts} carries how many spikes there were, and counts once")
    return notes

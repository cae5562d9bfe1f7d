"""Assignment of neurons to cores: in order, and by a hypergraph partitioner."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import mtkahypar
import numpy as np
from scipy.sparse import csc_array

from targets.loihi.cores import Caps, Chip, Core, CoreLayout, respects_caps
from targets.loihi.memory import INPUT_AXONS, MEMORY_WORDS, NEURONS, OUTPUT_AXONS, SYNAPTIC_WORDS, CoreShare
from targets.loihi.network import ChipLayer, MatrixLink
from targets.loihi.tiling import Rates, divided, fill, tile_image, tile_in_order
from toolchain.arrays import Ints
from toolchain.errors import DoesNotFitError

_ROUNDS: Final = 60
_MOST_CORES: Final = 4096
"""Number of cores that a mesh of Loihi 1 can address (Davies et al. 2018); larger packings are given up."""
_ATTEMPTS: Final = 2
_WORTHWHILE: Final = 0.97
_IMBALANCE: Final = 0.03
_WHOLE: Final = 10_000
"""Weight of a neuron that would fill a core, and of a source that spikes at every step."""
_PINS: Final = 300_000
"""Number of synapses that the partitioner sees, those of the busiest sources: some ten seconds of work."""
_SEED: Final = 1


def lay_in_order(chip: Chip) -> CoreLayout:
    """Return one layer after another, neurons in their own order, every core filled before the next.

    Raises:
        DoesNotFitError: A part of the network is too large for any core.
    """

    def build(caps: Caps) -> list[Core]:
        cores: list[Core] = []
        sharing = chip.profile.core.layers_share_cores.value
        for layer in chip.network.layers:
            begun = cores.pop() if cores and sharing else ()
            if layer.is_image:
                boxes = tile_in_order(chip, layer, caps.get(layer.name, layer.size))
                added = _stacked(chip, [(box,) for box in boxes], caps, begun)
            else:
                added = fill(chip, [layer], np.arange(layer.size), caps, begun)
            unchanged = [begun] if begun and added[0][: len(begun)] != begun else []
            cores += unchanged + added
        return cores

    return _lay_until_axons_fit(chip, build)


def lay_by_structure(chip: Chip, rates: Rates) -> CoreLayout:
    """Return the layers cut where few spikes cross.

    Feature maps are cut into boxes. The neurons of other layers are gathered by a hypergraph partitioner
    (Mt-KaHyPar): every source is a net over the neurons that it reaches, weighed by how often it spikes, and
    the objective, connectivity less one, is the number of spikes that go to another core. If layers may share
    cores, cores that exchange most messages are merged.

    Args:
        chip: Network and chip.
        rates: Events per step of every element of every source.
    """
    tiled: dict[tuple[str, int], list[CoreShare]] = {}
    gathered: dict[str, Ints] = {}

    def build(caps: Caps) -> list[Core]:
        cores: list[Core] = []
        for layer in chip.network.layers:
            if layer.is_image:
                key = layer.name, caps.get(layer.name, layer.size)
                if key not in tiled:
                    tiled[key] = tile_image(chip, layer, key[1], rates)
                cores += [(box,) for box in tiled[key]]
        for group in _groups(chip):
            name = group[0].name
            if name not in gathered:
                of_group, gathered[name] = gather(chip, group, rates, caps)
            else:
                # More axons leave than expected, so more cores are needed: the order stays the same.
                of_group = fill(chip, group, gathered[name], caps)
            cores += of_group
        return cores

    layout = _lay_until_axons_fit(chip, build)
    return merged(layout, rates) if chip.profile.core.layers_share_cores.value else layout


def _lay_until_axons_fit(chip: Chip, build: Callable[[Caps], list[Core]]) -> CoreLayout:
    """Lay out again until the axons that leave fit; their number is known only when all cores are."""
    caps: dict[str, int] = {}
    layout = CoreLayout(chip, tuple(build(caps)))
    for _ in range(_ROUNDS):
        if len(layout.cores) > _MOST_CORES:
            remedy = "prune it: the axons that leave its cores spread it over more and more of them"
            raise DoesNotFitError("", "cores", len(layout.cores), _MOST_CORES, remedy)
        overfull = layout.overfull()
        if not overfull:
            return layout
        for core, (_, load) in overfull.items():
            largest = max((share.neurons for share in layout.cores[core]), key=lambda neurons: neurons.size)
            smaller = max(1, min(int(largest.size / load), largest.size - 1))
            caps[largest.layer] = min(caps.get(largest.layer, smaller), smaller)
        layout = CoreLayout(chip, tuple(build(caps)))
    overfull = layout.overfull()
    if not overfull:
        return layout
    core, (resource, load) = next(iter(overfull.items()))
    limit = chip.memory.limits[resource].value
    layer = layout.cores[core][0].neurons.layer
    remedy = "prune synapses, so that its neurons reach fewer cores"
    raise DoesNotFitError(layer, resource, round(load * limit), limit, remedy)


def _groups(chip: Chip) -> list[list[ChipLayer]]:
    """Return the layers that are partitioned together."""
    flat = [layer for layer in chip.network.layers if not layer.is_image]
    if chip.profile.core.layers_share_cores.value:
        return [flat] if flat else []
    return [[layer] for layer in flat]


def gather(chip: Chip, layers: Sequence[ChipLayer], rates: Rates, caps: Caps) -> tuple[list[Core], Ints]:
    """Return the neurons of some layers on cores, gathered by the sources they share, and their order there.

    The partitioner is asked for as many parts as there are cores when they are filled in order, then for
    fewer if the fullest core suggests it. If a part is too large for a core, cores are
    filled in the order of the parts.
    """
    order = np.arange(sum(layer.size for layer in layers))
    in_order = fill(chip, layers, order, caps)
    if len(in_order) == 1:
        return in_order, order
    links = [link for layer in layers for link in chip.network.incoming(layer.name)]
    nets = _nets(layers, [link for link in links if isinstance(link, MatrixLink)], rates)
    if not nets:
        return in_order, order
    weights = np.concatenate([_node_weights(chip, layer) for layer in layers])
    best, parts = in_order, len(in_order)
    for _ in range(_ATTEMPTS):
        labels = partitioned(nets, weights, parts)
        cores = divided(chip, layers, labels)
        load = max(chip.load(core)[1] for core in cores)
        if load > 1 or not all(respects_caps(core, caps) for core in cores):
            # Parts are equal within a few percent; what is too much for a core moves on to the next one.
            cores = fill(chip, layers, np.argsort(labels, kind="stable"), caps)
        if len(cores) > len(best):
            break
        best, order, fewer = cores, np.argsort(labels, kind="stable"), int(np.ceil(parts * load))
        if fewer > parts * _WORTHWHILE or fewer < 2:  # noqa: PLR2004 - one core would have been enough in order
            break
        parts = fewer
    return best, order


def _stacked(chip: Chip, cores: Sequence[Core], caps: Caps, begun: Core) -> list[Core]:
    """Return cores each of which takes over the next as long as both fit, after one that is begun."""
    stacked: list[Core] = []
    for core in cores:
        last = stacked[-1] if stacked else begun
        if last and chip.profile.core.layers_share_cores.value and chip.legal(last + core, caps):
            stacked[max(len(stacked) - 1, 0) :] = [last + core]
        else:
            stacked.append(core)
    return stacked


def _nets(
    layers: Sequence[ChipLayer], links: Sequence[MatrixLink], rates: Rates
) -> list[tuple[list[int], int]]:
    """Return for every source the neurons that it reaches, itself included, and its weight."""
    starts = dict(zip((layer.name for layer in layers), _starts(layers), strict=True))
    nets: list[tuple[list[int], int]] = []
    for link in links:
        columns: Any = csc_array(link.weights)
        for j in range(columns.shape[1]):
            pins = columns.indices[columns.indptr[j] : columns.indptr[j + 1]] + starts[link.target]
            if link.source in starts:
                pins = np.union1d(pins, [starts[link.source] + j])
            if len(pins) > 1:
                nets.append((pins.tolist(), 1 + int(_WHOLE * rates[link.source][j])))
    nets.sort(key=lambda net: -net[1])
    pins = np.cumsum([len(net) for net, _ in nets])
    return nets[: 1 + int(np.searchsorted(pins, _PINS))]


def _starts(layers: Sequence[ChipLayer]) -> list[int]:
    return np.cumsum([0, *(layer.size for layer in layers)])[:-1].tolist()


def _node_weights(chip: Chip, layer: ChipLayer) -> Ints:
    """Return the share of a core that every neuron takes, in ten-thousandths, for itself and its synapses."""
    counts = sum(
        (np.diff(link.weights.indptr) * (link.bits + 12) for link in chip.network.incoming(layer.name)
         if isinstance(link, MatrixLink)),
        np.zeros(layer.size),
    )  # fmt: skip
    bits = chip.profile.memory.synaptic_words.value * chip.profile.memory.word_bits.value
    share = counts / bits + 1 / chip.profile.core.neurons.value
    return np.ceil(_WHOLE * share).astype(np.int64)


@cache
def _partitioner() -> Any:  # noqa: ANN401 - a compiled library without types
    return mtkahypar.initialize(min(os.cpu_count() or 1, 16), False)  # noqa: FBT003


def partitioned(nets: Sequence[tuple[list[int], int]], weights: Ints, parts: int) -> Ints:
    """Return the part of every neuron by Mt-KaHyPar, which is the same on every machine."""
    library: Any = _partitioner()
    context = library.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.logging = False
    context.set_partitioning_parameters(parts, _IMBALANCE, mtkahypar.Objective.KM1)
    mtkahypar.set_seed(_SEED)
    graph = library.create_hypergraph(
        context, len(weights), len(nets), [net[0] for net in nets], weights.tolist(), [net[1] for net in nets]
    )
    return np.asarray(graph.partition(context).get_partition(), dtype=np.int64)


def merged(layout: CoreLayout, rates: Rates) -> CoreLayout:
    """Merge pairs of cores that fit one core, those that exchange most messages first, until none does.

    Axons that leave a merged core take no more room than before, since a neuron reaches no more cores.
    """
    chip = layout.chip
    sent = layout.messages(rates)[:-1]
    exchanged = sent + sent.T
    adding = np.array([_adding(chip, *pair) for pair in zip(layout.cores, layout.leaving, strict=True)])
    leaving = list(layout.leaving)
    first, second = np.triu_indices(len(layout.cores), 1)
    possible = (adding[first] + adding[second] <= 1).all(axis=1)
    first, second = first[possible], second[possible]
    order = np.argsort(-exchanged[first, second], kind="stable")
    left: dict[int, Core] = dict(enumerate(layout.cores))
    root = list(range(len(layout.cores)))
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        a, b = _root(root, i), _root(root, j)
        # Cores only grow: a pair that does not fit once never will, so one pass over all pairs is enough.
        if a == b or (adding[a] + adding[b] > 1).any():
            continue
        if chip.load(left[a] + left[b], leaving[a] + leaving[b])[1] <= 1:
            left[a] = left[a] + left.pop(b)
            root[b] = a
            adding[a] += adding[b]
            leaving[a] += leaving[b]
    return CoreLayout(chip, tuple(left.values()))


def _adding(chip: Chip, core: Core, leaving: int) -> list[float]:
    """Return the shares of those limits that simply add up, for a quick test."""
    used, limits = chip.memory.usage(core, leaving), chip.memory.limits
    names = (NEURONS, INPUT_AXONS, SYNAPTIC_WORDS, OUTPUT_AXONS, MEMORY_WORDS)
    return [used[name] / limits[name].value for name in names if name in limits]


def _root(root: list[int], i: int) -> int:
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i

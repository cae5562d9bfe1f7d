"""What would make a network fit, or fit on less: narrower weights, more pruning."""

from dataclasses import replace
from math import ceil
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from targets.loihi.cores import Chip
from targets.loihi.memory import (
    INPUT_AXONS,
    NEURONS,
    OUTPUT_AXONS,
    SHARED_BASE,
    SYNAPSE_FORMATS,
)
from targets.loihi.network import ChipLayer, ChipNetwork, ConvolutionLink, Link, MatrixLink, with_bits
from targets.loihi.partition import lay_in_order
from toolchain.errors import DoesNotFitError
from toolchain.ir.matrix import sources_of

_BITS: Final = (7, 6, 5, 4, 3, 2)
_HALVINGS: Final = 5
_NOTHING: Final[tuple[float | None, int]] = (None, 0)


def advise(chip: Chip, cores: int, binding: str, wanted: int) -> tuple[str, ...]:
    """Return what would bring a network to so many cores, each tried out by packing it again.

    Args:
        chip: Network and profile.
        cores: That it takes.
        binding: The limit that is used most.
        wanted: Cores that there are, or one less than it takes where it fits already.
    """
    said = [*hints(binding)]
    if cores <= 1:
        return tuple(said)
    for bits in _BITS:
        fewer = _cores(Chip(chip.profile, with_bits(chip.network, bits)))
        if fewer is not None and fewer <= wanted:
            said.append(f"weights of {bits} bits: {_counted(fewer)} (`weight_bits={bits}` when compiling)")
            break
    else:
        said.append(f"fewer bits alone do not bring it to {_counted(wanted)}")
    kept, fewer = _pruned(chip, wanted)
    if kept is not None:
        said.append(f"pruning {1 - kept:.0%} of the synapses (channels of convolutions): {_counted(fewer)}")
    return tuple(said)


_HINTS: Final = {
    INPUT_AXONS: "fewer sources per core: prune whole input neurons or channels, not single synapses",
    OUTPUT_AXONS: "fewer cores per neuron: prune synapses between parts of the network",
    NEURONS: "fewer neurons: prune neurons or channels",
    SHARED_BASE: "narrower feature maps: prune channels",
    SYNAPSE_FORMATS: "fewer formats: give connections the same weight bits",
}


def hints(binding: str) -> tuple[str, ...]:
    """Return what eases a limit in general."""
    return (_HINTS[binding],) if binding in _HINTS else ()


def _counted(cores: int) -> str:
    return "1 core" if cores == 1 else f"{cores} cores"


def _cores(chip: Chip) -> int | None:
    try:
        return len(lay_in_order(chip).cores)
    except DoesNotFitError:
        return None


def _pruned(chip: Chip, wanted: int) -> tuple[float | None, int]:
    """Return the largest share of synapses that can stay, found by halving, and the cores that takes."""
    low, high, best = 0.0, 1.0, _NOTHING
    for _ in range(_HALVINGS):
        kept = (low + high) / 2
        cores = _cores(Chip(chip.profile, thinned(chip.network, kept)))
        if cores is not None and cores <= wanted:
            low, best = kept, (kept, cores)
        else:
            high = kept
    return best


def thinned(network: ChipNetwork, kept: float) -> ChipNetwork:
    """Return the network with a share of its synapses: the smallest go, and of feature maps whole channels.

    Feature maps keep the square root of the share, since a convolution shrinks with its sources and its
    targets.
    """
    channels = {
        layer.name: max(1, ceil(layer.shape[0] * np.sqrt(kept))) for layer in network.layers if layer.is_image
    }
    layers = {layer.name: _thin_layer(layer, channels) for layer in network.layers}
    links = tuple(_thin_link(link, kept, channels, layers) for link in network.links)
    return replace(network, layers=tuple(layers.values()), links=links)


def _thin_layer(layer: ChipLayer, channels: dict[str, int]) -> ChipLayer:
    if layer.name not in channels:
        return layer
    shape = (channels[layer.name], *layer.shape[1:])
    size = int(np.prod(shape))
    return ChipLayer(layer.name, shape, layer.decays[:size], layer.thresholds[:size])


def _thin_link(link: Link, kept: float, channels: dict[str, int], layers: dict[str, ChipLayer]) -> Link:
    if isinstance(link, ConvolutionLink):
        targets = channels[link.target]
        sources = channels.get(link.source, link.shape[0])
        shape = (sources, *link.shape[1:])
        if link.groups > 1:
            # Channel by channel, as poolings are.
            groups = min(targets, sources)
            return replace(link, weights=link.weights[:groups], groups=groups, shape=shape)
        return replace(link, weights=link.weights[:targets, :sources], shape=shape)
    return _thin_matrix(link, kept, layers)


def _thin_matrix(link: MatrixLink, kept: float, layers: dict[str, ChipLayer]) -> MatrixLink:
    weights = link.weights
    source = layers.get(link.source)
    if source is not None and source.size < sources_of(weights):
        weights = csr_array(weights[:, : source.size])
    sizes = np.abs(weights.data)
    count = int(len(sizes) * kept)
    matrix = csr_array(weights, copy=True)
    matrix.data[np.argsort(sizes, kind="stable")[: len(sizes) - count]] = 0
    matrix.eliminate_zeros()
    return replace(link, weights=matrix)

"""Advice on what would make a network fit, or fit on fewer cores: narrower weights, more pruning."""

from dataclasses import replace
from math import ceil
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from targets.loihi.cores import Chip
from targets.loihi.memory import INPUT_AXONS, NEURONS, OUTPUT_AXONS, SHARED_BASE, SYNAPSE_FORMATS
from targets.loihi.network import ChipLayer, ChipNetwork, ConvolutionLink, Link, MatrixLink, with_bits
from targets.loihi.partition import lay_in_order
from toolchain.errors import DoesNotFitError
from toolchain.ir.matrix import sources_of

_BITS: Final = (7, 6, 5, 4, 3, 2)
_HALVINGS: Final = 5
_NOTHING: Final[tuple[float | None, int]] = (None, 0)


def advise(chip: Chip, cores: int, binding: str, wanted: int) -> tuple[str, ...]:
    """Return what would bring a network to the wanted number of cores, each tried by packing it again.

    Args:
        chip: Network and chip.
        cores: Number of cores that the network takes.
        binding: Limit that is used most.
        wanted: Number of cores that there are, or one less than the network takes if it fits already.
    """
    advice = [*hints(binding)]
    if cores <= 1:
        return tuple(advice)
    for bits in _BITS:
        fewer = _cores(Chip(chip.profile, with_bits(chip.network, bits)))
        if fewer is not None and fewer <= wanted:
            advice.append(f"weights of {bits} bits: {_counted(fewer)} (`weight_bits={bits}` when compiling)")
            break
    else:
        advice.append(f"fewer bits alone do not bring it to {_counted(wanted)}")
    share, fewer = _pruned(chip, wanted)
    if share is not None:
        advice.append(
            f"pruning {1 - share:.0%} of the synapses (channels of convolutions): {_counted(fewer)}"
        )
    return tuple(advice)


_HINTS: Final = {
    INPUT_AXONS: "fewer sources per core: prune whole input neurons or channels, not single synapses",
    OUTPUT_AXONS: "fewer cores per neuron: prune synapses between parts of the network",
    NEURONS: "fewer neurons: prune neurons or channels",
    SHARED_BASE: "narrower feature maps: prune channels",
    SYNAPSE_FORMATS: "fewer formats: give connections the same weight bits",
}


def hints(binding: str) -> tuple[str, ...]:
    """Return general advice on a limit."""
    return (_HINTS[binding],) if binding in _HINTS else ()


def _counted(cores: int) -> str:
    return "1 core" if cores == 1 else f"{cores} cores"


def _cores(chip: Chip) -> int | None:
    try:
        return len(lay_in_order(chip).cores)
    except DoesNotFitError:
        return None


def _pruned(chip: Chip, wanted: int) -> tuple[float | None, int]:
    """Return the largest share of synapses that can stay, by bisection, and the cores that it takes."""
    low, high, best = 0.0, 1.0, _NOTHING
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        cores = _cores(Chip(chip.profile, thinned(chip.network, share)))
        if cores is not None and cores <= wanted:
            low, best = share, (share, cores)
        else:
            high = share
    return best


def thinned(network: ChipNetwork, share: float) -> ChipNetwork:
    """Return the network without its smallest synapses, and without whole channels of feature maps.

    Feature maps keep the square root of the share of channels, since a convolution shrinks with its sources
    and with its targets.
    """
    channels = {
        layer.name: max(1, ceil(layer.shape[0] * np.sqrt(share)))
        for layer in network.layers
        if layer.is_image
    }
    layers = {layer.name: _thin_layer(layer, channels) for layer in network.layers}
    links = tuple(_thin_link(link, share, channels, layers) for link in network.links)
    return replace(network, layers=tuple(layers.values()), links=links)


def _thin_layer(layer: ChipLayer, channels: dict[str, int]) -> ChipLayer:
    if layer.name not in channels:
        return layer
    shape = (channels[layer.name], *layer.shape[1:])
    size = int(np.prod(shape))
    return replace(layer, shape=shape, decays=layer.decays[:size], thresholds=layer.thresholds[:size])


def _thin_link(link: Link, share: float, channels: dict[str, int], layers: dict[str, ChipLayer]) -> Link:
    if isinstance(link, ConvolutionLink):
        targets = channels[link.target]
        sources = channels.get(link.source, link.shape[0])
        shape = (sources, *link.shape[1:])
        if link.groups > 1:
            # Poolings go channel by channel.
            groups = min(targets, sources)
            return replace(link, weights=link.weights[:groups], groups=groups, shape=shape)
        return replace(link, weights=link.weights[:targets, :sources], shape=shape)
    return _thin_matrix(link, share, layers)


def _thin_matrix(link: MatrixLink, share: float, layers: dict[str, ChipLayer]) -> MatrixLink:
    weights = link.weights
    source = layers.get(link.source)
    if source is not None and source.size < sources_of(weights):
        weights = csr_array(weights[:, : source.size])
    magnitudes = np.abs(weights.data)
    count = int(len(magnitudes) * share)
    matrix = csr_array(weights, copy=True)
    matrix.data[np.argsort(magnitudes, kind="stable")[: len(magnitudes) - count]] = 0
    matrix.eliminate_zeros()
    return replace(link, weights=matrix)

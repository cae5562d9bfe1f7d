"""Spreading networks over cores: everything once, never worse than in order, less traffic."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_array
from scipy.sparse import random as scipy_random

from targets.loihi.cores import Chip, CoreLayout
from targets.loihi.network import ChipLayer, ChipNetwork, ConvolutionLink, MatrixLink
from targets.loihi.partition import lay_by_structure, lay_in_order
from targets.loihi.placement import place_in_order, place_near, slots
from targets.loihi.profile import load_profile
from targets.loihi.slices import NeuronSlice
from toolchain.errors import DoesNotFitError
from toolchain.ir import Window

Rates = dict[str, NDArray[np.float64]]

random_sparse: Any = scipy_random
"""The decorator of its own hides the name of the seed that every version of SciPy takes."""


def _recurrent(weights: Any, chip: str = "loihi1") -> Chip:
    size = weights.shape[0]
    layer = ChipLayer("a", (size,), np.zeros(size, int), np.zeros(size, int))
    inputs = csr_array(random_sparse(size, 8, 0.3, random_state=0, data_rvs=np.ones))
    links = (
        MatrixLink("in", "x", "a", True, inputs, 8, 0),
        MatrixLink("back", "a", "a", False, csr_array(weights), 8, 0),
    )
    return Chip(load_profile(chip), ChipNetwork((layer,), links, {}, ("x",)))


def _image(chip: str, channels: int = 24, side: int = 24) -> Chip:
    shape, rng = (channels, side, side), np.random.default_rng(0)
    size = channels * side * side
    layers = [ChipLayer(name, shape, np.zeros(size, int), np.zeros(size, int)) for name in "ab"]
    window = Window((3, 3), padding=(1, 1))
    alike: dict[str, Any] = {"window": window, "groups": 1, "bits": 8, "exponent": 0}
    kernels = (rng.integers(1, 9, (channels, sources, 3, 3)) for sources in (2, channels))
    first = ConvolutionLink("c0", "x", "a", True, next(kernels), shape=(2, side, side), **alike)
    second = ConvolutionLink("c1", "a", "b", False, next(kernels), shape=shape, **alike)
    return Chip(load_profile(chip), ChipNetwork(tuple(layers), (first, second), {}, ("x",)))


def _rates(chip: Chip) -> Rates:
    rates: Rates = {layer.name: np.full(layer.size, 0.1) for layer in chip.network.layers}
    for link in chip.network.links:
        if link.outside:
            extent = link.weights.shape if isinstance(link, MatrixLink) else link.shape
            assert extent is not None
            size = extent[1] if isinstance(link, MatrixLink) else int(np.prod(extent))
            rates[link.source] = np.full(size, 0.2)
    return rates


def _check_whole(layout: CoreLayout) -> None:
    """Every neuron stands on one core, no core breaks a limit, every synapse has a place."""
    assert not layout.overfull()
    for layer in layout.chip.network.layers:
        neurons = [share.neurons.indices for _, share in layout.holders[layer.name]]
        assert np.array_equal(np.sort(np.concatenate(neurons)), np.arange(layer.size))
    for link in layout.chip.network.links:
        if isinstance(link, MatrixLink):
            assert layout.fan_outs[link.name][1].sum() == link.weights.nnz


def _communities(count: int, size: int, seed: int = 0) -> Any:
    """Groups of neurons that talk among themselves, in an order that hides them."""
    rng = np.random.default_rng(seed)
    blocks = [random_sparse(size, size, 0.5, random_state=seed + i, data_rvs=np.ones) for i in range(count)]
    order = rng.permutation(count * size)
    return csr_array(block_diag(blocks).tocsr()[order][:, order])


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_hidden_communities_are_found(chip: str) -> None:
    design = _recurrent(_communities(8, 150), chip)
    rates = _rates(design)
    plain, shaped = lay_in_order(design), lay_by_structure(design, rates)
    for layout in (plain, shaped):
        _check_whole(layout)
    assert len(shaped.cores) <= len(plain.cores)
    remote = [(sent := layout.messages(rates)[:-1]).sum() - np.trace(sent) for layout in (shaped, plain)]
    assert remote[0] < 0.5 * remote[1]


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_feature_maps_are_cut_into_boxes_with_less_traffic(chip: str) -> None:
    design = _image(chip)
    rates = _rates(design)
    plain, shaped = lay_in_order(design), lay_by_structure(design, rates)
    for layout in (plain, shaped):
        _check_whole(layout)
    assert len(shaped.cores) <= len(plain.cores)
    near = place_near(design.profile.mesh, shaped.messages(rates)[:-1])
    assert sum(near.hops) < sum(place_in_order(design.profile.mesh, plain.messages(rates)[:-1]).hops)


def test_the_same_network_is_spread_the_same_way_twice() -> None:
    design = _recurrent(_communities(6, 150), "loihi2")
    first, second = (lay_by_structure(design, _rates(design)) for _ in range(2))
    assert [[share.neurons.indices.tolist() for share in core] for core in first.cores] == [
        [share.neurons.indices.tolist() for share in core] for core in second.cores
    ]


@settings(max_examples=15)
@given(
    st.integers(1, 400),
    st.sampled_from([0.01, 0.1, 0.6]),
    st.sampled_from(["loihi1", "loihi2"]),
    st.integers(0, 99),
)
def test_any_network_is_spread_whole(size: int, density: float, chip: str, seed: int) -> None:
    weights = random_sparse(size, size, density, random_state=seed, data_rvs=np.ones).tocsr()
    design = _recurrent(weights, chip)
    plain, shaped = lay_in_order(design), lay_by_structure(design, _rates(design))
    _check_whole(plain)
    _check_whole(shaped)
    assert len(shaped.cores) <= len(plain.cores)


def test_small_layers_share_a_core_where_the_chip_lets_them() -> None:
    size = 20
    layers = tuple(ChipLayer(name, (size,), np.zeros(size, int), np.zeros(size, int)) for name in "abc")
    links = tuple(
        MatrixLink(f"{s}{t}", s, t, s == "x", csr_array(np.ones((size, size))), 8, 0)
        for s, t in ("xa", "ab", "bc")
    )
    network = ChipNetwork(layers, links, {}, ("x",))
    for chip, cores in (("loihi1", 1), ("loihi2", 3)):
        design = Chip(load_profile(chip), network)
        for layout in (lay_in_order(design), lay_by_structure(design, _rates(design))):
            _check_whole(layout)
            assert len(layout.cores) == cores


def test_a_neuron_with_too_many_inputs_is_refused_by_name() -> None:
    layer = ChipLayer("wide", (3,), np.zeros(3, int), np.zeros(3, int))
    link = MatrixLink("in", "x", "wide", True, csr_array(np.ones((3, 5000))), 8, 0)
    design = Chip(load_profile("loihi1"), ChipNetwork((layer,), (link,), {}, ("x",)))
    with pytest.raises(
        DoesNotFitError, match="'wide' needs 5000 input axons for one neuron, there are 4096"
    ) as caught:
        lay_in_order(design)
    assert (caught.value.node, caught.value.needed, caught.value.limit) == ("wide", 5000, 4096)


@settings(max_examples=20)
@given(st.integers(1, 150), st.floats(0, 0.5), st.integers(0, 99))
def test_moving_cores_never_costs_hops_and_links_carry_all_of_them(
    cores: int, density: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    messages = rng.random((cores, cores)) * (rng.random((cores, cores)) < density)
    mesh = load_profile("loihi2").mesh
    plain, near = place_in_order(mesh, messages), place_near(mesh, messages)
    assert sum(near.hops) <= sum(plain.hops) + 1e-9
    assert sum(link.messages for link in near.links()) == pytest.approx(sum(near.hops))
    _, seats = np.unique(near.routers, axis=0, return_counts=True)
    assert seats.max() <= mesh.cores_per_router.value


def test_a_chip_gives_only_the_cores_that_can_be_used() -> None:
    mesh = load_profile("loihi2").mesh
    assert len(slots(mesh, 120)) == 120
    assert len(slots(mesh, 121)) == 240
    assert slots(mesh, 121)[:, 0].max() == 2 * mesh.columns.value - 1


def test_neurons_without_synapses_are_spread_in_order() -> None:
    design = _recurrent(csr_array((9000, 9000)), "loihi2")
    layout = lay_by_structure(design, _rates(design))
    _check_whole(layout)
    assert len(layout.cores) == len(lay_in_order(design).cores) > 1


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_every_core_share_a_layer_on_one_core_counts_its_own_operations(chip: str) -> None:
    design = _recurrent(csr_array(np.ones((8, 8))), chip)
    parts = tuple(design.share(NeuronSlice("a", neurons)) for neurons in (np.arange(3), np.arange(3, 8)))
    layout = CoreLayout(design, (parts,))
    done = layout.operations({"a": np.ones(8), "x": np.zeros(8)})
    assert sum(values.sum() for values in done.values()) == 64

"""PilotNet, the network whose power and time on Loihi 2 its makers published, by shape and measured activity.

Shapes, weight bits and mean activity are those of the published spiking network (lava-dl, one recorded
image, 24
steps); weights are drawn at random. Published for it on Loihi 2: 74 cores, 408.9 inferences a second of 16
steps.
"""

from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.loihi.cores import Chip, CoreLayout
from targets.loihi.estimate import estimate, events_of
from targets.loihi.network import ChipLayer, ChipNetwork, ConvolutionLink, Link, MatrixLink
from targets.loihi.partition import lay_by_structure
from targets.loihi.placement import place_near
from targets.loihi.profile import load_profile
from toolchain.ir import Window

INPUT: Final = (3, 66, 200)
# Shape, bits of a weight, stride, padding, mean spikes per neuron and step.
CONVOLUTIONS: Final = (
    ((24, 32, 99), 5, (2, 2), (0, 0), 0.0915),
    ((36, 15, 49), 4, (2, 2), (0, 0), 0.1003),
    ((48, 7, 24), 4, (2, 2), (0, 0), 0.1201),
    ((64, 4, 22), 4, (2, 1), (1, 0), 0.1078),
    ((64, 2, 20), 4, (1, 1), (0, 0), 0.1102),
)
# Neurons, bits, share of weights that are not zero, activity.
DENSE: Final = ((100, 3, 0.266, 0.0942), (50, 4, 0.793, 0.0408), (10, 5, 0.898, 0.0333), (1, 6, 1.0, 0.0))
PUBLISHED_CORES: Final = 74
PUBLISHED_STEP: Final = 1 / (408.9 * 16)

Rates = dict[str, NDArray[np.float64]]


def _pilotnet() -> tuple[ChipNetwork, Rates]:
    rng = np.random.default_rng(0)
    layers: list[ChipLayer] = []
    links: list[Link] = []
    rates: Rates = {"x": np.full(int(np.prod(INPUT)), 0.887)}
    source, shape = "x", INPUT

    def add(name: str, extent: tuple[int, ...], rate: float) -> int:
        size = int(np.prod(extent))
        layers.append(ChipLayer(name, extent, np.zeros(size, int), np.zeros(size, int)))
        rates[name] = np.full(size, rate)
        return size

    for i, (extent, bits, stride, padding, rate) in enumerate(CONVOLUTIONS):
        name = f"conv{i}"
        add(name, extent, rate)
        weights: Any = rng.integers(1, 8, (extent[0], shape[0], 3, 3))
        window = Window((3, 3), stride, padding)
        links.append(
            ConvolutionLink(
                name,
                source,
                name,
                source == "x",
                weights,
                window,
                groups=1,
                shape=shape,
                bits=bits,
                exponent=0,
            )
        )
        source, shape = name, extent
    for i, (neurons, bits, density, rate) in enumerate(DENSE):
        name, size = f"fc{i}", len(rates[source])
        add(name, (neurons,), rate)
        weights = csr_array((rng.random((neurons, size)) < density).astype(int))
        links.append(MatrixLink(name, source, name, False, weights, bits, 0))
        source = name
    return ChipNetwork(tuple(layers), tuple(links), {}, ("x",)), rates


@pytest.fixture(scope="module")
def spread() -> tuple[CoreLayout, Rates]:
    network, rates = _pilotnet()
    return lay_by_structure(Chip(load_profile("loihi2"), network), rates), rates


def test_it_fits_the_cores_that_were_published(spread: tuple[CoreLayout, Rates]) -> None:
    layout, _ = spread
    assert not layout.overfull()
    # Intel's compiler cuts finer than the limits demand, by rules that are not public.
    assert PUBLISHED_CORES // 2 <= len(layout.cores) <= PUBLISHED_CORES


def test_a_convolution_copies_its_kernel_into_every_core(spread: tuple[CoreLayout, Rates]) -> None:
    layout, _ = spread
    first = [share for _, share in layout.holders["conv0"]]
    assert {share.words for share in first} == {9 * 3 * (5 + 3)}
    assert {block.axons for share in first for block in share.blocks} == {2}


def test_the_inferred_time_of_a_step_is_within_half_of_the_measured_one(
    spread: tuple[CoreLayout, Rates],
) -> None:
    layout, rates = spread
    messages = layout.messages(rates)
    placement = place_near(layout.chip.profile.mesh, messages[:-1])
    neurons = np.array([sum(share.neurons.size for share in core) for core in layout.cores], dtype=float)
    spikes = np.array(
        [
            sum(rates[share.neurons.layer][share.neurons.indices].sum() for share in core)
            for core in layout.cores
        ]
    )
    events = events_of(layout.operations(rates), neurons, spikes, messages, placement)
    (costs,) = layout.chip.profile.costs
    seconds = estimate(costs, events, None).seconds
    assert pytest.approx(152.8e-6, rel=1e-3) == PUBLISHED_STEP
    assert 0.5 * PUBLISHED_STEP < seconds < 1.5 * PUBLISHED_STEP

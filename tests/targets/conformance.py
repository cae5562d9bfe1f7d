"""What every target must do. `test_conformance.py` runs it over all installed targets and a fake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tests.random_graphs import Recipe, random_fixed, random_stimuli, random_stimulus
from toolchain.errors import LackingNeuronsError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import Graph, Stage, load_graph, save_graph
from toolchain.passes import Pass
from toolchain.progress import Progress, no_progress
from toolchain.reset import Reset
from toolchain.target.protocol import Target

RECIPE = Recipe(seed=11, sizes=(5, 3), channels=4, recurrent=True, skip=True, sparse=True, biased=True)
LATE = Recipe(
    seed=4,
    sizes=(4, 3),
    channels=3,
    graded=True,
    recurrent=True,
    synaptic_delays=True,
    biased=True,
    inputs=2,
    waits=3,
    longest=2,
)
"""Much of what it sends arrives after more steps than a sample has."""
FIRING = Recipe(seed=321, sizes=(4, 3, 5, 4), channels=3, recurrent=True, skip=True, firing=True)
"""Every reset, refractory periods, adaptive thresholds, and counts of spikes."""


@final
@dataclass(frozen=True)
class FakeProgram:
    """The reference behind the seam: the smallest thing that is a program."""

    graph: Graph

    def run(
        self,
        stimulus: Stimulus | NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        samples = Stimulus.of(stimulus).samples
        full = reference.run(self.graph, stimulus)
        progress(samples, samples)
        kept = self.graph.recorded(record)
        return Trace(
            **{
                quantity: {
                    name: values for name, values in getattr(full, quantity).items() if quantity in kept[name]
                }
                for quantity in QUANTITIES
            }
        )

    def save(self, directory: Path) -> None:
        save_graph(self.graph, directory)


@final
@dataclass(frozen=True)
class FakeTarget:
    """A target in twenty lines."""

    @property
    def name(self) -> str:
        return "fake"

    @property
    def profile(self) -> HardwareProfile:
        return LAVA_FIXED_POINT

    @property
    def stages(self) -> frozenset[Stage]:
        return frozenset(Stage)

    def check(self) -> None:
        pass

    def legalization(self) -> Sequence[Pass]:
        return ()

    def build(self, graph: Graph) -> FakeProgram:
        return FakeProgram(graph)


def graph() -> Graph:
    return random_fixed(RECIPE)


def stimulus(samples: int = 3) -> NDArray[Any]:
    return random_stimulus(RECIPE, samples, 9)


def check_equal_to_the_reference(target: Target) -> None:
    """All that it records equals the reference, and meanwhile it tells how far it is."""
    told: list[tuple[int, int]] = []
    program = target.build(graph())
    trace = program.run(
        stimulus(2), record=QUANTITIES, progress=lambda done, total: told.append((done, total))
    )
    assert first_mismatch(reference.run(graph(), stimulus(2)), trace) is None
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1
    assert told == sorted(told)


def check_rest(target: Target) -> None:
    """Every sample starts from rest: a batch equals its samples run alone, and twice is the same.

    Samples are shorter than the delays: what is still on its way when one ends must not reach the next.
    """
    late, x = random_fixed(LATE), random_stimuli(LATE, 3, 4)
    assert late.largest_delay() > 4
    program = target.build(late)
    together = program.run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(late, x), together) is None
    assert first_mismatch(together, program.run(x, record=QUANTITIES)) is None
    # Nothing is recorded but what is asked for.
    spikes = program.run(x)
    assert not spikes.u
    assert not spikes.v
    assert set(spikes.spikes) == set(together.spikes)
    alone = program.run({name: values[1:2] for name, values in x.items()}, record=QUANTITIES)
    for key, values in alone.by_key().items():
        assert np.array_equal(values[0], together.by_key()[key][1])


def _check_refusal(graph: Graph, error: LackingNeuronsError) -> None:
    assert set(error.lacking) == {node.name for node in graph.populations if not node.is_plain}
    assert error.remedy


def check_neurons(target: Target) -> None:
    """Neurons that do more than to be reset to zero run as they should, or are refused by their names."""
    graph, x = random_fixed(FIRING), random_stimulus(FIRING, 3, 9)
    assert {node.reset for node in graph.populations} == set(Reset)
    try:
        program = target.build(graph)
    except LackingNeuronsError as error:
        _check_refusal(graph, error)
        return
    trace = program.run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, x), trace) is None
    counts = {node.name: node.max_spikes > 1 for node in graph.populations}
    assert any(counts.values())
    for name, several in counts.items():
        assert trace.spikes[name].dtype == (np.uint8 if several else np.bool_)


def check_save(target: Target, folder: Path) -> None:
    """What it saves runs again, to the same of everything."""
    target.build(graph()).save(folder)
    again = target.build(load_graph(folder)).run(stimulus(2), record=QUANTITIES)
    assert again.spikes["p0"].dtype == np.bool_
    assert again.spikes["p0"].shape == (2, 9, 5)
    assert first_mismatch(reference.run(graph(), stimulus(2)), again) is None

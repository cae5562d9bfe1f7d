"""What every target must do. `test_conformance.py` runs it over all installed targets and a fake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tests.capable_graphs import limits, random_within, stimuli_of
from tests.graphs import union
from tests.random_graphs import Recipe, random_fixed, random_stimuli, random_stimulus
from tests.real_graphs import check_close, in_reals
from toolchain.errors import FeedbackError, LackingNeuronsError, TargetError, ToolchainError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.hardware import LAVA_FIXED_POINT, HardwareProfile
from toolchain.ir import Graph, Stage, load_graph, print_graph, save_graph
from toolchain.passes import Pass
from toolchain.progress import Progress, no_progress
from toolchain.target.acceptance import check_graph
from toolchain.target.capabilities import Capabilities
from toolchain.target.protocol import ResumableProgram, SteppedProgram, Target, export_program

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
_RUN_COLUMNS = 1000
"""Wider images are built, and not run."""
FIRING = Recipe(seed=321, sizes=(4, 3, 5, 4), channels=3, recurrent=True, skip=True, firing=True)
"""Every reset, refractory periods, adaptive thresholds, and counts of spikes."""


FAKE = Capabilities(name="the fake")
"""By default a target runs every graph."""


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

    capabilities: Capabilities = FAKE

    @property
    def name(self) -> str:
        return "fake"

    @property
    def profile(self) -> HardwareProfile:
        return LAVA_FIXED_POINT

    def check(self) -> None:
        pass

    def legalization(self) -> Sequence[Pass]:
        return ()

    def build(self, graph: Graph) -> FakeProgram:
        check_graph(graph, self.capabilities)
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


def check_random_graphs(target: Target, count: int = 6) -> None:
    """Random graphs within what it declares equal the reference, all in one program."""
    for stage in sorted(target.capabilities.stages, key=lambda stage: stage.value):
        drawn = [random_within(target.capabilities, stage, seed) for seed in range(count)]
        graph = union([graph for graph, _ in drawn])
        _check_equal(
            target,
            graph,
            {f"g{i}-{name}": x for i, (_, stimuli) in enumerate(drawn) for name, x in stimuli.items()},
        )


def check_limits(target: Target, *, runs: bool = True) -> None:
    """What lies at a limit of its declaration runs, and a step beyond is refused in the declared words.

    Args:
        target: The target.
        runs: Whether what it admits is run and compared, or only built.
    """
    for stage in sorted(target.capabilities.stages, key=lambda stage: stage.value):
        at_once: list[Graph] = []
        for limit in limits(target.capabilities, stage):
            if limit.beyond is not None:
                _check_refused(target, limit.beyond, limit.name)
            if limit.admitted is not None:
                target.build(limit.admitted)
                if limit.admitted.inputs[0].shape[-1] <= _RUN_COLUMNS:
                    at_once.append(limit.admitted)
        if runs:
            whole = union(at_once)
            _check_equal(target, whole, stimuli_of(whole))


def _check_refused(target: Target, graph: Graph, name: str) -> None:
    errors: list[ToolchainError] = []
    for ask in (target.build, lambda graph: check_graph(graph, target.capabilities)):
        try:
            ask(graph)
        except ToolchainError as error:
            errors.append(error)
    assert len(errors) == 2, f"{target.name} runs a graph beyond what it declares: {name}"
    built, declared = errors
    assert (type(built), str(built)) == (type(declared), str(declared)), name
    assert isinstance(built, TargetError | FeedbackError)
    if isinstance(built, LackingNeuronsError):
        assert set(built.lacking) == {"p"}
        assert built.remedy


def _check_equal(target: Target, graph: Graph, stimuli: Mapping[str, NDArray[Any]]) -> None:
    """Integers are equal, and real numbers, too, unless they are added up by others than us."""
    expected = reference.run(graph, stimuli)
    trace = target.build(graph).run(stimuli, record=QUANTITIES)
    if graph.stage is Stage.FLOAT:
        check_close(expected, trace)
        return
    mismatch = first_mismatch(expected, trace)
    assert mismatch is None, f"{target.name}: {mismatch}\n{print_graph(graph)}"


def check_programs(target: Target, folder: Path) -> None:
    """Its programs can be stepped, resumed and written where it says so, and nowhere else."""
    can, program = target.capabilities, target.build(graph())
    assert isinstance(program, SteppedProgram) is can.stepped
    assert isinstance(program, ResumableProgram) is can.resumed
    for stage in can.stages:
        written = folder / stage.value
        written.mkdir()
        program = target.build(in_reals(graph()) if stage is Stage.FLOAT else graph())
        try:
            export_program(program, written)
        except TargetError:
            assert stage not in can.exports
        assert bool([*written.iterdir()]) is (stage in can.exports)


def check_save(target: Target, folder: Path) -> None:
    """What it saves runs again, to the same of everything."""
    target.build(graph()).save(folder)
    again = target.build(load_graph(folder)).run(stimulus(2), record=QUANTITIES)
    assert again.spikes["p0"].dtype == np.bool_
    assert again.spikes["p0"].shape == (2, 9, 5)
    assert first_mismatch(reference.run(graph(), stimulus(2)), again) is None

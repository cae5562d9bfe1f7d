"""Integer executions that must be equal, and the smallest graph to look at where they are not."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from targets.emulator.program import BlockSession
from targets.emulator.target import EmulatorTarget
from targets.lava.declared import CAPABILITIES
from targets.lava.plan import plan_processes
from targets.lava.runtime.documents import LavaRun
from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.capable_graphs import is_admitted
from tests.graphs import union
from tests.image_graphs import ImageRecipe
from tests.random_graphs import Recipe
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph
from toolchain.target.protocol import Program, SteppedProgram
from toolchain.target.records import empty_records

AnyRecipe = TypeVar("AnyRecipe", Recipe, ImageRecipe)
Stimuli = Mapping[str, NDArray[Any]]
Make = Callable[[AnyRecipe], tuple[Graph, Stimuli]]
"""From a recipe to a graph and what each of its inputs gets."""

_TOGETHER: Final = 8
"""Graphs in one simulation."""


def check_equal(graph: Graph, expected: Trace, target: EmulatorTarget | LavaTarget, stimulus: Any) -> None:
    """u, v and spikes of every population at every step."""
    got = target.build(graph).run(stimulus, record=QUANTITIES)
    mismatch = first_mismatch(expected, got)
    assert mismatch is None, f"{target.name}: {mismatch}\n{print_graph(graph)}"


def check_apart(program: Program, graph: Graph, stimuli: Stimuli, expected: Trace) -> None:
    """A batch does what is expected of it, and each of its samples the same alone: all with `==`."""
    together = program.run(stimuli, record=QUANTITIES)
    mismatch = first_mismatch(expected, together)
    assert mismatch is None, f"{mismatch}\n{print_graph(graph)}"
    for i in range(len(next(iter(stimuli.values())))):
        check_alone(program, graph, stimuli, together, i)


def check_alone(program: Program, graph: Graph, stimuli: Stimuli, together: Trace, i: int) -> None:
    """Sample `i` of a batch did what it does alone, from rest."""
    alone = program.run({name: x[i : i + 1] for name, x in stimuli.items()}, record=QUANTITIES)
    mismatch = first_mismatch(alone, _sample(together, i))
    assert mismatch is None, f"sample {i} of a batch is not itself alone: {mismatch}\n{print_graph(graph)}"


def _sample(trace: Trace, i: int) -> Trace:
    parts = {
        quantity: {name: values[i : i + 1] for name, values in getattr(trace, quantity).items()}
        for quantity in QUANTITIES
    }
    return Trace(**parts)


def check_session(program: SteppedProgram, graph: Graph, stimuli: Stimuli, expected: Trace) -> None:
    """Samples that follow one another through one session, a reset before each, do what they do from rest."""
    values = fit_stimulus(graph, stimuli).values
    samples, steps = next(iter(values.values())).shape[:2]
    session = program.session(1)
    for i in range(samples):
        session.reset()
        for t in range(steps):
            spikes = session.step({name: x[i : i + 1, t] for name, x in values.items()})
            for name, fired in spikes.items():
                same = np.array_equal(fired[0], expected.spikes[name][i, t])
                assert same, f"'{name}' differs in sample {i} at step {t}\n{print_graph(graph)}"


def check_blocks(
    session: BlockSession, graph: Graph, stimuli: Stimuli, expected: Trace, blocks: Sequence[int]
) -> None:
    """A batch that advances in blocks, the last of them as long as needed, does what it does in one."""
    values = fit_stimulus(graph, stimuli).values
    steps = next(iter(values.values())).shape[1]
    ends = [end for end in np.cumsum(blocks).tolist() if end < steps]
    for start, stop in pairwise([0, *ends, steps]):
        part = Stimulus({name: x[:, start:stop] for name, x in values.items()})
        records = empty_records(graph, part, QUANTITIES)
        session.advance(part.values, records)
        for key, got in Trace(**records).by_key().items():
            same = np.array_equal(got, expected.by_key()[key][:, start:stop])
            assert same, f"{key} differs in steps {start} to {stop}\n{print_graph(graph)}"


@dataclass(frozen=True)
class Case(Generic[AnyRecipe]):
    """A graph to be run, and the recipe that it was made by."""

    recipe: AnyRecipe
    graph: Graph
    stimuli: Stimuli

    @property
    def extent(self) -> tuple[int, int]:
        """Samples and steps."""
        samples, steps = next(iter(self.stimuli.values())).shape[:2]
        return samples, steps

    def runs_on(self, models: Models) -> bool:
        """Whether the processes of a choice can be the graph."""
        return is_admitted(CAPABILITIES[models], self.graph)

    def period(self, models: Models) -> int:
        """Steps from one sample to the next, if it ran alone."""
        return LavaRun(models, *self.extent).windows(plan_processes(self.graph).network).period


def check_on_lava(
    recipes: Sequence[AnyRecipe], make: Make[AnyRecipe], choices: Iterable[Models] = Models
) -> None:
    """Many graphs in one simulation, on every choice of models; where one differs, the smallest that does."""
    cases = [Case(recipe, *make(recipe)) for recipe in recipes]
    for models in choices:
        runnable = [case for case in cases if case.runs_on(models)]
        if runnable:
            _check_together(runnable, make, LavaTarget(models=models))


def check_samples_on_lava(recipes: Sequence[AnyRecipe], make: Make[AnyRecipe], models: Models) -> None:
    """The same where no graph widens another's windows, on one choice; the last sample is also run alone."""
    made = [Case(recipe, *make(recipe)) for recipe in recipes]
    cases = [case for case in made if case.runs_on(models)]
    target = LavaTarget(models=models)
    for part in in_equal_windows(cases, models):
        got = _check_together(part, make, target)
        whole = _joined(part)
        check_alone(target.build(whole.graph), whole.graph, whole.stimuli, got, whole.extent[0] - 1)


def in_equal_windows(cases: Sequence[Case[AnyRecipe]], models: Models) -> Iterator[list[Case[AnyRecipe]]]:
    """Yield the cases in parts that may share a simulation.

    Graphs share one only where each would have the same windows alone: the graph with the longest delay sets
    how far apart the samples of all lie, and would hide what another lets through to the next sample.
    """
    by_period: dict[int, list[Case[AnyRecipe]]] = {}
    for case in cases:
        by_period.setdefault(case.period(models), []).append(case)
    for period in sorted(by_period):
        held = by_period[period]
        for start in range(0, len(held), _TOGETHER):
            part = held[start : start + _TOGETHER]
            assert _joined(part).period(models) == period
            yield part


def _joined(cases: Sequence[Case[AnyRecipe]]) -> Case[AnyRecipe]:
    stimuli = {f"g{i}-{name}": x for i, case in enumerate(cases) for name, x in case.stimuli.items()}
    return Case(cases[0].recipe, union([case.graph for case in cases]), stimuli)


def _check_together(cases: Sequence[Case[AnyRecipe]], make: Make[AnyRecipe], target: LavaTarget) -> Trace:
    whole = _joined(cases)
    got = target.build(whole.graph).run(whole.stimuli, record=QUANTITIES)
    mismatch = first_mismatch(reference.run(whole.graph, whole.stimuli), got)
    if mismatch is not None:
        culprit = cases[int(mismatch.record.split("-")[0].removeprefix("g"))].recipe
        smallest = shrink(culprit, lambda recipe: _differs(make(recipe), target))
        raise AssertionError(f"{target.name}: {mismatch}\n{smallest}\n{print_graph(make(smallest)[0])}")
    return got


def _differs(made: tuple[Graph, Stimuli], target: LavaTarget) -> bool:
    graph, stimuli = made
    got = target.build(graph).run(stimuli, record=QUANTITIES)
    return first_mismatch(reference.run(graph, stimuli), got) is not None


def shrink(recipe: AnyRecipe, fails: Callable[[AnyRecipe], bool]) -> AnyRecipe:
    """Return a recipe that still fails, and no longer does if any one field is set back to its default."""
    plain = type(recipe)()
    changed = True
    while changed:
        changed = False
        for item in fields(recipe):
            simpler = replace(recipe, **{item.name: getattr(plain, item.name)})
            if item.name != "seed" and simpler != recipe and fails(simpler):
                recipe, changed = simpler, True
    return recipe

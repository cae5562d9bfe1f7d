"""Integer executions that must be equal, and the smallest graph to look at where they are not."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from targets.emulator.target import EmulatorTarget
from targets.lava.job import Models
from targets.lava.target import LavaTarget
from tests.graphs import Recipe, union
from tests.image_graphs import ImageRecipe
from toolchain import reference
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph
from toolchain.trace import QUANTITIES, Trace

AnyRecipe = TypeVar("AnyRecipe", Recipe, ImageRecipe)
Make = Callable[[AnyRecipe], tuple[Graph, object]]
"""From a recipe to a graph and its stimulus."""


def check_equal(graph: Graph, expected: Trace, target: EmulatorTarget | LavaTarget, stimulus: object) -> None:
    """u, v and spikes of every population at every step."""
    got = target.build(graph).run(stimulus, record=QUANTITIES)  # type: ignore[arg-type]
    mismatch = first_mismatch(expected, got)
    assert mismatch is None, f"{target.name}: {mismatch}\n{print_graph(graph)}"


def check_on_lava(recipes: Sequence[AnyRecipe], make: Make[AnyRecipe]) -> None:
    """Many graphs in one simulation, on every choice of models; where one differs, the smallest that does."""
    made = [make(recipe) for recipe in recipes]
    graph = union([part for part, _ in made])
    stimulus = {f"g{i}-x": values for i, (_, values) in enumerate(made)}
    expected = reference.run(graph, stimulus)  # type: ignore[arg-type]
    for models in Models:
        target = LavaTarget(models=models)
        mismatch = first_mismatch(expected, target.build(graph).run(stimulus, record=QUANTITIES))  # type: ignore[arg-type]
        if mismatch is not None:
            culprit = recipes[int(mismatch.record.split("-")[0].removeprefix("g"))]
            smallest = shrink(culprit, lambda recipe: _differs(make(recipe), target))  # noqa: B023
            raise AssertionError(f"{target.name}: {mismatch}\n{smallest}\n{print_graph(make(smallest)[0])}")


def _differs(made: tuple[Graph, object], target: LavaTarget) -> bool:
    graph, stimulus = made
    got = target.build(graph).run(stimulus, record=QUANTITIES)  # type: ignore[arg-type]
    return first_mismatch(reference.run(graph, stimulus), got) is not None  # type: ignore[arg-type]


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

"""Modules of other frameworks are compiled as they are: every spike is equal, or the message says why not.

Needs `make frameworks`, which installs them.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import pumice
from tests.frameworks.module_cases import Case, strengthen
from toolchain.errors import ArgumentError, UnsupportedModuleError
from toolchain.stage import Stage

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")
MISSING = [name for name in FRAMEWORKS if find_spec(name) is None]
RANDOM = 300
REFUSED = (
    "forgets at each call what came before",
    "cannot be read out",
    "in the middle of the network",
    "is read by another module; only spikes travel",
    "potentials of neurons that fire are read after their reset",
)
"""Why a random read-out is none of a graph."""
PARTS = 10
pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]


@cache
def cases(framework: str) -> tuple[Case, ...]:
    return tuple(import_module(f"tests.frameworks.module_cases_{framework}").CASES)


@cache
def results(framework: str) -> dict[str, str]:
    return {case.construct: case.result() for case in cases(framework)}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_construct_is_equal_or_refused_with_its_reason(framework: str) -> None:
    made = results(framework)
    wrong = {
        case.construct: made[case.construct]
        for case in cases(framework)
        if not (case.refused in made[case.construct] if case.refused else made[case.construct] == "equal")
    }
    assert not wrong


def _forgets(module: torch.nn.Module) -> bool:
    """Return whether a layer of sinabs sends to itself, which a call for every step forgets."""
    layer = import_module("sinabs.layers").LIFRecurrent
    return any(isinstance(child, layer) for child in module.modules())


@pytest.mark.parametrize("part", range(PARTS))
def test_random_modules_are_equal_or_say_why_not(part: int) -> None:
    case_of = import_module("tests.frameworks.random_neurons").case
    cases_of = {seed: case_of(seed) for seed in range(part, RANDOM, PARTS)}
    made = {seed: case.result() for seed, case in cases_of.items()}
    named = {seed: what for seed, what in made.items() if what not in {"equal", "silent"}}
    assert all("forgets at each call what came before" in what for what in named.values()), named
    assert named.keys() == {seed for seed, case in cases_of.items() if _forgets(case.make())}


@pytest.mark.parametrize("part", range(PARTS))
def test_random_read_outs_are_equal_or_say_why_not(part: int) -> None:
    case_of = import_module("tests.frameworks.random_neurons").case
    made = {seed: case_of(seed, readout=True).result() for seed in range(part, RANDOM, PARTS)}
    named = {seed: what for seed, what in made.items() if what not in {"equal", "silent"}}
    wrong = {seed: what for seed, what in named.items() if not any(why in what for why in REFUSED)}
    assert not wrong
    assert len(named) < len(made)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_module_is_compiled_and_its_integers_run(framework: str) -> None:
    case = next(case for case in cases(framework) if not case.refused)
    example = case.example()
    build = pumice.compile(case.make(), example, calibration=example)
    assert build.facts.source is not None
    build.facts.source.require_equal()
    assert "equal" in pumice.compare(build, exact=("emulator",)).sentences()[-1]


def test_every_argument_of_forward_is_an_input_by_its_name() -> None:
    torch.manual_seed(0)
    module = import_module("tests.frameworks.snntorch_modules").TwoArguments()
    strengthen(module, 3.0)
    rng = np.random.default_rng(0)
    streams = {name: rng.random((15, 5, size)) < 0.4 for name, size in (("right", 4), ("left", 6))}
    build = pumice.compile(module, streams)
    assert {node.name: node.shape for node in build.float_graph.inputs} == {"left": (6,), "right": (4,)}
    assert build.facts.source is not None
    build.facts.source.require_equal()
    assert all(each.spikes > 0 for each in build.facts.source.populations.values())
    with torch.no_grad():
        sent = module(*(torch.from_numpy(streams[name]).float() for name in ("left", "right")))
    scores = pumice.predict(build, stage=Stage.FLOAT).scores
    assert np.array_equal(next(iter(scores.values())), sent.sum(0).numpy())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_module_needs_an_example(framework: str) -> None:
    with pytest.raises(ArgumentError, match="example: expected samples as the module takes them"):
        pumice.compile(cases(framework)[0].make())


def test_a_type_without_counterpart_names_those_that_have_one() -> None:
    case = next(case for case in cases("norse") if case.construct == "LSNN")
    with pytest.raises(UnsupportedModuleError, match=r"snntorch \(Leaky, RLeaky, RSynaptic, Synaptic\)"):
        pumice.compile(case.make(), case.example())


def table() -> str:
    """The table of the study, from the cases: a row for every framework and construct."""
    rows = ["| framework | module | compiled | why not |", "|---|---|---|---|"]
    for framework in FRAMEWORKS:
        for case in cases(framework):
            reason = case.refused and _reason(results(framework)[case.construct])
            rows.append(f"| {framework} | {case.construct} | {'no' if reason else 'equal'} | {reason} |")
    return "\n".join(rows)


def _reason(message: str) -> str:
    """Return the message without the places of these tests and what else is supported."""
    problem = message.partition(": ")[2]
    if "; supported: " in problem:
        return f"{problem.partition(';')[0]}: {problem.partition('); ')[2]}".replace("|", "/")
    head, tick, rest = problem.partition("` ")
    said = rest if tick and head.startswith("module_cases") else problem
    return said.replace("|", "/").replace("`", "")


def test_the_page_holds_the_table_of_modules(repository: Path) -> None:
    assert table() in (repository / "docs/studies/modules.md").read_text(), table()

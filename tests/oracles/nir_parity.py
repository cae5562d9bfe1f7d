"""Random NIR graphs, imported and simulated from their equations: equal, or refused by name; out and in."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import nir
import numpy as np

from tests.oracles.nir_arrays import MalformedError
from tests.oracles.nir_edges import opened
from tests.oracles.nir_equations import Simulation
from tests.oracles.random_nir import Case, random_case
from toolchain.errors import FrontendError, PreconditionError
from toolchain.execution import reference
from toolchain.execution.trace import Trace
from toolchain.interchange.nir.conventions import READERS, convention, reader_convention
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.nir.metadata import named_convention
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Graph

CLOSE = 1e-9
"""Of the largest potential: some thousand roundings of double precision."""
WRITABLE = sorted(name for name, item in READERS.items() if not item.fires_without_r)


@dataclass
class Tally:
    """What became of some graphs.

    Attributes:
        outcomes: How many were `equal`, `refused`, `undecided` (rounding decides a spike; equal until then),
            and of the equal ones, `written` and read again, or `not written`.
        reasons: How often each reason was given.
        differences: Seed and text of each that differs.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[int, str]] = field(default_factory=list)


class DifferenceError(AssertionError):
    """An import or an export means something else."""


def check(seed: int, tally: Tally) -> None:
    """Try one graph and count what became of it."""
    case = random_case(np.random.default_rng(seed))
    try:
        _check(case, np.random.default_rng([seed, 1]), tally)
    except DifferenceError as error:
        tally.differences.append(
            (
                seed,
                f"{error} ({case.convention}, reset {case.reset}{', ' * bool(case.spoiled)}{case.spoiled})",
            )
        )


def _check(case: Case, rng: np.random.Generator, tally: Tally) -> None:
    try:
        chosen = convention(case.convention, reset=case.reset)
        graph = from_nir(case.graph, chosen, peak=case.peak).graph
    except FrontendError as error:
        _refused(case.graph, error, tally)
        tally.outcomes["refused"] += 1
        return
    except Exception as error:
        raise DifferenceError(f"ends in {error!r}") from error
    trace = reference.run(graph, entering(graph, case))
    decided = _compare(case, graph, trace)
    steps = next(iter(case.entering.values())).shape[1]
    tally.outcomes["equal" if decided == steps else "undecided"] += 1
    _written(case, graph, trace, decided, rng, tally)


def _names_a_node(message: str, nodes: Iterable[str]) -> bool:
    """Whether a refusal says which node it is about."""
    return any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", message) for name in nodes)


def _refused(graph: nir.NIRGraph, error: Exception, tally: Tally) -> None:
    try:
        nodes = set(opened(graph)[0])
    except MalformedError:
        nodes = {name for edge in graph.edges for name in edge}
    if not _names_a_node(str(error), nodes):
        raise DifferenceError(f"refused without a node: {error}")
    tally.reasons[re.sub(r"'[^ ]*'|\([\d, ]*\)|\d[\d.e-]*|(\S+ -> )+\S+", "..", str(error))[:90]] += 1


def entering(graph: Graph, case: Case) -> dict[str, np.ndarray]:
    """What enters, under the names and in the shapes of the imported graph."""
    named = {re.sub(r"[^A-Za-z0-9_.-]", "_", name): values for name, values in case.entering.items()}
    return {
        node.name: named[node.name].reshape(*named[node.name].shape[:2], *node.shape) for node in graph.inputs
    }


def _compare(case: Case, graph: Graph, trace: Trace) -> int:
    """Hold every population and read-out against the equations; return how many steps were decided."""
    samples, steps = next(iter(case.entering.values())).shape[:2]
    decided = steps
    for sample in range(samples):
        ours = Simulation(
            case.graph,
            {name: values[sample] for name, values in case.entering.items()},
            case.dt,
            case.convention,
            case.reset,
        )
        try:
            ours.run()
            seen = {f"{name}.readout": name for name in ours.outputs}
            # A threshold over a decay is no binary fraction.
            until = steps if case.exact and case.reset != "subtract-delayed" else ours.undecided
            for node in graph.populations:
                leaf = node.origin.path
                if leaf == "constant" or (leaf not in ours.nodes and leaf.endswith(".above")):
                    continue
                if leaf in seen and leaf not in ours.nodes:
                    v = np.stack([ours.sent(seen[leaf], t) for t in range(steps)])
                    spikes = np.zeros(v.shape)
                else:
                    v, spikes = np.stack(ours.v[leaf]) - ours.start(leaf), np.stack(ours.spikes[leaf])
                _same(leaf, trace.v[node.name][sample][:until], v[:until])
                _equal(leaf, trace.spikes[node.name][sample][:until], spikes[:until])
        except MalformedError as error:
            raise DifferenceError(f"accepted, but {error}") from error
        decided = min(decided, until)
    return decided


def _same(leaf: str, found: np.ndarray, expected: np.ndarray) -> None:
    if found.size != expected.size:
        raise DifferenceError(f"'{leaf}' has {found.shape}, expected {expected.shape}")
    apart = np.abs(found.reshape(expected.shape) - expected)
    if (apart > CLOSE * max(1.0, float(np.abs(expected).max(initial=0)))).any():
        t = int(np.argwhere(apart == apart.max())[0][0])
        raise DifferenceError(f"potentials of '{leaf}' differ by {apart.max():g} at step {t}")


def _equal(leaf: str, found: np.ndarray, expected: np.ndarray) -> None:
    if (found.reshape(expected.shape) != expected).any():
        raise DifferenceError(f"spikes of '{leaf}' differ")


def _written(
    case: Case, graph: Graph, trace: Trace, decided: int, rng: np.random.Generator, tally: Tally
) -> None:
    """Write the graph for a reader and read it again."""
    name = "nir" if rng.random() < 0.5 else str(rng.choice(WRITABLE))
    try:
        written = to_nir(graph, reader_convention(name)).graph
    except PreconditionError as error:
        if not _names_a_node(str(error), [node.name for node in graph]):
            raise DifferenceError(f"not written, without a node: {error}") from error
        tally.outcomes["not written"] += 1
        tally.reasons["export: " + re.sub(r"'[^']*'", "..", str(error))[:70]] += 1
        return
    except Exception as error:
        raise DifferenceError(f"export ends in {error!r}") from error
    try:
        back = from_nir(written, named_convention(written), peak=case.peak).graph
    except Exception as error:
        raise DifferenceError(f"what was written ends in {error!r}") from error
    values = {
        node.name: entering(graph, case)[node.name].reshape(
            *next(iter(case.entering.values())).shape[:2], *node.shape
        )
        for node in back.inputs
    }
    again = reference.run(back, values)
    for node in graph.populations:
        before = trace.v[node.name][:, :decided], trace.spikes[node.name][:, :decided]
        _same(f"{node.name}, read again,", again.v[node.name][:, :decided], before[0])
        _equal(f"{node.name}, read again,", again.spikes[node.name][:, :decided], before[1])
    tally.outcomes["written"] += 1

"""The parts of `make attack`: what each tries, and the rows of its table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

import numpy as np

from tests.attack import crafted, documents, killed, limits, mutants, run_files, signals, swaps, terminal
from tests.attack.kinds import Kinds
from tests.attack.mutations import Outcomes
from tests.attack.small_builds import save_images, save_recurrent
from tests.attack.verbs import Caller
from toolchain.workflow.load import load

_MIB: Final = 2**20


@final
@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        cells: What was tried, and the figures.
        wrong: What should not have happened.
    """

    cells: tuple[str, ...]
    wrong: list[str] = field(default_factory=list)


@final
@dataclass(frozen=True)
class Setting:
    """What the parts work on.

    Attributes:
        kinds: All kinds of files, with a small run and a small build.
        folder: For the part itself; empty in the beginning.
        size: How much is tried: 1 for minutes.
        chosen: Only what has this in its name; all if it is empty.
    """

    kinds: Kinds
    folder: Path
    size: float
    chosen: str = ""

    def count(self, number: int) -> int:
        """Return a number of tries as the size has it."""
        return max(1, round(number * self.size))

    def caller(self) -> Caller:
        """Return what calls the verbs."""
        return Caller(self.kinds.run.parent, self.folder)


@final
@dataclass(frozen=True)
class Part:
    """A part.

    Attributes:
        heading: Heading of the columns of its table.
        rows: Tries everything and yields the rows.
        every: Whether rows with nothing wrong are printed, too, or only counted.
    """

    heading: tuple[str, ...]
    rows: Callable[[Setting], Iterator[Row]]
    every: bool = True


def _crafted(setting: Setting) -> Iterator[Row]:
    for kind, told, size, outcome, wrong in crafted.crafted(setting.kinds, setting.chosen):
        figures = (f"{size:,}", outcome.said, f"{outcome.memory / _MIB:.0f}", f"{outcome.seconds:.1f}")
        yield Row((kind, told, *figures), wrong)


def _mutants(setting: Setting) -> Iterator[Row]:
    for name, found in mutants.mutants(setting.kinds.all(), setting.count(100), setting.chosen):
        tried, read = found.outcomes.total(), found.outcomes["read"]
        figures = (f"{tried}", f"{read}", f"{tried - read - len(found.broken)}", f"{found.memory / _MIB:.0f}")
        yield Row((name, *figures), [f"mutant {number}: {said}" for number, said in found.broken])


def _outcomes(name: str, found: Outcomes) -> Row:
    figures = (f"{found.tried}", f"{len(found.accepted)}", f"{found.refused.total()}")
    return Row((name, *figures), [f"{told}: {text.strip().splitlines()[-1]}" for told, text in found.broken])


def _documents(setting: Setting) -> Iterator[Row]:
    share = min(1.0, 0.2 * setting.size)
    for save in (save_recurrent, save_images):
        build = save(setting.folder / save.__name__, np.random.default_rng(5))
        for name, found in documents.attack_documents(build, share).items():
            yield _outcomes(f"{save.__name__.removeprefix('save_')}: {name}", found)


def _run_files(setting: Setting) -> Iterator[Row]:
    for prey in run_files.all_prey(setting.folder, setting.kinds.run):
        if setting.chosen in prey.name:
            yield _outcomes(prey.name, prey.attack(max(1, round(2 / setting.size))))


def _swaps(setting: Setting) -> Iterator[Row]:
    build = load(setting.kinds.build)
    other = replace(
        build,
        float_graph=replace(build.float_graph, name="other"),
        fixed_graph=replace(build.fixed_graph, name="other"),
    )
    for name, found in swaps.swaps(setting.folder, (build, other), setting.count(2000)):
        yield Row((name, f"{found['whole']:,}", f"{found['saves']:,}"), swaps.breaches(found))


def _signals(setting: Setting) -> Iterator[Row]:
    signals.prepare(setting.folder, setting.kinds.run, setting.kinds.build)
    for name, verb in signals.verbs(setting.folder).items():
        if setting.chosen in name:
            tried = signals.attack(name, *verb, setting.count(50))
            yield Row((name, f"{tried.moments}", f"{tried.seconds:.1f}", tried.ends()), tried.faults)


def _killed(setting: Setting) -> Iterator[Row]:
    for name, counts, wrong in killed.killed(setting.caller(), setting.count(10), setting.chosen):
        yield Row((name, f"{counts['killed']}", f"{counts['ended before']}"), wrong)


def _limits(setting: Setting) -> Iterator[Row]:
    caller = setting.caller()
    for tried in (limits.limits, limits.disks, limits.permissions):
        for name, verb, code, wrong in tried(caller, setting.chosen):
            yield Row((name, verb, "not possible here" if code is None else str(code)), wrong)


def _terminal(setting: Setting) -> Iterator[Row]:
    for name, code, wrong in terminal.terminal(setting.caller(), setting.chosen):
        yield Row((name, str(code)), wrong)


PARTS: Final = {
    "crafted": Part(("kind", "file", "bytes", "outcome", "MiB", "seconds"), _crafted),
    "mutants": Part(("kind", "tried", "read", "refused", "MiB"), _mutants),
    "documents": Part(("document of a build", "tried", "accepted", "refused"), _documents),
    "run-files": Part(("text", "tried", "accepted", "refused"), _run_files),
    "swaps": Part(("what", "whole reads", "saves"), _swaps),
    "signals": Part(("verb", "moments", "seconds", "exit codes"), _signals),
    "killed": Part(("verb", "killed", "ended before"), _killed),
    "limits": Part(("what is lacking", "verb", "exit code"), _limits, every=False),
    "terminal": Part(("where the name stands", "exit code"), _terminal, every=False),
}

"""Every error the toolchain raises on purpose.

::

    ToolchainError                        exit 3 unless said otherwise; anything else is a bug (exit 1)
    ├── UsageError                        exit 2: the request is wrong
    │   ├── ArgumentError                   a value a Python caller gave: its name, expected, got, what to do
    │   ├── UnknownNameError                target, model, gate: lists the known, suggests the nearest
    │   ├── MissingFileError                a path that was given does not exist
    │   ├── ExperimentError                 experiment file: the key and what it expects
    │   ├── ProfileError                    profile of a chip: the key and what is wrong with it
    │   ├── TraceError                      a recorded trace is not one of this network
    │   ├── StimulusError                   what was given to run does not fit the network's inputs
    │   └── SeriesError                     a time series cannot be read or predicted: its name and why
    ├── FrontendError                     the model cannot become a graph
    │   └── UnsupportedModuleError          path of the module in the model, its type, what is supported
    ├── IRError                           the graph is not well formed
    │   ├── VerifyError                     node and rule
    │   └── FeedbackError                   a loop that is not closed through a delay
    ├── ArtifactError                     a file or folder on disk is not what it should be
    │   ├── FormatVersionError              the file's version, ours, what to do
    │   └── CorruptArtifactError            content differs from its recorded hash, or cannot be read safely
    ├── StorageError                      the disk is full or refuses: which file, what to do
    ├── OutOfMemoryError                  the memory did not suffice: for which work, what to do
    ├── TrainingError                     training left the finite numbers, or cannot be resumed
    ├── PruningError                      the network cannot be pruned as asked
    ├── PassError
    │   ├── PreconditionError               usually names the pass to run first
    │   └── PostconditionError              our fault: says so
    ├── TargetError                       the graph does not fit the target, or the target failed
    │   ├── DoesNotFitError                 a network is too large for a chip: which part, which limit
    │   ├── TargetUnavailableError          what is missing and the command that mends it
    │   └── SimulationError                 a simulator crashed or hung: process and step
    ├── FaultyIntegersError               exit 4: integers that are not those of the float graph
    └── FidelityError                     exit 4: a gate was not met (measured, required)
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from toolchain.visible import VisibleError


class ToolchainError(VisibleError):
    """Base of every error raised on purpose; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 3


class UsageError(ToolchainError):
    """The request itself is wrong."""

    exit_code: ClassVar[int] = 2


class ArgumentError(UsageError):
    """A value that a Python caller gave cannot be used.

    Attributes:
        argument: Name of the argument.
    """

    def __init__(self, argument: str, expected: str, got: str, mend: str = "") -> None:
        self.argument = argument
        advice = f"; {mend}" if mend else ""
        super().__init__(f"{argument}: expected {expected}, got {got}{advice}")


class UnknownNameError(UsageError):
    """A name that is not among the known ones.

    Attributes:
        what: The sort of thing that was named, such as `target`.
        name: The name as given.
        known: The names that would have been accepted.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what = what
        self.name = name
        self.known = tuple(sorted(known))
        nearest = difflib.get_close_matches(name, self.known, n=1)
        hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
        listed = ", ".join(self.known) or "none"
        super().__init__(f"{what} '{name}' is not known; known: {listed}{hint}")


class MissingFileError(UsageError):
    """A path that was given does not exist.

    Attributes:
        path: The path as given.
    """

    def __init__(self, what: str, path: Path) -> None:
        self.path = path
        super().__init__(f"{what} '{path}' does not exist; check the path")


class ExperimentError(UsageError):
    """An experiment file holds a key or value that is not accepted.

    Attributes:
        key: Dotted path of the offending key.
    """

    def __init__(self, key: str, reason: str, *, known: Sequence[str] = ()) -> None:
        self.key = key
        nearest = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
        hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
        listed = f"; known here: {', '.join(sorted(known))}" if known else ""
        super().__init__(f"experiment key '{key}': {reason}{listed}{hint}")


class ProfileError(UsageError):
    """The profile of a chip lacks a value, or holds an impossible one.

    Attributes:
        profile: File or name.
        key: Dotted path of the offending key; empty for the whole file.
    """

    def __init__(self, profile: str, key: str, reason: str) -> None:
        self.profile = profile
        self.key = key
        where = f"key '{key}' " if key else ""
        super().__init__(f"chip profile '{profile}': {where}{reason}")


class TraceError(UsageError):
    """A recorded trace does not belong to the network.

    Attributes:
        node: The population at which that shows.
    """

    def __init__(self, node: str, problem: str) -> None:
        self.node = node
        super().__init__(
            f"the trace is not of this network: population '{node}' {problem}; record one with 'pumice run'"
        )


class StimulusError(UsageError):
    """A stimulus does not fit the inputs of the network."""


class SeriesError(UsageError):
    """A time series cannot be used.

    Attributes:
        name: Of the series or its file.
        problem: What is wrong with it.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"series '{name}' {problem}")


class FrontendError(ToolchainError):
    """The model cannot become a graph."""


class UnsupportedModuleError(FrontendError):
    """A layer that the frontend does not know.

    Attributes:
        path: Path of the module in the model, such as `encoder.2`.
        type_name: Class of the module.
    """

    def __init__(self, path: str, type_name: str, supported: Sequence[str], advice: str = "") -> None:
        self.path = path
        self.type_name = type_name
        super().__init__(
            f"module '{path}' is a {type_name}, which has no meaning in the graph"
            f"{': ' if advice else ''}{advice}; supported: {', '.join(supported)}"
        )


class IRError(ToolchainError):
    """The graph is not well formed."""


class VerifyError(IRError):
    """A node breaks a rule of the graph.

    Attributes:
        node: Name of the node.
        rule: What is wrong with it.
    """

    def __init__(self, node: str, rule: str) -> None:
        self.node = node
        self.rule = rule
        super().__init__(f"node '{node}': {rule}")


class FeedbackError(IRError):
    """A loop without delay: its nodes would need their own output of the same step.

    Attributes:
        cycle: Names of the nodes along the loop.
    """

    def __init__(self, cycle: Sequence[str], needed: int = 1) -> None:
        self.cycle = tuple(cycle)
        self.needed = needed
        steps = "one step" if needed == 1 else f"{needed} steps"
        # A loop without any delay means nothing; one with too little means something, but on no clocked chip.
        remedy = (
            ", or compile with --loop-delay (loop_delay=True), which adds what is missing, in real numbers "
            "and integers alike, and says where"
        )
        option = "" if needed == 1 else remedy
        super().__init__(
            f"the loop {' -> '.join((*self.cycle, self.cycle[0]))} has too little delay; "
            f"give its feedback connection a delay of at least {steps}{option}"
        )


class ArtifactError(ToolchainError):
    """A file or folder on disk is not what it should be."""


class FormatVersionError(ArtifactError):
    """A file was written by another version of the format.

    Attributes:
        found: Version in the file.
        supported: Version this toolchain reads.
    """

    def __init__(self, what: str, found: object, supported: int, mend: str = "pumice compile") -> None:
        self.found = found
        self.supported = supported
        newer = isinstance(found, int) and found > supported
        advice = "update pumice" if newer else f"write it again with '{mend}'"
        super().__init__(
            f"{what} has format version {found!r}, but this pumice reads version {supported}; {advice}"
        )


class CorruptArtifactError(ArtifactError):
    """The content of a file differs from what was recorded, or cannot be read safely.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"'{path}' {reason}")


class StorageError(ToolchainError):
    """A file or folder can be sound and yet not be read or written: the disk or its permissions refuse.

    Attributes:
        path: The file or folder.
        problem: What was refused, and why.
        mend: What to do.
    """

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        self.path = path
        self.problem = problem
        self.mend = mend
        super().__init__(f"'{path}' {problem}; {mend}")


class OutOfMemoryError(ToolchainError):
    """The memory did not suffice, and that could not be foreseen.

    Attributes:
        work: What it was needed for.
    """

    def __init__(self, work: str, said: str, mend: str) -> None:
        self.work = work
        reason = f" ({said})" if said else ""
        super().__init__(f"there is not enough memory for {work}{reason}; {mend}")


class TrainingError(ToolchainError):
    """Training left the finite numbers, or a checkpoint cannot be continued."""


class PruningError(ToolchainError):
    """The network cannot be pruned as asked."""


class PassError(ToolchainError):
    """A pass could not do its work."""


class PreconditionError(PassError):
    """A pass was given a graph it does not accept."""


class PostconditionError(PassError):
    """A pass broke its own promise: a bug of the toolchain."""


class TargetError(ToolchainError):
    """The graph does not fit the target, or the target failed."""


class DoesNotFitError(TargetError):
    """A network, or a part of it, is too large for a chip.

    Attributes:
        node: Population or connection that is too large; empty for the whole network.
        resource: The limit that it breaks.
        needed: How much it needs.
        limit: How much there is.
    """

    def __init__(self, node: str, resource: str, needed: float, limit: float, mend: str) -> None:
        self.node = node
        self.resource = resource
        self.needed = needed
        self.limit = limit
        what = f"'{node}'" if node else "the network"
        super().__init__(f"{what} needs {needed:g} {resource}, there are {limit:g}; {mend}")


class TargetUnavailableError(TargetError):
    """A target cannot be used here.

    Attributes:
        target: Name of the target.
        mend: Command that installs what is missing.
    """

    def __init__(self, target: str, missing: str, mend: str) -> None:
        self.target = target
        self.mend = mend
        super().__init__(f"target '{target}' is not usable here: {missing}; run: {mend}")


class SimulationError(TargetError):
    """A simulator crashed, hung or was stopped.

    Attributes:
        process: Name of the process that failed, in terms of the graph.
        step: Time step it was in, counted from 1; 0 before the first step.
    """

    def __init__(self, reason: str, *, process: str, step: int) -> None:
        self.process = process
        self.step = step
        super().__init__(f"process '{process}' at step {step}: {reason}")


class FaultyIntegersError(ToolchainError):
    """The integers of a build are not a rounding of its float graph.

    Attributes:
        node: Where.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, node: str, fault: str) -> None:
        self.node = node
        super().__init__(f"{fault}; the build was changed after it was compiled: compile it again")


class FidelityError(ToolchainError):
    """A fidelity gate was not met.

    Attributes:
        gate: Name of the gate.
        node: The worst layer.
        measured: What was measured there.
        required: The bound.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, gate: str, node: str, *, measured: float, required: float) -> None:
        self.gate = gate
        self.node = node
        self.measured = measured
        self.required = required
        super().__init__(
            f"gate '{gate}' not met at '{node}': measured {measured:.6g}, required {required:.6g}"
        )

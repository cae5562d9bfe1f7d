"""Every error that the toolchain raises on purpose.

A message speaks Python: it names an argument or a call in backticks, such as `loop_delay=True`. The command
line spells that as its own option (`toolchain.cli.spelling`), so no message here names an option.

::

    ToolchainError                        exit 3 unless said otherwise; anything else is a bug (exit 1)
    ├── UsageError                        exit 2: the request is wrong
    │   ├── ArgumentError                   an argument of a Python call: its name, expected, got
    │   ├── UnknownNameError                target, model, gate: lists the known, suggests the nearest
    │   ├── MissingFileError                a path that does not exist
    │   ├── ExperimentError                 experiment file: the key and what it expects
    │   │   └── SweepError                    the same of a sweep file
    │   ├── ProfileError                    profile of a chip: the key and what is wrong with it
    │   ├── TraceError                      a recorded trace is not one of this network
    │   ├── StimulusError                   samples do not fit the network's inputs
    │   └── SeriesError                     a time series cannot be read or predicted: its name and why
    ├── FrontendError                     the model cannot become a graph
    │   └── UnsupportedModuleError          path of the module in the model, its type, what is supported
    ├── IRError                           the graph is not well formed
    │   ├── VerifyError                     node and rule
    │   └── FeedbackError                   a loop that is not closed through a delay
    ├── ArtifactError                     a file or folder on disk is not what it should be
    │   ├── FormatVersionError              the file's version, and ours
    │   └── CorruptArtifactError            content differs from its recorded hash, or cannot be read safely
    ├── StorageError                      the disk is full or refuses access: which file, and why
    ├── OutOfMemoryError                  the memory did not suffice: for which work
    ├── ClusterError                      workers or their scheduler: absent, lost, or unlike this machine
    ├── TrainingError                     training left the finite numbers, or cannot be resumed
    ├── PruningError                      the network cannot be pruned as asked
    ├── PassError
    │   ├── PreconditionError               usually names the pass to run first
    │   └── PostconditionError              our fault: says so
    ├── TargetError                       the graph does not fit the target, or the target failed
    │   ├── DoesNotFitError                 a network is too large for a chip: which part, which limit
    │   ├── LackingNeuronsError             a place has no neurons that do what those of a population do
    │   ├── TargetUnavailableError          what is missing, and the command that installs it
    │   └── SimulationError                 a simulator crashed or hung: process and step
    ├── FaultyIntegersError               exit 4: integers that are not those of the float graph
    ├── SourceMismatchError               exit 4: a network that is not what its framework computed
    └── FidelityError                     exit 4: a gate was not met (measured, required)
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from toolchain.suggestion import nearest
from toolchain.visible import VisibleError, visible


class ToolchainError(VisibleError):
    """Base of every error raised on purpose.

    Args:
        problem: What was expected and what came.
        remedy: What to do about it; the message ends with it.

    Attributes:
        exit_code: Exit code of the command line.
        remedy: What to do about it; empty where the problem already says it.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.remedy = visible(remedy)
        super().__init__(f"{problem}; {remedy}" if remedy else problem)


class UsageError(ToolchainError):
    """The request itself is wrong."""

    exit_code: ClassVar[int] = 2


class ArgumentError(UsageError):
    """A value that a Python caller gave for `argument` cannot be used."""

    def __init__(self, argument: str, expected: str, got: str, remedy: str = "") -> None:
        self.argument = argument
        super().__init__(f"{argument}: expected {expected}, got {got}", remedy)


class UnknownNameError(UsageError):
    """A name that is not among the known ones.

    Attributes:
        what: The sort of thing that was named, such as `target`.
        name: The unknown name.
        known: The names that are accepted.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name = what, name
        self.known = tuple(sorted(known))
        listed = ", ".join(self.known) or "none"
        super().__init__(f"{what} '{name}' is not known; known: {listed}", nearest(name, self.known))


class MissingFileError(UsageError):
    """A `path` that does not exist."""

    def __init__(self, what: str, path: Path, remedy: str = "check the path") -> None:
        self.path = path
        super().__init__(f"{what} '{path}' does not exist", remedy)


class ExperimentError(UsageError):
    """An experiment file holds a key or value that is not accepted.

    Attributes:
        WHAT: The file in words.
        key: Dotted path of the offending key.
    """

    WHAT: ClassVar[str] = "experiment"

    def __init__(self, key: str, reason: str, *, known: Sequence[str] = ()) -> None:
        self.key = key
        listed = f"; known here: {', '.join(sorted(known))}" if known else ""
        super().__init__(f"{self.WHAT} key '{key}': {reason}{listed}", nearest(key.rpartition(".")[2], known))


class SweepError(ExperimentError):
    """A sweep file holds a key or value that is not accepted; see `ExperimentError`."""

    WHAT: ClassVar[str] = "sweep"


class ProfileError(UsageError):
    """The profile of a chip lacks a value, or holds an impossible one.

    Attributes:
        profile: File or name of the profile.
        key: Dotted path of the offending key; empty for the whole file.
    """

    def __init__(self, profile: str, key: str, reason: str) -> None:
        self.profile, self.key = profile, key
        where = f"key '{key}' " if key else ""
        super().__init__(f"chip profile '{profile}': {where}{reason}")


class TraceError(UsageError):
    """A recorded trace does not belong to the network.

    Attributes:
        node: The population at which that shows; empty for the whole trace.
    """

    def __init__(self, node: str, problem: str) -> None:
        self.node = node
        where = f"population '{node}'" if node else "it"
        super().__init__(
            f"the trace is not of this network: {where} {problem}", "record one with 'pumice run'"
        )


class StimulusError(UsageError):
    """A stimulus does not fit the inputs of the network."""


class SeriesError(UsageError):
    """A time series cannot be used.

    Attributes:
        name: Name of the series or its file.
        problem: What is wrong with it.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(f"series '{name}' {problem}")


class FrontendError(ToolchainError):
    """The model cannot become a graph."""


class UnsupportedModuleError(FrontendError):
    """A layer that the frontend does not know.

    Attributes:
        path: Path of the module in the model, such as `encoder.2`.
        type_name: Class of the module.
    """

    def __init__(self, path: str, type_name: str, supported: Sequence[str], remedy: str = "") -> None:
        self.path, self.type_name = path, type_name
        known = ", ".join(supported)
        problem = f"module '{path}' is a {type_name}, which has no meaning in the graph; supported: {known}"
        super().__init__(problem, remedy)


class IRError(ToolchainError):
    """The graph is not well formed."""


class VerifyError(IRError):
    """A node breaks a rule of the graph.

    Attributes:
        node: Name of the node.
        rule: What is wrong with it.
    """

    def __init__(self, node: str, rule: str) -> None:
        self.node, self.rule = node, rule
        super().__init__(f"node '{node}': {rule}")


class FeedbackError(IRError):
    """A loop without delay: its nodes would need their own output of the same step.

    Attributes:
        cycle: Names of the nodes along the loop.
        needed: Steps of delay that the loop needs.
    """

    def __init__(self, cycle: Sequence[str], needed: int = 1) -> None:
        self.cycle = tuple(cycle)
        self.needed = needed
        remedy = f"give its feedback connection a delay of at least {needed} step{'s' * (needed > 1)}"
        # A loop without any delay means nothing; one with too little means something, but on no clocked chip.
        if needed > 1:
            remedy += ", or compile with `loop_delay=True`, which adds what is missing, in real numbers too"
        super().__init__(f"the loop {' -> '.join((*cycle, cycle[0]))} has too little delay", remedy)


class ArtifactError(ToolchainError):
    """A file or folder on disk is not what it should be."""


class FormatVersionError(ArtifactError):
    """A file was written by another version of the format.

    Attributes:
        version: Version in the file.
        supported: Version that this toolchain reads.
    """

    def __init__(self, what: str, version: object, supported: int, command: str) -> None:
        self.version, self.supported = version, supported
        newer = isinstance(version, int) and version > supported
        super().__init__(
            f"{what} has format version {version!r}, but this pumice reads version {supported}",
            "update pumice" if newer else f"write it again with '{command}'",
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
    """The disk, or its permissions, refuse to read or write a file.

    Attributes:
        path: The file or folder.
        problem: What was refused, and why.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"'{path}' {problem}", remedy)


class OutOfMemoryError(ToolchainError):
    """The memory did not suffice for `work`, and that could not be foreseen."""

    def __init__(self, work: str, reason: str, remedy: str) -> None:
        self.work = work
        because = f" ({reason})" if reason else ""
        super().__init__(f"there is not enough memory for {work}{because}", remedy)


class ClusterError(ToolchainError):
    """The workers of a cluster, or their scheduler, are absent, lost, or unlike this machine."""


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
        needed: Amount that it needs.
        limit: Amount that there is.
    """

    def __init__(self, node: str, resource: str, needed: float, limit: float, remedy: str) -> None:
        self.node, self.resource, self.needed, self.limit = node, resource, needed, limit
        what = f"'{node}'" if node else "the network"
        super().__init__(f"{what} needs {needed:g} {resource}, there are {limit:g}", remedy)


class LackingNeuronsError(TargetError):
    """A place has no neurons that do what those of a population do; `lacking` says what, by population."""

    def __init__(self, place: str, lacking: Mapping[str, Sequence[str]], remedy: str) -> None:
        self.place, self.lacking = place, dict(lacking)
        needs = "; ".join(f"population '{name}' has {', '.join(what)}" for name, what in lacking.items())
        super().__init__(f"{needs}: {place} has no such neurons", remedy)


class TargetUnavailableError(TargetError):
    """A target cannot be used here.

    Attributes:
        target: Name of the target.
        missing: What is missing.
        command: Command that installs it.
    """

    def __init__(self, target: str, missing: str, command: str) -> None:
        self.target, self.missing, self.command = target, missing, command
        super().__init__(f"target '{target}' is not usable here: {missing}", f"run: {command}")


class SimulationError(TargetError):
    """A simulator crashed, hung or was stopped.

    Attributes:
        process: Name of the process that failed, in terms of the graph.
        step: Time step it was in, counted from 1; 0 before the first step.
    """

    def __init__(self, reason: str, *, process: str, step: int) -> None:
        self.process, self.step = process, step
        super().__init__(f"process '{process}' at step {step}: {reason}")


class FaultyIntegersError(ToolchainError):
    """The integers of a build are not a rounding of its float graph; `node` has them."""

    exit_code: ClassVar[int] = 4

    def __init__(self, node: str, fault: str) -> None:
        self.node = node
        super().__init__(f"{fault}: the build was changed after it was compiled", "compile it again")


class SourceMismatchError(ToolchainError):
    """The network as it was read is not what its own framework computed: says where, and what would be."""

    exit_code: ClassVar[int] = 4


class FidelityError(ToolchainError):
    """A fidelity gate was not met.

    Attributes:
        gate: Name of the gate.
        node: The worst layer.
        measured: Figure that was measured there.
        required: Bound of the gate.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, gate: str, node: str, *, measured: float, required: float) -> None:
        self.gate, self.node = gate, node
        self.measured, self.required = measured, required
        figures = f"measured {measured:.6g}, required {required:.6g}"
        super().__init__(f"gate '{gate}' not met at '{node}': {figures}")

"""The BUILD folder: a compiled network with everything needed to run and judge it."""

import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Protocol, final

from numpy.typing import NDArray
from pydantic import Field

from toolchain.data.new_samples.raw_encoder import RawEncoder
from toolchain.errors import FeedbackError, TargetUnavailableError, UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus
from toolchain.files.documents import parse_document, write_document
from toolchain.files.npz import arrays_of
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.sealed_folder import SealedDocument, SealedFiles, open_sealed, seal
from toolchain.files.swapping import replacing_folder
from toolchain.intake import PathText, check_type, choice_of, path_of
from toolchain.ir import GRAPH_FILES, Graph, Stage, graph_from, save_graph
from toolchain.passes.quantization.report import QuantizationReport
from toolchain.summary import Summarised, Summary
from toolchain.target.protocol import export_program
from toolchain.target.registry import STANDALONE, load_target
from toolchain.workflow.build_facts import BuildFacts
from toolchain.workflow.coherence import check_coherent
from toolchain.workflow.pass_graphs import PASS_FILES, PassGraph, read_passes, write_passes

MANIFEST: Final = "manifest.json"
_QUANTIZATION: Final = "quantization.json"
_STIMULUS: Final = "stimulus.npz"
_INPUT: Final = "input.json"


class LongerThanProvedWarning(UserWarning):
    """Samples are longer than those for which currents and potentials were proved to fit."""


class TimeFirstWarning(UserWarning):
    """There are as many samples as the network expects steps, and another number of steps."""


class Manifest(SealedDocument):
    """The file that lists all others of a build.

    Attributes:
        pumice: Version of Pumice that wrote the build.
        target: Name of the target that the network was compiled for.
        facts: How the network came to be.
    """

    FORMAT: ClassVar[str] = "pumice-build"
    VERSION: ClassVar[int] = 3
    WHAT: ClassVar[str] = "manifest of a pumice build"
    WRITTEN_BY: ClassVar[str] = "pumice compile"
    FILE: ClassVar[str] = MANIFEST
    FOLDER: ClassVar[str] = "build"
    LOADED: ClassVar[tuple[str, ...]] = (
        *(f"{stage}/{name}" for stage in ("float", "fixed") for name in GRAPH_FILES),
        _QUANTIZATION,
    )
    OPTIONAL: ClassVar[tuple[str, ...]] = (_STIMULUS, _INPUT, *PASS_FILES)
    STREAMED: ClassVar[tuple[str, ...]] = (_STIMULUS,)

    format: str = FORMAT
    version: int = VERSION
    pumice: str
    target: Annotated[str, Field(min_length=1, max_length=200)]
    facts: BuildFacts


class Judged(Protocol):
    """What was measured of a build."""

    def write(self, build: "Build", folder: Path) -> None:
        """Write its figures and its report."""
        ...


@final
@dataclass(frozen=True, repr=False)
class Build(Summarised):
    """A network in real numbers and in integers.

    Attributes:
        float_graph: The trained network, in real numbers.
        fixed_graph: The integers that run on the target, in logical time.
        target: Name of the target it was compiled for.
        quantization: What quantization did; `quantization.json`.
        stimulus: Samples to run it on; with labels where there are any.
        facts: How the network came to be.
        passes: The graph after every pass of the compiler; none where the integers came from a file, or the
            build was written before graphs were kept.
        encoder: What reads and encodes new samples as those of the training; None if no training of Pumice
            is known.
    """

    float_graph: Graph
    fixed_graph: Graph
    target: str
    quantization: QuantizationReport
    stimulus: Stimulus | None = None
    facts: BuildFacts = field(default_factory=BuildFacts)
    passes: tuple[PassGraph, ...] = field(default=())
    encoder: RawEncoder | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of how the network came to be: its import, and delays that were added."""
        return self.facts.notes()

    def summary(self) -> Summary:
        """Return the network, its target and its samples, and the integers node by node."""
        line, head, rows = self.fixed_graph.summary()
        samples = "" if self.stimulus is None else f"; {self.stimulus.summary().line}"
        return Summary(f"Build for {self.target}: {line}{samples}", head, rows)

    def graph(self, stage: Stage) -> Graph:
        """Return the integers, or the real numbers they came from."""
        return self.fixed_graph if choice_of(stage, "stage", Stage) is Stage.FIXED else self.float_graph

    def save(self, folder: PathText, judgement: Judged | None = None) -> None:
        """Write the folder; it appears complete or not at all.

        It also gets `lava/network.py`, the network as it runs with lava-nc alone, unless Lava is not
        installed, or the loops are too fast for Lava and the target is another.

        Args:
            folder: Folder to write; an existing build there is replaced.
            judgement: What was measured of the build, whose figures and report are written too.

        Raises:
            UsageError: Something that is not a build stands there.
        """
        with replacing_folder(path_of(folder, "folder"), marker=MANIFEST) as temporary:
            save_graph(self.float_graph, temporary / "float")
            save_graph(self.fixed_graph, temporary / "fixed")
            write_document(temporary / _QUANTIZATION, self.quantization)
            if self.passes:
                write_passes(temporary, self.passes, self.float_graph, self.fixed_graph)
            if self.stimulus is not None:
                self.stimulus.save(temporary / _STIMULUS)
            if self.encoder is not None:
                write_document(temporary / _INPUT, self.encoder)
            if judgement is not None:
                judgement.write(self, temporary)
            self._write_standalone(temporary / STANDALONE)
            names = [path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()]
            manifest = Manifest(
                pumice=version("pumice"),
                target=self.target,
                facts=self.facts,
                files=seal(temporary, map(Path.as_posix, names)),
            )
            write_document(temporary / MANIFEST, manifest)

    def _write_standalone(self, folder: Path) -> None:
        try:
            export_program(load_target(STANDALONE).build(self.fixed_graph), folder)
        except TargetUnavailableError:
            # There is nobody here who could run it.
            return
        except FeedbackError:
            # This is an error only where the build's own target cannot run such loops either, and says so.
            load_target(self.target).build(self.fixed_graph)

    def stimulus_for(self, stimulus: Stimulus | NDArray[Any] | None) -> Stimulus:
        """Return a stimulus, by default the build's own, checked against the network.

        Warns with `LongerThanProvedWarning` if its samples are longer than those for which ranges
        were proved, and with `TimeFirstWarning` if time seems to be the first axis.

        Raises:
            UsageError: There is neither.
            StimulusError: It does not fit the inputs of the network, or a label is not among its classes.
        """
        samples = self.stimulus if stimulus is None else stimulus
        if samples is None:
            raise UsageError("the build holds no stimulus", "give samples as `stimulus`")
        fitted = check_stimulus(self.float_graph, samples)
        proved = self.quantization.steps
        usual = proved if self.encoder is None else self.encoder.steps
        if fitted.samples == usual != fitted.steps:
            warnings.warn(
                f"these are {fitted.samples} samples of {fitted.steps} steps, and the network was made with "
                f"samples of {usual} steps: if time stands first in the array, swap its first two axes",
                TimeFirstWarning,
                stacklevel=2,
            )
        if proved is not None and fitted.steps > proved:
            warnings.warn(
                f"samples of {fitted.steps} steps are longer than the {proved} for which ranges were proved; "
                "compile with an example of that length",
                LongerThanProvedWarning,
                stacklevel=2,
            )
        return fitted

    @classmethod
    def load(cls, folder: PathText) -> "Build":
        """Read and check a folder.

        Raises:
            MissingFileError: The folder or one of its files does not exist.
            FormatVersionError: It was written by another version of the format.
            CorruptArtifactError: A file differs from its recorded hash, or is not what it should be.
        """
        return read_folder("build folder", path_of(folder, "folder"), cls._read)

    @classmethod
    def _read(cls, folder: OpenedFolder) -> "Build":
        manifest, files = open_sealed(folder, Manifest)
        path = folder.path / _STIMULUS
        graphs = _read_graph(files, folder.path, "float"), _read_graph(files, folder.path, "fixed")
        report = parse_document(files.read(_QUANTIZATION), folder.path / _QUANTIZATION, QuantizationReport)
        stimulus = Stimulus.of_file(files.open(_STIMULUS), path) if _STIMULUS in files else None
        encoder = None
        if _INPUT in files:
            encoder = parse_document(files.read(_INPUT), folder.path / _INPUT, RawEncoder)
        check_coherent(folder.path, graphs, report, stimulus, encoder, manifest.facts.outputs)
        passes = _read_passes(files, folder.path, *graphs)
        return cls(*graphs, manifest.target, report, stimulus, manifest.facts, passes, encoder)


def check_is_build(build: Build) -> Build:
    """Return what a caller gave as a build, if it is one.

    Raises:
        ArgumentError: It is something else, such as its folder.
    """
    remedy = "read one from its folder with `load`, or compile the network first"
    return check_type(build, "build", Build, remedy)


def check_apart(folder: Path, output: Path) -> None:
    """Raise if an output would take the place of a file of a build.

    Args:
        folder: Folder of the build.
        output: The file to be written.

    Raises:
        UsageError: The build lists it.
    """
    inside = output.resolve()
    manifest, _ = read_folder("build folder", folder, lambda opened: open_sealed(opened, Manifest))
    for name in manifest.files:
        if inside == (folder / name).resolve():
            raise UsageError(f"'{output}' is a file of the build '{folder}'; name another file")


def _read_graph(files: SealedFiles, folder: Path, stage: str) -> Graph:
    structure, numbers = (f"{stage}/{name}" for name in GRAPH_FILES)
    return graph_from(
        files.read(structure), lambda: arrays_of(files.open(numbers), folder / numbers), folder / structure
    )


def _read_passes(
    files: SealedFiles, folder: Path, float_graph: Graph, fixed_graph: Graph
) -> tuple[PassGraph, ...]:
    document, numbers = PASS_FILES
    if document not in files:
        return ()
    arrays = arrays_of(files.open(numbers), folder / numbers) if numbers in files else {}
    return read_passes(files.read(document), arrays, folder / document, float_graph, fixed_graph)

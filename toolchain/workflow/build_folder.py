"""The BUILD folder: a compiled network with everything needed to run and judge it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, final

from numpy.typing import NDArray
from pydantic import Field

from toolchain.errors import UsageError
from toolchain.execution.stimulus import Stimulus, check_stimulus
from toolchain.files.documents import Digest, FileDocument, parse_document, write_document
from toolchain.files.npz import arrays_of
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.sealed_folder import SealedFiles, check_seal, hashes
from toolchain.files.swapping import replacing_folder
from toolchain.intake import PathText, choice_of, path_of
from toolchain.ir import GRAPH_FILES, Graph, Stage, graph_from, save_graph
from toolchain.passes.quantization.report import QuantizationReport
from toolchain.workflow.build_facts import BuildFacts
from toolchain.workflow.coherence import check_coherent
from toolchain.workflow.pass_graphs import PASS_FILES, PassGraph, read_passes, write_passes

MANIFEST: Final = "manifest.json"
_QUANTIZATION: Final = "quantization.json"
_STIMULUS: Final = "stimulus.npz"
_LOADED: Final = (
    *(f"{stage}/{name}" for stage in ("float", "fixed") for name in GRAPH_FILES),
    _QUANTIZATION,
)


class LongerThanProvedWarning(UserWarning):
    """Samples are longer than those for which currents and potentials were proved to fit."""


class Manifest(FileDocument):
    """The file that lists all others of a build.

    Attributes:
        pumice: Version that wrote it.
        target: Name of the target that the network was compiled for.
        facts: How the network came to be.
        files: Their hashes by name, relative to the folder.
    """

    FORMAT: ClassVar[str] = "pumice-build"
    VERSION: ClassVar[int] = 3
    WHAT: ClassVar[str] = "manifest of a pumice build"
    WRITTEN_BY: ClassVar[str] = "pumice compile"

    format: str = FORMAT
    version: int = VERSION
    pumice: str
    target: Annotated[str, Field(min_length=1, max_length=200)]
    facts: BuildFacts
    files: dict[str, Digest]


@final
@dataclass(frozen=True)
class Build:
    """A network in real numbers and in integers.

    Attributes:
        float_graph: What was trained.
        fixed_graph: What runs on the target, in logical time.
        target: Name of the target it was compiled for.
        quantization: What quantization did; `quantization.json`.
        stimulus: Samples to run it on; with labels where there are any.
        facts: How the network came to be.
        passes: The graph after every pass of the compiler; none where the integers came from a file, or the
            build was written before graphs were kept.
    """

    float_graph: Graph
    fixed_graph: Graph
    target: str
    quantization: QuantizationReport = field(repr=False)
    stimulus: Stimulus | None = None
    facts: BuildFacts = field(default_factory=BuildFacts, repr=False)
    passes: tuple[PassGraph, ...] = field(default=(), repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of how the network came to be: its import, and delays that were added."""
        return self.facts.notes()

    def graph(self, stage: Stage) -> Graph:
        """Return the integers, or the real numbers they came from."""
        return self.fixed_graph if choice_of(stage, "stage", Stage) is Stage.FIXED else self.float_graph

    def save(self, folder: PathText, write_more: Callable[[Path], None] | None = None) -> None:
        """Write the folder; it appears complete or not at all.

        Args:
            folder: Where to; an existing build there is replaced.
            write_more: Given the folder before it is sealed, to add a report.

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
            if write_more is not None:
                write_more(temporary)
            _seal(temporary, self.target, self.facts)

    def stimulus_for(self, given: Stimulus | NDArray[Any] | None) -> Stimulus:
        """Return what is given, or else the build's own stimulus, checked against the network.

        Warns with `LongerThanProvedWarning` if its samples are longer than those for which ranges
        were proved.

        Raises:
            UsageError: There is neither.
            StimulusError: It does not fit the inputs of the network, or a label is none of its classes.
        """
        chosen = self.stimulus if given is None else given
        if chosen is None:
            raise UsageError("the build holds no stimulus", "give samples as `stimulus`")
        fitted = check_stimulus(self.float_graph, chosen)
        proved = self.quantization.steps
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
        manifest, files = _check_manifest(folder)
        path = folder.path / _STIMULUS
        graphs = _read_graph(files, folder.path, "float"), _read_graph(files, folder.path, "fixed")
        report = parse_document(files.read(_QUANTIZATION), folder.path / _QUANTIZATION, QuantizationReport)
        stimulus = Stimulus.of_file(files.open(_STIMULUS), path) if _STIMULUS in files else None
        check_coherent(folder.path, graphs, report, stimulus)
        passes = _read_passes(files, folder.path, *graphs)
        return cls(*graphs, manifest.target, report, stimulus, manifest.facts, passes)


def check_apart(folder: Path, output: Path) -> None:
    """Raise if an output would take the place of a file of a build.

    Args:
        folder: Of the build.
        output: The file to be written.

    Raises:
        UsageError: The build lists it.
    """
    inside = output.resolve()
    for name in read_folder("build folder", folder, _check_manifest)[0].files:
        if inside == (folder / name).resolve():
            raise UsageError(f"'{output}' is a file of the build '{folder}'; name another file")


def _check_manifest(folder: OpenedFolder) -> tuple[Manifest, SealedFiles]:
    """Return the manifest of a build, and those of its files that are loaded, which are as it lists them."""
    path = folder.path / MANIFEST
    content = folder.read(MANIFEST, f"'{folder.path}' is no build folder, as 'pumice compile' writes: file")
    manifest = parse_document(content, path, Manifest, named=f"build '{folder.path}'")
    files = check_seal(
        folder,
        manifest.files,
        _LOADED,
        optional=(_STIMULUS, *PASS_FILES),
        streamed=(_STIMULUS,),
        what="build",
        written_by="compile",
    )
    return manifest, files


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


def _seal(folder: Path, target: str, facts: BuildFacts) -> None:
    names = (item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())
    manifest = Manifest(pumice=version("pumice"), target=target, facts=facts, files=hashes(folder, names))
    write_document(folder / MANIFEST, manifest)

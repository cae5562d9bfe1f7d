"""The BUILD folder: a compiled network with everything needed to run and judge it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, final

from numpy.typing import NDArray

from toolchain.disk import check_folder
from toolchain.documents import read_json, write_json
from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError, UsageError
from toolchain.intake import PathText, path_of
from toolchain.ir import GRAPH_FILES, Graph, load_graph, save_graph
from toolchain.passes.explain_quantization import is_explanation
from toolchain.seal import check_seal, hashes
from toolchain.stimulus import Stimulus, check_stimulus
from toolchain.swapping import replacing_folder

FORMAT_VERSION: Final = 2
MANIFEST: Final = "manifest.json"
_QUANTIZATION: Final = "quantization.json"
_STIMULUS: Final = "stimulus.npz"
_LOADED: Final = (
    *(f"{stage}/{name}" for stage in ("float", "fixed") for name in GRAPH_FILES),
    _QUANTIZATION,
)


class LongerThanProvedWarning(UserWarning):
    """Samples are longer than those for which currents and potentials were proved to fit."""


@final
@dataclass(frozen=True)
class Build:
    """A network in real numbers and in integers.

    Attributes:
        float_graph: What was trained.
        fixed_graph: What runs on the target, in logical time.
        target: Name of the target it was compiled for.
        quantization: The document of `quantization.json`.
        stimulus: Samples to run it on; with labels where there are any.
        facts: Further facts about the model for reports, such as sizes before pruning.
    """

    float_graph: Graph
    fixed_graph: Graph
    target: str
    quantization: Mapping[str, Any] = field(repr=False)
    stimulus: Stimulus | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of how the network came to be: its import, and delays that were added."""
        imported = self.facts.get("imported", {}).get("notes", [])
        delays = self.facts.get("loop_delays")
        if delays is not None and not delays:
            delays = ["no loop had too little delay: nothing was added"]
        elif "fast_loop" in self.facts:
            told = f"the loop {self.facts['fast_loop']} has more connections than steps, so no clocked target"
            delays = [
                f"{told} (Lava, Loihi) can run it; --loop-delay adds what is missing, in real numbers too"
            ]
        return (*map(str, imported), *map(str, delays or ()))

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
            write_json(temporary / _QUANTIZATION, dict(self.quantization))
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
            raise UsageError("the build holds no stimulus; give one with --input")
        fitted = check_stimulus(self.float_graph, chosen)
        proved = self.quantization.get("steps")
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
        folder = path_of(folder, "folder")
        check_folder("build folder", folder)
        manifest = check_manifest(folder)
        stimulus = folder / _STIMULUS
        return cls(
            load_graph(folder / "float"),
            load_graph(folder / "fixed"),
            str(manifest["target"]),
            _read_quantization(folder / _QUANTIZATION),
            Stimulus.open(stimulus) if _STIMULUS in manifest["files"] else None,
            dict(manifest.get("facts", {})),
        )


def check_apart(folder: Path, output: Path) -> None:
    """Raise if an output would take the place of a file of a build.

    Args:
        folder: Of the build.
        output: The file to be written.

    Raises:
        UsageError: The build lists it.
    """
    inside = output.resolve()
    for name in check_manifest(folder)["files"]:
        if inside == (folder / name).resolve():
            raise UsageError(f"'{output}' is a file of the build '{folder}'; name another file")


def _read_quantization(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not is_explanation(document):
        raise CorruptArtifactError(path, "is not what quantization says of connections and populations")
    return document


def check_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a build whose files have their recorded hashes."""
    path = folder / MANIFEST
    if not path.exists():
        raise MissingFileError(f"'{folder}' is no build folder, as 'pumice compile' writes: file", path)
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != "pumice-build":
        raise CorruptArtifactError(path, "is not the manifest of a pumice build")
    if manifest.get("version") != FORMAT_VERSION:
        raise FormatVersionError(f"build '{folder}'", manifest.get("version"), FORMAT_VERSION)
    files = manifest.get("files")
    if not isinstance(files, dict) or "target" not in manifest:
        raise CorruptArtifactError(path, "lists no files or no target")
    check_seal(folder, files, _LOADED, optional=(_STIMULUS,), what="build", written_by="compile")
    return manifest


def _seal(folder: Path, target: str, facts: Mapping[str, Any]) -> None:
    names = (item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())
    manifest = {
        "format": "pumice-build",
        "version": FORMAT_VERSION,
        "pumice": version("pumice"),
        "target": target,
        "facts": dict(facts),
        "files": hashes(folder, names),
    }
    write_json(folder / MANIFEST, manifest)

"""The folder of a sweep: its claim, a RUN per trained network, a BUILD and a row per point."""

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

from pydantic import Field

from toolchain.errors import CorruptArtifactError, UsageError
from toolchain.files.disk import check_output_folder
from toolchain.files.documents import Document, FileDocument, later, read_document, write_document
from toolchain.files.locks import locked
from toolchain.sweep.compare_section import CompareSection
from toolchain.sweep.point import SharedSettings, pumice_version
from toolchain.sweep.rows import PointRow, Setting
from toolchain.sweep.search_section import SearchSection
from toolchain.sweep.sweep_file import Sweep
from toolchain.workflow.run_folder import RUN

SWEEP: Final = "sweep.json"
_RUNS, _BUILDS, _POINTS, _TRAININGS, _UNFINISHED, _LOCKS = (
    "runs",
    "builds",
    "points",
    "trainings",
    "unfinished",
    "locks",
)


class SweepDocument(FileDocument):
    """What a folder of a sweep was made for.

    Attributes:
        experiment: The experiment as it stands in its file, without the keys that are varied.
        target: Target of the compiler, where it is not varied.
        compare: What is measured of every point.
        grid: Values by key; null for a search.
        search: What is looked for; null for a grid.
        pumice: Version of Pumice, which decides points; empty in older files.
        code: Hash of the user's code, by what names it in an experiment, which decides them, too.
    """

    FORMAT: ClassVar[str] = "pumice-sweep"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "claim of a pumice sweep"
    WRITTEN_BY: ClassVar[str] = "pumice sweep"

    format: str = FORMAT
    version: int = VERSION
    experiment: dict[str, Any] = Field(default_factory=dict)
    target: str
    compare: CompareSection
    grid: dict[str, tuple[Setting, ...]] | None
    search: SearchSection | None
    pumice: str = later("", "version of Pumice")
    code: dict[str, str | None] = later({}, "hash of the user's code by what names it")

    @classmethod
    def of(cls, sweep: Sweep) -> "SweepDocument":
        """Return what a folder says that was made for a sweep."""
        shared = sweep.shared
        document = cls(
            experiment=dict(shared.document),
            target=shared.target,
            compare=shared.compare,
            grid=None if sweep.grid is None else dict(sweep.grid),
            search=sweep.search,
            pumice=pumice_version(),
            code=shared.codes,
        )
        # As it is read again: lists are lists, and a date is a text.
        return cls.model_validate_json(document.model_dump_json())

    @property
    def shared(self) -> SharedSettings:
        """What all points share."""
        shared = SharedSettings(self.experiment, self.target, self.compare)
        shared.codes.update(self.code)
        return shared

    def grows_into(self, other: "SweepDocument") -> bool:
        """Return whether another sweep is this one with more values of the same keys, or more trials."""
        if self.grid is not None and other.grid is not None:
            more: dict[str, Any] = {"grid": other.grid}
            keys = self.grid.keys() == other.grid.keys()
            grown = keys and all(set(values) <= set(other.grid[key]) for key, values in self.grid.items())
        elif self.search is not None and other.search is not None:
            trials = other.search.trials
            more = {"search": self.search.model_copy(update={"trials": trials})}
            grown = self.search.trials <= trials
        else:
            return False
        # An older file does not say all, and further values may name further files.
        same = self.pumice in {"", other.pumice} and all(
            other.code.get(name, digest) == digest for name, digest in self.code.items()
        )
        more |= {"pumice": other.pumice, "code": other.code}
        return grown and same and self.model_copy(update=more) == other

    def differences(self, other: "SweepDocument") -> list[str]:
        """Return the parts in which another sweep differs."""
        parts = ("experiment", "target", "compare", "grid", "search", "pumice", "code")
        said = {"pumice": "the version of pumice", "code": "the code of the network"}
        return [said.get(part, part) for part in parts if getattr(self, part) != getattr(other, part)]


class TrainingRecord(Document):
    """How a training of a sweep ended, which its run does not say.

    Attributes:
        seconds: Time that it took; of one that was interrupted, since it was continued.
        worker: Where it was computed.
    """

    seconds: float
    worker: str


@final
@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep; runs and points are called by their hashes.

    Args:
        path: The folder.
    """

    path: Path

    def check_free(self, sweep: Sweep) -> None:
        """Raise if a sweep cannot take the folder; nothing is written.

        Raises:
            UsageError: It is the folder of another sweep, or of something else.
        """
        check_output_folder(self.path, SWEEP, "the folder of a sweep")
        if not (self.path / SWEEP).is_file():
            return
        before, document = self.document(), SweepDocument.of(sweep)
        if before != document and not before.grows_into(document):
            raise UsageError(
                f"'{self.path}' is the folder of another sweep, which differs in: "
                + ", ".join(before.differences(document)),
                "choose another folder; only values of the same keys may be added, or trials",
            )

    def claim(self, sweep: Sweep) -> None:
        """Take the folder for a sweep; for one with more values or trials, too, since no point is lost.

        Raises:
            UsageError: It is the folder of another sweep, or of something else.
            StorageError: It cannot be written.
        """
        self.check_free(sweep)
        document, there = SweepDocument.of(sweep), self.path / SWEEP
        if not there.is_file() or self.document() != document:
            write_document(there, document)

    def document(self) -> SweepDocument:
        """Return what the folder was made for.

        Raises:
            MissingFileError: It is no folder of a sweep.
            CorruptArtifactError: It does not say so any more.
        """
        try:
            return read_document(self.path / SWEEP, SweepDocument)
        except CorruptArtifactError as error:
            error.add_note(
                "begin the same sweep in another folder, and copy its file of this name here; "
                "nothing else is lost"
            )
            raise

    def run(self, run_name: str) -> Path:
        """Return the RUN folder of a trained network."""
        return self.path / _RUNS / run_name

    def is_trained(self, run_name: str) -> bool:
        """Return whether a training is finished."""
        return (self.run(run_name) / RUN).is_file()

    def training(self, run_name: str) -> Path:
        """Return the file that says how long a training took, and where."""
        return self.path / _TRAININGS / f"{run_name}.json"

    def training_note(self, run_name: str) -> Path:
        """Return the file that says how far a training is; it is gone when that has ended."""
        return self.path / _UNFINISHED / f"{run_name}.json"

    def build(self, name: str) -> Path:
        """Return the BUILD folder of a point."""
        return self.path / _BUILDS / name

    def unfinished(self, name: str) -> Path:
        """Return the folder in which the training of a point with its integers keeps its state."""
        return self.path / _UNFINISHED / name

    def run_lock(self, run_name: str) -> AbstractContextManager[None]:
        """Return the lock of a training: whoever holds it may write the RUN folder."""
        return locked(self.path / _LOCKS / f"run-{run_name}")

    def point_lock(self, name: str) -> AbstractContextManager[None]:
        """Return the lock of a point: whoever holds it may write its BUILD folder and its row."""
        return locked(self.path / _LOCKS / f"point-{name}")

    def row(self, name: str) -> PointRow | None:
        """Return the row of a point; None if it has not ended."""
        path = self._row_file(name)
        return _read_row(path) if path.is_file() else None

    def write_row(self, row: PointRow) -> None:
        """Write the row of a point; it appears whole or not at all."""
        write_document(self._row_file(row.name), row)

    def rows(self) -> Iterator[PointRow]:
        """Yield the rows of all points that have ended, one at a time, by name."""
        for path in self._row_files():
            yield _read_row(path)

    def relative(self, place: Path) -> str:
        """Return a place in the folder as rows name it."""
        return place.relative_to(self.path).as_posix()

    def _row_files(self) -> Generator[Path]:
        folder = self.path / _POINTS
        yield from sorted(folder.glob("[!.]*.json")) if folder.is_dir() else ()

    def _row_file(self, name: str) -> Path:
        return self.path / _POINTS / f"{name}.json"


def _read_row(path: Path) -> PointRow:
    try:
        return _named_row(path)
    except CorruptArtifactError as error:
        error.add_note("delete it, and the same sweep computes this point again")
        raise


def _named_row(path: Path) -> PointRow:
    row = read_document(path, PointRow)
    if row.name != path.stem:
        raise CorruptArtifactError(path, f"is the row of another point, '{row.name}'")
    return row

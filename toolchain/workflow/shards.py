"""Where the samples of a build are computed: in this process, or in shards on the workers of a cluster.

The work itself is the same function of a range of samples. What it returns can be added in any order without
a change of any digit, so neither the number of shards nor who computed them shows in the figures.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, final

from toolchain.cluster import Cluster, open_cluster
from toolchain.errors import CorruptArtifactError
from toolchain.execution.stimulus import Stimulus, named_stimulus
from toolchain.files.disk import check_file, check_folder
from toolchain.intake import PathText, path_of
from toolchain.progress import StageProgress, no_stages, stage_progress
from toolchain.target.parts import in_shards
from toolchain.workflow.build_folder import MANIFEST, Build

PER_WORKER: Final = 4
"""Shards for every worker: the last to end then holds up the others for a short time only."""
_HASHED_AT_ONCE: Final = 2**20


@final
@dataclass(frozen=True)
class Computed:
    """Where something was computed.

    Attributes:
        shards: Number of pieces of work.
        workers: Number of these by worker, as host and process.
    """

    shards: int
    workers: dict[str, int]

    def sentence(self) -> str:
        """Return it in words."""
        each = ", ".join(f"{count} on {worker}" for worker, count in self.workers.items())
        return f"Computed in {self.shards} shards: {each}."


class SampleSource(Protocol):
    """A build, and the samples that it runs."""

    def open(self) -> tuple[Build, Stimulus]:
        """Return both."""
        ...


Work = Callable[..., Any]
"""Function of a `SampleSource`, further arguments, and `progress`."""


class Place(Protocol):
    """Where shards are computed."""

    def anew(self) -> "Place":
        """Return the same place for another call, whose shards are counted from zero."""
        ...

    def shards(self, samples: int, batch: int = 1, *, slow: bool = False) -> list[range]:
        """Return the shards of so many samples.

        Args:
            samples: Number of samples.
            batch: Number of samples after which a shard may end; see `BatchedProgram`.
            slow: Whether a shard takes long to start, so that there should be few.
        """
        ...

    def results(
        self, work: Work, tasks: Sequence[tuple[Any, ...]], progress: StageProgress, stage: str
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of every task, in whatever order they end.

        Args:
            work: Function of a module.
            tasks: Arguments of each call, beside the samples and `progress`.
            progress: Callback with the stage and how far it is.
            stage: Name of the stage where only whole tasks are counted.
        """
        ...

    @property
    def computed(self) -> Computed | None:
        """Where what was asked for was computed; None for this process."""
        ...


@final
class ThisProcess:
    """This process, which computes all samples as one shard.

    Args:
        build: The build.
        samples: Its samples, checked.
    """

    def __init__(self, build: Build, samples: Stimulus) -> None:
        self._samples = build, samples

    def anew(self) -> "ThisProcess":
        """Return itself: nothing is counted."""
        return self

    def open(self) -> tuple[Build, Stimulus]:
        """Return build and samples."""
        return self._samples

    def shards(self, samples: int, batch: int = 1, *, slow: bool = False) -> list[range]:
        """Return a single one."""
        del slow
        return in_shards(samples, 1, batch)

    def results(
        self, work: Work, tasks: Sequence[tuple[Any, ...]], progress: StageProgress, stage: str
    ) -> Iterator[tuple[int, Any]]:
        """Yield the results one after another; the work itself says how far it is."""
        del stage
        for index, arguments in enumerate(tasks):
            yield index, work(self, *arguments, progress=progress)

    @property
    def computed(self) -> Computed | None:
        """Nothing to say."""
        return None


@final
@dataclass(frozen=True)
class SharedSamples:
    """A build and its samples on a disk that workers share.

    Attributes:
        folder: The build.
        manifest: Hash of its list of files, which holds the hash of every one.
        stimulus: File with samples; empty for those of the build.
        digest: Hash of that file.
    """

    folder: str
    manifest: str
    stimulus: str = ""
    digest: str = ""

    @classmethod
    def of(cls, folder: Path, stimulus: Path | None) -> "SharedSamples":
        """Return what stands on a disk now."""
        check_folder("build folder", folder)
        manifest = folder.resolve() / MANIFEST
        check_file("file", manifest)
        if stimulus is None:
            return cls(str(manifest.parent), _hash(manifest))
        check_file("file", stimulus)
        return cls(str(manifest.parent), _hash(manifest), str(stimulus.resolve()), _hash(stimulus))

    @property
    def files(self) -> list[Path]:
        """The files by which workers are asked whether they see it."""
        return [Path(self.folder) / MANIFEST, *([Path(self.stimulus)] if self.stimulus else [])]

    def open(self) -> tuple[Build, Stimulus]:
        """Return build and samples.

        Raises:
            CorruptArtifactError: They are not those that this was made of.
        """
        return _opened(self)

    def read(self) -> tuple[Build, Stimulus | None]:
        """Read build and samples; None for those of the build."""
        build = Build.load(self.folder)
        samples = Stimulus.open(self.stimulus) if self.stimulus else None
        hashes = [(Path(self.folder) / MANIFEST, self.manifest)]
        if self.stimulus:
            hashes.append((Path(self.stimulus), self.digest))
        for path, digest in hashes:
            if _hash(path) != digest:
                raise CorruptArtifactError(path, "was changed while workers computed with it: start again")
        return build, samples


@lru_cache(maxsize=1)
def _opened(shared: SharedSamples) -> tuple[Build, Stimulus]:
    # Whoever began has checked every value, and warned of what is unusual.
    build, samples = shared.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = build.stimulus if samples is None else samples
        return build, build.stimulus_for(None) if given is None else named_stimulus(build.float_graph, given)


@final
class OnWorkers:
    """The workers of a cluster; see `on_workers`.

    Args:
        cluster: The cluster.
        shared: Build and samples.

    Attributes:
        cluster: The cluster.
        build: The build.
        stimulus: Its samples; None for those of the build.
    """

    def __init__(self, cluster: Cluster, shared: SharedSamples) -> None:
        self.cluster = cluster
        self._shared = shared
        self.build, self.stimulus = shared.read()
        self._done: Counter[str] = Counter()

    def anew(self) -> "OnWorkers":
        """Return the same workers for another call, whose shards are counted from zero."""
        other = copy(self)
        other._done = Counter()  # noqa: SLF001 - it is its own copy
        return other

    def shards(self, samples: int, batch: int = 1, *, slow: bool = False) -> list[range]:
        """Return a few for every worker; one where starting takes long."""
        workers = max(1, len(self.cluster.workers))
        return in_shards(samples, workers if slow else PER_WORKER * workers, batch)

    def results(
        self, work: Work, tasks: Sequence[tuple[Any, ...]], progress: StageProgress, stage: str
    ) -> Iterator[tuple[int, Any]]:
        """Yield the results as they come.

        Raises:
            ToolchainError: A task failed: as it would have in this process.
        """
        report, flow = stage_progress(progress, stage), self.cluster.flow()
        report(0, len(tasks))
        sent = taken = 0
        while taken < len(tasks):
            while sent < len(tasks) and flow.free:
                flow.submit(str(sent), _on_worker, work, self._shared, tasks[sent])
                sent += 1
            outcome = flow.next()
            if outcome.error is not None:
                outcome.error.add_note(f"this was on worker {outcome.worker or 'unknown'}")
                raise outcome.error
            taken += 1
            self._done[outcome.worker] += 1
            report(taken, len(tasks))
            yield int(outcome.key), outcome.result

    @property
    def computed(self) -> Computed | None:
        """How many shards every worker has computed."""
        workers = dict(sorted(self._done.items()))
        return Computed(sum(workers.values()), workers)


def _on_worker(work: Work, shared: SharedSamples, arguments: tuple[Any, ...]) -> object:
    return work(shared, *arguments, progress=no_stages)


@contextmanager
def on_workers(
    folder: PathText,
    stimulus: PathText | None = None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Generator[OnWorkers, None, None]:
    """Yield the workers of a cluster, which read a build and its samples from a disk that all share.

    Args:
        folder: Folder of the build.
        stimulus: File with samples; by default the build's own.
        scheduler: Address of a scheduler that runs already; by default workers are started on this machine.
        workers: Number of workers on this machine.

    Raises:
        ClusterError: The scheduler does not answer, or its workers are unlike this machine or do not see the
            folder.
    """
    file = None if stimulus is None else path_of(stimulus, "stimulus")
    shared = SharedSamples.of(path_of(folder, "folder"), file)
    with open_cluster(scheduler, workers) as cluster:
        cluster.check_files(shared.files)
        yield OnWorkers(cluster, shared)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()

"""Where a command computes what its build is given: here, or on workers."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.execution.stimulus import Stimulus
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.shards import OnWorkers


@contextmanager
def opened_build(
    folder: Path, stimulus: Path | None, scheduler: str | None, workers: int | None
) -> "Generator[tuple[Build, Stimulus | None, OnWorkers | None], None, None]":
    """Yield a build, the samples of a file, and workers that have both; None for what was not asked for."""
    from toolchain.execution.stimulus import Stimulus
    from toolchain.workflow.load import load
    from toolchain.workflow.shards import on_workers

    if scheduler is None and workers is None:
        yield load(folder), None if stimulus is None else Stimulus.open(stimulus), None
        return
    with on_workers(folder, stimulus, scheduler=scheduler, workers=workers) as on:
        yield on.build, on.stimulus, on

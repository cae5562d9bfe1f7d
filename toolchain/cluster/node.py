"""The processes of a local cluster: `python node.py scheduler|worker FOLDER`.

A node lives as long as somebody has the other end of its standard input: however the driver ends, it ends,
too. It listens on the loopback interface only, keeps everything in memory, and writes in the given folder.
"""

import asyncio
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from toolchain.cluster.keys import security_of

ADDRESS: Final = "scheduler.address"
"""File with the scheduler's address, once it listens."""
_LOOPBACK: Final = "127.0.0.1"
_ANY_PORT: Final = f"{_LOOPBACK}:0"
_SETTINGS: Final = {
    # Work is never dropped, spilled to a disk or paused because of the memory that a process seems to take.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.work-stealing": True,
    "distributed.admin.system-monitor.gil.enabled": False,
}


def serve(kind: str, folder: Path) -> None:
    """Be a node until nobody needs it any more."""
    from dask import config  # noqa: PLC0415 - need not be there where this module is imported

    threading.Thread(target=_end_with_driver, daemon=True).start()
    with config.set(_SETTINGS):
        asyncio.run(_schedule(folder) if kind == "scheduler" else _work(folder))


def _end_with_driver() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


async def _schedule(folder: Path) -> None:
    from distributed import Scheduler  # noqa: PLC0415 - as above

    security = security_of(folder)
    scheduler: Any = Scheduler(
        host=_LOOPBACK,
        port=0,
        protocol="tcp" if security is None else "tls",
        security=security,
        dashboard=importlib.util.find_spec("bokeh") is not None,
        dashboard_address=_ANY_PORT,
    )
    async with scheduler:
        half = folder / f"{ADDRESS}.half"
        half.write_text(scheduler.address, encoding="ascii")
        half.replace(folder / ADDRESS)
        await scheduler.finished()


async def _work(folder: Path) -> None:
    from distributed import Worker  # noqa: PLC0415 - as above

    while not (folder / ADDRESS).exists():
        await asyncio.sleep(0.02)
    worker: Any = Worker(
        (folder / ADDRESS).read_text(encoding="ascii"),
        host=_LOOPBACK,
        security=security_of(folder),
        nthreads=1,
        memory_limit=0,
        local_directory=str(folder),
        dashboard=False,
        dashboard_address=_ANY_PORT,
    )
    async with worker:
        await worker.finished()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))

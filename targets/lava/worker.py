"""What the child does, `child.py FOLDER PARENT`: runs a job, watched.

No torch is imported here: it hangs after a fork.
"""

import traceback
from pathlib import Path

from targets.lava.answers import SIMULATOR, Failure, report_done, report_failure
from targets.lava.runtime.jobs import LavaJob
from targets.lava.runtime.simulation import simulate
from targets.lava.watch import Watch, die_with_parent, stay_within
from toolchain.files.temporary import work_in


def main(arguments: list[str]) -> int:
    """Run the job named on the command line; return the exit code."""
    folder, parent = Path(arguments[0]), int(arguments[1])
    work_in(folder)
    die_with_parent(parent, folder)
    stay_within(folder)
    try:
        job = LavaJob.read(folder)
        watch = Watch(job)
        watch.install()
        simulate(job, watch)
    except Exception as error:  # noqa: BLE001 - whatever Lava raises is reported to the parent
        reason = f"{type(error).__name__}: {error}"
        report_failure(folder, Failure(SIMULATOR, 0, reason, traceback.format_exc()))
        return 1
    report_done(folder)
    return 0

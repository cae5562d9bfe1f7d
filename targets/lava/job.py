"""Writes a run of Lava as a folder: the seam between two processes, which share nothing else.

The parent writes what `runtime.jobs` reads, and the heartbeats of `answers`; the child fills the records.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from targets.lava.answers import HEARTBEAT
from targets.lava.plan import Plan
from targets.lava.runtime.documents import NETWORK, RUN, WEIGHTS, LavaRun
from targets.lava.runtime.jobs import LavaJob
from targets.lava.runtime.models import Models
from targets.lava.runtime.strict_json import text_of
from toolchain.execution.stimulus import Stimulus
from toolchain.files.atomic import write_text
from toolchain.files.npz import reserve_array, write_array, write_arrays


def write_network(folder: Path, plan: Plan) -> None:
    """Write `network.json` and `weights.npz`."""
    write_arrays(folder / WEIGHTS, plan.weights)
    write_text(folder / NETWORK, text_of(plan.network))


def write_job(
    folder: Path,
    plan: Plan,
    stimulus: Stimulus,
    records: Mapping[str, tuple[str, ...]],
    models: Models = Models.MIXED,
) -> LavaJob:
    """Write everything the child needs.

    Args:
        folder: Empty folder.
        plan: Processes to build.
        stimulus: Samples, fitted to the graph.
        records: Quantities to record, by population.
        models: How many of the processes are Lava's own.
    """
    run = LavaRun(models, stimulus.samples, stimulus.steps, dict(records))
    job = LavaJob(folder, plan.network, plan.weights, run)
    for index, source in enumerate(plan.network.sources):
        write_array(job.source_path(index), job.source_rows(source, stimulus.values[source.input]))
    write_network(folder, plan)
    write_text(folder / RUN, text_of(run))
    for population in plan.network.populations:
        for quantity, path in job.record_paths(population.name).items():
            shape = (run.samples, run.steps, *population.shape)
            reserve_array(path, job.record_dtype(population, quantity), shape)
    names = plan.network.process_names(models)
    write_array(folder / HEARTBEAT, np.zeros((len(names), 2), dtype=np.int64))
    return job

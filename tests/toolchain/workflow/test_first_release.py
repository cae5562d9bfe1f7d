"""What version 0.1.0 wrote: a run is read, and a build or an unfinished training is refused with what to do.

`first_release` holds a run of one epoch and its build, as the code of 0.1.0 wrote them, without reports.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import FormatVersionError, UsageError
from toolchain.execution import reference
from toolchain.ir import load_graph
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import load_experiment
from toolchain.workflow.load import load
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train

WRITTEN = Path(__file__).parent / "first_release"


def test_a_run_is_read_and_compiled_to_the_network_that_it_was() -> None:
    trained = TrainedRun.load(WRITTEN / "run")
    assert trained.stimulus.samples == 18
    build = compile_run(WRITTEN / "run", target="emulator")
    before = reference.run(load_graph(WRITTEN / "build" / "float"), trained.stimulus)
    after = reference.run(build.float_graph, trained.stimulus)
    assert set(before.spikes) == set(after.spikes) == {"hidden", "readout"}
    assert before.spikes["hidden"].any()
    for name, spikes in before.spikes.items():
        assert np.array_equal(spikes, after.spikes[name])


def test_a_build_is_refused_with_the_command_that_writes_it_anew() -> None:
    with pytest.raises(
        FormatVersionError, match=r"format version 1, but this pumice reads .*'pumice compile'"
    ):
        load(WRITTEN / "build")


def test_an_unfinished_training_is_not_continued(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(WRITTEN / "run", tmp_path / "run"))
    (folder / "run.json").unlink()
    experiment = load_experiment(WRITTEN / "experiment.toml")
    with pytest.raises(UsageError, match="choose another place, or delete it"):
        train(experiment, folder)

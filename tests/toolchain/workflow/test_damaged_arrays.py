"""Samples and traces whose arrays were changed in any single way are read, or refused by an error of ours."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.attack.array_mutations import Arrays, array_mutations
from tests.graphs import feed_forward
from toolchain.errors import ToolchainError
from toolchain.execution.activity import count_events
from toolchain.execution.stimulus import Stimulus, check_stimulus
from toolchain.execution.trace import Trace
from toolchain.target.registry import load_target

_STIMULUS = Stimulus(
    {"input": np.random.default_rng(0).random((3, 5, 2)) < 0.5}, np.array([0, 1, 0]), np.array([5, 4, 1])
)


def _stimulus(path: Path) -> Arrays:
    _STIMULUS.save(path)
    return {**_STIMULUS.values, "labels": np.array([0, 1, 0]), "lengths": np.array([5, 4, 1])}


def _read_stimulus(path: Path) -> None:
    for stimulus in (Stimulus.load(path), Stimulus.open(path, held_bytes=0)):
        check_stimulus(feed_forward(), stimulus)


def _trace(path: Path) -> Arrays:
    program = load_target("emulator").build(feed_forward())
    trace = program.run(Stimulus(_STIMULUS.values), record=("spikes", "v", "u"))
    trace.save(path)
    return trace.by_key()


def _read_trace(path: Path) -> None:
    trace = Trace.load(path)
    count_events(feed_forward(), Stimulus(_STIMULUS.values), trace)


@pytest.mark.parametrize(
    ("write", "read"), [(_stimulus, _read_stimulus), (_trace, _read_trace)], ids=["stimulus", "trace"]
)
def test_a_changed_array_is_read_or_refused(
    write: Callable[[Path], Arrays], read: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    arrays = write(path)
    read(path)
    tried = accepted = 0
    for what, changed in array_mutations(arrays):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored: dict[str, Any] = changed
            np.savez(path, **stored)
        tried += 1
        try:
            with suppress(ToolchainError), np.errstate(all="ignore"):
                read(path)
                accepted += 1
        except BaseException as error:
            error.add_note(what)
            raise
    assert tried > 200
    assert 0 < accepted < tried / 2

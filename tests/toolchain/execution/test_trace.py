"""Traces on disk."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.errors import CorruptArtifactError
from toolchain.execution.trace import Trace
from toolchain.files.npz import write_arrays


def test_a_trace_comes_back_with_names_that_hold_dots(tmp_path: Path) -> None:
    trace = Trace({"a.b": np.ones((1, 2, 3), bool)}, {"a.b": np.ones((1, 2, 3))}, {})
    trace.save(tmp_path / "t.npz")
    loaded = Trace.load(tmp_path / "t.npz")
    assert set(loaded.spikes) == {"a.b"}
    assert set(loaded.v) == {"a.b"}
    assert not loaded.u


@pytest.mark.parametrize("key", ["spikes", "a.w"])
def test_a_foreign_key_is_refused(key: str, tmp_path: Path) -> None:
    write_arrays(tmp_path / "t.npz", {key: np.ones(1)})
    with pytest.raises(CorruptArtifactError, match="expected '<node>.spikes'"):
        Trace.load(tmp_path / "t.npz")

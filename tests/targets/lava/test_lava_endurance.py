"""Thousands of simulations in one parent leave nothing behind and cost it nothing."""

import gc
import json
import os
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from targets.lava import runner
from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.targets import conformance
from toolchain.execution import reference
from toolchain.fidelity import first_mismatch
from toolchain.files.temporary import SHARED_MEMORY, shared_memory_prefix

_WARM = 10


def _held(prefixes: tuple[str, ...]) -> dict[str, int]:
    """What this process holds: open files, children, shared memory of its runs, resident memory."""
    gc.collect()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children),
        "segments": sum(item.name.startswith(prefixes) for item in SHARED_MEMORY.iterdir()),
        "resident": resident,
    }


def _cycle(times: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    graph, x = conformance.graph(), conformance.stimulus(samples=1)
    expected = reference.run(graph, x, record=("spikes",))
    prefixes: list[str] = []
    start = subprocess.Popen

    def noted(command: list[str], **options: Any) -> object:
        prefixes.append(shared_memory_prefix(Path(command[-2])).removeprefix("/"))
        return start(command, **options)

    monkeypatch.setattr(runner.subprocess, "Popen", noted)
    held = []
    for models in islice(cycle(Models), times):
        trace = LavaTarget(models=models).build(graph).run(x)
        assert first_mismatch(expected, trace) is None
        held.append(_held(tuple(prefixes)))
    assert len(prefixes) == times
    return held


@pytest.mark.slow
def test_a_few_runs_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    held = _cycle(3, monkeypatch)
    assert held[-1]["files"] == held[0]["files"]
    assert held[-1]["children"] == held[0]["children"]
    assert held[-1]["segments"] == 0


@pytest.mark.long
def test_two_thousand_runs_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = _cycle(2000, monkeypatch)
    (tmp_path / "held.json").write_text(json.dumps(held))
    first, last = held[_WARM], held[-1]
    assert {last[key] - first[key] for key in ("files", "children")} == {0}
    assert {item["segments"] for item in held} == {0}
    grown = last["resident"] - first["resident"]
    # Figures for the README: run with -s.
    sys.stdout.write(f"resident {first['resident'] / 2**20:.1f} MiB, grown by {grown / 2**20:.2f} MiB\n")
    assert grown < 4 * 2**20

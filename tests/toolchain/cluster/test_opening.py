"""Opening a cluster: what is refused by name, and what is left behind: nothing."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.toolchain.cluster import tasks
from toolchain.cluster import local, open_cluster, opening
from toolchain.cluster.keys import make_key, security_of
from toolchain.cluster.library import quiet
from toolchain.cluster.local import LocalNodes, workers_of_machine
from toolchain.errors import ArgumentError, ClusterError, UsageError
from toolchain.threads import threads

pytestmark = pytest.mark.slow


@contextmanager
def _scheduler(folder: Path) -> Iterator[str]:
    """Yield the address of a scheduler without workers and without a key, as users start one."""
    nodes = LocalNodes(folder, 0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local, "make_key", lambda _: False)
            nodes.start()
        yield nodes.address
    finally:
        nodes.end()


def test_nobody_without_the_key_is_answered_by_a_local_cluster() -> None:
    import distributed  # noqa: PLC0415 - loaded where it is needed

    with open_cluster(workers=1) as cluster:
        assert cluster.address.startswith("tls://127.0.0.1:")
        assert all(worker.startswith("tls://127.0.0.1:") for worker in cluster.workers)
        for address in (cluster.address, *cluster.workers):
            plain = address.replace("tls", "tcp")
            with pytest.raises(OSError, match="reset|closed|Timed out"), quiet():
                distributed.Client(plain, timeout=2, set_as_default=False)


def test_a_machine_without_openssl_has_a_cluster_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not make_key(tmp_path)
    assert security_of(tmp_path) is None


@contextmanager
def _worker(address: str, folder: Path, preload: str = "") -> Iterator[None]:
    """Start a worker as users do, with lines that it runs before anything else."""
    script = folder / "preload.py"
    script.write_text(preload)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1"]
    root = str(Path(local.__file__).parents[2])
    process = subprocess.Popen(
        [*command, "--local-directory", str(folder), "--preload", str(script)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("address", ["host", "host:8786", "http://host:1", "tcp://host", "tcp://host:x", ""])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with (
        pytest.raises(ArgumentError, match="scheduler: expected an address such as tcp://host:8786"),
        open_cluster(address),
    ):
        pass


def test_a_number_of_workers_and_a_scheduler_exclude_one_another() -> None:
    with pytest.raises(ArgumentError, match="workers: expected no number"), open_cluster("tcp://a:1", 2):
        pass
    with pytest.raises(ArgumentError), open_cluster(workers=0):
        pass


def test_without_the_library_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'pumice\[sweep\]'"), open_cluster():
        pass


def test_the_toolchain_loads_no_engine() -> None:
    code = (
        "import sys, toolchain, toolchain.cluster, toolchain.workflow.compare; print('dask' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_there_are_as_many_workers_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_MEMORY", "1000G")
    assert workers_of_machine() == threads()
    monkeypatch.setenv("PUMICE_MEMORY", "1G")
    assert workers_of_machine() == 1


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_ANSWER_S", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"scheduler at {address} does not answer"):
            ExitStack().enter_context(open_cluster(address))


def test_a_scheduler_without_workers_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_WORKERS_S", 0.5)
    with (
        _scheduler(tmp_path) as address,
        pytest.raises(ClusterError, match=rf"had no workers for 0 s; start some, as 'dask worker {address}'"),
    ):
        ExitStack().enter_context(open_cluster(address))


def test_a_worker_of_others_is_taken_if_it_is_alike_and_refused_if_not(tmp_path: Path) -> None:
    """By its version of Pumice, then by its code; then it computes, and sees or does not see a folder."""
    other_version = "import distributed.versions as v\nreal = v.version\n"
    other_version += "v.version = lambda name: '0.0.1' if name == 'pumice' else real(name)\n"
    other_code = (
        "import toolchain.cluster.likeness as l\nl._code_here = lambda: ('feed', 'host:1')\n"
        "import toolchain.cluster.work as w\nw.code_fingerprint = lambda: 'feed'\n"
        "l.code_fingerprint = w.code_fingerprint\n"
    )
    with _scheduler(tmp_path) as address:
        with (
            _worker(address, tmp_path, other_version),
            pytest.raises(ClusterError, match=r"worker tcp://127\.0\.0\.1:\d+ has pumice 0\.0\.1, this"),
        ):
            ExitStack().enter_context(open_cluster(address))
        with (
            _worker(address, tmp_path, other_code),
            pytest.raises(ClusterError, match=r"but other lines of code \(feed"),
        ):
            ExitStack().enter_context(open_cluster(address))
        with _worker(address, tmp_path), open_cluster(address) as cluster:
            assert cluster.where == f"1 worker of the scheduler at {address}"
            cluster.check_shares(tmp_path)
            flow = cluster.flow()
            flow.submit("threads", tasks.thread_counts)
            outcome = flow.next()
            assert set(outcome.result.values()) == {1}


_INTERRUPTED = """
import sys, time
from toolchain.cluster import open_cluster
from tests.toolchain.cluster import tasks

with open_cluster(workers=1) as cluster:
    flow = cluster.flow()
    flow.submit("pid", tasks.wait, 0)
    flow.submit("long", tasks.wait, 600)
    print(flow.next().result, cluster._nodes._nodes["scheduler"].pid, cluster._nodes._folder, flush=True)
    flow.next()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_ends_takes_its_processes_with_it(number: signal.Signals, tmp_path: Path) -> None:
    root = str(Path(local.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert process.stdout is not None
    worker, scheduler, folder = process.stdout.readline().split()
    os.killpg(process.pid, number)
    process.wait(timeout=60)
    process.stdout.close()
    deadline = time.monotonic() + 20
    while any(_lives(int(pid)) for pid in (worker, scheduler)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(int(worker))
    assert not _lives(int(scheduler))
    assert not list(tmp_path.iterdir())
    if number == signal.SIGKILL:
        return  # The next process of this user removes the folder.
    assert Path(folder).parent == Path(tempfile.gettempdir())
    assert not Path(folder).exists()


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    return False

"""A bounded flow of tasks, on processes that may die."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, cast

import pytest

from tests.toolchain.cluster import tasks
from toolchain.cluster import Cluster, Flow, Outcome, RemoteError, open_cluster
from toolchain.cluster import flow as flow_module
from toolchain.cluster.flow import PER_THREAD
from toolchain.cluster.local import LocalNodes
from toolchain.cluster.work import run_task
from toolchain.errors import ArgumentError, ClusterError, StorageError, UsageError

pytestmark = pytest.mark.slow


class KilledWorker(Exception):  # noqa: N818 - the library's name
    """What the library raises for a task whose workers died."""


class FakeFuture:
    """A task that ends at once: its function says how."""

    def __init__(self, status: str, value: Any) -> None:
        self.status, self.value = status, value

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)

    def result(self, timeout: float) -> Any:
        del timeout
        return self.value

    def exception(self) -> BaseException:
        return self.value

    def release(self) -> None:
        pass


class FakeClient:
    """A scheduler with one worker, which dies of tasks called `die`, and drags others along at first."""

    def __init__(self) -> None:
        self.status = "running"
        self.sent: list[str] = []

    def nthreads(self) -> dict[str, int]:
        return {"tcp://one": 1}

    def submit(self, run: Any, code: str, function: Any, arguments: Any, **options: Any) -> FakeFuture:
        del options
        self.sent.append(function.__name__)
        crowded = self.sent.count("add") <= 1 and function is tasks.add
        if function is tasks.die or crowded:
            return FakeFuture("error", KilledWorker("died"))
        if self.status != "running":
            raise CancelledError
        return FakeFuture("finished", run(code, function, arguments))

    def cancel(self, futures: Any, **options: Any) -> None:
        pass


def test_a_task_that_died_beside_others_is_tried_again_alone() -> None:
    client = FakeClient()
    flow = Flow(client, "tcp://one", None)
    flow.submit("bad", tasks.die)
    flow.submit("good", tasks.add, 1, 2)
    outcomes = {each.key: each for each in (flow.next(), flow.next())}
    assert outcomes["good"].result == 3
    assert isinstance(outcomes["bad"].error, ClusterError)
    assert "also when it ran alone" in str(outcomes["bad"].error)
    assert client.sent == ["die", "add", "die", "add"]
    assert flow.waiting == 0


def test_nothing_more_may_be_submitted_while_a_suspect_waits() -> None:
    flow = Flow(FakeClient(), "tcp://one", None)
    assert flow.free == PER_THREAD
    flow.submit("bad", tasks.die)
    flow.submit("other", tasks.wait, 0)
    assert flow.next().key == "other"
    assert flow.free == 0
    assert flow.next().key == "bad"
    assert flow.free == PER_THREAD


def test_a_lost_scheduler_is_an_error_that_says_so() -> None:
    client = FakeClient()
    flow = Flow(client, "tcp://one:1", None)
    client.submit = lambda *_, **__: FakeFuture("cancelled", None)  # type: ignore[method-assign]
    flow.submit("a", tasks.add, 1, 1)
    with pytest.raises(ClusterError, match=r"scheduler at tcp://one:1 is lost; start it"):
        flow.next()


def test_a_key_names_one_task_and_next_needs_one() -> None:
    flow = Flow(FakeClient(), "tcp://one", None)
    with pytest.raises(UsageError, match="no task is under way"):
        flow.next()
    flow.submit("a", tasks.wait, 0)
    with pytest.raises(UsageError, match="'a' is under way"):
        flow.submit("a", tasks.wait, 0)


def test_workers_that_never_come_back_end_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_module, "_ALONE_S", 0.3)
    client = FakeClient()
    client.nthreads = dict  # type: ignore[method-assign]
    flow = Flow(client, "tcp://one", None)
    client.submit = lambda *_, **__: _never()  # type: ignore[method-assign]
    flow.submit("a", tasks.add, 1, 1)
    with pytest.raises(ClusterError, match="has had no worker"):
        flow.next()


def _never() -> FakeFuture:
    future = FakeFuture("pending", None)
    setattr(future, "add_done_callback", lambda _: None)  # noqa: B010 - a method of this one alone
    return future


def test_a_worker_with_other_code_computes_nothing() -> None:
    ended = run_task("another", tasks.add, (1, 2))
    assert ended.error is not None
    assert "joined with other code of pumice" in str(ended.error.restored())


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    with open_cluster(workers=2) as opened:
        # Tests of what kills workers come in any order.
        assert opened.where == "2 workers of this machine"
        yield opened


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """A cluster with all its workers, also where the test before has killed some."""
    deadline = time.monotonic() + 60
    while len(shared_cluster.workers) < 2:
        assert time.monotonic() < deadline
        assert shared_cluster._nodes is not None
        shared_cluster._nodes.tend()
        time.sleep(0.05)
    return shared_cluster


def _all(flow: Flow) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    while flow.waiting:
        outcome = flow.next()
        outcomes[outcome.key] = outcome
    return outcomes


def test_results_and_errors_come_back_from_workers(cluster: Cluster) -> None:
    flow = cluster.flow()
    flow.submit("add", tasks.add, 1, 2)
    flow.submit("ours", tasks.refuse)
    flow.submit("disk", tasks.fill_the_disk, "/a/b")
    flow.submit("bug", tasks.divide)
    outcomes = _all(flow)
    assert outcomes["add"].result == 3
    assert outcomes["add"].worker.rpartition(":")[2].isdigit()
    assert isinstance(outcomes["ours"].error, ArgumentError)
    assert outcomes["ours"].error.exit_code == 2
    assert isinstance(outcomes["disk"].error, StorageError)
    assert outcomes["disk"].error.path == Path("/a/b")
    assert isinstance(outcomes["bug"].error, RemoteError)
    assert "ZeroDivisionError" in str(outcomes["bug"].error)


def test_everything_in_a_worker_has_one_thread(cluster: Cluster) -> None:
    flow = cluster.flow()
    flow.submit("threads", tasks.thread_counts)
    outcome = flow.next()
    assert outcome.error is None
    assert set(outcome.result.values()) == {1}


def test_many_tasks_flow_by_and_few_are_there_at_a_time(cluster: Cluster) -> None:
    flow, sent, most = cluster.flow(), 0, 0
    results: list[int] = []
    while len(results) < 300:
        while sent < 300 and flow.free:
            flow.submit(str(sent), tasks.add, sent, 1)
            sent += 1
        most = max(most, flow.waiting)
        results.append(flow.next().result)
    assert sorted(results) == list(range(1, 301))
    assert most <= 2 * PER_THREAD
    deadline = time.monotonic() + 10
    while flow._client.futures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not flow._client.futures


def test_a_killed_worker_is_replaced_and_its_task_runs_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    flow = cluster.flow()
    flow.submit("a", tasks.die_once, str(tmp_path / "mark"))
    flow.submit("b", tasks.add, 1, 1)
    outcomes = _all(flow)
    assert all(each.error is None for each in outcomes.values())
    assert outcomes["b"].result == 2


def test_a_task_that_kills_every_worker_is_an_outcome_and_no_end(cluster: Cluster) -> None:
    flow = cluster.flow()
    flow.submit("bad", tasks.die)
    flow.submit("good", tasks.add, 1, 1)
    outcomes = _all(flow)
    assert outcomes["good"].result == 2
    assert isinstance(outcomes["bad"].error, ClusterError)


def test_a_scheduler_that_is_killed_ends_the_flow_with_a_sentence() -> None:
    with open_cluster(workers=1) as cluster:
        flow = cluster.flow()
        flow.submit("long", tasks.wait, 60)
        assert cluster._nodes is not None
        scheduler = cluster._nodes._nodes["scheduler"].pid
        threading.Timer(0.5, os.kill, (scheduler, signal.SIGKILL)).start()
        with pytest.raises(ClusterError, match=r"the scheduler .*(is lost|of the local cluster ended)"):
            flow.next()


class _LateFuture(FakeFuture):
    """A result whose worker died before it was handed over: it is there again, or dies, once workers are."""

    def __init__(self, nodes: "_MendedNodes", status: str, value: Any) -> None:
        super().__init__("finished", value)
        self._nodes, self._later = nodes, status

    def result(self, timeout: float) -> Any:
        if not self._nodes.tended:
            raise TimeoutError(timeout)
        self.status = self._later
        if self.status == "error":
            raise self.value
        return self.value


class _MendedNodes:
    """Workers that are there again once they have been looked after while a result is waited for."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def tended(self) -> bool:
        return self.calls > 1

    def tend(self) -> None:
        self.calls += 1

    def note_success(self) -> None:
        pass


class _LateClient(FakeClient):
    """A scheduler whose first results are lost with their worker, and come again as `status` says."""

    def __init__(self, nodes: _MendedNodes, status: str) -> None:
        super().__init__()
        self._nodes, self._later = nodes, status

    def submit(self, run: Any, code: str, function: Any, arguments: Any, **options: Any) -> FakeFuture:
        del options
        first = not self.sent
        self.sent.append(function.__name__)
        ended = run(code, function, arguments)
        if not first:
            return FakeFuture("finished", ended)
        return _LateFuture(self._nodes, self._later, ended if self._later == "finished" else KilledWorker())


@pytest.mark.parametrize(("status", "sent"), [("finished", 1), ("error", 2)])
def test_workers_are_started_again_while_a_result_is_waited_for(status: str, sent: int) -> None:
    nodes = _MendedNodes()
    client = _LateClient(nodes, status)
    flow = Flow(client, "tcp://one:1", cast(LocalNodes, nodes))
    flow.submit("good", tasks.add, 1, 2)
    assert flow.next().result == 3
    assert len(client.sent) == sent


class _UnlikeClient(FakeClient):
    """A scheduler whose worker has other code."""

    def submit(self, run: Any, code: str, function: Any, arguments: Any, **options: Any) -> FakeFuture:
        del options
        return FakeFuture("finished", run(f"not {code}", function, arguments))


def test_a_worker_of_other_code_that_comes_later_ends_the_flow() -> None:
    flow = Flow(_UnlikeClient(), "tcp://one:1", None)
    flow.submit("a", tasks.add, 1, 1)
    with pytest.raises(ClusterError, match="joined with other code of pumice; end it"):
        flow.next()

"""Parts of one piece of work on several threads."""

import os
import threading

import pytest

from toolchain.threads import share


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_part_is_done_once(threads: int) -> None:
    done: list[int] = []
    share(done.append, range(100), threads)
    assert sorted(done) == list(range(100))


def test_parts_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    share(lambda _: both.wait(), range(2), 2)


def test_one_thread_is_this_one() -> None:
    names: list[str] = []
    share(lambda _: names.append(threading.current_thread().name), range(3), 1)
    assert set(names) == {threading.current_thread().name}


def test_what_a_part_raises_is_raised_here() -> None:
    def fail(part: int) -> None:
        if part == 7:
            raise ValueError("part 7")

    with pytest.raises(ValueError, match="part 7"):
        share(fail, range(20), 3)


def test_work_within_work_ends() -> None:
    done: list[int] = []
    share(lambda _: share(done.append, range(4), 8), range(16), 8)
    assert len(done) == 64


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    share(lambda _: None, range(4), 2)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        share(done.append, range(4), 2)
        os._exit(0 if sorted(done) == [0, 1, 2, 3] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0

"""Two workers begin with tests that compile other loops."""

import numpy as np
import pytest

from tests.worker_order import begun_apart


@pytest.mark.parametrize("seed", range(5))
def test_each_half_begins_with_its_loops_and_no_test_is_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = {"tests/targets/emulator/": 8, "tests/toolchain/training/": 6, "tests/cli/": 40}
    places["tests/architecture/"] = 3
    paths = [f"{place}test_{i}.py" for place, count in places.items() for i in range(count)]
    shuffled = [paths[i] for i in rng.permutation(len(paths))]
    ordered = begun_apart(shuffled, str)
    assert sorted(ordered) == sorted(paths)
    middle = len(paths) // 2
    assert all("emulator" in path for path in ordered[:8])
    assert all("architecture" in path for path in ordered[8:11])
    assert all("training" in path for path in ordered[middle : middle + 6])
    assert [path for path in ordered if "cli" in path] == [path for path in shuffled if "cli" in path]


def test_few_tests_are_all_run_too() -> None:
    few = ["tests/toolchain/models/test_a.py", "tests/targets/emulator/test_b.py"]
    assert begun_apart(few, str) == few[::-1]
    assert begun_apart([], str) == []

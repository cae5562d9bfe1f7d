"""Memory at real sizes; `python -m tests.benchmarks.memory` prints the table."""

from pathlib import Path

import pytest

from tests.benchmarks.memory import measured

pytestmark = pytest.mark.long

GIB = 2**30


def test_a_comparison_of_ten_thousand_pictures_takes_less_than_one_and_a_half_gibibytes(
    tmp_path: Path,
) -> None:
    assert measured("compare", 40, [10_000], tmp_path)[10_000]["peak"] < 1.5 * GIB


@pytest.mark.parametrize("action", ["compare", "record"])
def test_memory_does_not_grow_with_the_pictures(action: str, tmp_path: Path) -> None:
    results = measured(action, 4, [1_000, 50_000], tmp_path)
    assert results[50_000]["peak"] < 1.1 * results[1_000]["peak"]

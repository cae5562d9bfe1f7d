"""The page that shows what pruning did."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.toolchain.pruning.pools import random_pool
from toolchain.pruning import LnpOptions, Selection, prune_pool
from toolchain.pruning.report import write_pruning_report


def test_the_page_says_that_no_data_entered_only_where_noise_pruned(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 30, 0.3)
    result = prune_pool(pool, LnpOptions(20, 0.4, iterations=2), rng)
    noise, other = tmp_path / "noise.html", tmp_path / "other.html"
    write_pruning_report(noise, "by noise", pool, Selection(result.pool, result.indices), result.records)
    # Activity pruning, say, sees data and trains.
    write_pruning_report(other, "by activity", pool, Selection(result.pool, result.indices))
    assert "no data entered" in noise.read_text(encoding="utf-8")
    assert "data" not in other.read_text(encoding="utf-8").partition("<h1>")[2].partition("</p>")[0]


@pytest.mark.parametrize(("before", "after"), [(0.02, 0.01), (0.01, 0.01), (0.01, 0.02)])
def test_the_page_says_that_eigenvectors_spread_out_only_if_they_do(
    before: float, after: float, tmp_path: Path, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 30, 0.3)
    result = prune_pool(pool, LnpOptions(20, 0.4, iterations=2), rng)
    first, *middle, last = result.records
    records = (replace(first, localisation=before), *middle, replace(last, localisation=after))
    page = tmp_path / "report.html"
    write_pruning_report(page, "by noise", pool, Selection(result.pool, result.indices), records)
    text = page.read_text(encoding="utf-8")
    assert ("became less localised" in text) == (after < before)
    assert ("did not spread out" in text) == (after >= before)
    assert f"was {before:.4f} and is {after:.4f}" in text


def test_the_page_says_that_its_operations_are_the_recurrent_ones(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pool = random_pool(rng, 30, 0.3)
    result = prune_pool(pool, LnpOptions(20, 0.4, iterations=2), rng)
    page = tmp_path / "report.html"
    write_pruning_report(page, "by noise", pool, Selection(result.pool, result.indices), result.records)
    assert "<span>recurrent operations a step, was " in page.read_text(encoding="utf-8")

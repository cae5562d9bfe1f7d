"""What stands on a page: sentences, tables and histograms of any values."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.pages import Table, bin_edges, sentence, write_page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("compile with `rounding=nearest`", "Compile with <code>rounding=nearest</code>."),
        ("`a` and `b` differ.", "<code>a</code> and <code>b</code> differ."),
        ("<b>`<i>`", "&lt;b&gt;<code>&lt;i&gt;</code>."),
        ("one ` alone", "One ` alone."),
    ],
)
def test_what_is_typed_is_shown_as_code_and_never_as_markup(text: str, shown: str) -> None:
    assert str(sentence(text)) == shown


def test_texts_of_a_table_begin_at_one_place_and_numbers_end_at_one(tmp_path: Path) -> None:
    table = Table(
        "What is stored.", ("layer", "words", "how"), [("a", "1,200", "dense"), ("b", "none", "sparse")]
    )
    assert table.texts == [True, False, True]
    write_page(tmp_path / "page.html", "toolchain.pruning", "sparse.html.j2", **_page(table))
    page = (tmp_path / "page.html").read_text()
    assert '<td data-label="words">1,200</td>' in page
    assert '<td data-label="how" class="text">dense</td>' in page
    assert '<th scope="col" class="text">how</th>' in page


def test_a_long_key_may_break_after_its_dots_on_a_card(tmp_path: Path) -> None:
    table = Table("Points.", ("rank", "quantization.weight_bits"), [(1, 8)])
    write_page(tmp_path / "page.html", "toolchain.pruning", "sparse.html.j2", **_page(table))
    assert 'data-label="quantization.\u200bweight_bits"' in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


def _page(table: Table) -> dict[str, object]:
    return {"title": "Page", "sizes": (), "course": "", "synapses": table, "fans": ""}


@pytest.mark.parametrize(
    "values",
    [
        [0.3, 0.1 + 0.2],
        [1e16, 1e16 + 2],
        [-0.3, -0.3],
        [0.0],
        [1e-300, 0.0],
        [1e300, 1.0],
        [np.inf, 2.0],
        [],
        [-1.0, 3.0],
    ],
    ids=repr,
)
def test_every_finite_value_lies_in_a_bin_and_every_bin_has_a_width(values: list[float]) -> None:
    array = np.array(values)
    edges = bin_edges(array, 41)
    assert len(edges) == 42
    assert (np.diff(edges) > 0).all()
    assert np.histogram(array[np.isfinite(array)], edges)[0].sum() == np.isfinite(array).sum()


def test_values_that_differ_are_binned_from_the_least_to_the_largest() -> None:
    assert bin_edges(np.array([-1.0, 0.5, 3.0]), 4).tolist() == [-1, 0, 1, 2, 3]

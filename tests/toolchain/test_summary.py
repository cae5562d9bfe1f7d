"""Results show themselves in a line or a small table, whatever names they hold."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.summary import Summarised, Summary, are_numbers
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.load import load

_HOSTILE = "<script>alert(1)</script>\x1b[2J&\u202e"


def test_every_result_has_a_line_and_a_table(small_build: Path) -> None:
    build = load(small_build)
    judgement = compare_build(build)
    results = {
        "Build for": build,
        "Graph": build.fixed_graph,
        "Judgement": judgement,
        "Comparison": judgement.comparison,
        "Resources": check_build(build, "loihi2"),
        "Stimulus": build.stimulus,
    }
    for name, result in results.items():
        assert isinstance(result, Summarised)
        assert repr(result).startswith(name)
        assert len(repr(result).splitlines()) == 1
        assert len(repr(result)) < 300
        assert result._repr_html_().count("<tr>") > 1
        assert "http" not in result._repr_html_()


@pytest.mark.parametrize(
    "result",
    [
        Stimulus({_HOSTILE: np.zeros((2, 3, 4))}),
        Trace({_HOSTILE: np.zeros((2, 3, 4), bool)}),
        Stimulus({"flat": np.zeros(3)}),
        Stimulus({}),
        Trace(),
    ],
    ids=["stimulus", "trace", "no time", "no input", "no record"],
)
def test_hostile_names_and_odd_arrays_are_shown_as_text(result: Summarised) -> None:
    html = result._repr_html_()
    for text in (repr(result), html):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script" not in html


def test_what_a_table_holds_is_escaped() -> None:
    html = Summary(_HOSTILE, (_HOSTILE,), [(_HOSTILE, 1)]).to_html()
    assert html.count("&lt;script&gt;") == 3
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", "-2.5 %", "+3"], True),
        ([31, 10], True),
        (["266.3 to 1,103", "none"], True),
        (["3.11.7", "yes, equal to the reference"], False),
        (["step 2, neuron 14", "none"], False),
        (["dense", "sparse"], False),
        ([], False),
    ],
)
def test_a_column_of_numbers_is_told_from_one_of_texts(cells: list[object], numbers: bool) -> None:
    assert are_numbers(cells) is numbers

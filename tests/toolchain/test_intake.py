"""Values from Python callers become one canonical form, or are refused by the name of their argument."""

import re
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.callers import FORMS, KINDS, NO_NUMBERS, as_given
from toolchain import intake
from toolchain.errors import ArgumentError, UnknownNameError


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@st.composite
def numbers(draw: st.DrawFn) -> np.ndarray:
    """Small whole numbers that every type holds, of any type, byte order, layout and shape."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=1, max_side=4))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, shape)
    dtype = np.dtype(draw(st.sampled_from(KINDS)))
    order: Any = draw(st.sampled_from("<>"))
    return values.astype(dtype.newbyteorder(order))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mapped")


@given(array=numbers(), form=st.sampled_from(sorted(FORMS)))
def test_the_same_numbers_in_any_form_are_one_array(array: np.ndarray, form: str, folder: Path) -> None:
    found = intake.array_of(as_given(array, form, folder), "values")
    assert type(found) is np.ndarray
    assert found.dtype.isnative
    assert found.dtype.itemsize <= 8
    assert np.array_equal(found, array.astype(np.float64))


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_array_of_numbers_is_refused_by_name(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"^values: expected .*numbers.*, got ") as caught:
        intake.array_of(value, "values")
    assert caught.value.argument == "values"
    assert len(str(caught.value)) < 400


def test_arrays_are_not_copied(folder: Path) -> None:
    array = np.ones((3, 4), np.float32)
    assert np.shares_memory(intake.array_of(array, "values"), array)
    mapped = np.memmap(folder / "large", np.uint8, "w+", shape=(3, 4))
    assert np.shares_memory(intake.array_of(mapped, "values"), mapped)
    tensor = torch.ones(3, requires_grad=True)
    assert np.shares_memory(intake.array_of(tensor, "values"), tensor.detach().numpy())


@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    form=st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["samples", "time"])), max_size=5),
)
def test_a_shape_fits_if_every_axis_does(shape: tuple[int, ...], form: list[str | int]) -> None:
    fits = len(shape) == len(form) and all(
        n > 0 and axis in {n, "samples", "time"} for n, axis in zip(shape, form, strict=True)
    )
    if fits:
        intake.check_shape(shape, "x", tuple(form))
    else:
        with pytest.raises(ArgumentError, match=r"^x: expected \[.*\], got "):
            intake.check_shape(shape, "x", tuple(form))


def test_a_missing_time_axis_is_said() -> None:
    with pytest.raises(ArgumentError, match=re.escape("array[:, None] if time is missing")):
        intake.check_shape((12, 6), "inputs", ("samples", "time", 6))


@given(
    st.integers(0, 40), st.integers(0, 3), st.sampled_from([np.nan, np.inf, -np.inf]), st.sampled_from("fdeg")
)
def test_the_first_sample_that_is_not_finite_is_named(row: int, column: int, bad: float, kind: str) -> None:
    array = np.zeros((41, 4), kind)
    intake.check_finite(array, "x")
    array[row, column] = array[40, 3] = bad
    with pytest.raises(ArgumentError, match=f"^x: expected finite numbers, got .* in sample {row};"):
        intake.samples_of(array, "x", ("samples", 4))


def test_finite_numbers_are_looked_for_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_AT_ONCE", 8)
    array = np.zeros((100, 4))
    array[77, 2] = np.nan
    with pytest.raises(ArgumentError, match="sample 77"):
        intake.check_finite(array, "x")


@given(
    values=st.lists(st.integers(-3, 6), max_size=8),
    dtype=st.sampled_from(KINDS[:9]),
    form=st.sampled_from(sorted(FORMS)),
    samples=st.integers(0, 8),
    classes=st.one_of(st.none(), st.integers(1, 6)),
)
def test_labels_are_int64_and_among_the_classes(
    values: list[int], dtype: str, form: str, samples: int, classes: int | None, folder: Path
) -> None:
    whole = form not in {"tensor", "tensor with gradient", "bfloat16", "list of tensors"}
    array = np.array(values, np.int64).astype(dtype)
    inside = classes is None or all(0 <= int(value) < classes for value in array)
    wide = classes is None and array.dtype == np.uint64 and any(value >= 2**63 for value in array.tolist())
    if whole and len(values) == samples and inside and not wide and values:
        found = intake.labels_of(as_given(array, form, folder), "labels", samples=samples, classes=classes)
        assert found.dtype == np.int64
        assert found.tolist() == array.astype(np.int64).tolist()
    elif not whole or len(values) != samples or not inside or wide:
        with pytest.raises(ArgumentError, match="^labels: expected "):
            intake.labels_of(
                as_given(array, form, folder), "labels", samples=samples + (not values), classes=classes
            )


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.array([[0], [1]]), "reshape"),
        (np.eye(3, dtype=int), "argmax"),
        (np.array([0.0, 1.0]), "astype"),
        (3, "one class per sample"),
        (["cat", "dog"], "numbers"),
        (np.array([2**63], np.uint64), "0 .. 9223372036854775807"),
    ],
)
def test_labels_in_another_form_are_refused_with_what_to_do(labels: object, advice: str) -> None:
    with pytest.raises(ArgumentError, match=f"^labels: .*{advice}"):
        intake.labels_of(labels, "labels")


@pytest.mark.parametrize("value", ["a/b", Path("a/b")])
def test_paths_may_be_text(value: object) -> None:
    assert intake.path_of(value, "folder") == Path("a/b")


@pytest.mark.parametrize("value", ["", "a\0b", b"a", None, 3, ["a"], np.str_("")])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="^folder: expected a path"):
        intake.path_of(value, "folder")


@given(st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(), st.none()))
def test_counts_are_whole_numbers_within_limits(value: object) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 9:
        for same in (value, np.uint8(value), np.array(value), torch.tensor(value)):
            found = intake.count_of(same, "epochs", least=1, most=9)
            assert (found, type(found)) == (value, int)
    else:
        with pytest.raises(ArgumentError, match=re.escape("epochs: expected a whole number, 1 .. 9, got ")):
            intake.count_of(value, "epochs", least=1, most=9)


@given(
    st.one_of(
        st.integers(-(2**2000), 2**2000),
        st.floats(),
        st.booleans(),
        st.text(),
        st.none(),
        st.complex_numbers(),
    )
)
def test_reals_are_numbers_within_limits(value: object) -> None:
    real = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if real:
        found = intake.real_of(value, "share", least=0, most=1)
        assert (found, type(found)) == (value, float)
    else:
        with pytest.raises(ArgumentError, match="^share: expected a number at least 0 and at most 1, got "):
            intake.real_of(value, "share", least=0, most=1)


def test_only_positive_infinity_is_allowed_where_infinity_is() -> None:
    assert intake.real_of(np.inf, "clip", above=0, infinite=True) == np.inf
    for value in (-np.inf, np.nan, 0, np.ones(1), "1"):
        with pytest.raises(ArgumentError, match="^clip: "):
            intake.real_of(value, "clip", above=0, infinite=True)


def test_of_two_lower_limits_the_stricter_is_named() -> None:
    with pytest.raises(ArgumentError, match="^fraction: expected a number above 0 and at most 1, got 5"):
        intake.real_of(5, "fraction", least=0, above=0, most=1)


@pytest.mark.parametrize("value", ["lava", 3, None, {"lava"}, [1], ("lava", None), b"lava"])
def test_one_text_is_not_a_sequence_of_its_letters(value: object) -> None:
    assert intake.names_of(np.array(["lava", "onnx"]), "exact") == ("lava", "onnx")
    with pytest.raises(ArgumentError, match="^exact: expected a sequence of texts"):
        intake.names_of(value, "exact")


def test_a_choice_may_be_its_text() -> None:
    assert intake.choice_of("red", "colour", Colour) is intake.choice_of(Colour.RED, "colour", Colour)
    for value in ("rde", None, 1, np.zeros(2)):
        with pytest.raises(UnknownNameError, match="^colour '.*' is not known; known: green, red"):
            intake.choice_of(value, "colour", Colour)
    with pytest.raises(ArgumentError, match="^target: expected a text, got None"):
        intake.name_of(None, "target")


@pytest.mark.parametrize(
    ("value", "what"), [("x" * 300, "at most 255 bytes"), ("\ud800", "a file system can hold")]
)
def test_names_that_no_file_system_holds_are_refused(value: str, what: str) -> None:
    with pytest.raises(ArgumentError, match=f"folder: expected .*{what}"):
        intake.path_of(value, "folder")

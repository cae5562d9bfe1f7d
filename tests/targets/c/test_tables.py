"""Tables hold their numbers in the smallest type, and compilers read them as they are."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from targets.c.tables import ConstTable, smallest_type


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=60))
def test_a_table_holds_what_it_was_given(numbers: list[int]) -> None:
    table = ConstTable.smallest("t", "", np.array(numbers, np.int64))
    assert table.values.tolist() == numbers
    text = " ".join(table.lines()).replace("(-2147483647 - 1)", "-2147483648")
    assert [int(number) for number in re.split(r",\s*", text)] == numbers
    assert all(len(line) <= 96 for line in table.lines())


def test_types_are_the_smallest_that_hold_both_ends() -> None:
    ends = [
        (0, 0),
        (0, 255),
        (-1, 127),
        (0, 256),
        (-1, 128),
        (0, 65535),
        (-32768, 0),
        (0, 65536),
        (-32769, 0),
    ]
    assert [smallest_type(*pair).__name__ for pair in ends] == [
        *("uint8", "uint8", "int8", "uint16", "int16", "uint16", "int16", "uint32", "int32")
    ]

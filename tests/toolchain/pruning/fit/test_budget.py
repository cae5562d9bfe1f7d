"""Budgets mean what they say."""

import pytest

from toolchain.errors import ArgumentError, PruningError
from toolchain.pruning.fit import BudgetLimit, SizeBudget, bytes_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (100, 100),
        ("64 KiB", 65536),
        ("64KiB", 65536),
        ("0.5 MiB", 2**19),
        ("2 kB", 2000),
        ("65_536 B", 65536),
    ],
)
def test_sizes_are_read_with_their_units(text: int | str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "KiB", "64 kilobits", "-1", "64 KiB KiB", "1e3", "9" * 400 + " KiB", "0.5 B", "0", "2048 MiB"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(PruningError, match="expected a size"):
        bytes_of(text)


def test_a_budget_is_a_sentence() -> None:
    flash = SizeBudget(limit=BudgetLimit.FLASH, amount=65536, target="c", profile="stm32f411")
    assert flash.sentence() == "65,536 bytes of flash (64 KiB) on stm32f411"
    assert SizeBudget(limit=BudgetLimit.CORES, amount=1, target="loihi2").sentence() == "1 core on loihi2"
    operations = SizeBudget(limit=BudgetLimit.SYNOPS, amount=20_000, target="emulator")
    assert operations.sentence() == "20,000 synaptic operations a sample"


@pytest.mark.parametrize("wrong", [{"amount": 0}, {"weight_bits": (1,)}, {"target": 7}, {"amount": 1.5}])
def test_values_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    given: dict[str, object] = {"limit": BudgetLimit.CORES, "amount": 1, "target": "loihi1"}
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        SizeBudget(**(given | wrong))  # pyright: ignore[reportArgumentType]

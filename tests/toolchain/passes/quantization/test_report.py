"""How figures of quantization are said."""

import pytest

from toolchain.passes.quantization.report import Spread


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (266.3, 1103.21, "266.3 to 1,103"),
        (999.96, 12_345.6, "1,000 to 12,346"),
        (1.5e-5, 0.25, "1.5e-05 to 0.25"),
    ],
)
def test_a_spread_of_large_numbers_is_said_in_full(least: float, most: float, said: str) -> None:
    assert Spread(least=least, median=least, most=most).span == said

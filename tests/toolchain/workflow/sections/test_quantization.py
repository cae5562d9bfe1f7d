"""Keys of `[quantization]` as a command takes them."""

import pytest

from toolchain.errors import ToolchainError, UsageError
from toolchain.passes import Rounding
from toolchain.workflow.quantization import Quantization
from toolchain.workflow.sections.quantization import parse_settings


def test_texts_become_the_values_of_their_keys() -> None:
    settings = parse_settings(["rounding=nearest", "exponents=false", "decay_profiles=8", "tau_error=0.2"])
    assert settings == {
        "rounding": Rounding.NEAREST,
        "exponents": False,
        "decay_profiles": 8,
        "tau_error": 0.2,
    }
    assert Quantization(**settings).tau_error == 0.2
    assert parse_settings([]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tau_error=x", "expected a number, got 'x'"),
        ("rounding", "expected rounding=VALUE"),
        ("roundign=nearest", "did you mean 'rounding'"),
        ("replace_reset=subtract", "expected 'zero', got 'subtract'"),
        ("weight_bits=4", "is an option of its own; give `weight_bits=4`"),
        ("qat_epochs", "is an option of its own; give `qat_epochs=N`"),
    ],
)
def test_what_is_no_key_or_no_value_is_refused_with_what_is_expected(text: str, said: str) -> None:
    with pytest.raises(ToolchainError) as refused:
        parse_settings([text])
    assert said in str(refused.value)


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="names rounding twice; name it once"):
        parse_settings(["rounding=nearest", "tau_error=0.2", "rounding=joint"])

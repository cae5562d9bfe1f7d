"""A neuron in Verilog is `fixedpoint.lif_step`, for all states, parameters and sums: shown by a solver."""

from pathlib import Path

import pytest

from tests.targets.rtl.proving import prove_neuron

_PLAIN = {"CURRENT_BITS": 25, "RULES": 0, "SUM_BITS": 24}
_RULED = {"CURRENT_BITS": 25, "RULES": 1, "SUM_BITS": 20}
_WIDE = {"CURRENT_BITS": 32, "RULES": 1, "SUM_BITS": 32}


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [_PLAIN, _RULED, _WIDE], ids=["plain", "ruled", "wide"])
def test_no_state_and_no_input_gives_another_neuron(parameters: dict[str, int], tmp_path: Path) -> None:
    assert prove_neuron(tmp_path, parameters)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("potential}) > $signed", "potential}) >= $signed"),
        ("driven <= -LIMIT", "driven < -LIMIT"),
        ("driven > LIMIT", "driven >= LIMIT"),
        ("24'h800001", "24'h800000"),
        ("raised >= LIMIT", "raised > LIMIT"),
        ("bias[19]}}, bias}", "1'b0}}, bias}"),
    ],
)
def test_a_neuron_that_is_wrong_in_one_case_is_caught(old: str, new: str, tmp_path: Path) -> None:
    assert not prove_neuron(tmp_path, _PLAIN, (old, new))

"""Whether a build fits the FPGA of a board: what is said, and what is raised where it does not."""

import re

import pytest

from tests.board_fits import board_fit
from toolchain.errors import DoesNotFitError, TargetError
from toolchain.workflow.fpga import Fpga


def test_a_design_that_fits_says_so_in_a_line_and_a_table() -> None:
    checked = Fpga(board_fit())
    checked.require_fit()
    assert "fits; 1,200 cycles a step" in str(checked)
    assert checked.summary().rows[0] == ("LUTs", 2200, "5,280", "42%")
    document = checked.document().model_dump(mode="json")
    assert (document["fits"], document["binding"], document["format"]) == (True, "block RAMs", "pumice-fpga")
    assert "625.0 samples of 16 steps a second" in checked.fit.sentence()


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"highest": 10e6}, DoesNotFitError, "12 MHz, there are 10"),
        ({"used": {"LUTs": 6000, "block RAMs": 17}}, DoesNotFitError, "6000 LUTs, there are 5280"),
        ({"highest": None, "problem": "no room"}, TargetError, "found no place on the FPGA: no room"),
    ],
)
def test_a_design_that_does_not_fit_says_what_it_lacks(
    changes: dict[str, object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=re.escape(said)) as caught:
        Fpga(board_fit(**changes)).require_fit()
    assert "prune synapses" in str(caught.value)

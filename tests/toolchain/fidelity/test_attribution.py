"""What the rules of the integers cost, in words."""

import pytest

from toolchain.fidelity.attribution import RuleEffect


@pytest.mark.parametrize(
    ("drop", "said"),
    [(0.5, "0.50 points of accuracy lost"), (-0.5, "0.50 points of accuracy won"), (None, "")],
)
def test_an_accuracy_that_rose_is_not_called_a_negative_loss(drop: float | None, said: str) -> None:
    effect = RuleEffect(accuracy_drop=drop, spike_f1=1.0, prediction_agreement=None, nodes={})
    assert effect.loss == said

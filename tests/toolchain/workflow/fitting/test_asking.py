"""What a place says of a network is promised for all samples, not only for those that were looked at."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.small_run import small_experiment
from toolchain.errors import TargetError
from toolchain.pruning.fit import BudgetLimit, SizeAnswer, SizeBudget
from toolchain.workflow.fitting import asking
from toolchain.workflow.fitting.asking import FitQuestion


@pytest.mark.parametrize(("in_order", "expected"), [(3, 3), (None, 2)])
def test_cores_are_those_of_the_layout_that_knows_of_no_samples(
    in_order: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit_activity(*_: object, **__: object) -> Any:
        order = None if in_order is None else SimpleNamespace(cores=in_order)
        fit = SimpleNamespace(cores=(1, 2), in_order=order, utilization=lambda core: {"words": core / 4})
        return SimpleNamespace(fit=fit)

    monkeypatch.setattr(asking, "fit_activity", fit_activity)
    monkeypatch.setattr(asking, "observe_activity", lambda *_: None)
    build: Any = SimpleNamespace(
        fixed_graph=None, stimulus_for=lambda _: SimpleNamespace(take=lambda _: None)
    )
    data: Any = None
    budget = SizeBudget(limit=BudgetLimit.CORES, amount=2, target="loihi1")
    answer = FitQuestion(budget, small_experiment(), data).of_build(build)
    assert (answer.amount, answer.charge) == (expected, 0.75)


@pytest.fixture
def of_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SizeAnswer]:
    """Returns the answer to a limit of a processor whose fit says what is given."""

    def ask(limit: BudgetLimit, **said: object) -> SizeAnswer:
        fit = SimpleNamespace(used={"flash": 100, "RAM": 10}, **said)
        place = SimpleNamespace(fit_processor=lambda *_: fit)
        monkeypatch.setattr(asking, "load_writer", lambda _: place)
        monkeypatch.setattr(asking, "observe_activity", lambda *_: None)
        build: Any = SimpleNamespace(
            fixed_graph=None, stimulus_for=lambda _: SimpleNamespace(take=lambda _: None)
        )
        data: Any = None
        budget = SizeBudget(limit=limit, amount=50, target="c", profile="p")
        return FitQuestion(budget, small_experiment(), data).of_build(build)

    return ask


def test_flash_is_not_promised_without_a_compiler_of_its_instructions(
    of_processor: Callable[..., SizeAnswer],
) -> None:
    with pytest.raises(TargetError, match="no compiler to say how many; install one"):
        of_processor(BudgetLimit.FLASH, code_bytes=None)
    assert of_processor(BudgetLimit.RAM, code_bytes=None).amount == 10


def test_flash_that_holds_code_of_another_processor_is_told(
    of_processor: Callable[..., SizeAnswer],
) -> None:
    exact = of_processor(BudgetLimit.FLASH, code_bytes=7, exact=True, compiled_by="arm-cc")
    other = of_processor(BudgetLimit.FLASH, code_bytes=7, exact=False, compiled_by="cc")
    assert (exact.amount, exact.note) == (100, "")
    assert (other.amount, other.note) == (100, "its code is that of 'cc', for another processor")

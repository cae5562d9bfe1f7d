"""Budgets in experiment files and on the command line: what may stand there, and what is said of the rest."""

from typing import Any

import pytest

from tests.small_run import small_experiment
from toolchain.errors import ArgumentError, ExperimentError, UsageError
from toolchain.pruning.fit import BudgetLimit, Saliency
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.sections.fit import parse_fit
from toolchain.workflow.sections.pruning import SparseLearning


def _pruning(**fit: object) -> SparseLearning:
    section = small_experiment(pruning={"fit": fit}).pruning
    assert isinstance(section, SparseLearning)
    return section


def test_a_budget_prunes_gradually_unless_a_method_is_named() -> None:
    assert _pruning(synops=20_000).method == "gradual"
    named = small_experiment(pruning={"method": "rigl", "fit": {"synops": 20_000}}).pruning
    assert isinstance(named, SparseLearning)
    assert named.method == "rigl"


@pytest.mark.parametrize(
    ("fit", "limit", "amount", "target"),
    [
        ({"target": "loihi1", "cores": 2}, BudgetLimit.CORES, 2, "loihi1"),
        ({"synops": 20_000}, BudgetLimit.SYNOPS, 20_000, "emulator"),
        ({"flash": "64 KiB"}, BudgetLimit.FLASH, 65_536, "c"),
        ({"ram": 4096}, BudgetLimit.RAM, 4096, "c"),
        ({"bram": "120 KiB"}, BudgetLimit.BRAM, 122_880, "rtl"),
    ],
)
def test_every_limit_has_its_place(
    fit: dict[str, object], limit: BudgetLimit, amount: int, target: str
) -> None:
    section = _pruning(**fit)
    assert section.fit is not None
    budget = section.fit.budget()
    assert (budget.limit, budget.amount, budget.target) == (limit, amount, target)
    # As it stands in the file of a run.
    experiment = small_experiment(pruning={"fit": fit})
    assert parse_experiment(experiment.model_dump(mode="json")) == experiment


@pytest.mark.parametrize(
    ("pruning", "message"),
    [
        ({"fit": {}}, "expected one limit to fit, of cores, synops, flash, ram, bram; got none"),
        ({"fit": {"flash": 1000, "ram": 1000}}, "got flash and ram"),
        ({"fit": {"cores": 2}}, "name it: `target"),
        ({"fit": {"flash": "64 pounds"}}, "pruning.fit"),
        ({"fit": {"synops": 0}}, "pruning.fit.synops"),
        ({"fit": {"synops": 10, "profile": "x"}}, "a profile does nothing"),
        ({"fit": {"flash": 100, "weight_bits": [1]}}, "pruning.fit.weight_bits"),
        ({"fit": {"synops": 10}, "fraction": 0.1}, "`fit` decides `fraction`; leave one or the other out"),
        ({"fit": {"synops": 10}, "allocation": "uniform"}, "`fit` decides `allocation`"),
        ({"fit": {"watts": 2}}, "watts"),
        ({"method": "lnp", "fit": {"synops": 10}}, "it belongs to gradual, set"),
        ({"method": "sca", "fit": {"synops": 10}}, "it belongs to gradual, set"),
        ({"method": "soft_deep_rewiring", "temperature": 1e-4, "fit": {"synops": 10}}, "nothing can be"),
    ],
)
def test_what_cannot_be_a_budget_is_named(pruning: dict[str, object], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        small_experiment(pruning=pruning)


def test_a_line_is_a_budget() -> None:
    chip = parse_fit("loihi1 cores=2").budget()
    assert (chip.target, chip.limit, chip.amount) == ("loihi1", BudgetLimit.CORES, 2)
    flash = parse_fit(" flash = 64 KiB weight_bits=4, 6,8 profile=rp2040 saliency=gradient").budget()
    assert (flash.amount, flash.weight_bits, flash.profile) == (65_536, (4, 6, 8), "rp2040")
    assert flash.saliency is Saliency.GRADIENT
    assert parse_fit("synops=20_000 weight_bits=any").budget().weight_bits == (4, 6, 8)
    assert parse_fit("target=loihi2 cores=1") == parse_fit("loihi2 cores=1")
    assert parse_fit("loihi2, cores=1, weight_bits=4, 6,") == parse_fit("loihi2 cores=1 weight_bits=4,6")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected one limit"),
        ("loihi1", "got none"),
        ("cores=2", "name it: `target"),
        ("loihi1 cores=two", "expected a whole number, got 'two'"),
        ("flash=64 KiB ram=2 KiB", "got flash and ram"),
        ("synops=1 synops=2", "twice"),
        ("watts=3", "watts is not known"),
        ("flash=64 furlongs", "write it like"),
        pytest.param("loihi1 cores=" + "9" * 5000, "write it like", id="no number of thousands of digits"),
        pytest.param(f"flash={'9' * 400} KiB", "expected a size", id="no size of hundreds of digits"),
        ("flash=0.5 B", "expected a size"),
    ],
)
def test_a_line_that_is_none_says_how_one_is_written(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_fit(line)


@pytest.mark.parametrize("line", [None, {"synops": 10}, b"synops=10"])
def test_what_is_no_line_at_all_is_named(line: Any) -> None:
    with pytest.raises(ArgumentError, match="fit: expected str.*write it like"):
        parse_fit(line)

"""A message of the library names arguments; the command line spells them as its options."""

from typing import Any

import pytest
import typer

from toolchain.cli.main import app
from toolchain.cli.spelling import spell, spell_error
from toolchain.errors import ArgumentError, UsageError

COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]


def _told(text: str, verb: str) -> str:
    return spell(text, [COMMANDS[verb], *COMMANDS.values()])


@pytest.mark.parametrize(
    ("text", "verb", "spelled"),
    [
        ("give samples as `stimulus`", "compile", "give samples as --example"),
        ("give samples as `stimulus`", "run", "give samples as --input"),
        ("compile with `loop_delay=True`", "run", "compile with --loop-delay"),
        ("or take `chips=3`", "check", "or take --chips 3"),
        (
            "`Quantization(weight_bits=8, split_signs=False)`",
            "export",
            "--weight-bits 8 --quantization split_signs=false",
        ),
        ("write it with `write_baseline`", "compare", "write it with --update"),
        ("train with the integers (`repair`)", "show", "train with the integers (--qat-epochs)"),
        ("`per_neuron=False`", "compile", "--quantization per_neuron=false"),
        ('`replace_reset="zero"` gives', "check", "--quantization replace_reset=zero gives"),
        ("`written=nir` holds them", "export", "--format nir holds them"),
    ],
)
def test_arguments_become_options_first_of_the_command_that_runs(text: str, verb: str, spelled: str) -> None:
    assert _told(text, verb) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "file 'x`dt`y`target`.npz' does not exist",
        "`unheard_of`",
        "`dt",
        "dt",
        "`a b`",
        "``",
        "`dt=1, unheard_of=2`",
        "`dt(`",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert _told(text, "compile") == text


def test_the_argument_that_an_error_begins_with_is_spelled() -> None:
    error = ArgumentError("tau_error", "a number", "'x'", "give `dt`")
    assert (
        spell_error(error, COMMANDS.values())
        == "--quantization tau_error: expected a number, got 'x'; give --dt"
    )


def test_an_error_has_its_remedy_as_data() -> None:
    error = UsageError("it is wrong", "mend\x1bit")
    assert (str(error), error.remedy) == (r"it is wrong; mend\x1bit", r"mend\x1bit")
    assert UsageError("it is wrong").remedy == ""

"""How the command line spells what a message of the library says in Python.

The library names arguments in backticks: `dt`, `loop_delay=True`, `Quantization(weight_bits=8)`. Commands
name their parameters as the library does, so what Typer knows of them is the table of options.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from toolchain.errors import ArgumentError

_CODE: Final = re.compile(
    r"(?<!\w)'[^']*'(?!\w)|`(?:\w+\()?(?P<code>\w+(?:=[^`(),=]+)?(?:, \w+=[^`(),=]+)*)\)?`"
)
"""A name in backticks, or arguments, with or without their call. Quoted paths stay as they are."""
_CALLS: Final = {
    "repair": "qat_epochs",
    "write_baseline": "update",
    "outputs": "expect",
    "code": "max_spikes",
    "train": "calibration",
}
"""Calls and arguments of the library for which a command has an option of another name."""
KEYS: Final = frozenset(
    [
        "decay_profiles",
        "exponents",
        "per_neuron",
        "replace_reset",
        "rounding",
        "split_signs",
        "tau_error",
        "threshold_profiles",
    ]
)
"""Fields of `Quantization` that the command line takes as keys of `--quantization`."""


def spell(text: str, commands: Iterable[Any]) -> str:
    """Return a text in which every argument is the option that sets it.

    Args:
        text: A message of the library.
        commands: Commands of Typer, the one that runs first: where several have an option for an argument,
            the first says its name.
    """
    options: dict[str, Any] = {}
    for command in commands:
        for parameter in command.params:
            if parameter.param_type_name == "option":
                options.setdefault(parameter.name, parameter)

    def replace(code: re.Match[str]) -> str:
        words = [_option(argument, options) for argument in (code["code"] or "").split(", ")]
        return " ".join(words) if all(words) else code[0]

    return _CODE.sub(replace, text)


def spell_error(error: BaseException, commands: Iterable[Any]) -> str:
    """Return the message of an error; an argument at its beginning is spelled, too."""
    text = str(error)
    if isinstance(error, ArgumentError):
        text = text.replace(error.argument, f"`{error.argument}`", 1)
    return spell(text, commands)


def _option(argument: str, options: Mapping[str, Any]) -> str:
    """Return `name` or `name=value` as an option; nothing if no command has one."""
    name, equals, value = argument.partition("=")
    if name in KEYS:
        word = value.lower() if value in {"True", "False"} else value.strip('"')
        return f"--quantization {name}{equals}{word}"
    option = options.get(_CALLS.get(name, name))
    if option is None:
        return ""
    yes = option.opts[0]
    match value:
        case "" | "True":
            return yes
        case "False":
            return option.secondary_opts[0] if option.secondary_opts else yes
        case _:
            # A text is quoted in Python, and is none in a shell.
            return f"{yes} " + value.strip('"')

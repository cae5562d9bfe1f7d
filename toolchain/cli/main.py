"""The command `pumice`: parse, one call of the workflow, print, exit code."""

import signal
import sys
import warnings
from typing import Annotated, NoReturn, cast

import typer

from toolchain.cli.check import check
from toolchain.cli.compare import compare
from toolchain.cli.compile import EPILOG, compile_model
from toolchain.cli.console import err, out, print_warning
from toolchain.cli.demo import demo
from toolchain.cli.doctor import doctor
from toolchain.cli.ending import exit_code_of
from toolchain.cli.export import export
from toolchain.cli.help import Command, Commands
from toolchain.cli.predict import predict
from toolchain.cli.prune import prune
from toolchain.cli.run import run
from toolchain.cli.schema import schema
from toolchain.cli.show import show
from toolchain.cli.streams import open_streams
from toolchain.cli.sweep import sweep
from toolchain.cli.targets import targets
from toolchain.cli.train import train
from toolchain.interrupts import INTERRUPTS

_DEBUG = {"on": False}

app = typer.Typer(
    cls=Commands,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Sparse spiking networks from PyTorch to integers, and the proof that they are the same network.",
    epilog="Exit codes: 0 done, 1 a bug of pumice, 2 wrong usage, 3 another error, 4 a fidelity gate was "
    "not met, 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, 141 the output has no reader.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        import toolchain

        out.print(f"pumice {toolchain.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that precede a command; without one, show the help."""
    del version
    if context.invoked_subcommand is None:
        out.print(context.get_help())
        raise typer.Exit
    _DEBUG["on"] = debug
    commands = cast("Commands", context.command).commands
    running = commands.get(context.invoked_subcommand or "")
    out.commands = err.commands = (*([running] if running else []), *commands.values())


_COMMANDS = {
    "From an experiment to integers": {
        "prune": prune,
        "train": train,
        "compile": compile_model,
        "sweep": sweep,
    },
    "What a build does": {
        "compare": compare,
        "predict": predict,
        "run": run,
        "check": check,
        "show": show,
        "export": export,
        "schema": schema,
    },
    "This machine": {
        "demo": demo,
        "targets": targets,
        "doctor": doctor,
    },
}
for _group, _members in _COMMANDS.items():
    for _name, _command in _members.items():
        _end = EPILOG if _name == "compile" else None
        app.command(_name, cls=Command, rich_help_panel=_group, epilog=_end)(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return exit_code_of(
        lambda: app(args=words, prog_name="pumice", standalone_mode=False),
        lambda: _DEBUG["on"],
        as_json="--json" in words,
    )


def entry() -> NoReturn:
    """Run as the installed command."""
    open_streams()
    warnings.showwarning = print_warning
    code = main()
    # All is written, or removed: nobody needs to hear of an interrupt from here on.
    for number in INTERRUPTS:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)

"""The command `pumice`: parse, one driver call, print, exit code."""

import signal
import sys
import warnings
from typing import Annotated, NoReturn, cast

import typer

from toolchain.cli.check import check
from toolchain.cli.compare import compare
from toolchain.cli.compile import compile_model
from toolchain.cli.console import err, out, print_warning
from toolchain.cli.demo import demo
from toolchain.cli.doctor import doctor
from toolchain.cli.ending import exit_code_of
from toolchain.cli.export import export
from toolchain.cli.prune import prune
from toolchain.cli.run import run
from toolchain.cli.schema import schema
from toolchain.cli.show import show
from toolchain.cli.streams import open_streams
from toolchain.cli.targets import targets
from toolchain.cli.train import train
from toolchain.interrupts import INTERRUPTS

_DEBUG = {"on": False}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sparse spiking networks from PyTorch to integers, and the proof that they are the same network.",
    epilog="Exit codes: 0 ok, 1 our bug, 2 wrong usage, 3 error, 4 a fidelity gate was not met, 130 Ctrl-C, "
    "143 SIGTERM, 129 SIGHUP, 141 the reader of the output has gone.",
)


@app.callback()
def options(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of errors")] = False,
) -> None:
    """Take the options of all commands."""
    _DEBUG["on"] = debug
    commands = cast("typer.core.TyperGroup", context.command).commands
    running = commands.get(context.invoked_subcommand or "")
    out.commands = err.commands = (*([running] if running else []), *commands.values())


app.command()(demo)
app.command()(train)
app.command()(prune)
app.command("compile")(compile_model)
app.command()(check)
app.command()(run)
app.command()(compare)
app.command()(export)
app.command()(show)
app.command()(targets)
app.command()(schema)
app.command()(doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return exit_code_of(
        lambda: app(args=arguments, prog_name="pumice", standalone_mode=False), lambda: _DEBUG["on"]
    )


def entry() -> NoReturn:
    """Run as the installed command."""
    open_streams()
    warnings.showwarning = print_warning
    code = main()
    # All is written, or removed: what interrupts now need not be told.
    for number in INTERRUPTS:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)

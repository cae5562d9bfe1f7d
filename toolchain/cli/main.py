"""The command `pumice`: parse, one driver call, print, exit code."""

import signal
import sys
import warnings
from types import FrameType
from typing import Annotated

import typer

from toolchain.cli.check import check
from toolchain.cli.compare import compare
from toolchain.cli.compile import compile_model
from toolchain.cli.console import (
    WrongUsage,
    err,
    print_error,
    print_traceback,
    print_usage,
    print_warning,
)
from toolchain.cli.demo import demo
from toolchain.cli.doctor import doctor
from toolchain.cli.export import export
from toolchain.cli.prune import prune
from toolchain.cli.run import run
from toolchain.cli.show import show
from toolchain.cli.targets import targets
from toolchain.cli.train import train
from toolchain.errors import ToolchainError, UsageError

_BUG = 1
_INTERRUPTED = 130
_DEBUG = {"on": False}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sparse spiking networks from PyTorch to integers, and the proof that they are the same network.",
    epilog="Exit codes: 0 ok, 1 our bug, 2 wrong usage, 3 error, 4 a fidelity gate was not met.",
)


@app.callback()
def options(
    *, debug: Annotated[bool, typer.Option("--debug", help="show the traceback of errors")] = False
) -> None:
    """Take the options of all commands."""
    _DEBUG["on"] = debug


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
app.command()(doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    previous = signal.signal(signal.SIGINT, _interrupt)
    try:
        code = app(args=arguments, prog_name="pumice", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except WrongUsage as error:
        print_usage(error)
        return UsageError.exit_code
    except ToolchainError as error:
        if _DEBUG["on"]:
            print_traceback()
        print_error(error)
        return error.exit_code
    except OSError as error:
        # A full disk or a folder without permission is the machine's, not our, bug.
        if _DEBUG["on"]:
            print_traceback()
        print_error(error)
        return ToolchainError.exit_code
    finally:
        signal.signal(signal.SIGINT, previous)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End on Ctrl-C: everything unwinds, so that children die and half-written files go."""
    del number, frame
    err.print("interrupted; the same command continues where it can")
    raise SystemExit(_INTERRUPTED)


def entry() -> None:
    """Run as the installed command."""
    warnings.showwarning = print_warning
    try:
        code = main()
    except Exception:  # noqa: BLE001 - our bug: all of it is shown
        print_traceback()
        code = _BUG
    sys.exit(code)

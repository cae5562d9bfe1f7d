"""The command `pumice`: parse, one driver call, print, exit code."""

import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from toolchain.cli.check import check
from toolchain.cli.compare import compare
from toolchain.cli.compile import compile_model
from toolchain.cli.console import err, print_error
from toolchain.cli.demo import demo
from toolchain.cli.doctor import doctor
from toolchain.cli.export import export
from toolchain.cli.prune import prune
from toolchain.cli.run import run
from toolchain.cli.show import show
from toolchain.cli.targets import targets
from toolchain.cli.train import train
from toolchain.errors import ToolchainError

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
        app(args=arguments, prog_name="pumice")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except ToolchainError as error:
        if _DEBUG["on"]:
            traceback.print_exc()
        print_error(error)
        return error.exit_code
    except OSError as error:
        # A full disk or a folder without permission is the machine's, not our, bug.
        if _DEBUG["on"]:
            traceback.print_exc()
        err.print(f"error: {error}", style="red", markup=False)
        return ToolchainError.exit_code
    finally:
        signal.signal(signal.SIGINT, previous)
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End on Ctrl-C: everything unwinds, so that children die and half-written files go."""
    del number, frame
    err.print("interrupted; the same command continues where it can")
    raise SystemExit(_INTERRUPTED)


def entry() -> None:
    """Run as the installed command."""
    sys.exit(main())

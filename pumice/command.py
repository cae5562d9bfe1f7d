"""The command `pumice`: makes sure that Pumice's packages are found, and hands over to `toolchain.cli`."""

import sys
from typing import Final

from pumice.shadow import PACKAGES, ShadowedError, check_packages

_WRONG_USAGE: Final = 2


def main() -> None:
    """Run as the installed command."""
    try:
        check_packages(*PACKAGES)
    except ShadowedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_WRONG_USAGE)
    from toolchain.cli.main import entry  # noqa: PLC0415 - only once it is known to be ours

    entry()

"""`python -m toolchain.cli`: the command without its script."""

from toolchain.cli.main import entry

entry()

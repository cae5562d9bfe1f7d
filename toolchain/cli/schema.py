"""`pumice schema`: JSON schemas of the files that Pumice writes and reads."""

from typing import Annotated

import typer

from toolchain.cli.console import answer, out, print_json
from toolchain.cli.options import AsJson


def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Schema to print; by default all are listed.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the JSON schema of a file that Pumice writes, or list those that have one."""
    from toolchain.workflow.schema import SCHEMAS, schema_of

    if name is not None:
        document = schema_of(name)
        if as_json:
            answer(document)
        else:
            print_json(document)
    elif as_json:
        answer(SCHEMAS)
    else:
        for each, text in SCHEMAS.items():
            out.print(f"{each:19}{text}", soft_wrap=True)

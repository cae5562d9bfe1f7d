"""`pumice schema`: JSON schemas of the files that Pumice writes and reads."""

from typing import Annotated

import typer

from toolchain.cli.console import out, print_json
from toolchain.cli.options import AsJson


def schema(
    name: Annotated[str | None, typer.Argument(help="the schema to print; by default all are listed")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the JSON schema of a file, or list the files that have one."""
    from toolchain.workflow.schema import SCHEMAS, schema_of

    if name is not None:
        print_json(schema_of(name))
    elif as_json:
        print_json(SCHEMAS)
    else:
        for each, text in SCHEMAS.items():
            out.print(f"{each:14}{text}", markup=False, soft_wrap=True)

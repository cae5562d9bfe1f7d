"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

# Whether a file can be read is told by its reader, with what to do: hence `readable=False` in all commands.
BuildFolder = Annotated[
    Path, typer.Argument(readable=False, help="build folder, as written by 'pumice compile'")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
OutFolder = Annotated[Path, typer.Option("--output", "-o", readable=False, help="folder to write")]
TargetName = Annotated[str, typer.Option("--target", "-t", help="an installed target; see 'pumice targets'")]
StimulusFile = Annotated[
    Path | None,
    typer.Option("--input", "-i", readable=False, help="stimulus.npz; by default the one in the build"),
]

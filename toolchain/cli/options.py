"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

BuildFolder = Annotated[Path, typer.Argument(help="build folder, as written by 'pumice compile'")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
OutFolder = Annotated[Path, typer.Option("--output", "-o", help="folder to write")]
TargetName = Annotated[str, typer.Option("--target", "-t", help="an installed target; see 'pumice targets'")]
StimulusFile = Annotated[
    Path | None, typer.Option("--input", "-i", help="stimulus.npz; by default the one in the build")
]

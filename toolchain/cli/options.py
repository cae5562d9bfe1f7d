"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

# Whether a file can be read is said by its reader, with what to do: hence `readable=False` in all commands.
BuildFolder = Annotated[
    Path, typer.Argument(readable=False, metavar="BUILD", help="Folder that 'pumice compile' wrote.")
]
ExperimentFile = Annotated[
    Path,
    typer.Argument(readable=False, metavar="EXPERIMENT", help="TOML file, such as examples/digits.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
OutFolder = Annotated[
    Path, typer.Option("--output", "-o", readable=False, metavar="FOLDER", help="Folder to write.")
]
TargetName = Annotated[
    str, typer.Option("--target", "-t", metavar="NAME", help="Where it is to run; see 'pumice targets'.")
]
OwnTarget = Annotated[
    str | None,
    typer.Option(
        "--target", "-t", metavar="NAME", help="Where it runs; by default the target it was compiled for."
    ),
]
StageName = Annotated[
    Literal["fixed", "float"],
    typer.Option(metavar="STAGE", help="fixed for the integers, float for the real numbers they came from."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Compute on the workers of this Dask scheduler, such as tcp://host:8786.",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Compute in N processes of this machine.")
]
StimulusFile = Annotated[
    Path | None,
    typer.Option(
        "--input",
        "-i",
        readable=False,
        metavar="FILE",
        help="Samples (.npz); by default those that the build holds.",
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Workers on this machine; by default as many as its cores and memory allow.",
    ),
]

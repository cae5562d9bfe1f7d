"""A build as files that run without this toolchain."""

from pathlib import Path
from typing import Final

from toolchain.errors import UnknownNameError, UsageError
from toolchain.files.swapping import replacing_folder
from toolchain.intake import PathText, check_type, choice_of, path_of, real_of
from toolchain.interchange.netx.to_netx import to_netx
from toolchain.interchange.nir.conventions import NIR, reader_convention
from toolchain.interchange.nir.file import write_nir
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.ir import Graph, Stage
from toolchain.memory import enough_memory
from toolchain.passes import JoinSigns
from toolchain.progress import Progress, no_progress
from toolchain.target.protocol import export_program
from toolchain.target.registry import PORTABLE, load_designer, load_target
from toolchain.workflow.build_folder import Build, check_is_build

EXPORT_FORMATS: Final = (*PORTABLE, "nir", "netx")
"""Formats that `export_build` writes."""


@enough_memory("writing the file")
def export_build(
    build: Build,
    folder: PathText,
    written: str,
    stage: Stage | None = None,
    *,
    convention: str | None = None,
    dt: float | None = None,
    board: PathText | None = None,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Write a graph of a build so that it runs without this toolchain.

    Args:
        build: The build to write.
        folder: Folder to write; created if it does not exist.
        written: Format of the files: `onnx` for onnxruntime, `c` for any C compiler, `rtl` for FPGAs,
            `lava` for lava-nc alone, `nir` for other frameworks, `netx` for Lava-DL.
        stage: Whether the integers are written, or the real numbers they came from; by default what the
            format is made for: integers, but real numbers for NIR.
        convention: Framework that will read the NIR file; by default any that knows NIR's equations.
        dt: Length of a step in the NIR file, in seconds; by default what that framework takes, or the
            network's own.
        board: For `rtl`, the board whose bitstream is made: its name, or a TOML file of another one; by
            default there is none. Placing and routing take minutes.
        progress: Told after every stage of the tools that make a bitstream.

    Returns:
        Notes for the user on what the file says in another way.

    Raises:
        UsageError: The format is not known or needs no convention, or the folder holds other files.
        PreconditionError: The format cannot express a part of the network.
        TargetError: A target of that name has no such files, or no such boards.
        DoesNotFitError: The network is too large for the board.
        TargetUnavailableError: A tool that makes bitstreams is not installed.
    """
    folder = path_of(folder, "folder")
    build = check_is_build(build)
    written = check_type(written, "written", str)
    stage = None if stage is None else choice_of(stage, "stage", Stage)
    dt = None if dt is None else real_of(dt, "dt")
    if written not in EXPORT_FORMATS:
        raise UnknownNameError("format", written, EXPORT_FORMATS)
    if written != "nir" and (convention is not None or dt is not None):
        raise UsageError(
            "`convention` and `dt` say what a step of a .nir file is, and this format says it itself",
            "leave them out",
        )
    if board is not None:
        designer = load_designer(written)
        named = board if isinstance(board, str | Path) else Path(board)
        with replacing_folder(folder) as temporary:
            return designer.write_board(build.graph(stage or Stage.FIXED), named, temporary, progress)
    graph = build.graph(stage or (Stage.FLOAT if written == "nir" else Stage.FIXED))
    with replacing_folder(folder) as temporary:
        return _write(graph, temporary, written, convention, dt)


def _write(
    graph: Graph, folder: Path, name: str, convention: str | None, dt: float | None
) -> tuple[str, ...]:
    if name == "nir":
        own_step = graph.dt_ms / 1000 if convention is None and dt is None else dt
        nir_graph = JoinSigns()(graph) if graph.stage is Stage.FLOAT else graph
        exported = to_nir(nir_graph, reader_convention(convention or NIR, own_step))
        write_nir(exported.graph, folder / "network.nir")
        return (*exported.notes, *_left_out(graph))
    if name == "netx":
        to_netx(graph, folder / "network.net")
        return _left_out(graph)
    export_program(load_target(name).build(graph), folder)
    return ()


def _left_out(graph: Graph) -> tuple[str, ...]:
    """Return what the host does with outputs, for which these files have no place."""
    return tuple(
        f"the weights with which the host reads '{node.name}' are not written"
        for node in graph.outputs
        if node.weights is not None
    )

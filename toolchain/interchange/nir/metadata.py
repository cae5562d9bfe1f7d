"""What the metadata of a NIR file say about the framework that wrote it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import nir
import numpy as np

from toolchain.errors import FrontendError
from toolchain.interchange.nir.conventions import (
    CONVENTIONS,
    NIR,
    PRODUCER,
    READERS,
    Convention,
    convention,
    reader_convention,
)
from toolchain.interchange.nir.file import VERSION
from toolchain.interchange.nir.parameters import numbers
from toolchain.interchange.nir.resets import UNNAMED, WORDS, NirReset, StatedReset, stated_reset

_IN_THE_FILE: Final = "the metadata of the file"
_OLDER: Final = {"by the threshold": NirReset.SUBTRACT, NirReset.VALUE.value: NirReset.VALUE}
"""Words that metadata may hold besides."""


def named_convention(
    graph: nir.NIRGraph,
    name: str | None = None,
    dt: float | None = None,
    reset: str | float | None = None,
) -> Convention:
    """Return the convention of a graph: the one asked for, or what its metadata say, or NIR's own equations.

    Metadata may hold `convention`, `dt` and `reset` (a word of `WORDS`, or `to v_reset`). Files written here
    hold all three, and mean what the framework makes of them that they were written for. `nir_version` is
    what `read_nir` read in the file.

    Args:
        graph: A graph as it was read.
        name: Name of a convention, if it is not to come from the metadata.
        dt: Length of a step in the file's unit of time, if it is not to come from there either.
        reset: What a spike does to the potential, where nobody else knows better than the user; see
            `stated_reset`.

    Raises:
        UnknownNameError: No convention or reset has that name.
        FrontendError: The metadata say something else, or the file is older than the convention.
    """
    metadata = cast("Mapping[str, object]", graph.metadata)
    written_here = str(metadata.get("producer", "")) == PRODUCER
    if written_here:
        _check_own(metadata)
    stated = metadata.get("convention")
    known = name or (stated if isinstance(stated, str) and stated in CONVENTIONS else NIR)
    if dt is None and "dt" in metadata:
        dt = _stated_step(metadata["dt"])
    ours = name is None and written_here
    named = reader_convention(known, dt) if ours else convention(known, dt)
    version = str(metadata.get(VERSION, ""))
    if version.startswith("0.") and np.isfinite(named.longest):
        raise FrontendError(
            f"the file was written by nir {version}, which is older than what '{named.name}' stands for",
            f'take `convention="{named.otherwise}"` and the dt of its cells as `dt`, or `dt={named.dt:g}` if '
            f"'{named.name}' is meant all the same",
        )
    if reset is not None:
        return replace(named, reset=stated_reset(reset, "you said so"), unknown=())
    stated_by_file = _stated_reset(metadata)
    if stated_by_file is not None:
        return replace(named, reset=stated_by_file, unknown=())
    if name is not None or (isinstance(stated, str) and stated in CONVENTIONS):
        return named
    return replace(named, reset=UNNAMED, note=f"{named.note}, because the file names no framework")


def _stated_reset(metadata: "Mapping[str, object]") -> StatedReset | None:
    if "reset" not in metadata:
        return None
    said = metadata["reset"]
    if str(said) in _OLDER:
        return StatedReset(_OLDER[str(said)], _IN_THE_FILE)
    if str(said) in WORDS:
        return stated_reset(str(said), _IN_THE_FILE)
    raise FrontendError(
        f"the metadata of the graph say reset = '{said}', expected one of {', '.join((*WORDS, *_OLDER))}"
    )


def _check_own(metadata: Mapping[str, object]) -> None:
    """Raise if metadata that this toolchain wrote are not what it writes."""
    stated = metadata.get("convention")
    if not (isinstance(stated, str) and stated in READERS):
        raise FrontendError(
            f"the metadata of the graph say convention = {stated!r}, expected one of {', '.join(READERS)}, "
            f"as '{PRODUCER}' writes; the file was edited or is damaged"
        )
    for key in ("dt", "reset"):
        if key not in metadata:
            raise FrontendError(
                f"the metadata of the graph say no {key}, which '{PRODUCER}' always writes; the file was "
                "edited or is damaged"
            )


def _stated_step(stated: object) -> float:
    values = numbers("graph", "dt", stated)
    if values.size != 1 or np.asarray(stated).dtype.kind == "b" or not values.ravel()[0] > 0:
        raise FrontendError(
            f"the metadata of the graph say dt = {stated}, expected one number of more than 0",
            "state the step as `dt`",
        )
    return float(values.ravel()[0])

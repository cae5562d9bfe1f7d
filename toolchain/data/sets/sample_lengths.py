"""Lengths of samples that were padded to one shape, read from beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import ArgumentError, CorruptArtifactError
from toolchain.intake import labels_of

_WITH_STEPS: Final = frozenset({3, 5})
"""How many axes samples of several steps have, the samples counted."""


def lengths_in(arrays: Mapping[str, Any], path: Path) -> NDArray[np.int64] | None:
    """Return the numbers of valid steps that stand beside `input` in a file; None if all are valid.

    Args:
        arrays: The arrays of the file.
        path: The file, for messages.

    Raises:
        CorruptArtifactError: They are no numbers of steps of these samples.
    """
    if "lengths" not in arrays:
        return None
    samples = arrays["input"]
    if samples.ndim not in _WITH_STEPS:
        raise CorruptArtifactError(
            path,
            f"holds `lengths` beside 'input' {list(samples.shape)}, and only samples of several steps have "
            "any: [samples, steps, channels] or [samples, steps, C, H, W]",
        )
    try:
        lengths = labels_of(np.asarray(arrays["lengths"]), "lengths", samples=len(samples))
    except ArgumentError as error:
        raise CorruptArtifactError(path, f"holds `lengths` that cannot be used: {error}") from None
    steps = samples.shape[1]
    if not ((lengths >= 1) & (lengths <= steps)).all():
        raise CorruptArtifactError(
            path, f"holds lengths {lengths.min()} .. {lengths.max()}, expected 1 .. {steps} valid steps"
        )
    return lengths

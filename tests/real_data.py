"""Recordings and networks by others, used where they are at hand: none of them is part of this repository."""

import os
from pathlib import Path

import pytest


def real_data(*parts: str) -> Path:
    """Return a file or folder of the public material; skip the test where it is missing.

    The material lies in the folder that `PUMICE_DATA` names, else in `shared/data` beside the repository.
    """
    root = Path(os.environ.get("PUMICE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not at hand; PUMICE_DATA names the folder that holds it")
    return path

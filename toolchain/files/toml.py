"""TOML files, read as data only: what is too large or nested too deeply is no file of settings."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from toolchain.files.disk import check_file, readable_size

MAX_TOML_BYTES: Final = 2**18
"""Parsing takes a hundred times as much memory, and what is wrong with it four hundred times."""

_LONG_KEY: Final = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""")
"""A key of so many parts: each costs as much as all before it, and nothing of ours has more than four."""


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return what a TOML file holds.

    Args:
        path: The file.
        what: The sort of file, for the message.

    Raises:
        MissingFileError: There is no such file.
        StorageError: This user may not read it.
        ValueError: It is not TOML: says why.
    """
    check_file(what, path)
    if path.stat().st_size > MAX_TOML_BYTES:
        raise ValueError(f"is larger than {readable_size(MAX_TOML_BYTES)}")
    try:
        text = path.read_bytes().decode("utf-8")
        if _LONG_KEY.search(text):
            raise ValueError("a key has too many parts")
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("is not TOML: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not TOML: {error}") from None

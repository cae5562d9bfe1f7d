"""The library `distributed`: loaded when it is needed, asked for no reports, and silent."""

import importlib.util
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from toolchain.errors import UsageError

PACKAGES = ("distributed", "numpy", "torch", "pumice")
"""Packages whose versions must be the same wherever one computation runs."""


def load_distributed() -> Any:  # noqa: ANN401 - a module that need not be there
    """Return the module `distributed`.

    Raises:
        UsageError: It is not installed.
    """
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "clusters are run by distributed, which is not installed, run: "
            "python -m pip install 'pumice[sweep]'"
        )
    import distributed  # noqa: PLC0415 - takes half a second, and need not be there

    return distributed


@contextmanager
def quiet() -> Generator[None, None, None]:
    """Keep the library's logs and warnings from the terminal: what matters is said by our own errors."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(distributed|dask|tornado)\b")
            yield
    finally:
        logger.setLevel(level)

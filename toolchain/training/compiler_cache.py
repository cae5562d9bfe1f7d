"""PyTorch's compiler, without the folder that it makes for compiled code."""

import importlib
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

_FOLDER: Final = "TORCHINDUCTOR_CACHE_DIR"


def load_compiler() -> None:
    """Import PyTorch's compiler, as the first optimizer of a process does, and leave no folder behind.

    When it is imported, it makes a folder in the temporary folder of the machine, for code that is never
    compiled here. It makes none where it is told of one that exists; afterwards it is as free to choose its
    own as before, should whoever called us compile something.
    """
    if "torch._dynamo" in sys.modules or _FOLDER in os.environ:
        return
    os.environ[_FOLDER] = str(Path(torch.__file__).parent)
    try:
        importlib.import_module("torch._dynamo")
    finally:
        del os.environ[_FOLDER]


@contextmanager
def unallocated() -> Generator[None, None, None]:
    """Make modules whose tensors have shapes but no numbers; PyTorch's compiler is needed for that, too."""
    load_compiler()
    with torch.device("meta"):
        yield

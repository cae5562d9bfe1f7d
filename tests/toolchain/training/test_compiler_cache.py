"""PyTorch's compiler leaves nothing in the temporary folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import os, sys
from torch import nn
from toolchain.training import FitOptions
from toolchain.training.compiler_cache import unallocated
with unallocated():
    assert nn.Linear(2, 2).weight.is_meta
FitOptions(epochs=1, batch_size=1, learning_rate=0.1).build(nn.Linear(2, 2))
assert "torch._dynamo" in sys.modules
assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
"""


@pytest.mark.slow
def test_neither_modules_nor_optimizers_leave_anything_in_the_temporary_folder(
    tmp_path: Path, repository: Path
) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", _SCRIPT], cwd=repository, env=environment, check=True)
    assert not list(tmp_path.iterdir())

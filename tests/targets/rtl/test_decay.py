"""The decay in Verilog against `fixedpoint`."""

import itertools
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.targets.rtl.icarus import BENCHES, VERILOG, simulate
from toolchain import fixedpoint
from toolchain.fixedpoint import IntArray

_WIDTHS = {25: 2**23 + 1, 32: 2**31}
"""Width of the module, and the bound of the values that are tried: 25 bits hold what a current may be."""
_EDGES = (0, 1, 2, 4095, 4096, 4097, 2**12 * 4095, 2**23 - 1, 2**23)


def _values(bound: int) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(5)
    edges = [sign * edge for edge in _EDGES for sign in (1, -1) if edge < bound]
    amounts = (0, 1, 2, 2047, 2048, 4094, 4095, 4096)
    pairs = np.array(list(itertools.product(edges, amounts)))
    wide = rng.integers(-bound + 1, bound, 3000) >> rng.integers(0, 24, 3000)
    values = np.concatenate((pairs[:, 0], wide))
    return values.astype(np.int32), np.concatenate((pairs[:, 1], rng.integers(0, 4097, 3000))).astype(
        np.int32
    )


@pytest.mark.parametrize("width", _WIDTHS)
def test_a_decay_is_that_of_fixedpoint(width: int, tmp_path: Path) -> None:
    values, amounts = _values(_WIDTHS[width])
    (tmp_path / "values.hex").write_text("\n".join(f"{value & 0xFFFFFFFF:08x}" for value in values.tolist()))
    (tmp_path / "keeps.hex").write_text("\n".join(f"{4096 - amount:04x}" for amount in amounts.tolist()))
    lines = simulate(tmp_path, "decay_bench", ("decay",), {"WIDTH": width, "COUNT": len(values)})
    assert [int(line) for line in lines] == fixedpoint.decay(values, amounts).tolist()


@pytest.mark.long
def test_every_decay_of_every_value_is_equal(tmp_path: Path) -> None:
    """All 2^25 values of 25 bits and all 4,097 decays, by two processes: some minutes."""
    if shutil.which("verilator") is None:
        pytest.skip("Verilator is not installed")
    sources = [Path(path).resolve() for path in (BENCHES / "decay_proof.v", VERILOG / "decay.v")]
    harness = (BENCHES / "decay_proof.cpp").resolve()
    options = [
        "--cc",
        "--exe",
        "--build",
        "-Wno-WIDTH",
        "-O3",
        "--x-assign",
        "fast",
        "-GWIDTH=25",
        "-GCOPIES=64",
    ]
    flags = ["-CFLAGS", "-O3 -march=native -DWIDTH=25 -DCOPIES=64", "--Mdir", str(tmp_path), "-o", "proof"]
    top = ["--top-module", "decay_proof", *sources, harness]
    subprocess.run(["verilator", *options, *flags, *top], check=True, capture_output=True)

    def prove(part: tuple[int, int]) -> str:
        program = [tmp_path / "proof", *map(str, part)]
        return subprocess.run(program, capture_output=True, text=True, check=False).stdout

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(prove, ((0, 2048), (2049, 4096))))
    assert said == [f"{n * 2**25} decays are equal\n" for n in (2049, 2048)]

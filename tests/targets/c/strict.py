"""Programs of networks: every warning is an error, and undefined behaviour ends them."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from targets.c.compiler import write_source
from targets.c.program import CProgram
from targets.c.source import NetworkCode
from tests.image_graphs import random_image_recipe, random_images, random_stimuli_of_pictures
from tests.random_graphs import random_fixed, random_recipe, random_stimuli
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.files.temporary import temporary_folder
from toolchain.ir import Graph, print_graph

WARNINGS: Final = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STRICT: Final = ("cc", *WARNINGS)
SANITIZED: Final = (*STRICT, *SANITIZERS)
Stimuli = Mapping[str, NDArray[Any]]


def strict_program(graph: Graph, command: tuple[str, ...] = STRICT) -> CProgram:
    return CProgram(graph, command, patience_s=60.0)


def check_equal(graph: Graph, stimuli: Any, command: tuple[str, ...] = STRICT) -> None:
    """u, v and spikes of every population at every step, with `==`."""
    trace = strict_program(graph, command).run(stimuli, record=QUANTITIES)
    mismatch = first_mismatch(reference.run(graph, stimuli), trace)
    assert mismatch is None, f"{mismatch}\n{print_graph(graph)}"


def run_strictly(names: Sequence[str], folder: Path, command: Sequence[str], asked: bytes = b"") -> str:
    """Compile the files of a folder, every warning an error; run the program and return what it prints."""
    compiled = subprocess.run(
        [*command, "-std=c99", "-o", "firmware", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr
    ended = subprocess.run([folder / "firmware"], input=asked, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()


def cppcheck(code: NetworkCode) -> str:
    """What cppcheck says of a network and its driver, all of its checks asked for."""
    with temporary_folder("cppcheck") as folder:
        names = [path.name for path in write_source(code, folder, driver=True)]
        return cppcheck_files(names, folder)


def cppcheck_files(names: Sequence[str], folder: Path) -> str:
    """What cppcheck says of files, all of its checks asked for.

    Left out: whether a function is used is for the caller of a network to know, and that a condition is
    known beforehand, where an image is one pixel wide, is no mistake.
    """
    left_out = ("unusedFunction", "missingIncludeSystem", "knownConditionTrueFalse", "unmatchedSuppression")
    checks = ("--enable=all", "--inconclusive", *(f"--suppress={each}" for each in left_out))
    command = ["cppcheck", "--std=c99", "--quiet", *checks, *names]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout + ended.stderr


def drawn(kind: str, seed: int) -> tuple[Graph, Stimuli]:
    """A random network, or one of images, and what enters."""
    rng = np.random.default_rng([seed, 25])
    if kind == "images":
        recipe = random_image_recipe(rng, wide=bool(seed % 2))
        return random_images(recipe), random_stimuli_of_pictures(recipe, 2, int(rng.integers(1, 7)))
    networks = random_recipe(rng)
    return random_fixed(networks), random_stimuli(networks, 2, int(rng.integers(1, 21)))

"""Programs of networks: every warning is an error, and undefined behaviour ends them."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from targets.c.program import CProgram
from tests.image_graphs import random_image_recipe, random_images, random_stimuli_of_pictures
from tests.random_graphs import random_fixed, random_recipe, random_stimuli
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, print_graph

STRICT: Final = ("cc", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZED: Final = (*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
Stimuli = Mapping[str, NDArray[Any]]


def strict_program(graph: Graph, command: tuple[str, ...] = STRICT) -> CProgram:
    return CProgram(graph, command, patience_s=60.0)


def check_equal(graph: Graph, stimuli: Any, command: tuple[str, ...] = STRICT) -> None:
    """u, v and spikes of every population at every step, with `==`."""
    trace = strict_program(graph, command).run(stimuli, record=QUANTITIES)
    mismatch = first_mismatch(reference.run(graph, stimuli), trace)
    assert mismatch is None, f"{mismatch}\n{print_graph(graph)}"


def drawn(kind: str, seed: int) -> tuple[Graph, Stimuli]:
    """A random network, or one of images, and what enters."""
    rng = np.random.default_rng([seed, 25])
    if kind == "images":
        recipe = random_image_recipe(rng, wide=bool(seed % 2))
        return random_images(recipe), random_stimuli_of_pictures(recipe, 2, int(rng.integers(1, 7)))
    networks = random_recipe(rng)
    return random_fixed(networks), random_stimuli(networks, 2, int(rng.integers(1, 21)))

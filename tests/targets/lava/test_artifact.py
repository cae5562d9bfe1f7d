"""The stand-alone network: one file that runs without this toolchain and gives the same integers."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.emulator.target import EmulatorTarget
from targets.lava.artifact import FILE, WEIGHTS, write_artifact
from tests.graphs import Recipe, feed_forward, fixed_lif, random_fixed, random_stimuli, random_stimulus, union
from tests.image_graphs import ImageRecipe, random_images, random_stimuli_of_pictures
from tests.names import with_names
from tests.networks import images, small_vgg, stirred
from tests.targets import conformance
from toolchain.errors import TargetError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.workflow.compile import compile_module

RECURRENT = Recipe(
    3,
    (5, 4),
    graded=True,
    recurrent=True,
    feedback=True,
    skip=True,
    synaptic_delays=True,
    sparse=True,
    biased=True,
)
# Run as a script, then look which modules it needed.
_ALONE = (
    "import runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
    "runpy.run_path(sys.argv[0], run_name='__main__'); "
    "found = [name for name in sys.modules if name.split('.')[0] in {'toolchain', 'targets', 'torch'}]; "
    "sys.exit(f'needs {found}' if found else 0)"
)


def _start(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", _ALONE, str(folder / FILE), *options]
    return subprocess.run(
        command, cwd=folder.parent, env=bare, capture_output=True, text=True, timeout=300, check=False
    )


def _check_equal(graph: Graph, x: Any, tmp_path: Path, *options: str) -> None:
    stimulus = fit_stimulus(graph, Stimulus.of(x))
    write_artifact(graph, tmp_path / "lava")
    stimulus.save(tmp_path / "stimulus.npz")
    trace = tmp_path / "trace.npz"
    paths = ("--input", str(tmp_path / "stimulus.npz"), "--output", str(trace))
    ran = _start(tmp_path / "lava", *paths, "--record", "v,u", *options)
    assert ran.returncode == 0, ran.stderr
    expected = EmulatorTarget().build(graph).run(stimulus, record=QUANTITIES)
    assert first_mismatch(expected, Trace.load(trace)) is None


@pytest.mark.parametrize("options", [(), ("--stock",)])
def test_a_recurrent_network_gives_our_integers(tmp_path: Path, options: tuple[str, ...]) -> None:
    _check_equal(random_fixed(RECURRENT), random_stimulus(RECURRENT, 2, 7), tmp_path, *options)


@pytest.mark.parametrize("options", [(), ("--stock",)])
def test_samples_shorter_than_the_delays_stay_apart(tmp_path: Path, options: tuple[str, ...]) -> None:
    graph, stimuli = random_fixed(conformance.LATE), random_stimuli(conformance.LATE, 2, 1)
    _check_equal(graph, stimuli, tmp_path, *options)


@pytest.mark.parametrize("options", [(), ("--stock",)])
def test_parts_that_are_not_connected_all_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Lava runs one at a time: the others would be silent, or never end."""
    recipes = [Recipe(seed=seed, biased=True) for seed in (1, 2)]
    stimuli = {f"g{i}-x": random_stimulus(recipe, 2, 4) for i, recipe in enumerate(recipes)}
    _check_equal(union([random_fixed(recipe) for recipe in recipes]), stimuli, tmp_path, *options)


def test_a_convolutional_network_gives_our_integers(tmp_path: Path) -> None:
    network = stirred(small_vgg(), 1)
    build = compile_module(network, images(network))
    assert build.stimulus is not None
    _check_equal(build.fixed_graph, build.stimulus, tmp_path)


def test_a_convolution_and_an_input_called_like_our_own_keys_give_our_integers(tmp_path: Path) -> None:
    """Thresholds of a population `p` were once those of a convolution `p.vth`, an input `labels` was none."""
    recipe = ImageRecipe(seed=3)
    graph, stimuli = random_images(recipe), random_stimuli_of_pictures(recipe, 2, 4)
    population = graph.populations[0].name
    connection = graph.populations[0].inputs[0]
    new = {node.name: node.name for node in graph} | {
        graph.inputs[0].name: "labels", population: "p", connection: "p.vth",
    }  # fmt: skip
    nodes = (
        replace(node, name=new[node.name], inputs=tuple(new[name] for name in node.inputs)) for node in graph
    )
    _check_equal(graph.with_nodes(tuple(nodes)), with_names(stimuli, new), tmp_path)


def test_hardware_says_what_is_missing(tmp_path: Path) -> None:
    write_artifact(random_fixed(RECURRENT), tmp_path / "lava")
    ran = _start(tmp_path / "lava", "--input", "stimulus.npz", "--hardware")
    assert ran.returncode == 1
    assert "needs lava-loihi" in ran.stderr
    assert "not installed here" in ran.stderr


def test_an_input_that_is_missing_is_named(tmp_path: Path) -> None:
    write_artifact(random_fixed(RECURRENT), tmp_path / "lava")
    np.savez(tmp_path / "stimulus.npz", other=np.ones(3))
    ran = _start(tmp_path / "lava", "--input", str(tmp_path / "stimulus.npz"))
    assert "lacks ['input'], it holds ['other']" in ran.stderr


def test_it_stands_alone_in_its_folder(tmp_path: Path) -> None:
    write_artifact(random_fixed(RECURRENT), tmp_path / "lava")
    assert {item.name for item in (tmp_path / "lava").iterdir()} == {FILE, WEIGHTS}


def test_real_numbers_and_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="holds integers"):
        write_artifact(feed_forward(), tmp_path)
    graph = random_fixed(RECURRENT)
    evil = '"); import os; ("'
    renamed = graph.with_nodes(
        [*graph, fixed_lif(evil, ("none",), 2)],
    )
    with pytest.raises(TargetError, match="cannot stand in a Python file"):
        write_artifact(renamed, tmp_path)

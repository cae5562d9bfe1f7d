"""The exported network: it runs without this toolchain and gives the same integers."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.emulator.target import EmulatorTarget
from targets.lava.export import FILE, RUNTIME, export_network
from targets.lava.job import write_job
from targets.lava.plan import plan_processes
from targets.lava.runtime.documents import NETWORK, WEIGHTS
from tests.graphs import feed_forward, union
from tests.image_graphs import ImageRecipe, random_images, random_stimuli_of_pictures
from tests.names import with_names
from tests.networks import images, small_vgg, stirred
from tests.random_graphs import Recipe, random_fixed, random_stimuli, random_stimulus
from tests.targets import conformance
from toolchain.errors import TargetError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.workflow.compile import compile_module

pytestmark = pytest.mark.slow

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
    export_network(plan_processes(graph), tmp_path / "lava")
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


def test_every_neuron_gives_our_integers(tmp_path: Path) -> None:
    graph, x = random_fixed(conformance.FIRING), random_stimulus(conformance.FIRING, 2, 9)
    export_network(plan_processes(graph), tmp_path / "lava")
    stimulus = fit_stimulus(graph, Stimulus.of(x))
    stimulus.save(tmp_path / "stimulus.npz")
    paths = ("--input", str(tmp_path / "stimulus.npz"), "--output", str(tmp_path / "trace.npz"))
    ran = _start(tmp_path / "lava", *paths, "--record", "v,u")
    assert ran.returncode == 0, ran.stderr
    assert first_mismatch(reference.run(graph, stimulus), Trace.load(tmp_path / "trace.npz")) is None
    refused = _start(tmp_path / "lava", *paths, "--stock")
    assert refused.returncode == 1
    assert "population 'p0' has a reset of kind 'none'" in refused.stderr
    assert "run the network without --stock" in refused.stderr
    told = _start(tmp_path / "lava", "--help").stdout
    assert "  p1\n" in told
    assert "  p3: a reset of kind 'value', thresholds that spikes raise\n" in told


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
    export_network(plan_processes(random_fixed(RECURRENT)), tmp_path / "lava")
    ran = _start(tmp_path / "lava", "--input", "stimulus.npz", "--hardware")
    assert ran.returncode == 1
    assert "needs lava-loihi" in ran.stderr
    assert "not installed here" in ran.stderr


def test_an_input_that_is_missing_is_named(tmp_path: Path) -> None:
    export_network(plan_processes(random_fixed(RECURRENT)), tmp_path / "lava")
    np.savez(tmp_path / "stimulus.npz", other=np.ones(3))
    ran = _start(tmp_path / "lava", "--input", str(tmp_path / "stimulus.npz"))
    assert "lacks ['input'], it holds ['other']" in ran.stderr


def test_it_holds_a_copy_of_what_our_own_runs_are_run_by(tmp_path: Path, repository: Path) -> None:
    export_network(plan_processes(random_fixed(RECURRENT)), tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == {FILE, NETWORK, WEIGHTS, RUNTIME}
    ours = repository / "targets" / "lava"
    modules = [FILE, *(path.relative_to(ours).as_posix() for path in (ours / RUNTIME).rglob("*.py"))]
    copies = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")]
    assert sorted(copies) == sorted(modules)
    for name in modules:
        assert (tmp_path / name).read_bytes() == (ours / name).read_bytes()


def test_a_run_is_given_the_documents_that_are_exported(tmp_path: Path) -> None:
    graph = random_fixed(RECURRENT)
    plan = plan_processes(graph)
    export_network(plan, tmp_path / "lava")
    (tmp_path / "job").mkdir()
    write_job(tmp_path / "job", plan, fit_stimulus(graph, random_stimulus(RECURRENT, 2, 7)), {})
    for name in (NETWORK, WEIGHTS):
        assert (tmp_path / "job" / name).read_bytes() == (tmp_path / "lava" / name).read_bytes()


def test_help_names_the_inputs_and_the_populations(tmp_path: Path) -> None:
    export_network(plan_processes(random_fixed(RECURRENT)), tmp_path / "lava")
    ran = _start(tmp_path / "lava", "--help")
    assert ran.returncode == 0, ran.stderr
    assert "  x: [samples, steps, 2]" in ran.stdout
    assert "populations:\n  p0\n  p1\n" in ran.stdout
    assert "never been run" in ran.stdout


def test_a_network_of_another_version_is_not_run(tmp_path: Path) -> None:
    export_network(plan_processes(random_fixed(RECURRENT)), tmp_path / "lava")
    path = tmp_path / "lava" / NETWORK
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    ran = _start(tmp_path / "lava", "--input", "stimulus.npz")
    assert ran.returncode == 1
    assert "has version 2 of 'pumice-lava-network', expected 1: export the network again" in ran.stderr


def test_real_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="holds integers"):
        export_network(plan_processes(feed_forward()), tmp_path)

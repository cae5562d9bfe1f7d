"""ONNX models give the integers of the reference, bit for bit, and are well formed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.onnx.models import sequence_model, step_model
from targets.onnx.program import SEQUENCE, STEP
from targets.onnx.target import OnnxTarget
from tests.exactness import check_apart, check_session
from tests.graphs import feed_forward, recurrent, spikes, varied
from tests.image_graphs import (
    ImageRecipe,
    image_recipes,
    random_images,
    random_pictures,
    random_stimuli_of_pictures,
    wide_image_recipes,
)
from tests.networks import images, small_preresnet, small_vgg, stirred
from tests.random_graphs import Recipe, random_fixed, random_stimuli, random_stimulus, recipes, wide_recipes
from tests.real_graphs import check_close, in_reals
from tests.targets import conformance
from toolchain import ir
from toolchain.errors import TargetError
from toolchain.execution import reference
from toolchain.execution.stimulus import fit_stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.passes import FoldDelays
from toolchain.target.registry import load_target
from toolchain.workflow.compile import compile_module


def _check(graph: Graph, x: Any) -> None:
    trace = OnnxTarget().build(graph).run(x, record=QUANTITIES)
    assert first_mismatch(reference.run(graph, fit_stimulus(graph, x)), trace) is None


@settings(max_examples=40)
@given(recipes)
def test_random_networks_equal_the_reference(recipe: Recipe) -> None:
    _check(random_fixed(recipe), random_stimulus(recipe, 2, 7))


@settings(max_examples=20)
@given(image_recipes)
def test_random_networks_of_images_equal_the_reference(recipe: ImageRecipe) -> None:
    _check(random_images(recipe), random_pictures(recipe, 2, 5))


@settings(max_examples=15)
@given(recipe=wide_recipes, steps=st.integers(1, 5))
def test_samples_shorter_than_the_delays_do_what_they_do_alone(recipe: Recipe, steps: int) -> None:
    graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 3, steps)
    program, expected = OnnxTarget().build(graph), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@settings(max_examples=10)
@given(recipe=wide_image_recipes, steps=st.integers(1, 3))
def test_so_do_samples_of_images(recipe: ImageRecipe, steps: int) -> None:
    graph, stimuli = random_images(recipe), random_stimuli_of_pictures(recipe, 2, steps)
    program, expected = OnnxTarget().build(graph), reference.run(graph, stimuli)
    check_apart(program, graph, stimuli, expected)
    check_session(program, graph, stimuli, expected)


@settings(max_examples=10)
@given(recipes)
def test_a_session_does_what_a_run_does(recipe: Recipe) -> None:
    graph, x = random_fixed(recipe), random_stimulus(recipe, 2, 5)
    program = OnnxTarget().build(graph)
    expected = program.run(x)
    session = program.session(2)
    values = fit_stimulus(graph, x).values
    for _ in range(2):
        for t in range(5):
            spikes = session.step({name: array[:, t] for name, array in values.items()})
            for name, fired in spikes.items():
                assert np.array_equal(fired, expected.spikes[name][:, t])
        session.reset()


def test_a_small_vgg_equals_lava() -> None:
    network = stirred(small_vgg(), 1)
    build = compile_module(network, images(network), target="onnx")
    assert build.stimulus is not None
    trace = OnnxTarget().build(build.fixed_graph).run(build.stimulus, record=QUANTITIES)
    lava = load_target("lava").build(build.fixed_graph).run(build.stimulus, record=QUANTITIES)
    assert first_mismatch(lava, trace) is None


def test_the_models_pass_the_full_check_and_show_neurons() -> None:
    network = stirred(small_vgg(), 1)
    graph = compile_module(network, images(network)).fixed_graph
    for model in (step_model(graph), sequence_model(graph), step_model(random_fixed(Recipe(recurrent=True)))):
        onnx.checker.check_model(model, full_check=True)
        assert {item.domain for item in model.opset_import} == {"", "pumice"}
        (function,) = model.functions
        assert function.name == "LIF"
        standard = {node.op_type for node in function.node}
        assert all(onnx.defs.has(name) for name in standard)
    kinds = [node.op_type for node in step_model(graph).graph.node]
    assert kinds.count("LIF") == len(graph.populations)
    assert all(onnx.defs.has(kind) for kind in set(kinds) - {"LIF"})


def test_exported_files_run_without_this_toolchain(tmp_path: Path) -> None:
    recipe = Recipe(5, sizes=(4, 3), recurrent=True, biased=True)
    graph, x = random_fixed(recipe), random_stimulus(recipe, 3, 6)
    OnnxTarget().build(graph).export(tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == {SEQUENCE, STEP}
    session: Any = onnxruntime.InferenceSession(str(tmp_path / SEQUENCE), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert entry.shape[:2] == ["batch", "time"]
    (spikes,) = session.run(["p0.spikes"], {entry.name: np.asarray(x, bool)})
    assert np.array_equal(spikes, reference.run(graph, fit_stimulus(graph, x)).spikes["p0"])


def _check_floats(graph: Graph, x: Any) -> None:
    expected = reference.run(graph, fit_stimulus(graph, x))
    check_close(expected, OnnxTarget().build(graph).run(x, record=QUANTITIES))


@settings(max_examples=20)
@given(recipes)
def test_random_networks_of_real_numbers_agree_with_the_reference(recipe: Recipe) -> None:
    _check_floats(in_reals(random_fixed(recipe)), random_stimulus(recipe, 2, 7))


def test_every_kind_of_neuron_is_a_function_of_its_own_and_has_the_states_that_it_needs() -> None:
    graph = random_fixed(conformance.FIRING)
    for model in (step_model(graph), sequence_model(graph), sequence_model(in_reals(graph))):
        onnx.checker.check_model(model, full_check=True)
        assert {function.name for function in model.functions} == {
            "LIF_none_refractory",
            "LIF",
            "LIF_subtract_refractory_several",
            "LIF_value_adaptive",
        }
    step = step_model(graph)
    states = {item.name for item in step.graph.input} - {"x"}
    assert {name for name in states if not name.endswith((".u", ".v", ".past"))} == {
        "p0.wait",
        "p2.wait",
        "p3.rise",
    }
    types = {item.name: item.type.tensor_type.elem_type for item in step.graph.output}
    assert types["p2.spikes"] == onnx.TensorProto.UINT8
    assert types["p0.spikes"] == onnx.TensorProto.BOOL
    plain = sequence_model(random_fixed(replace(conformance.FIRING, firing=False)))
    assert [function.name for function in plain.functions] == ["LIF"]


def test_real_numbers_agree_with_the_float_reference() -> None:
    rng = np.random.default_rng(0)
    for graph in (feed_forward(), FoldDelays()(varied(recurrent(rng), rng))):
        _check_floats(graph, spikes(rng, 3, 12, *graph.inputs[0].shape))
    for network in (stirred(small_vgg(), 1), stirred(small_preresnet(), 1)):
        build = compile_module(network, images(network))
        assert build.stimulus is not None
        _check_floats(build.float_graph, build.stimulus)
        onnx.checker.check_model(sequence_model(build.float_graph), full_check=True)


def test_delays_per_neuron_have_to_be_folded_first() -> None:
    graph = recurrent(np.random.default_rng(0))
    nodes = [
        replace(node, steps=np.ones(node.shape, int)) if isinstance(node, ir.Delay) else node
        for node in graph
    ]
    with pytest.raises(TargetError, match="differs per neuron; run 'fold-delays' first"):
        OnnxTarget().build(graph.with_nodes(nodes))


def test_names_that_look_like_parts_of_others_do_not_meet() -> None:
    """A dense connection `c1` beside a convolution `c1.0`."""
    network = stirred(small_vgg(), 1)
    build = compile_module(network, images(network))
    graph = build.fixed_graph
    dense = next(node.name for node in graph.synapses if isinstance(node, ir.FixedDense))
    convolution = next(node.name for node in graph.synapses if isinstance(node, ir.FixedConv2d))
    names = {convolution: f"{dense}.0"}
    renamed = graph.map(
        lambda node: replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(names.get(name, name) for name in node.inputs),
        )
    )
    onnx.checker.check_model(step_model(renamed), full_check=True)


def test_onnxruntime_reports_to_nobody_and_leaves_nothing(tmp_path: Path, repository: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    script = "import targets.onnx.program"
    subprocess.run([sys.executable, "-c", script], cwd=repository, env=environment, check=True)
    assert not list(tmp_path.iterdir())

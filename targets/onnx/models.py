"""Whole ONNX models: one step with its state, and a loop over time."""

import base64
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from targets.onnx.neurons import DOMAIN, OPSET
from targets.onnx.writer import StepModel, next_state, write_step
from toolchain.arrays import Array
from toolchain.files.npz import pack_arrays
from toolchain.ir import Graph, graph_document

Dim = str | int


def step_model(graph: Graph) -> onnx.ModelProto:
    """Return one step: inputs and states in, spikes and states out.

    States are `"<population>.u"`, `"<population>.v"`, and `.wait` and `.rise` where neurons are refractory or
    adapt, all zero at rest; and `"<source>.past"`, `[steps, batch, *features]`, where something is read
    later. After the step they end in `.next`.
    """
    step = write_step(graph)
    inputs = [_value(name, kind, ["batch", *shape]) for name, kind, shape in step.inputs]
    inputs += [_value(name, step.number, _state_shape(step, name)) for name in step.states]
    outputs = [
        _value(name, step.spike_type(name), ["batch", *shape])
        for name, shape in step.outputs.items()
        if name.endswith(".spikes")
    ]
    outputs += [_value(next_state(name), step.number, _state_shape(step, name)) for name in step.states]
    body = helper.make_graph(step.nodes, graph.name, inputs, outputs, _tensors(step))
    return _model(step, body, "one step; states are zero at rest")


def sequence_model(graph: Graph) -> onnx.ModelProto:
    """Return a loop over time (`Scan`): inputs in, `"<population>.spikes"`, `.v` and `.u` out.

    All are `[batch, time, *features]`; every sample begins at rest.
    """
    step = write_step(graph)
    rest, constants = _rest(step)
    loop = helper.make_node(
        "Scan",
        [*(f"{name}/rest0" for name in step.states), *(name for name, _, _ in step.inputs)],
        [*(f"{name}/end" for name in step.states), *step.outputs],
        body=_scanned_step(step),
        num_scan_inputs=len(step.inputs),
        scan_input_axes=[1] * len(step.inputs),
        scan_output_axes=[1] * len(step.outputs),
    )
    inputs = [_value(name, kind, ["batch", "time", *shape]) for name, kind, shape in step.inputs]
    outputs = [
        _value(name, _record_type(step, name), ["batch", "time", *shape])
        for name, shape in step.outputs.items()
    ]
    whole = helper.make_graph([*rest, loop], graph.name, inputs, outputs, constants)
    return _model(step, whole, "every sample from rest")


def _scanned_step(step: StepModel) -> onnx.GraphProto:
    """Return one step as the body of a loop: states come before inputs, and records after states."""
    inputs = [_value(_inside(name), step.number, _state_shape(step, name)) for name in step.states]
    inputs += [_value(_inside(name), kind, ["batch", *shape]) for name, kind, shape in step.inputs]
    outputs = [
        _value(_inside(next_state(name)), step.number, _state_shape(step, name)) for name in step.states
    ]
    nodes = [_renamed(node) for node in step.nodes]
    for name, shape in step.outputs.items():
        kind, row = _record_type(step, name), _inside(f"{name}/row")
        value = _inside(name if name.endswith(".spikes") else next_state(name))
        nodes.append(helper.make_node("Cast", [value], [row], to=kind))
        outputs.append(_value(row, kind, ["batch", *shape]))
    tensors = [numpy_helper.from_array(value, _inside(name)) for name, value in step.initializers.items()]
    return helper.make_graph(nodes, "step", inputs, outputs, tensors)


def _rest(step: StepModel) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return what makes the states at rest, `"<state>/rest0"`, for a batch of any size, and its constants."""
    nodes = [helper.make_node("Shape", [step.inputs[0][0]], ["/batch"], start=0, end=1)]
    constants: dict[str, Array] = {}
    zero = numpy_helper.from_array(np.zeros(1, helper.tensor_dtype_to_np_dtype(step.number)))
    for name, shape in step.states.items():
        extents = ["/batch", f"{name}/features"]
        constants[f"{name}/features"] = np.array(shape, np.int64)
        if name in step.history:
            constants[f"{name}/steps"] = np.array([step.history[name]])
            extents.insert(0, f"{name}/steps")
        nodes.append(helper.make_node("Concat", extents, [f"{name}/shape"], axis=0))
        nodes.append(helper.make_node("ConstantOfShape", [f"{name}/shape"], [f"{name}/rest0"], value=zero))
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


def _record_type(step: StepModel, name: str) -> int:
    """Return the ONNX type of a record."""
    if name.endswith(".spikes"):
        return step.spike_type(name)
    return TensorProto.INT32 if step.number == TensorProto.INT64 else TensorProto.DOUBLE


def with_graph(model: onnx.ModelProto, graph: Graph) -> onnx.ModelProto:
    """Return a model that also holds the graph it was written from, so that it can be read again."""
    document, arrays = graph_document(graph)
    packed = base64.b64encode(pack_arrays(arrays)).decode("ascii")
    helper.set_model_props(model, {"pumice.graph": json.dumps(document), "pumice.arrays": packed})
    return model


def _inside(name: str) -> str:
    """Return a name inside the loop: it may not be one of those outside."""
    return f"step/{name}"


def _renamed(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = _inside(node.name)
    del copy.input[:], copy.output[:]
    copy.input.extend(_inside(name) for name in node.input)
    copy.output.extend(_inside(name) for name in node.output)
    return copy


def _model(step: StepModel, body: onnx.GraphProto, text: str) -> onnx.ModelProto:
    fixed = step.number == TensorProto.INT64
    meaning = "Integers, bit for bit those of Lava's fixed_pt models" if fixed else "The float network"
    return helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        functions=[function.proto() for function in step.functions.values()],
        producer_name="pumice",
        ir_version=10,
        doc_string=f"{meaning}; {text}.",
    )


def _state_shape(step: StepModel, name: str) -> list[Dim]:
    shape: list[Dim] = ["batch", *step.states[name]]
    return [step.history[name], *shape] if name in step.history else shape


def _value(name: str, kind: int, shape: list[Dim]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _tensors(step: StepModel) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in step.initializers.items()]

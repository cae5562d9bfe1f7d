"""Whole ONNX models: one step with its state, and a loop over time."""

import base64
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from targets.onnx.writer import DOMAIN, OPSET, StepModel, lif_function, next_state, write_step
from toolchain.arrays import Array
from toolchain.files.npz import pack_arrays
from toolchain.ir import Graph, graph_document

Dim = str | int


def step_model(graph: Graph) -> onnx.ModelProto:
    """Return one step: inputs and states in, spikes and states out.

    States are `"<population>.u"`, `"<population>.v"`, zero at rest, and `"<source>.past"`,
    `[steps, batch, *features]`, where something is read later. After the step they end in `.next`.
    """
    step = write_step(graph)
    inputs = [_value(name, kind, ["batch", *shape]) for name, kind, shape in step.inputs]
    inputs += [_value(name, step.number, _state_shape(step, name)) for name in step.states]
    outputs = [
        _value(name, TensorProto.BOOL, ["batch", *shape])
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
    body_inputs = [_value(_inside(name), step.number, _state_shape(step, name)) for name in step.states]
    body_inputs += [_value(_inside(name), kind, ["batch", *shape]) for name, kind, shape in step.inputs]
    body_outputs = [
        _value(_inside(next_state(name)), step.number, _state_shape(step, name)) for name in step.states
    ]
    nodes = [_renamed(node) for node in step.nodes]
    recorded = TensorProto.INT32 if step.number == TensorProto.INT64 else TensorProto.DOUBLE
    for name, shape in step.outputs.items():
        kind = TensorProto.BOOL if name.endswith(".spikes") else recorded
        held = _inside(name if name.endswith(".spikes") else next_state(name))
        row = _inside(f"{name}/row")
        nodes.append(helper.make_node("Cast", [held], [row], to=kind))
        body_outputs.append(_value(row, kind, ["batch", *shape]))
    tensors = [numpy_helper.from_array(value, _inside(name)) for name, value in step.initializers.items()]
    body = helper.make_graph(nodes, "step", body_inputs, body_outputs, tensors)
    outer: list[onnx.NodeProto] = []
    first = step.inputs[0][0]
    outer.append(helper.make_node("Shape", [first], ["/batch"], start=0, end=1))
    constants: dict[str, Array] = {}
    starts: list[str] = []
    for name, shape in step.states.items():
        parts = ["/batch"]
        if name in step.history:
            constants[f"{name}/steps"] = np.array([step.history[name]])
            parts.insert(0, f"{name}/steps")
        constants[f"{name}/features"] = np.array(shape, np.int64)
        outer.append(helper.make_node("Concat", [*parts, f"{name}/features"], [f"{name}/shape"], axis=0))
        zero = numpy_helper.from_array(np.zeros(1, helper.tensor_dtype_to_np_dtype(step.number)))
        outer.append(helper.make_node("ConstantOfShape", [f"{name}/shape"], [f"{name}/rest0"], value=zero))
        starts.append(f"{name}/rest0")
    ends = [f"{name}/end" for name in step.states]
    outer.append(
        helper.make_node(
            "Scan",
            [*starts, *(f"{name}" for name, _, _ in step.inputs)],
            [*ends, *step.outputs],
            body=body,
            num_scan_inputs=len(step.inputs),
            scan_input_axes=[1] * len(step.inputs),
            scan_output_axes=[1] * len(step.outputs),
        )
    )
    inputs = [_value(name, kind, ["batch", "time", *shape]) for name, kind, shape in step.inputs]
    outputs = [
        _value(
            name,
            TensorProto.BOOL if name.endswith(".spikes") else recorded,
            ["batch", "time", *shape],
        )
        for name, shape in step.outputs.items()
    ]
    whole = helper.make_graph(
        outer, graph.name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    return _model(step, whole, "every sample from rest")


def described(model: onnx.ModelProto, graph: Graph) -> onnx.ModelProto:
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
        functions=[lif_function(step.number)],
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

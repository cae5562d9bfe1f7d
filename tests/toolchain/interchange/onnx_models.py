"""Models of a few operators."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.toolchain.interchange.onnx_builder import RandomModel
from toolchain.arrays import Array
from toolchain.interchange.onnx.classifier import activation_network
from toolchain.rate_coding.activation_network import ActivationNetwork

Node = onnx.NodeProto
node = helper.make_node


def model_of(
    nodes: list[Node], shape: list[int], *, opset: int = 17, batch: Any = "n", **tensors: Array
) -> RandomModel:
    last = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_empty_tensor_value_info(last)],
        [
            numpy_helper.from_array(values.astype(np.float32) if values.dtype == np.float64 else values, name)
            for name, values in tensors.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return RandomModel(model, last, tuple(shape), np.float32, {}, "")


def layers_of(made: RandomModel) -> ActivationNetwork:
    return activation_network(Path("case.onnx"), made.model, made.shape)[0]

"""Random ONNX classifiers, wider than what exporters write, and what onnxruntime makes of them.

Every operator is tried in onnxruntime on one sample before it is kept, so that a graph is valid whatever was
drawn: odd broadcasts, permutations, windows that reach over edges, several readers of one tensor.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.toolchain.interchange.onnx_builder import TYPES, Builder, RandomModel, model_of_graph, run_onnx
from tests.toolchain.interchange.onnx_steps import STEPS, dense
from toolchain.arrays import Array

_SHAPES = (
    ([1, 3, 3], [4, 9, 9]),
    ([1, 4], [4, 12]),
    ([2], [12]),
    ([2, 3, 2, 2], [3, 4, 3, 3]),
)
"""Least and largest extents of what enters: images, rows, lists, and what no convolution reads."""
_LAST = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh", "ArgMax", "Identity", "Dropout")


def random_model(rng: np.random.Generator) -> RandomModel:
    """Return a random classifier that onnxruntime runs."""
    found = None
    while found is None:
        found = _drawn(rng)
    return found


def _drawn(rng: np.random.Generator) -> RandomModel | None:
    dtype = [np.float32, np.float32, np.float32, np.float64, np.float16][int(rng.integers(5))]
    b = Builder(rng, int(rng.integers(7, 21)), dtype, fixed=bool(rng.integers(2)))
    shapes = [tuple(int(n) for n in rng.integers(low, high)) for low, high in _SHAPES]
    shape = shapes[int(rng.choice(4, p=[0.55, 0.2, 0.2, 0.05]))]
    x = b.fresh()
    b.values[x] = rng.normal(size=(1, *shape)).astype(dtype)
    b.order.append(x)
    chances = np.array([chance for _, chance in STEPS])
    for _ in range(int(rng.integers(2, 12))):
        latest = b.order[-1] if rng.random() < 0.8 else str(rng.choice(b.order))
        STEPS[int(rng.choice(len(STEPS), p=chances / chances.sum()))][0](b, latest)
    if rng.random() < 0.7:
        if b.known(b.order[-1]).ndim != 2:
            _flat(b)
        dense(b, b.order[-1])
    scores = b.order[-1]
    if rng.random() < 0.4:
        kind = str(rng.choice(_LAST))
        axis = {"axis": b.known(scores).ndim - 1} if kind in {"Softmax", "ArgMax"} else {}
        b.add(kind, [scores], **axis)
    last = b.order[-1]
    stored = {node.output[0] for node in b.nodes}

    def model_of(batch: int | str) -> onnx.ModelProto:
        kind = helper.np_dtype_to_tensor_dtype(b.known(last).dtype)
        graph = helper.make_graph(
            b.nodes,
            "random",
            [helper.make_tensor_value_info(x, TYPES[dtype], [batch, *shape])],
            [helper.make_tensor_value_info(last, kind, None)],
            [
                numpy_helper.from_array(values, name)
                for name, values in b.tensors.items()
                if name not in stored
            ],
        )
        return model_of_graph(graph, b.opset)

    # What holds of a single sample need not hold of any number of them.
    models = [model_of(batch) for batch in ((1,) if b.fixed else ("n", 1))]
    loads = [model for model in models if _loads(model, {x: b.values[x]})]
    if not loads:
        return None
    return RandomModel(
        loads[0], scores, shape, dtype, b.values, b.nodes[-1].op_type if last != scores else ""
    )


def _loads(model: onnx.ModelProto, given: dict[str, Array]) -> bool:
    try:
        run_onnx(model, None, given)
    except Exception:  # noqa: BLE001 - onnxruntime makes its classes of errors at run time
        return False
    return True


def _flat(b: Builder) -> None:
    b.add("Flatten", [b.order[-1]], axis=1)

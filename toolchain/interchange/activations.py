"""What a classifier does on samples, in onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from toolchain.errors import FrontendError, StimulusError, UsageError
from toolchain.stimulus import Stimulus


def frames_of(model: onnx.ModelProto, samples: Stimulus) -> NDArray[np.float32]:
    """Return what enters as still frames, `[batch, *features]`.

    Raises:
        StimulusError: The samples do not fit the classifier.
        UsageError: There are several inputs.
    """
    entering = _entering(model)
    if len(entering) != 1 or len(samples.values) != 1:
        raise UsageError(f"expected a classifier of one input and samples for it, got {len(entering)} inputs")
    values = next(iter(samples.values.values()))
    frames = values.astype(np.float64).mean(axis=1).astype(np.float32)
    asked = [dim.dim_value for dim in entering[0].type.tensor_type.shape.dim]
    fits = len(asked) == frames.ndim and all(
        want in {0, have} for want, have in zip(asked[1:], frames.shape[1:], strict=True)
    )
    if not fits:
        raise StimulusError(
            f"the samples have frames of {list(frames.shape[1:])}, but '{entering[0].name}' takes {asked[1:]}"
        )
    return frames


def _entering(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in stored]


def entering_name(model: onnx.ModelProto) -> str:
    """Return the name of the input."""
    return _entering(model)[0].name


def largest_activations(
    path: Path, model: onnx.ModelProto, frames: NDArray[np.float32], percentile: float
) -> dict[str, float]:
    """Return a percentile of the activations of every ReLU by the name of its result; 1 where none is active.

    Raises:
        FrontendError: onnxruntime does not run the classifier.
    """
    names = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    for item in watched.graph.input:
        if item.name == entering_name(model):
            item.type.tensor_type.shape.dim[0].dim_param = "batch"
    if not names:
        return {}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found = session.run(names, {entering_name(model): frames})
    except Exception as error:  # noqa: BLE001 - the library makes its classes of errors at run time
        raise FrontendError(f"onnxruntime does not run '{path.name}': {error}") from None
    peaks = [float(np.percentile(np.asarray(values), percentile)) for values in found]
    return {name: peak if peak > 0 else 1.0 for name, peak in zip(names, peaks, strict=True)}

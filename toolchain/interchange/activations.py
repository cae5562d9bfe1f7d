"""What a classifier does on samples, in onnxruntime."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

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


@final
@dataclass(frozen=True)
class Activation:
    """What a ReLU gave on samples: about the largest value, and the mean of all."""

    largest: float
    mean: float


def measure_activations(
    path: Path, model: onnx.ModelProto, frames: NDArray[np.float32], percentile: float
) -> dict[str, Activation]:
    """Return what every ReLU gave by the name of its result; the largest is 1 where none was active.

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
        found = [np.asarray(values) for values in session.run(names, {entering_name(model): frames})]
    except Exception as error:  # noqa: BLE001 - the library makes its classes of errors at run time
        raise FrontendError(f"onnxruntime does not run '{path.name}': {error}") from None
    if not all(np.isfinite(values).all() for values in found):
        raise FrontendError(f"'{path.name}' has activations that are not finite; was the training stable?")
    peaks = [float(np.percentile(values, percentile)) for values in found]
    means = [float(np.mean(values, dtype=np.float64)) for values in found]
    return {
        name: Activation(peak if peak > 0 else 1.0, mean)
        for name, peak, mean in zip(names, peaks, means, strict=True)
    }

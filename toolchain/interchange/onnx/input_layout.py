"""How the input of a classifier enters: in the order that its first convolution or pooling sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.errors import FrontendError, StimulusError, UsageError
from toolchain.execution.stimulus import Stimulus
from toolchain.interchange.onnx.constants import Constants, shape_of
from toolchain.interchange.onnx.operators import Operator, entering
from toolchain.interchange.onnx.shapes import MOVING, moved
from toolchain.ir.currents import check_size

_IMAGE_READERS: Final = frozenset({"Conv", "AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool"})
_ELEMENTWISE: Final = frozenset(
    [
        "Add",
        "BatchNormalization",
        "Cast",
        "Clip",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "Identity",
        "Mul",
        "QuantizeLinear",
        "Relu",
        "Sub",
    ]
)


@final
@dataclass(frozen=True)
class InputLayout:
    """How samples enter.

    Attributes:
        name: Name of the input in the file.
        shape: Shape in which a sample enters: `[C, H, W]`, or as in the file.
        elements: Where each element of the file's shape `[1, ...]` stands in a flattened sample.
        notes: Sentences for the user, where samples enter otherwise than in the file.
    """

    name: str
    shape: tuple[int, ...]
    elements: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def input_layout(
    model: onnx.ModelProto, operators: Sequence[Operator], constants: Constants, samples: tuple[int, ...]
) -> InputLayout:
    """Return how samples enter.

    A transposition or a reshaping before the first convolution is the business of whoever gives the samples:
    no neurons stand there that could do it.

    Args:
        model: The model.
        operators: Operators that the scores depend on.
        constants: Constants of the model.
        samples: Shape of a sample, where the file leaves it open.

    Raises:
        FrontendError: The file fixes its batch to more than one sample and moves elements.
        StimulusError: The file leaves its shape open, and the samples have another number of axes.
    """
    item = entering(model)[0]
    shape = _stored_shape(item, operators, samples)
    check_size(item.name, *shape)
    numbers = np.arange(int(np.prod(shape))).reshape(1, *shape)
    images = _first_images(item.name, numbers, operators, constants)
    if images is None or len(np.unique(images)) < numbers.size or images.size != numbers.size:
        return InputLayout(item.name, shape, numbers)
    entered = (images.shape[1], 1, images.shape[2]) if images.ndim == 3 else images.shape[1:]
    elements = np.empty(numbers.size, np.int64)
    elements[images.ravel()] = np.arange(numbers.size)
    notes = (f"samples enter as {list(entered)}, where the file has {list(shape)} for '{item.name}'",)
    return InputLayout(item.name, entered, elements.reshape(numbers.shape), notes if entered != shape else ())


def _stored_shape(
    item: onnx.ValueInfoProto, operators: Sequence[Operator], samples: tuple[int, ...]
) -> tuple[int, ...]:
    kind = item.type.tensor_type
    if not kind.HasField("shape"):
        return samples
    extents = [dim.dim_value for dim in kind.shape.dim]
    moving = next(
        (operator for operator in operators if operator.kind in {*MOVING, "Shape"} - {"Flatten"}), None
    )
    if extents[:1] and extents[0] > 1 and moving is not None:
        raise FrontendError(
            f"'{item.name}' takes {extents[0]} samples at once, and operator '{moving.name}' may count on "
            "that; save the model with an open batch"
        )
    if all(extent > 0 for extent in extents[1:]) and len(extents) > 1:
        return tuple(extents[1:])
    if len(extents) != 1 + len(samples):
        raise StimulusError(
            f"the samples have frames of {list(samples)}, but '{item.name}' takes {extents[1:]}; samples are "
            "[batch, steps, ...], a still one the same at every step: np.repeat(x[:, None], 32, axis=1)"
        )
    return tuple(want or have for want, have in zip(extents[1:], samples, strict=True))


def _first_images(
    name: str, numbers: NDArray[np.int64], operators: Sequence[Operator], constants: Constants
) -> NDArray[np.int64] | None:
    """Return the numbers of the input's elements where the first convolution or pooling reads them."""
    views = {name: numbers}
    for operator in operators:
        read = next((views[item] for item in operator.inputs if item in views), None)
        if constants.fold(operator) or read is None:
            continue
        if operator.kind in _IMAGE_READERS:
            return read if read.ndim in {3, 4} and len(read) == 1 else None
        if operator.kind == "Shape":
            constants.add(operator.outputs[0], shape_of(operator, read.shape))
        elif operator.kind in MOVING and all(item in constants for item in operator.inputs[1:] if item):
            parameters = [constants[item] if item else None for item in operator.inputs[1:]]
            views |= dict(zip(operator.outputs, moved(operator, read, parameters), strict=False))
        elif operator.kind in _ELEMENTWISE:
            views[operator.outputs[0]] = read
    return None


def frames_of(samples: Stimulus, layout: InputLayout) -> NDArray[np.float32]:
    """Return samples as still frames, `[batch, *features]`: the mean of their steps.

    Raises:
        StimulusError: They do not have the shape that enters.
    """
    values = next(iter(samples.values.values()))
    frames = values.astype(np.float64).mean(axis=1).astype(np.float32)
    if frames.shape[1:] != layout.shape:
        said = "; ".join(layout.notes) or f"'{layout.name}' takes {list(layout.shape)}"
        raise StimulusError(
            f"the samples have frames of {list(frames.shape[1:])}, but {said}; samples are "
            "[batch, steps, ...], a still one the same at every step: np.repeat(x[:, None], 32, axis=1)"
        )
    return frames


def check_input(model: onnx.ModelProto, samples: Stimulus) -> None:
    """Raise unless there is one input, and samples for it.

    Raises:
        UsageError: There are several inputs.
    """
    count = len(entering(model))
    if count != 1 or len(samples.values) != 1:
        raise UsageError(f"expected a classifier of one input and samples for it, got {count} inputs")

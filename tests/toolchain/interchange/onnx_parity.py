"""What a model means here, held against onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from tests.toolchain.interchange.onnx_builder import SQUASHING, TOLERANCES, RandomModel, run_onnx
from tests.toolchain.interchange.onnx_graphs import random_model
from toolchain.arrays import Array
from toolchain.errors import FrontendError
from toolchain.interchange.onnx.classifier import activation_network
from toolchain.ir.currents import Current
from toolchain.rate_coding.activation_network import activations_of, evaluate


def difference(made: RandomModel, rng: np.random.Generator) -> str | None:
    """Return how the layers of a model differ from onnxruntime, or None.

    Raises:
        FrontendError: It is refused.
    """
    network, layout = activation_network(Path("random.onnx"), made.model, made.shape)
    frames = rng.normal(size=(3, *made.shape)).astype(made.dtype)
    watched = onnx.ModelProto()
    watched.CopyFrom(made.model)
    del watched.graph.output[:]
    watched.graph.output.append(helper.make_empty_tensor_value_info(made.scores))
    entering = made.model.graph.input[0].name
    expected = np.stack(
        [run_onnx(watched, [made.scores], {entering: frame[None]})[0].ravel() for frame in frames]
    )
    entered = np.empty((len(frames), frames[0].size))
    entered[:, layout.elements.ravel()] = frames.reshape(len(frames), -1)
    found = scores_of(network.scores, activations_of(network, entered))
    if found.shape != expected.shape:
        return f"shapes {found.shape} and {expected.shape}"
    reals = [values for values in (expected, *made.values.values()) if values.dtype.kind == "f"]
    largest = max(float(np.abs(values).max()) for values in reals)
    text = onnx.printer.to_text(made.model)
    bound = TOLERANCES[made.dtype] * max(largest, 1.0)
    squashed = sum("is left out" in note for note in network.notes)
    if squashed > (made.last in SQUASHING):
        return None if _same_order(found, expected, bound) else f"another order\n{text}"
    apart = float(np.abs(found - expected).max())
    return None if apart <= bound else f"{apart} apart, more than {bound}\n{text}"


def _same_order(found: Array, expected: Array, bound: float) -> bool:
    above = [array[:, :, None] - array[:, None] for array in (found, expected)]
    return not ((above[0] > bound) & (above[1] < -bound)).any()


def scores_of(current: Current, values: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return scores, `[batch, classes]`."""
    return evaluate(current, values).reshape(len(next(iter(values.values()))), -1)


def verdict(seed: int) -> tuple[str, str]:
    """Return what became of one random model: equal, refused or different, and why."""
    rng = np.random.default_rng([seed, 18])
    made = random_model(rng)
    try:
        said = difference(made, rng)
    except FrontendError as error:
        return "refused", str(error)
    return ("equal", "") if said is None else ("different", said)

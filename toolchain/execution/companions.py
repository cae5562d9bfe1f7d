"""What stands beside the samples of a stimulus: classes or real targets, lengths, and present values."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import ArgumentError, StimulusError
from toolchain.intake import array_of, labels_of, samples_of
from toolchain.ir import Graph

KEYS: Final = {"labels": "labels", "lengths": "lengths", "present": "labels/present"}
"""Each companion, and what its array is called in `stimulus.npz`."""
_REAL_AXES: Final = 2
_LARGEST: Final = 1e100
"""No real value is beyond: its square is needed."""


def companion_of(name: str, value: object) -> NDArray[Any]:
    """Return a companion in its canonical form.

    Args:
        name: Name of the companion, of `KEYS`.
        value: What a caller gave.

    Raises:
        ArgumentError: It is not made of the numbers that it has to be.
    """
    if name == "present":
        return _reals_of(value, name, ("samples", "outputs"))
    return classes_or_targets(value) if name == "labels" else labels_of(value, name)


def classes_or_targets(value: object, *, samples: int | None = None) -> NDArray[Any]:
    """Return labels: classes, int64 `[samples]`, or real targets, float64 `[samples, outputs]`.

    Args:
        value: What a caller gave; floats in two axes are real targets.
        samples: How many there must be; None if that is not known yet.

    Raises:
        ArgumentError: They are neither, not finite, or not one per sample.
    """
    array = array_of(value, "labels")
    if are_real(array):
        forms = ("samples" if samples is None else samples, "outputs")
        return _reals_of(array, "labels", forms)
    return labels_of(array, "labels", samples=samples)


def _reals_of(value: object, name: str, form: tuple[str | int, ...]) -> Floats:
    array = samples_of(value, name, form).astype(np.float64, copy=False)
    if np.abs(array).max() > _LARGEST:
        raise ArgumentError(name, f"values of at most {_LARGEST:g}", f"{np.abs(array).max():g}", "scale them")
    return array


def are_real(labels: NDArray[Any] | None) -> bool:
    """Return whether labels are real targets and no classes."""
    return labels is not None and labels.ndim == _REAL_AXES and labels.dtype.kind == "f"


def check_companions(graph: Graph, companions: dict[str, NDArray[Any]], samples: int, steps: int) -> None:
    """Raise unless companions fit the samples and the outputs of a graph.

    Args:
        graph: The network.
        companions: Those that there are, in their canonical form.
        samples: Number of samples.
        steps: Their time steps.

    Raises:
        StimulusError: Says which do not fit, and what to do.
    """
    for name, values in companions.items():
        if name == "present" or are_real(values):
            _check_targets(graph, name, values, samples)
        elif values.shape != (samples,):
            remedy = "if time stands first in the input, swap its first two axes" * (len(values) == steps)
            raise StimulusError(
                f"{name} must be {samples} integers, one per sample, got {values.dtype}{list(values.shape)}",
                remedy,
            )
    labels, lengths = companions.get("labels"), companions.get("lengths")
    if labels is not None and not are_real(labels) and graph.scores:
        _check_classes(graph, labels)
    if lengths is not None and not ((lengths >= 1) & (lengths <= steps)).all():
        raise StimulusError(f"lengths must lie in 1 .. {steps}, got {lengths.min()} .. {lengths.max()}")


def _check_targets(graph: Graph, name: str, values: Floats, samples: int) -> None:
    """Raise unless there is a value for every output of every sample."""
    expected = (samples, graph.scores or values.shape[1])
    if values.shape != expected:
        raise StimulusError(
            f"{name}: expected real values {list(expected)}, one for every output of each sample, got "
            f"{list(values.shape)}"
        )


def _check_classes(graph: Graph, labels: NDArray[np.int64]) -> None:
    """Raise for labels that are none of the classes: accuracies would be too low, and nobody would know."""
    classes = graph.scores
    wrong = (labels < 0) | (labels >= classes)
    if not wrong.any():
        return
    first, output = int(wrong.argmax()), graph.outputs[0]
    names = f" ({', '.join(output.classes)})" if output.classes else ""
    raise StimulusError(
        f"labels must lie in 0 .. {classes - 1}, the classes of '{output.name}'{names}, but "
        f"{int(wrong.sum())} of {len(wrong)} do not, first {labels[first]} of sample {first}; "
        "number the classes from 0"
    )

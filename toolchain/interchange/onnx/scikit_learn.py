"""The operators of ai.onnx.ml that linear classifiers of scikit-learn are written with."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from toolchain.interchange.onnx.linear import multiplied_by
from toolchain.interchange.onnx.operators import Operator
from toolchain.interchange.onnx.pass_through import leave_out
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor, affine

_ORDERED: Final = {"NONE", "LOGISTIC", "SOFTMAX"}
_SCALER: Final = (("offset", 0.0), ("scale", 1.0))


def scaler(t: Translation, operator: Operator) -> SymbolicTensor:
    """Translate `(x - offset) scale` per feature."""
    value = t.read(operator)
    offset, scale = (np.array(operator.reals(name) or (otherwise,)) for name, otherwise in _SCALER)
    if {offset.size, scale.size} - {1, value.shape[-1]}:
        raise operator.refuse(f"it scales {scale.size} features, but reads {list(value.shape)}")
    return affine(operator.name, value, scale, -offset * scale)


def linear_classifier(t: Translation, operator: Operator) -> list[SymbolicTensor]:
    """Translate scores per class; the class itself, its first result, is not needed."""
    value = t.read(operator)
    weights = np.array(operator.reals("coefficients") or ())
    labels = len(operator.integers("classlabels_ints") or operator.texts("classlabels_strings") or ())
    kind = operator.text("post_transform", "NONE")
    if kind not in _ORDERED:
        raise operator.refuse(f"it makes {kind} of the scores, expected one of {', '.join(sorted(_ORDERED))}")
    if value.elements.ndim != 2 or not weights.size or weights.size % value.shape[1]:
        raise operator.refuse(f"it has {weights.size} weights for {list(value.shape)}")
    matrix = weights.reshape(-1, value.shape[1])
    bias = np.array(operator.reals("intercepts") or np.zeros(len(matrix)))
    if len(matrix) == 1 and labels == 2:
        # A single row is that of the second class.
        matrix, bias = np.concatenate([-matrix, matrix]), np.concatenate([-bias, bias])
    if bias.size != len(matrix):
        raise operator.refuse(f"it has {bias.size} constants for {len(matrix)} classes")
    scores = affine(operator.name, multiplied_by(operator, value, matrix.T), np.ones(1), bias)
    if kind != "NONE":
        leave_out(t, operator, operator.outputs[1], kind)
    return [scores, scores]


def normalizer(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out a division by a norm of the scores, which are all of one sample."""
    value = t.read(operator)
    if operator.text("norm", "MAX") not in {"L1", "L2"} or value.elements.size != value.shape[-1]:
        raise operator.refuse(f"it divides {list(value.shape)} by their norm {operator.text('norm', 'MAX')}")
    leave_out(t, operator, operator.outputs[0], operator.kind)
    return value


def zip_map(t: Translation, operator: Operator) -> SymbolicTensor:
    """Leave out the names of the classes."""
    leave_out(t, operator, operator.outputs[0], operator.kind)
    return t.read(operator)


SCIKIT_LEARN: Final[Mapping[str, Translator]] = {
    "LinearClassifier": linear_classifier,
    "Normalizer": normalizer,
    "Scaler": scaler,
    "ZipMap": zip_map,
}

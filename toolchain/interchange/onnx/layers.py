"""From an ONNX classifier to layers, exactly, or refused by the name of an operator.

A model is taken for what it computes of one sample: its batch is 1, so that all shapes are known, and what
only moves elements is moved before any sample comes. What stands between two layers of ReLU becomes one
current; what is no straight line is refused, except where it is last and leaves the classes in their order.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnx

from toolchain.errors import FrontendError
from toolchain.interchange.onnx.constants import Constants
from toolchain.interchange.onnx.input import InputLayout, input_layout
from toolchain.interchange.onnx.linear import LINEAR
from toolchain.interchange.onnx.ml import MACHINE_LEARNING
from toolchain.interchange.onnx.operators import (
    REASONS,
    Operator,
    check_operators,
    opset_of,
    scores_of,
)
from toolchain.interchange.onnx.passed import PASSED, refuse_if_read
from toolchain.interchange.onnx.pooling import POOLING
from toolchain.interchange.onnx.rectifiers import RECTIFIERS
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.ir.currents import Sent, identity
from toolchain.rate_coding.activation_network import INPUT, ActivationNetwork
from toolchain.rate_coding.activation_values import Value, flattened

TRANSLATORS: Final[Mapping[str, Mapping[str, Translator]]] = {
    "": {**LINEAR, **POOLING, **RECTIFIERS, **PASSED},
    "ai.onnx.ml": MACHINE_LEARNING,
}
"""Every operator that has a counterpart, by the domain that it comes from."""


def activation_network(
    path: Path, model: onnx.ModelProto, shape: tuple[int, ...]
) -> tuple[ActivationNetwork, InputLayout]:
    """Translate a classifier of one input.

    Args:
        path: The file, for messages.
        model: What it holds.
        shape: Of a sample, where the file leaves it open.

    Returns:
        The network, and how samples enter it.

    Raises:
        CorruptArtifactError: A tensor claims more than it holds.
        FrontendError: An operator has no counterpart: names it and why.
        StimulusError: The file leaves the shape of its input open, and the samples do not fit.
    """
    check_operators(model)
    opset, scores = opset_of(model), scores_of(model)
    operators = needed([Operator(node, opset) for node in model.graph.node], scores)
    constants = Constants(path, model)
    layout = input_layout(model, operators, constants, shape)
    readers: dict[str, list[Operator]] = {}
    for operator in operators:
        for name in operator.inputs:
            readers.setdefault(name, []).append(operator)
    translation = Translation(constants, readers)
    entering = identity(INPUT, Sent(INPUT, layout.shape, spikes=False))
    translation.values[layout.name] = Value(entering, layout.elements)
    for operator in operators:
        if not constants.fold(operator):
            _translate(translation, operator)
    if scores not in translation.values:
        raise FrontendError(f"the scores '{scores}' do not depend on the input")
    found, layers = translation.values[scores], translation.layers
    current = found.current if found.in_order else flattened("scores", found)
    notes = (*layout.notes, *layers.notes)
    return ActivationNetwork(layout.shape, tuple(layers.steps), current, notes), layout


def needed(operators: Sequence[Operator], scores: str) -> list[Operator]:
    """Return the operators that the scores depend on, in their order."""
    wanted, kept = {scores}, list[Operator]()
    for operator in reversed(operators):
        if wanted & set(operator.outputs):
            wanted |= set(filter(None, operator.inputs))
            kept.append(operator)
    return kept[::-1]


def _translate(translation: Translation, operator: Operator) -> None:
    translators = TRANSLATORS.get(operator.domain, {})
    if operator.kind not in translators:
        known = f"known are {', '.join(sorted([name for names in TRANSLATORS.values() for name in names]))}"
        raise operator.refuse(REASONS.get(operator.kind, known))
    refuse_if_read(translation, operator)
    ordered = [translation.ordered[name] for name in operator.inputs if name in translation.ordered]
    found = translators[operator.kind](translation, operator)
    for name, value in zip(operator.outputs, found if isinstance(found, list) else [found], strict=False):
        translation.add(operator, name, value)
        if ordered:
            translation.ordered.setdefault(name, ordered[0])

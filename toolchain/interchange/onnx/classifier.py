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
from toolchain.interchange.onnx.input_layout import InputLayout, input_layout
from toolchain.interchange.onnx.linear import LINEAR
from toolchain.interchange.onnx.operators import (
    REASONS,
    Operator,
    check_operators,
    opset_of,
    scores_of,
)
from toolchain.interchange.onnx.pass_through import PASS_THROUGH, refuse_if_read
from toolchain.interchange.onnx.pooling import POOLING
from toolchain.interchange.onnx.rectifiers import RECTIFIERS
from toolchain.interchange.onnx.scikit_learn import SCIKIT_LEARN
from toolchain.interchange.onnx.translation import Translation, Translator
from toolchain.ir.currents import Sent, identity
from toolchain.rate_coding.activation_network import INPUT, ActivationNetwork
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor, flattened

TRANSLATORS: Final[Mapping[str, Mapping[str, Translator]]] = {
    "": {**LINEAR, **POOLING, **RECTIFIERS, **PASS_THROUGH},
    "ai.onnx.ml": SCIKIT_LEARN,
}
"""Every operator that has a counterpart, by the domain that it comes from."""


def activation_network(
    path: Path, model: onnx.ModelProto, shape: tuple[int, ...]
) -> tuple[ActivationNetwork, InputLayout]:
    """Translate a classifier of one input.

    Args:
        path: Path of the file, for messages.
        model: Content of the file.
        shape: Shape of a sample, where the file leaves it open.

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
    translation.values[layout.name] = SymbolicTensor(entering, layout.elements)
    for operator in operators:
        if not constants.fold(operator):
            _translate(translation, operator)
    if scores not in translation.values:
        raise FrontendError(f"the scores '{scores}' do not depend on the input")
    tensor, layers = translation.values[scores], translation.layers
    current = tensor.current if tensor.in_order else flattened("scores", tensor)
    notes = (*layout.notes, *layers.notes)
    return ActivationNetwork(layout.shape, tuple(layers.steps), current, notes), layout


def needed(operators: Sequence[Operator], scores: str) -> list[Operator]:
    """Return the operators that the scores depend on, in their order."""
    wanted, chain = {scores}, list[Operator]()
    for operator in reversed(operators):
        if wanted & set(operator.outputs):
            wanted |= set(filter(None, operator.inputs))
            chain.append(operator)
    return chain[::-1]


def _translate(translation: Translation, operator: Operator) -> None:
    translators = TRANSLATORS.get(operator.domain, {})
    if operator.kind not in translators:
        known = f"known are {', '.join(sorted([name for names in TRANSLATORS.values() for name in names]))}"
        raise operator.refuse(REASONS.get(operator.kind, known))
    refuse_if_read(translation, operator)
    ordered = [translation.ordered[name] for name in operator.inputs if name in translation.ordered]
    results = translators[operator.kind](translation, operator)
    for name, value in zip(
        operator.outputs, results if isinstance(results, list) else [results], strict=False
    ):
        translation.add(operator, name, value)
        if ordered:
            translation.ordered.setdefault(name, ordered[0])

"""The state of a translation: tensors by name, constants and the layers made so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.interchange.onnx.constants import Constants
from toolchain.interchange.onnx.operators import Operator
from toolchain.rate_coding.rectified_layers import RectifiedLayers
from toolchain.rate_coding.symbolic_tensors import SymbolicTensor

_BUDGET: Final = 2**26
"""Elements that all tensors of a model have together."""


@final
@dataclass
class Translation:
    """A model on its way to layers.

    Attributes:
        constants: Tensors that do not depend on the sample.
        readers: Operators that read each tensor, by its name.
        layers: Steps of the network so far.
        values: Tensors that depend on the sample, by name.
        ordered: Operator that left nothing of each tensor but the order of the classes, by the tensor's name.
    """

    constants: Constants
    readers: dict[str, list[Operator]]
    layers: RectifiedLayers = field(default_factory=RectifiedLayers)
    values: dict[str, SymbolicTensor] = field(default_factory=dict)
    ordered: dict[str, Operator] = field(default_factory=dict)
    _made: int = 0

    def add(self, operator: Operator, name: str, value: SymbolicTensor) -> None:
        """Add a tensor that an operator gives.

        Raises:
            FrontendError: It is empty, or all together are more than a classifier needs.
        """
        if value.elements.size == 0:
            raise operator.refuse(f"it gives nothing: an array of shape {list(value.shape)}")
        self._made += value.elements.size
        if self._made > _BUDGET:
            raise operator.refuse(f"with it, the tensors of the model hold more than {_BUDGET} values")
        self.values[name] = value

    def read(self, operator: Operator, place: int = 0) -> SymbolicTensor:
        """Return an input that depends on the sample.

        Raises:
            FrontendError: It is a constant, or is not computed before.
        """
        name = operator.reads(place)
        if name not in self.values:
            raise operator.refuse(
                f"it reads '{name}' before it is computed, or as a constant where a value should be"
            )
        return self.values[name]

    def depending(self, operator: Operator) -> list[SymbolicTensor]:
        """Return all inputs that depend on the sample.

        Raises:
            FrontendError: There is none.
        """
        places = [place for place, name in enumerate(operator.inputs) if name not in self.constants]
        if not places:
            raise operator.refuse("nothing that it reads depends on the sample")
        return [self.read(operator, place) for place in places]

    def stored(self, operator: Operator, place: int) -> NDArray[Any] | None:
        """Return an input that does not depend on the sample, as it is stored; None if it is left out.

        Raises:
            FrontendError: It depends on the sample.
        """
        name = operator.reads(place)
        if not name:
            return None
        if name not in self.constants:
            raise operator.refuse(f"it needs constant weights, but '{name}' is none")
        return self.constants[name]

    def optional(self, operator: Operator, place: int) -> Floats | None:
        """Return an input that does not depend on the sample, as real numbers; None if it is left out.

        Raises:
            FrontendError: It depends on the sample, or is not finite.
        """
        values = self.stored(operator, place)
        if values is None:
            return None
        if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
            raise operator.refuse(f"'{operator.reads(place)}' holds values that are not finite numbers")
        return values.astype(np.float64)

    def constant(self, operator: Operator, place: int) -> Floats:
        """Return an input that does not depend on the sample, as real numbers.

        Raises:
            FrontendError: It depends on the sample, is missing, or is not finite.
        """
        values = self.optional(operator, place)
        if values is None:
            raise operator.refuse(f"it needs constant weights as its input {place}, and has none")
        return values


Translator = Callable[[Translation, Operator], SymbolicTensor | list[SymbolicTensor]]

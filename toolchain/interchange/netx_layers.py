"""The layers of a netx file: values by name, checked one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.currents import check_size
from toolchain.errors import CorruptArtifactError, FrontendError
from toolchain.ir.windows import Pair

_NEURONS: Final = {"LOIHI", "CUBA"}
_LARGEST: Final = 2**31


@final
@dataclass(frozen=True)
class Cuba:
    """Registers of a layer's neurons; `default` where the file has none and netx integrates."""

    du: int
    dv: int
    vth: int
    default: bool = False


@final
@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        number: Its place in the file.
        kind: Its type, such as `dense`.
        values: Every data set by its path in the layer.
    """

    number: int
    kind: str
    values: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def name(self) -> str:
        """Name in the graph."""
        return f"layer{self.number}"

    @property
    def has_neuron(self) -> bool:
        """Whether it has neurons of its own."""
        return any(name.startswith("neuron/") for name in self.values)

    def integers(self, name: str, notes: list[str]) -> NDArray[np.int64]:
        """Return whole numbers; what lies behind the point is cut off, as netx does.

        Raises:
            FrontendError: They are missing, not numbers, or too large.
        """
        if name not in self.values:
            raise FrontendError(f"layer {self.number} ('{self.kind}') has no '{name}'")
        array = self.values[name]
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all() or not array.size:
            raise FrontendError(f"layer {self.number}: expected numbers as '{name}', got {array.dtype}")
        if np.abs(array.astype(np.float64)).max() >= _LARGEST:
            raise FrontendError(f"layer {self.number}: '{name}' holds numbers beyond 2^31")
        whole = np.trunc(array.astype(np.float64))
        if (whole != array).any():
            notes.append(f"'{name}' of layer {self.number} is cut to whole numbers, as netx does")
        return whole.astype(np.int64)

    def whole(self, name: str, otherwise: int) -> int:
        """Return one whole number, or what netx takes where the file has none."""
        if name not in self.values:
            return otherwise
        found = self.integers(name, [])
        if found.size != 1:
            raise FrontendError(f"layer {self.number}: expected one '{name}', got {found.size}")
        return int(found.ravel()[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a shape C, H, W; extents of 1 behind the first are dropped where it is a vector."""
        found = tuple(int(extent) for extent in self.integers(name, []).ravel())
        if not 1 <= len(found) <= 3 or min(found) < 1:
            raise FrontendError(f"layer {self.number} has shape {found}, expected [N], [H, W] or [C, H, W]")
        check_size(self.name, *found)
        return (1, *found) if len(found) == 2 else found

    def pair(self, name: str) -> Pair:
        """Return one or two whole numbers as rows and columns."""
        found = self.integers(name, []).ravel()
        if found.size not in {1, 2}:
            raise FrontendError(
                f"layer {self.number}: expected one or two numbers as '{name}', got {found.size}"
            )
        return int(found[0]), int(found[-1])

    def neuron(self, notes: list[str]) -> Cuba:
        """Return the registers that netx gives the neurons.

        Raises:
            FrontendError: They are of another kind, or leave the registers.
        """
        if not self.has_neuron:
            notes.append(f"layer {self.number} has no neurons: it integrates and is read out, as in netx")
            return Cuba(fixedpoint.DECAY_UNITY - 1, 0, fixedpoint.THRESHOLD_MAX, default=True)
        kind = str(self.values.get("neuron/type", np.array("")).ravel()[0])
        if kind not in _NEURONS:
            raise FrontendError(
                f"layer {self.number} has neurons '{kind}', expected {' or '.join(sorted(_NEURONS))}"
            )
        if self.whole("neuron/messageBits", 0):
            raise FrontendError(f"layer {self.number} sends graded spikes; neurons here send 0 or 1")
        decay = self.whole("neuron/iDecay", -1)
        registers = Cuba(decay - 1, self.whole("neuron/vDecay", -1), self.whole("neuron/vThMant", -1))
        limits = {
            "iDecay": (registers.du + 1, 1, fixedpoint.DECAY_UNITY),
            "vDecay": (registers.dv, 0, fixedpoint.DECAY_UNITY - 1),
            "vThMant": (registers.vth, 0, fixedpoint.THRESHOLD_MAX),
        }
        for name, (value, lowest, highest) in limits.items():
            if not lowest <= value <= highest:
                raise FrontendError(
                    f"layer {self.number} has {name} = {value}, the register holds {lowest} .. {highest}"
                )
        return registers


def read_layers(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[Layer]:
    """Return the layers of a file in order.

    Raises:
        CorruptArtifactError: It holds none, or not in a row from 0.
    """
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        top, _, rest = name.partition("/")
        number, _, key = rest.partition("/")
        if top == "layer" and number.isascii() and number.isdigit() and len(number) < 6 and key:
            found.setdefault(int(number), {})[key] = array
    if not found or sorted(found) != list(range(len(found))):
        raise CorruptArtifactError(path, "holds no layers 0, 1, 2, ...: it is not a netx file")
    layers: list[Layer] = []
    for number in sorted(found):
        kind = found[number].get("type")
        if kind is None or kind.dtype.kind != "U" or kind.size != 1:
            raise CorruptArtifactError(path, f"does not say the type of layer {number}")
        layers.append(Layer(number, str(kind.ravel()[0]), found[number]))
    return layers

"""The layers of a netx file: values by name, checked one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.arrays import Ints, Pair
from toolchain.errors import CorruptArtifactError, FrontendError
from toolchain.ir.currents import check_size

_NEURONS: Final = ("CUBA", "LOIHI")
_LARGEST: Final = 2**31
REGISTERS: Final = {
    "iDecay": (1, fixedpoint.DECAY_UNITY),
    "vDecay": (0, fixedpoint.DECAY_UNITY - 1),
    "vThMant": (0, fixedpoint.THRESHOLD_MAX),
}
"""Smallest and largest value of each register of a neuron."""


@final
@dataclass(frozen=True)
class Cuba:
    """Registers of a layer's neurons, one each; `default` where the file has none and netx integrates."""

    du: Ints
    dv: Ints
    vth: Ints
    default: bool = False


@final
@dataclass(frozen=True)
class NetxLayer:
    """One layer.

    Attributes:
        number: Place of the layer in the file.
        kind: Type of the layer, such as `dense`.
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

    def fail(self, why: str) -> FrontendError:
        """Return the error that names this layer."""
        return FrontendError(f"layer {self.number} ('{self.kind}') {why}")

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return what the file has by this name.

        Raises:
            FrontendError: It is missing, not numbers, or too large.
        """
        if name not in self.values:
            raise self.fail(f"has no '{name}'")
        array = self.values[name]
        if array.dtype.kind not in "biuf" or not array.size:
            raise self.fail(f"expected numbers as '{name}', got {array.dtype} of shape {array.shape}")
        values = array.astype(np.float64)
        if not np.isfinite(values).all():
            raise self.fail(f"expected numbers as '{name}', got some that are not finite")
        if np.abs(values).max() >= _LARGEST:
            raise self.fail(f"expected '{name}' below 2^31, got {np.abs(values).max():g}")
        return values

    def cut(self, name: str, notes: list[str]) -> Ints:
        """Return numbers without what lies behind the point, which netx cuts off weights and biases."""
        values = self.numbers(name)
        if (np.trunc(values) != values).any():
            notes.append(f"'{name}' of layer {self.number} is cut to whole numbers, as netx does")
        return np.trunc(values).astype(np.int64)

    def whole(self, name: str) -> Ints:
        """Return whole numbers, whatever type the file stores them in.

        Raises:
            FrontendError: Some are broken.
        """
        values = self.numbers(name)
        if (np.trunc(values) != values).any():
            raise self.fail(
                f"expected whole numbers as '{name}', got {values[np.trunc(values) != values][0]:g}"
            )
        return values.astype(np.int64)

    def one(self, name: str) -> int:
        """Return a single whole number."""
        values = self.whole(name)
        if values.size != 1:
            raise self.fail(f"expected one '{name}', got {values.size}")
        return int(values.ravel()[0])

    def shape(self) -> tuple[int, ...]:
        """Return the layer's shape [N] or C, H, W; [H, W] is one channel."""
        extents = tuple(int(extent) for extent in self.whole("shape").ravel())
        if not 1 <= len(extents) <= 3 or min(extents) < 1:
            raise self.fail(f"has 'shape' {extents}, expected [N], [H, W] or [C, H, W] of 1 or more")
        check_size(self.name, *extents)
        return (1, *extents) if len(extents) == 2 else extents

    def pair(self, name: str, least: int) -> Pair:
        """Return one or two whole numbers as rows and columns."""
        extents = self.whole(name).ravel()
        if extents.size not in {1, 2} or extents.min() < least:
            raise self.fail(
                f"expected one or two numbers of {least} or more as '{name}', got {extents[:3].tolist()}"
            )
        return int(extents[0]), int(extents[-1])

    def declared(self, name: str, expected: tuple[int, ...], why: str) -> None:
        """Raise where the file says by this name something else than its weights and shapes do."""
        if name in self.values and tuple(self.whole(name).ravel()) != expected:
            raise self.fail(f"says '{name}' {self.whole(name).ravel().tolist()}, but {why} {list(expected)}")

    def neuron(self, shape: tuple[int, ...], notes: list[str]) -> Cuba:
        """Return the registers that netx gives the neurons, each of the population's shape.

        Raises:
            FrontendError: They are of another kind, or leave the registers.
        """
        if not self.has_neuron:
            notes.append(
                f"layer {self.number} has no neurons: it integrates and is read out, as in netx while its "
                "potential fits 24 bits; beyond, netx wraps around and this begins anew"
            )
            registers = (fixedpoint.DECAY_UNITY - 1, 0, fixedpoint.THRESHOLD_MAX)
            return Cuba(*(np.full(shape, value, np.int64) for value in registers), default=True)
        self._check_kind(notes)
        registers = {name: self._register(name, shape) for name in REGISTERS}
        return Cuba(registers["iDecay"] - 1, registers["vDecay"], registers["vThMant"])

    def _check_kind(self, notes: list[str]) -> None:
        kind = self.values.get("neuron/type", np.array("")).ravel()
        if kind.size != 1 or str(kind[0]) not in _NEURONS:
            raise self.fail(f"has neurons '{', '.join(map(str, kind))}', expected {' or '.join(_NEURONS)}")
        for name in ("messageBits", "gradedSpike"):
            if f"neuron/{name}" in self.values and self.one(f"neuron/{name}"):
                raise self.fail(f"sends graded spikes ('{name}'); neurons here send 0 or 1")
        if "neuron/refDelay" in self.values and self.one("neuron/refDelay") != 1:
            raise self.fail(
                f"has 'refDelay' {self.one('neuron/refDelay')}; netx passes it over, and neurons here have "
                "no refractory time: 1 means none"
            )
        if "neuron/wgtExp" in self.values and self.whole("neuron/wgtExp").any():
            notes.append(f"'wgtExp' of layer {self.number} is not 0; netx never reads it")

    def _register(self, name: str, shape: tuple[int, ...]) -> Ints:
        values, (lowest, highest) = self.whole(f"neuron/{name}"), REGISTERS[name]
        wrong = values[(values < lowest) | (values > highest)]
        if wrong.size:
            raise self.fail(f"has {name} = {wrong[0]}, the register holds {lowest} .. {highest}")
        spread = in_lavas_order(values, shape)
        if spread is None:
            raise self.fail(
                f"has {name} of shape {values.shape}, expected one, one per channel {shape[:1]}, or one per "
                f"neuron {shape[::-1]} (columns, rows, channels)"
            )
        return spread


def in_lavas_order(values: Ints, shape: tuple[int, ...]) -> Ints | None:
    """Return values for every neuron, C, H, W, from an array that Lava spreads over W, H, C.

    NumPy's rules of broadcasting apply to Lava's order of axes, so that one value per channel is `[C]`. None
    where the array does not spread.
    """
    while values.ndim > len(shape) and len(values) == 1:
        values = values[0]
    try:
        return np.array(np.broadcast_to(values, shape[::-1]).transpose())
    except ValueError:
        return None


def read_layers(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[NetxLayer]:
    """Return the layers of a file in order.

    Raises:
        CorruptArtifactError: It holds none, or not in a row from 0.
    """
    by_number: dict[int, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        top, _, rest = name.partition("/")
        number, _, key = rest.partition("/")
        if top == "layer" and number.isascii() and number.isdigit() and len(number) < 6 and key:
            by_number.setdefault(int(number), {})[key] = array
    if not by_number or sorted(by_number) != list(range(len(by_number))):
        raise CorruptArtifactError(path, "holds no layers 0, 1, 2, ...: it is not a netx file")
    layers: list[NetxLayer] = []
    for number in sorted(by_number):
        kind = by_number[number].get("type")
        if kind is None or kind.dtype.kind != "U" or kind.size != 1:
            raise CorruptArtifactError(path, f"does not say the type of layer {number}")
        layers.append(NetxLayer(number, str(kind.ravel()[0]), by_number[number]))
    return layers

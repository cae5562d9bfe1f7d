"""What NIR and the importers of frameworks can say of a spike: the reset of a population, or why not."""

from typing import Final, final

import numpy as np

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import PreconditionError
from toolchain.interchange.nir.conventions import NIR, Convention
from toolchain.interchange.nir.resets import NirReset
from toolchain.reset import MOST_SPIKES, Reset

_ROUNDING: Final = 1e-12
"""More than thresholds move so that `>` means `>=`."""


@final
class WrittenResets:
    """Collects the resets of a file, which its metadata have one word for.

    Args:
        reader: What the importing framework makes of a file.

    Attributes:
        kind: What a spike does to every population that fires so far; None before the first.
    """

    def __init__(self, reader: Convention) -> None:
        self.reader = reader
        self.kind: NirReset | None = None
        self._first = ""

    @property
    def word(self) -> str:
        """What the metadata say."""
        return (self.kind or NirReset.VALUE).value

    def add(self, node: ir.Lif, vth: Floats) -> Floats:
        """Return the `v_reset` of a population that fires.

        Args:
            node: The population.
            vth: Its thresholds as the file has them.

        Raises:
            PreconditionError: The file cannot say what a spike does, or its reader would do something else.
        """
        for what in ("refractory", "adaptation"):
            values = getattr(node, what)
            if values is not None and values.any():
                raise self._fail(node, f"has {_WORDS[what]}, for which NIR has no word")
        kind = self._kind(node, vth)
        if kind not in self._understood():
            means = (
                ""
                if self.reader.reset is None
                else f", where {self.reader.name} {_MEANS[self.reader.reset.kind]}"
            )
            raise self._fail(node, f"{_MEANS[kind]} at a spike{means}")
        if self.kind is not None and kind is not self.kind:
            raise self._fail(
                node, f"{_MEANS[kind]} at a spike, unlike '{self._first}', and a file has one reset for all"
            )
        self.kind, self._first = kind, self._first or node.name
        value = node.reset_amount if node.reset is Reset.VALUE else None
        if value is not None and value.any() and self.reader.name != NIR:
            raise self._fail(node, f"is reset to {value[value != 0][0]:g}, and {self.reader.name} to zero")
        return np.zeros_like(vth) if value is None else np.array(value)

    def _understood(self) -> set[NirReset]:
        """Return what the reader does by itself, or once it is told by hand."""
        stated = set() if self.reader.reset is None else {self.reader.reset.kind}
        if self.reader.sends_late or self.reader.fires_without_r:
            # Rockpool's importer guesses the step; Spyx sends spikes one step late.
            return set()
        return stated | ({NirReset.VALUE} if self.reader.note else set())

    def _kind(self, node: ir.Lif, vth: Floats) -> NirReset:
        amount = node.reset_amount
        if node.reset is Reset.NONE:
            return NirReset.NONE
        if node.reset is not Reset.SUBTRACT or amount is None:
            return NirReset.VALUE
        if np.allclose(amount, vth, rtol=_ROUNDING, atol=0):
            if node.max_spikes in {1, MOST_SPIKES}:
                return NirReset.SUBTRACT if node.max_spikes == 1 else NirReset.SEVERAL
            raise self._fail(
                node, f"fires up to {node.max_spikes} times a step, and no reader has that limit"
            )
        if node.max_spikes == 1 and np.allclose(amount * (1 - node.dv), vth, rtol=_ROUNDING, atol=0):
            return NirReset.LATE_SUBTRACT
        raise self._fail(node, "subtracts something else than its threshold at a spike")

    def _fail(self, node: ir.Lif, why: str) -> PreconditionError:
        return PreconditionError(f"population '{node.name}' {why}", '`written="onnx"` holds every neuron')


_WORDS: Final = {"refractory": "a refractory period", "adaptation": "an adaptive threshold"}
_MEANS: Final = {
    NirReset.VALUE: "sets the potential to v_reset",
    NirReset.SUBTRACT: "subtracts the threshold",
    NirReset.LATE_SUBTRACT: "subtracts the threshold one step later",
    NirReset.SNNTORCH: "subtracts the threshold as snnTorch does",
    NirReset.SEVERAL: "subtracts the threshold for each of several spikes",
    NirReset.LATE_ZERO: "sets the potential to zero one step later",
    NirReset.NONE: "leaves the potential",
}

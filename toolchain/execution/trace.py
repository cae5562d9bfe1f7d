"""What any execution records: spikes, membrane potential and current, per population."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.errors import CorruptArtifactError, UnknownNameError
from toolchain.files.npz import read_arrays, write_arrays
from toolchain.intake import PathText, names_of, path_of
from toolchain.summary import Summarised, Summary

QUANTITIES: Final = ("spikes", "v", "u")
_AXES: Final = 2
"""Axes that every record has at least: batch and time."""


@final
@dataclass(frozen=True, repr=False)
class Trace(Summarised):
    """Records of one run, batch first, then time.

    Attributes:
        spikes: Spikes of each population `[batch, time, *features]`: bool, or uint8 where a neuron may send
            several in a step.
        v: Membrane potentials after the reset, float or int32.
        u: Synaptic currents, float or int32.
    """

    spikes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    v: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    u: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def by_key(self) -> dict[str, NDArray[Any]]:
        """Return every record under its key in a file, `"<node>.<quantity>"`."""
        return {
            f"{node}.{quantity}": values
            for quantity in QUANTITIES
            for node, values in getattr(self, quantity).items()
        }

    def summary(self) -> Summary:
        """Return what was recorded, and how often every population fired."""
        recorded = {name: getattr(self, name) for name in QUANTITIES}
        shapes = [values.shape for records in recorded.values() for values in records.values()]
        extent = f"{shapes[0][0]} samples, {shapes[0][1]} steps" if shapes else "nothing"
        names = list(dict.fromkeys(name for records in recorded.values() for name in records))
        rows = [
            (
                name,
                " x ".join(str(n) for n in next(r[name] for r in recorded.values() if name in r).shape[2:]),
                f"{int(self.spikes[name].sum()):,}" if name in self.spikes else "-",
                ", ".join(quantity for quantity, records in recorded.items() if name in records),
            )
            for name in names
        ]
        line = f"Trace of {extent}: {', '.join(names) or 'no population'}"
        return Summary(line, ("population", "neurons", "spikes", "recorded"), rows)

    def save(self, path: PathText) -> None:
        """Write the records as a `.npz` with keys `"<node>.spikes"`, `"<node>.v"`, `"<node>.u"`."""
        write_arrays(path_of(path, "path"), self.by_key())

    @classmethod
    def load(cls, path: PathText) -> "Trace":
        """Read what `save` wrote."""
        path = path_of(path, "path")
        records = read_arrays(path)
        for key, values in records.items():
            node, _, quantity = key.rpartition(".")
            if not node or quantity not in QUANTITIES:
                raise CorruptArtifactError(path, f"holds '{key}', expected '<node>.spikes', '.v' or '.u'")
            is_spikes = quantity == QUANTITIES[0]
            fits = (
                values.dtype in {np.dtype(bool), np.dtype(np.uint8)}
                if is_spikes
                else values.dtype.kind in "iuf"
            )
            if not fits or values.ndim < _AXES:
                raise CorruptArtifactError(
                    path,
                    f"holds '{key}' as {values.dtype} {list(values.shape)}, expected "
                    f"{'bool or uint8' if is_spikes else 'numbers'} [batch, time, *features]",
                )
        return cls.of_keys(records)

    @classmethod
    def of_keys(cls, records: Mapping[str, NDArray[Any]]) -> "Trace":
        """Return the trace of records that `by_key` named."""
        quantities: dict[str, dict[str, NDArray[Any]]] = {quantity: {} for quantity in QUANTITIES}
        for key, values in records.items():
            node, _, quantity = key.rpartition(".")
            quantities[quantity][node] = values
        return cls(**quantities)


def check_quantities(record: tuple[str, ...]) -> None:
    """Raise `UnknownNameError` unless every name is a quantity that can be recorded."""
    for name in names_of(record, "record"):
        if name not in QUANTITIES:
            raise UnknownNameError("quantity", name, QUANTITIES)

"""The state of a pruning between two iterations, and its file."""

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import CorruptArtifactError, PruningError
from toolchain.files.documents import Count
from toolchain.files.npz import read_sealed_arrays, write_sealed_arrays
from toolchain.pruning.lnp.options import LnpOptions, LnpRecord
from toolchain.pruning.pool import RecurrentPool
from toolchain.reset import Reset

_STATE: Final = "pruning.npz"
_UNKNOWN_AT_FIRST: Final = ("centrality", "attribution")
"""Arrays that are NaN until they are measured."""
_MAY_BE_UNMEASURED: Final = ("largest_exponent", "spectral_radius", "localisation")
_ARRAYS: Final = ("synapses", "neurons", "rescaled", "probability", "beta", "centrality", "attribution")


@final
@dataclass
class LoopState:
    """Everything that changes while a pool is pruned; indices are those of the original pool.

    Attributes:
        iteration: Number of finished iterations.
        synapses: True for the synapses that are left, in the order of the original weights.
        neurons: True for the neurons that are left.
        rescaled: Product of all `1 / p` per synapse.
        probability: Last keep probability per synapse.
        beta: Leak per neuron, which changes only if the diagonal is compensated.
        centrality: Running betweenness per neuron, NaN before it is measured.
        attribution: Exponent per neuron from the last full spectrum, NaN before it is measured.
        gain: Factor of all weights.
        loss_exponent: Power of the share of remaining neurons that gives the share of surviving synapses.
        records: Record of every iteration.
    """

    iteration: int
    synapses: NDArray[np.bool_]
    neurons: NDArray[np.bool_]
    rescaled: Floats
    probability: Floats
    beta: Floats
    centrality: Floats
    attribution: Floats
    gain: float
    loss_exponent: float
    records: list[LnpRecord]

    @classmethod
    def start(cls, pool: RecurrentPool) -> "LoopState":
        """Return the state before the first iteration."""
        neurons, synapses = pool.size, pool.synapses
        return cls(
            iteration=0,
            synapses=np.ones(synapses, np.bool_),
            neurons=np.ones(neurons, np.bool_),
            rescaled=np.ones(synapses),
            probability=np.ones(synapses),
            beta=pool.beta.copy(),
            centrality=np.full(neurons, np.nan),
            attribution=np.full(neurons, np.nan),
            gain=1.0,
            loss_exponent=2.0,
            records=[],
        )


def identity_of(pool: RecurrentPool, options: LnpOptions, seed: int, dt_ms: float) -> str:
    """Return the text that a stored state must share to be continued: pool, every option and seed."""
    content = hashlib.sha256()
    for array in (pool.weights.data, pool.weights.indices, pool.weights.indptr, pool.beta, pool.threshold):
        content.update(np.ascontiguousarray(array).tobytes())
    if pool.reset is not Reset.ZERO:
        content.update(pool.reset.value.encode() + np.ascontiguousarray(pool.added).tobytes())
    # The order in which a set is printed differs from process to process.
    steps = sorted(step.value for step in options.steps)
    plain = replace(options, steps=frozenset())
    return f"{content.hexdigest()} {seed} {dt_ms} {', '.join(steps)} {plain!r}"


def save_state(folder: Path, identity: str, state: LoopState) -> None:
    """Write the state to one file, whole or not at all.

    Args:
        folder: Folder of the file, created if needed.
        identity: Text from `identity_of`.
        state: The state.
    """
    arrays: dict[str, NDArray[Any]] = {name: getattr(state, name) for name in _ARRAYS}
    for field in fields(LnpRecord):
        if field.name != "spectrum":
            column = [getattr(record, field.name) for record in state.records]
            arrays[f"records.{field.name}"] = np.array(column, dtype=np.float64)
    for record in state.records:
        arrays[f"spectrum.{record.iteration}"] = np.array(record.spectrum)
    arrays["identity"] = np.frombuffer(identity.encode(), dtype=np.uint8)
    arrays["scalars"] = np.array([state.iteration, state.gain, state.loss_exponent])
    write_sealed_arrays(folder / _STATE, arrays)


def load_state(folder: Path, identity: str, pool: RecurrentPool) -> LoopState | None:
    """Return the stored state of a pool's pruning, or None if there is none.

    Raises:
        PruningError: The folder holds the state of another pruning.
        CorruptArtifactError: The file is damaged.
    """
    path = folder / _STATE
    if not path.is_file():
        return None
    arrays = read_sealed_arrays(path)
    if arrays.get("identity", np.zeros(0, np.uint8)).tobytes() != identity.encode():
        raise PruningError(f"'{folder}' holds the state of another pruning; choose another folder")
    try:
        iteration, gain, loss = (float(number) for number in arrays["scalars"])
        stored: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        records = [_record(i, arrays) for i in range(len(arrays["records.rate"]))]
        whole = int(iteration)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise _damaged(path, f" ({error!r})") from None
    start = LoopState.start(pool)
    for name, array in stored.items():
        like = getattr(start, name)
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            raise _damaged(path, f": '{name}' is {array.dtype} {list(array.shape)}")
        unknown_yet = np.isnan(array) if name in _UNKNOWN_AT_FIRST else np.zeros(array.shape, np.bool_)
        if not (np.isfinite(array) | unknown_yet).all():
            raise _damaged(path, f": '{name}' holds numbers that are not finite")
    state = LoopState(whole, **stored, gain=gain, loss_exponent=loss, records=records)
    fault = _fault(state, iteration)
    if fault:
        raise _damaged(path, f": {fault}")
    return state


def _fault(state: LoopState, iteration: float) -> str:
    """Return what no pruning would have left in a state, or an empty text."""
    if not state.iteration == iteration >= 0:
        return f"its iteration is {iteration}"
    if not (0 < state.gain < np.inf and 0 <= state.loss_exponent < np.inf):
        return f"its gain is {state.gain}, its loss exponent {state.loss_exponent}"
    if not state.neurons.any():
        return "no neuron is left"
    if not ((state.beta >= 0) & (state.beta < 1)).all():
        return "a neuron does not leak"
    return "" if (state.probability > 0).all() else "a probability is not positive"


def _damaged(path: Path, problem: str) -> CorruptArtifactError:
    return CorruptArtifactError(path, f"is not the state of a pruning{problem}; remove it")


def _record(index: int, arrays: dict[str, NDArray[Any]]) -> LnpRecord:
    values: dict[str, Any] = {}
    for field in fields(LnpRecord):
        if field.name != "spectrum":
            value = float(arrays[f"records.{field.name}"][index])
            values[field.name] = None if np.isnan(value) else int(value) if field.type == Count else value
    spectrum = tuple(float(value) for value in arrays[f"spectrum.{values['iteration']}"])
    if not all(np.isfinite([value for value in values.values() if value is not None] + list(spectrum))):
        raise ValueError("a record is not finite")
    missing = [name for name, value in values.items() if value is None and name not in _MAY_BE_UNMEASURED]
    if missing:
        raise ValueError(f"a record has no {missing[0]}")
    return LnpRecord(**values, spectrum=spectrum)

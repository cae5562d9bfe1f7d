"""What a module returned for many samples, laid out as its read-outs take it."""

from collections.abc import Callable, Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import FrontendError
from toolchain.fidelity.returned import Returned
from toolchain.frontends.modules.ledger import Labels, Ledger, Untyped
from toolchain.frontends.modules.readouts import Read, tensors_of

Arrays = Mapping[str, NDArray[Untyped]]


@final
class ResultLayout:
    """Lays out what a module returns.

    Args:
        ledger: What was made in the run of one sample that was followed.
        reads: How each output reads a result of it.
    """

    def __init__(self, ledger: Ledger, reads: Mapping[str, Read]) -> None:
        self._ledger, self._reads = ledger, reads

    def arrays(self, result: Untyped) -> Arrays:
        """Return the results that are read, by output, of one run.

        Raises:
            FrontendError: The module returned something else than for the sample that was followed.
        """
        tensors = tensors_of(result)
        missing = sorted({read.name for read in self._reads.values()} - tensors.keys())
        if missing:
            raise FrontendError(
                f"the module returned '{missing[0]}' for one sample, and only {sorted(tensors)} for more",
                "return the same for any number of samples",
            )
        return {output: _as_numbers(tensors[read.name]) for output, read in self._reads.items()}

    def returned(
        self, arrays: Arrays, samples: int, of_sample: Callable[[int], Arrays]
    ) -> dict[str, Returned]:
        """Return the results of all samples as the read-outs take them.

        Args:
            arrays: ResultLayout of all samples together.
            samples: Number of samples.
            of_sample: Returns the results of one sample alone. It is asked where those of all do not say
                which axis is that of the samples.
        """
        single: list[Arrays] = []
        results: dict[str, Returned] = {}
        for output, read in self._reads.items():
            shape = _labels(read).shape
            axis = _axis_of_samples(shape, arrays[output].shape, samples)
            if axis is None:
                single = single or [of_sample(sample) for sample in range(samples)]
                values = np.stack([_of_shape(each[output], shape, output) for each in single])
            else:
                values = np.moveaxis(arrays[output], axis, 0)
            results[output] = self._laid_out(read, values.reshape(samples, -1))
        return results

    def _laid_out(self, read: Read, values: NDArray[Untyped]) -> Returned:
        """Return a result `[batch, elements]` as its read-out takes it."""
        if read.by_step:
            times = self._ledger.times(_labels(read)).ravel()
            values = np.stack([values[:, times == step] for step in np.unique(times)], axis=1)
        return Returned(values, read.applied, read.rest)


def _labels(read: Read) -> Labels:
    if read.result is None:
        raise TypeError(f"'{read.name}' has no labels")
    return read.result


def _as_numbers(tensor: Tensor) -> NDArray[Untyped]:
    array = tensor.detach().cpu().numpy()
    return array.astype(np.float64) if array.dtype.kind == "b" else array


def _axis_of_samples(one: tuple[int, ...], many: tuple[int, ...], samples: int) -> int | None:
    """Return the axis of the samples, from the shapes for one and for many; None if it is not plain."""
    if samples == 1 or len(one) != len(many):
        return None
    differing = [axis for axis, (few, more) in enumerate(zip(one, many, strict=True)) if few != more]
    if len(differing) != 1 or (one[differing[0]], many[differing[0]]) != (1, samples):
        return None
    return differing[0]


def _of_shape(values: NDArray[Untyped], shape: tuple[int, ...], output: str) -> NDArray[Untyped]:
    if values.shape != shape:
        raise FrontendError(
            f"the result '{output}' has shape {list(shape)} for one sample, "
            f"and {list(values.shape)} for another",
            "return the same for every sample",
        )
    return values

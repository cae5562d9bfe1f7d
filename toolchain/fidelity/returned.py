"""Compares what a module itself returned with what its read-outs make of the network."""

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.execution.trace import Trace
from toolchain.fidelity.decode import scores, scores_by_step
from toolchain.fidelity.source_search import share_of
from toolchain.ir import Graph, Synapses
from toolchain.ir.types import size_of

Applied = float | str
"""What a module does to scores before it returns them: a factor, or the name of a function of `FUNCTIONS`."""
FUNCTIONS: Final = ("softmax", "log_softmax", "sigmoid")
"""Functions of scores that leave the largest the largest."""
_WHOLE: Final = 2**24
"""Whole numbers up to this one are exact in single precision."""


@final
@dataclass(frozen=True, eq=False)
class Returned:
    """One result of a module, as the read-out of an output takes it.

    Attributes:
        values: What the module returned, `[batch, classes]`, or `[batch, time, classes]` if it returned every
            step. It is of the type in which it came.
        applied: What the module did to the scores of its read-out before it returned them, the first thing
            first.
        rest: Potential of the module that is zero in the network.
    """

    values: NDArray[Any]
    applied: tuple[Applied, ...] = ()
    rest: float = 0.0

    @property
    def by_step(self) -> bool:
        """Whether every step was returned."""
        return self.values.ndim > 2

    def take(self, index: slice) -> "Returned":
        """Return the result of the selected samples."""
        return Returned(self.values[index], self.applied, self.rest)


@final
@dataclass(frozen=True)
class ResultDifference:
    """The first number of a result that is not what the read-out gives.

    Attributes:
        sample: Index in the stimulus.
        step: Time step, from 0; None if the result is one for all steps.
        place: Index of the class, or element of the result.
        expected: What the module returned.
        got: What the read-out gives.
    """

    sample: int
    step: int | None
    place: int
    expected: float
    got: float

    @property
    def sentence(self) -> str:
        """Both numbers and where they stand."""
        step = "" if self.step is None else f", step {self.step}"
        return (
            f"for class {self.place} of sample {self.sample}{step} the module returned {self.expected:.9g}, "
            f"and the read-out gives {self.got:.9g}"
        )


@final
@dataclass(frozen=True)
class ResultAgreement:
    """How far what a module returned is what the read-out of an output gives.

    Attributes:
        values: Number of values that were compared.
        largest_error: Largest difference.
        tolerance: The largest difference that counts as equal; zero for counts of spikes.
        first: The first difference; None if there is none.
    """

    values: int
    largest_error: float
    tolerance: float
    first: ResultDifference | None


@final
class ResultSearch:
    r"""Looks for the first difference of one result.

    Counts of spikes must be equal. Everything else that was computed in single precision may differ by a
    hundred-thousandth, about 170 roundings, of the largest number that took part: the largest score, or the
    largest sum of absolute weights into one of the neurons that are read,

    .. math:: \epsilon \max(\max_c |y_c|, \max_i \sum_j |W_{ij}| |s_j| + |b_i|)

    since terms that cancel leave their roundings behind. In double precision it is a billionth. A factor
    that the module applies also applies to the tolerance; a softmax or sigmoid moves no value further than
    its argument, and a log-softmax no further than twice that.

    Args:
        graph: The network, in real numbers.
        output: The output.
        returned: All that the module returned for it.
    """

    def __init__(self, graph: Graph, output: ir.Output, returned: Returned) -> None:
        self._graph, self._output, self._returned = graph, output, returned
        self._share = share_of(returned.values)
        self._drive = _largest_drive(graph, output)
        self._samples = self._values = 0
        self._error = self._tolerance = 0.0
        self.first: ResultDifference | None = None

    def add(self, returned: Returned, trace: Trace) -> None:
        """Compare the next samples with a trace of the network on them."""
        given, output = np.asarray(returned.values, np.float64), self._output
        if returned.by_step:
            self._compare(given, scores_by_step(self._graph, trace, output), self._drive)
        if not returned.by_step or self._is_plain:
            total = given if not returned.by_step else _over_steps(given, output)
            self._compare(total, scores(self._graph, trace, output), max(self._drive, self._terms(trace)))
        self._samples += len(given)

    def result(self) -> ResultAgreement:
        """Return the agreement over all samples that were added."""
        return ResultAgreement(self._values, self._error, self._tolerance, self.first)

    @property
    def _is_plain(self) -> bool:
        """Whether the module returned the scores themselves, but for a factor."""
        return not any(isinstance(each, str) for each in self._returned.applied)

    def _terms(self, trace: Trace) -> float:
        """Return the largest sum of absolute terms of an affine read-out; zero for any other."""
        weights, bias = self._output.weights, self._output.bias
        if weights is None:
            return 0.0
        absolute = replace(self._output, weights=np.abs(weights), bias=None if bias is None else np.abs(bias))
        return float(np.abs(scores(self._graph, trace, absolute)).max(initial=0.0))

    def _compare(self, given: Floats, read: Floats, largest: float) -> None:
        if given.shape != read.shape:
            raise ValueError(f"'{self._output.name}' was returned as {given.shape}, and is read {read.shape}")
        expected, tolerance = self._applied(read, largest)
        errors = np.abs(given - expected)
        # Infinite numbers and what is none differ from everything but themselves.
        errors = np.where(given == expected, 0.0, np.where(np.isfinite(errors), errors, np.inf))
        self._values += errors.size
        self._error = max(self._error, float(min(errors.max(initial=0.0), np.finfo(np.float64).max)))
        self._tolerance = max(self._tolerance, tolerance)
        if self.first is None and (errors > tolerance).any():
            sample, *step, place = (int(i) for i in np.argwhere(errors > tolerance)[0])
            values = (_finite(array[sample, *step, place]) for array in (given, expected))
            self.first = ResultDifference(self._samples + sample, step[0] if step else None, place, *values)

    def _applied(self, read: Floats, largest: float) -> tuple[Floats, float]:
        """Return scores as the module returns them, and the largest difference that counts as equal.

        Args:
            read: The scores.
            largest: The largest sum of absolute terms in one of them.
        """
        counts = not self._output.reads_potential and self._output.weights is None
        exact = counts and read.max(initial=0) < _WHOLE
        values = read + self._returned.rest if self._output.reads_potential else read
        scale = max(float(np.abs(values).max(initial=0.0)), largest)
        tolerance = 0.0 if exact else self._share * scale
        for each in self._returned.applied:
            if isinstance(each, float):
                values, tolerance = values * each, tolerance * abs(each)
                # A factor that is no power of two rounds.
                rounding = 0.0 if np.frexp(each)[0] == 0.5 else self._share
            elif each == "log_softmax":
                values, tolerance, rounding = log_softmax(values, axis=-1), 2 * tolerance, self._share
            else:
                function = expit if each == "sigmoid" else _softmax
                values, rounding = function(values), self._share
            tolerance += rounding * float(np.abs(values).max(initial=0.0))
        return values, tolerance


def _softmax(values: Floats) -> Floats:
    return softmax(values, axis=-1)


def _over_steps(given: Floats, output: ir.Output) -> Floats:
    """Return what was returned at every step as the read-out takes it over the steps."""
    return given.mean(axis=1) if output.reads_potential else given.sum(axis=1)


def _finite(value: float) -> float:
    """Return a number that a document can hold."""
    return float(np.nan_to_num(value))


def _largest_drive(graph: Graph, output: ir.Output) -> float:
    """Return the largest sum of absolute terms that single spikes add to a potential in one step."""
    node = graph[output.inputs[0]]
    if not isinstance(node, ir.Lif) or not output.reads_potential:
        return 0.0
    total = np.abs(node.bias).reshape(-1)
    for name in node.inputs:
        connection = graph[name]
        if isinstance(connection, Synapses):
            weights = abs(connection.weights)
            rows = np.asarray(weights.sum(axis=tuple(range(1, weights.ndim)) if weights.ndim > 2 else 1))
            total = total + np.repeat(rows.reshape(-1), size_of(node.vth.shape) // rows.size)
    return float(total.max(initial=0.0))

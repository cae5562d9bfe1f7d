"""Compares what a module itself returned with what its read-outs make of the network."""

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from toolchain import ir
from toolchain.arrays import Floats
from toolchain.errors import SourceMismatchError
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
_POWER_OF_TWO: Final = 0.5
"""Mantissa of a power of two."""
_ONE_FOR_ALL: Final = 2
"""Axes of a result that is one for all steps."""


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
        return self.values.ndim > _ONE_FOR_ALL


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
        after_reset: Whether it reads potentials of neurons that fire.
    """

    sample: int
    step: int | None
    place: int
    expected: float
    got: float
    after_reset: bool = False

    @property
    def sentence(self) -> str:
        """Both numbers and where they stand."""
        step = "" if self.step is None else f", step {self.step}"
        return (
            f"for class {self.place} of sample {self.sample}{step} the module returned {self.expected:.9g}, "
            f"and the read-out gives {self.got:.9g}"
        )

    @property
    def cause(self) -> str:
        """The likely cause, in a sentence without an end."""
        if self.after_reset:
            return (
                "the potentials of neurons that fire are read after their reset, and many modules return "
                "them before it: return their spikes, or let the last neurons never fire"
            )
        return "the read-out is another one than the module's, or the module treats samples differently"


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


Compared = tuple[float, float, ResultDifference | None]


@final
class ResultSearch:
    r"""Looks for the first difference of one result.

    Counts of spikes must be equal. Everything else that was computed in single precision may differ by a
    hundred-thousandth, about 170 roundings, of the largest number that took part: the largest score, or the
    largest sum of absolute weights into one of the neurons that are read,

    .. math:: \epsilon \max(\max_c |y_c|, \max_i \sum_j |W_{ij}| + |b_i|)

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
        self._largest = _largest_drive(graph, output)
        self._scores, self._rows = list[Floats](), list[Floats]()

    def add(self, trace: Trace) -> None:
        """Take what the read-out gives on the next samples, from a trace of the network on them."""
        # It is compared at the end: what counts as equal is one for all samples, however they are cut.
        self._scores.append(scores(self._graph, trace, self._output))
        if self._returned.by_step:
            self._rows.append(scores_by_step(self._graph, trace, self._output))
        self._largest = max(self._largest, self._terms(trace))

    def result(self) -> ResultAgreement:
        """Return the agreement over all samples that were added.

        Raises:
            SourceMismatchError: The read-out gives another number of scores.
        """
        given, by_step = np.asarray(self._returned.values, np.float64), self._returned.by_step
        comparisons: list[Compared] = []
        if by_step:
            comparisons.append(self._compare(given, np.concatenate(self._rows)))
        if not by_step or not any(isinstance(each, str) for each in self._returned.applied):
            # Functions of the rows are none of their sum.
            total = _over_steps(given, self._output) if by_step else given
            comparisons.append(self._compare(total, np.concatenate(self._scores)))
        differing = [first for _, _, first in comparisons if first is not None]
        return ResultAgreement(
            values=given.size,
            largest_error=max(error for error, _, _ in comparisons),
            tolerance=max(tolerance for _, tolerance, _ in comparisons),
            first=differing[0] if differing else None,
        )

    def _terms(self, trace: Trace) -> float:
        """Return the largest sum of absolute terms of an affine read-out; zero for any other."""
        weights, bias = self._output.weights, self._output.bias
        if weights is None:
            return 0.0
        absolute = replace(self._output, weights=np.abs(weights), bias=None if bias is None else np.abs(bias))
        return float(np.abs(scores(self._graph, trace, absolute)).max(initial=0.0))

    def _compare(self, given: Floats, read: Floats) -> Compared:
        """Return the largest error, what counts as equal, and the first difference of scores or rows."""
        if given.shape != read.shape:
            raise SourceMismatchError(
                f"the module returned {list(given.shape[1:])} numbers for each sample, and its read-out "
                f"'{self._output.name}' gives {list(read.shape[1:])}"
            )
        expected, tolerance = self._applied(read)
        with np.errstate(invalid="ignore"):
            errors = np.where(given == expected, 0.0, np.nan_to_num(np.abs(given - expected), nan=np.inf))
        largest = _finite(errors.max(initial=0.0))
        if not (errors > tolerance).any():
            return largest, tolerance, None
        where = np.argwhere(errors > tolerance)[0].tolist()
        node = self._graph[self._output.inputs[0]]
        first = ResultDifference(
            sample=where[0],
            step=where[1] if len(where) > _ONE_FOR_ALL else None,
            place=where[-1],
            expected=_finite(given[tuple(where)]),
            got=_finite(expected[tuple(where)]),
            after_reset=self._output.reads_potential
            and bool(np.isfinite(getattr(node, "vth", np.inf)).any()),
        )
        return largest, tolerance, first

    def _applied(self, read: Floats) -> tuple[Floats, float]:
        """Return scores as the module returns them, and the largest difference that counts as equal."""
        counts = not self._output.reads_potential and self._output.weights is None
        exact = counts and read.max(initial=0) < _WHOLE
        values = read + self._returned.rest if self._output.reads_potential else read
        scale = max(float(np.abs(values).max(initial=0.0)), self._largest)
        tolerance = 0.0 if exact else self._share * scale
        for each in self._returned.applied:
            if isinstance(each, float):
                values, tolerance = values * each, tolerance * abs(each)
                # A factor that is no power of two rounds.
                rounding = 0.0 if np.frexp(each)[0] == _POWER_OF_TWO else self._share
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


def _finite(value: Any) -> float:  # noqa: ANN401 - a number of any type
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
            rows = np.asarray(weights.sum(axis=1))
            rows = rows.reshape(len(rows), -1).sum(axis=1)
            total = total + np.repeat(rows, size_of(node.vth.shape) // rows.size)
    return float(total.max(initial=0.0))

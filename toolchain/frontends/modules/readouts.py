"""What a module returns, as read-outs: counts of spikes, potentials, or currents that no neurons hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from torch import Tensor

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.frontends.modules.ledger import Labels, Ledger, Made, Untyped
from toolchain.frontends.modules.neuron_kinds import as_array
from toolchain.ir import Decode


@final
@dataclass(frozen=True)
class Read:
    """One result of a module.

    Attributes:
        name: Name of the result.
        path: Module of neurons that is read; None for a current.
        decode: What is read of it.
        labels: Labels of the current of the last step, where it is one.
        weights: Weights of an affine read-out on the host.
        bias: Offset of that.
    """

    name: str
    path: str | None
    decode: Decode
    labels: Labels | None = None
    weights: Floats | None = None
    bias: Floats | None = None


def tensors_of(result: Untyped, name: str = "output") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of what a module returned, with names."""
    match result:
        case Tensor():
            yield name, result
        case Mapping():
            for key, value in result.items():
                yield from tensors_of(value, str(key))
        case tuple() | list():
            for place, value in enumerate(result):
                yield from tensors_of(value, name if place == 0 else f"{name}{place}")
        case _:
            return


def reads_of(ledger: Ledger, results: Mapping[str, Labels], last: int) -> list[Read]:
    """Return what the results are of the neurons; each population is read once.

    Args:
        ledger: What was made in the run.
        results: Labels of the results by name, the first one first.
        last: The last step.

    Raises:
        FrontendError: The first result is none that a graph has.
    """
    reads: list[Read] = []
    for name, labels in results.items():
        read = _read(ledger, name, labels, last)
        if isinstance(read, str):
            if not reads and name == next(iter(results)):
                raise FrontendError(f"the result '{name}' cannot be read out: {read}")
            continue
        if any(each.path == read.path and (read.path is not None or reads) for each in reads):
            continue
        reads.append(read)
    if not reads:
        raise FrontendError(
            "nothing that the module returns depends on its neurons",
            "return spikes or potentials from forward",
        )
    return reads


def _read(ledger: Ledger, name: str, labels: Labels, last: int) -> Read | str:
    makers = ledger.makers(labels)
    kinds = {made.kind for made in makers}
    if kinds == {"score"}:
        return _read(ledger, name, _below(ledger, labels), last)
    if kinds <= {"spikes"} and len({made.place for made in makers}) == 1:
        return Read(name, makers[0].place, Decode.SPIKE_COUNT)
    if kinds <= {"membrane"} and len({made.place for made in makers}) == 1:
        decode = Decode.LAST_V if {made.time for made in makers} == {last} and last else Decode.MEAN_V
        return Read(name, makers[0].place, decode)
    if kinds & {"state", "unknown"}:
        bad = next(made for made in makers if made.kind in {"state", "unknown"})
        return bad.place if bad.kind == "unknown" else f"it is an inner state of '{bad.place}'"
    if len(makers) == 1:
        return _of_one(ledger, name, makers[0], labels, last)
    return _of_steps(ledger, name, labels, makers, last)


def _below(ledger: Ledger, labels: Labels) -> Labels:
    """Return the labels of what scores were made of, element by element."""
    owner, element = ledger.owners(labels)
    below = np.zeros_like(labels)
    for number in np.unique(owner):
        mine = owner == number
        below[mine] = ledger.made[number].reads[0][element[mine]]
    return below


def _of_one(ledger: Ledger, name: str, made: Made, labels: Labels, last: int) -> Read | str:
    """Return a result that one operation made: over the steps, or of the last step."""
    terms = _terms(ledger, made)
    if terms is not None:
        return _of_terms(ledger, name, terms, last)
    if made.kind == "max":
        inner = {part.kind: part.place for each in made.reads for part in ledger.makers(each)}
        if set(inner) == {"membrane"}:
            return Read(name, inner["membrane"], Decode.MAX_V)
        return "it is the maximum over the steps of something else than potentials"
    if made.kind == "linear":
        inner = _read(ledger, name, made.reads[0], last)
        over_steps = ledger.whole(made.reads[0])
        if isinstance(inner, Read) and over_steps is not None and over_steps.kind in {"sum", "scale"}:
            factor = _factor(ledger, over_steps)
            weight, bias = made.what
            if inner.decode is Decode.SPIKE_COUNT and factor is not None and inner.path is not None:
                offset = None if bias is None else as_array(bias)
                return Read(name, inner.path, inner.decode, weights=as_array(weight) * factor, bias=offset)
    if made.time == last:
        return Read(name, None, Decode.LAST_V, labels=labels)
    return f"it is made by '{made.kind}' ({made.place}), which is none of the last step"


def _of_steps(ledger: Ledger, name: str, labels: Labels, makers: list[Made], last: int) -> Read | str:
    """Return a result that holds a current of every step."""
    times = ledger.times(labels)
    if {made.time for made in makers} == set(range(last + 1)):
        return Read(name, None, Decode.MEAN_V, labels=labels[times == last])
    if {made.time for made in makers} == {last}:
        return Read(name, None, Decode.LAST_V, labels=labels)
    return "it mixes what was made in different steps"


Term = tuple[Labels, float]


def _terms(ledger: Ledger, made: Made, factor: float = 1.0) -> list[Term] | None:
    """Return the parts of a sum over steps with their factors; None for what is none."""
    if made.kind == "sum":
        terms: list[Term] = []
        for labels, weight in zip(made.reads, made.what, strict=True):
            if ledger.is_constant(labels):
                continue
            whole = ledger.whole(labels)
            inner = None if whole is None else _terms(ledger, whole, factor * weight)
            terms.extend([(labels, factor * weight)] if inner is None else inner)
        return terms
    if made.kind == "scale" and (made.what == made.what[0]).all():
        whole = ledger.whole(made.reads[0])
        inner = None if whole is None else _terms(ledger, whole, factor * float(made.what[0]))
        return [(made.reads[0], factor * float(made.what[0]))] if inner is None else inner
    return None


def _factor(ledger: Ledger, made: Made) -> float | None:
    terms = _terms(ledger, made)
    factors = {factor for _, factor in terms or []}
    return factors.pop() if len(factors) == 1 else None


def _of_terms(ledger: Ledger, name: str, terms: list[Term], last: int) -> Read | str:
    """Return a sum over all steps as a read-out."""
    times = sorted(ledger.time(labels) for labels, _ in terms)
    factors = [factor for _, factor in terms]
    if times == [last] * len(times):
        merged = terms[0][0] if len(terms) == 1 else None
        if merged is not None:
            return _read(ledger, name, merged, last)
        return "it is a sum of things of the last step, not over the steps"
    if times != list(range(last + 1)):
        return f"it sums steps {times[0]} to {times[-1]}, of which some are missing or twice, not all of them"
    if not np.allclose(factors, factors[0]) or factors[0] <= 0:
        return "it sums the steps with different factors"
    parts = {(made.kind, made.place) for labels, _ in terms for made in ledger.makers(labels)}
    if len(parts) == 1:
        kind, place = parts.pop()
        if kind == "spikes":
            return Read(name, place, Decode.SPIKE_COUNT)
        if kind == "membrane":
            return Read(name, place, Decode.MEAN_V)
    labels = next(labels for labels, _ in terms if ledger.time(labels) == last)
    return Read(name, None, Decode.MEAN_V, labels=labels)

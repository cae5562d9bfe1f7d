"""What a module returns, as read-outs: counts of spikes, potentials, or currents that no neurons hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from torch import Tensor

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.fidelity.returned import Applied
from toolchain.frontends.modules.ledger import ALWAYS, Labels, Ledger, Made, Untyped
from toolchain.frontends.modules.neuron_kinds import as_array
from toolchain.interchange.nir.routes import Names
from toolchain.ir import Decode

_RESULT: Final = "output"
"""Name of a result that has none."""
_PART_OF_POTENTIALS: Final = (
    "it is a part of the potentials of a layer, or has them in another order or from some of the steps; "
    "return all of them as they are, and choose among the scores"
)


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
        applied: What the module does to the scores before it returns them, the first thing first.
        by_step: Whether the module returns every step.
        rest: Potential at which all neurons begin, where that is not zero.
        result: Labels of the result itself.
    """

    name: str
    path: str | None
    decode: Decode
    labels: Labels | None = None
    weights: Floats | None = None
    bias: Floats | None = None
    applied: tuple[Applied, ...] = ()
    by_step: bool = False
    rest: float = 0.0
    result: Labels | None = None

    def then(self, *applied: Applied) -> "Read":
        """Return a result that something more was done to; a factor of one is nothing."""
        return replace(self, applied=(*self.applied, *(each for each in applied if each != 1.0)))


def tensors_of(result: Untyped) -> dict[str, Tensor]:
    """Return the tensors of what a module returned by name: keys of mappings, or `output`, `output1`, ...

    Keys keep their names; a number that makes another's name, or a key that stands in two places, is written
    with all that stands around it, or gets another number.
    """
    parts = list(_tensors(result, _RESULT, ()))
    names = Names()
    order = sorted(range(len(parts)), key=lambda place: _is_numbered(*parts[place][:2]))
    named = {place: names.new(parts[place][1], ".".join(parts[place][0])) for place in order}
    return {named[place]: tensor for place, (_, _, tensor) in enumerate(parts)}


def _is_numbered(path: tuple[str, ...], name: str) -> bool:
    """Return whether the name of a tensor is not a key of a mapping."""
    return name not in path


def _tensors(
    result: Untyped, name: str, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, Tensor]]:
    """Yield the tensors of a result, each with where it stands and what it is called there."""
    match result:
        case Tensor():
            yield path, name, result
        case Mapping():
            for key, value in result.items():
                yield from _tensors(value, str(key), (*path, str(key)))
        case tuple() | list():
            for place, value in enumerate(result):
                yield from _tensors(value, name if place == 0 else f"{name}{place}", (*path, str(place)))
        case _:
            return


def reads_of(ledger: Ledger, results: Mapping[str, Labels], last: int) -> tuple[list[Read], tuple[str, ...]]:
    """Return what the results are of the neurons, and notes on those that are left out.

    Each population is read once.

    Args:
        ledger: What was made in the run.
        results: Labels of the results by name, the first one first.
        last: The last step.

    Raises:
        FrontendError: The first result is none that a graph has.
    """
    reads, notes = list[Read](), list[str]()
    for name, labels in results.items():
        read = _read(ledger, name, labels, last)
        if isinstance(read, str):
            if not reads and name == next(iter(results)):
                raise FrontendError(f"the result '{name}' cannot be read out: {read}")
            notes.append(f"the result '{name}' is left out, because it cannot be read out: {read}")
            continue
        same = next((each for each in reads if _is_same(each, read)), None)
        if same is not None:
            notes.append(
                f"the result '{name}' is left out, because what it is made of is read as '{same.name}'"
            )
            continue
        reads.append(replace(read, result=labels))
    if not reads:
        raise FrontendError(
            "nothing that the module returns depends on its neurons",
            "return spikes or potentials from forward: a tensor, or tensors in a tuple, list or dictionary",
        )
    return reads, tuple(notes)


def _is_same(one: Read, other: Read) -> bool:
    """Return whether two results are read from the same neurons, or are the same current."""
    if one.path is not None or other.path is not None:
        return one.path == other.path
    return one.decode is other.decode and np.array_equal(_current(one), _current(other))


def _current(read: Read) -> Labels:
    return np.ravel(read.labels if read.labels is not None else np.zeros(0, np.int64))


def _read(ledger: Ledger, name: str, labels: Labels, last: int) -> Read | str:
    if not labels.size:
        return f"it has shape {list(labels.shape)} for one sample, so that it holds no numbers"
    makers = ledger.makers(labels)
    kinds = {made.kind for made in makers}
    if kinds == {"score"}:
        functions = list(dict.fromkeys(made.what for made in makers))
        inner = _read(ledger, name, _below(ledger, labels), last)
        if len(functions) > 1:
            return "it holds scores of different functions"
        if functions != ["sigmoid"] and any(np.setdiff1d(made.labels, labels).size for made in makers):
            return "it is a part of what a softmax made of all scores: take the part first"
        return inner if isinstance(inner, str) else inner.then(*functions)
    decode = _decode(ledger, labels, makers, last)
    if decode is not None:
        return Read(name, makers[0].place, decode, by_step=decode is not Decode.LAST_V)
    if kinds == {"membrane"}:
        return _PART_OF_POTENTIALS
    if kinds & {"state", "unknown"}:
        bad = next(made for made in makers if made.kind in {"state", "unknown"})
        return bad.place if bad.kind == "unknown" else f"it is an inner state of '{bad.place}'"
    if len(makers) == 1:
        return _of_one(ledger, name, makers[0], labels, last)
    return _of_steps(ledger, name, labels, makers, last)


def _decode(ledger: Ledger, labels: Labels, makers: list[Made], last: int) -> Decode | None:
    """Return how all neurons of one population, in order, are read in all steps, or in the last."""
    kinds, times = {(made.kind, made.place) for made in makers}, {made.time for made in makers}
    if len(kinds) != 1 or makers[0].kind not in {"spikes", "membrane"}:
        return None
    when = ledger.times(labels)
    if any(not np.array_equal(labels[when == made.time], made.labels) for made in makers):
        return None
    if times == set(range(last + 1)):
        return Decode.SPIKE_COUNT if makers[0].kind == "spikes" else Decode.MEAN_V
    return Decode.LAST_V if times == {last} and makers[0].kind == "membrane" else None


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
    _, element = ledger.owners(labels.ravel())
    terms = _terms(ledger, made, element)
    if terms is not None:
        return _of_terms(ledger, name, terms, labels, last)
    if made.kind == "max":
        inner = _read(ledger, name, np.stack([each[element] for each in made.reads]), last)
        monotonous = isinstance(inner, Read) and set(inner.applied) <= {"sigmoid"}
        if (
            isinstance(inner, Read)
            and inner.path is not None
            and inner.decode is Decode.MEAN_V
            and monotonous
        ):
            return Read(name, inner.path, Decode.MAX_V, applied=inner.applied)
        return (
            "it is the maximum over the steps of something else than all potentials of a population in order"
        )
    if made.kind == "linear":
        inner = _read(ledger, name, made.reads[0], last)
        over_steps = ledger.whole(made.reads[0])
        if isinstance(inner, Read) and over_steps is not None and over_steps.kind in {"sum", "scale"}:
            factor = _factor(ledger, over_steps)
            weight, bias = made.what
            if inner.decode is Decode.SPIKE_COUNT and factor is not None and inner.path is not None:
                offset = None if bias is None else as_array(bias)[element]
                weights = as_array(weight)[element]
                if np.isclose(factor * (last + 1), 1):
                    # A mean is one of the valid steps, however many a sample has.
                    return Read(name, inner.path, Decode.SPIKE_RATE, weights=weights, bias=offset)
                return Read(name, inner.path, inner.decode, weights=weights * factor, bias=offset)
    if made.time == last:
        return Read(name, None, Decode.LAST_V, labels=labels)
    return f"it is made by '{made.kind}' ({made.place}), which is none of the last step"


def _of_steps(ledger: Ledger, name: str, labels: Labels, makers: list[Made], last: int) -> Read | str:
    """Return a result that holds a current of every step."""
    times = ledger.times(labels)
    if {made.time for made in makers} == set(range(last + 1)):
        return Read(name, None, Decode.MEAN_V, labels=labels[times == last], by_step=True)
    if {made.time for made in makers} == {last}:
        return Read(name, None, Decode.LAST_V, labels=labels)
    return "it mixes what was made in different steps"


Term = tuple[Labels, float]


def _terms(ledger: Ledger, made: Made, element: Labels, factor: float = 1.0) -> list[Term] | None:
    """Return the parts of some elements of a sum over steps with their factors; None for what is none."""
    if made.kind == "sum":
        factors = [factor * weight for weight in made.what]
    elif made.kind == "scale" and (made.what[element] == made.what[element[0]]).all():
        factors = [factor * float(made.what[element[0]])]
    else:
        return None
    terms: list[Term] = []
    for whole, weight in zip(made.reads, factors, strict=True):
        labels = whole.ravel()[element]
        if not labels.any():
            continue
        owner, inside = ledger.owners(labels)
        single = ledger.made[owner[0]] if (owner == owner[0]).all() else None
        inner = None if single is None else _terms(ledger, single, inside, weight)
        terms.extend([(labels, weight)] if inner is None else inner)
    return terms


def _factor(ledger: Ledger, made: Made) -> float | None:
    terms = _terms(ledger, made, np.arange(made.size))
    factors = {factor for _, factor in terms or []}
    return factors.pop() if len(factors) == 1 else None


def _of_terms(ledger: Ledger, name: str, terms: list[Term], labels: Labels, last: int) -> Read | str:
    """Return a sum over all steps as a read-out."""
    times = sorted(ledger.time(part) for part, _ in terms)
    factors = [factor for _, factor in terms]
    if set(times) - {ALWAYS} == {last} and last:
        if len(terms) == 1 and factors[0] > 0:
            inner = _read(ledger, name, terms[0][0].reshape(labels.shape), last)
            return inner if isinstance(inner, str) else inner.then(factors[0])
        return Read(name, None, Decode.LAST_V, labels=labels)
    unknown = [made for part, _ in terms for made in ledger.makers(part) if made.kind == "unknown"]
    if unknown:
        return unknown[0].place
    if any(ledger.is_constant(part) for part, _ in terms):
        return "it adds a constant to a sum over the steps: add that to the scores instead"
    if times != list(range(last + 1)):
        return f"it sums steps {times[0]} to {times[-1]}, of which some are missing or twice, not all of them"
    if not np.allclose(factors, factors[0]) or factors[0] <= 0:
        return "it sums the steps with different factors, or with a negative one"
    ordered = sorted((ledger.time(part), place) for place, (part, _) in enumerate(terms))
    parts = [terms[place][0] for _, place in ordered]
    together = np.stack(parts)
    decode = _decode(ledger, together, ledger.makers(together), last)
    # Potentials are averaged over the steps, and spikes are summed.
    summed = factors[0] if decode is Decode.SPIKE_COUNT else factors[0] * len(parts)
    if decode is not None:
        return Read(name, ledger.makers(together)[0].place, decode).then(summed)
    if any(made.kind == "membrane" for made in ledger.makers(together)):
        return _PART_OF_POTENTIALS
    return Read(name, None, Decode.MEAN_V, labels=parts[-1]).then(summed)

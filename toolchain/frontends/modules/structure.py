"""Whether every step of a run did the same: only then is it one graph."""

from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from toolchain.errors import FrontendError
from toolchain.frontends.modules.evaluation import evaluated
from toolchain.frontends.modules.ledger import ALWAYS, Labels, Ledger, Made, Untyped
from toolchain.frontends.modules.operations import Kernel, Linear

_ROUNDING: Final = 1e-5
"""Relative error of constants in single precision."""


@final
class Steps:
    """Compares what was made at each step with what was made at the last.

    Before the first step there was nothing, so where the last step reads what an earlier one sent, the first
    ones read zeros.
    """

    def __init__(self, ledger: Ledger, last: int) -> None:
        self._ledger, self._last = ledger, last
        self._equal: dict[tuple[int, int], bool] = {}
        self._silent: dict[tuple[int, int], Untyped] = {}

    def check(self, calls: list[Made]) -> None:
        """Raise unless all calls of a module of neurons received the same.

        Raises:
            FrontendError: Names the first step that differs, and where.
        """
        pattern = calls[self._last]
        for step, call in enumerate(calls[: self._last]):
            other = self._difference(call.reads[0], pattern.reads[0], step)
            if other is not None:
                raise FrontendError(
                    f"what reaches '{call.place}' in step {step} is not computed as in step {self._last}: "
                    f"{other}",
                    "let every step do the same, with constants that do not depend on the step",
                )
        self._check_states(calls)

    def _check_states(self, calls: list[Made]) -> None:
        """Raise unless the states that are handed in are those that came out one step before."""
        for step, call in enumerate(calls):
            for place, state in enumerate(call.reads[1:]):
                made = self._ledger.makers(state)
                if step == 0:
                    continue
                own = all(each.place == call.place and each.time == step - 1 for each in made)
                if not own or any(each.kind not in {"membrane", "state", "spikes"} for each in made):
                    raise FrontendError(
                        f"'{call.place}' gets, as state {place + 1} of step {step}, something else than it "
                        "returned in the step before",
                        "hand every state on as it is: a reset or a change by hand has no counterpart",
                    )
                if not self._ledger.whole(state) and len(made) > 1:
                    raise FrontendError(f"'{call.place}' gets a mixture of states in step {step}")

    def _difference(self, labels: Labels, pattern: Labels, step: int) -> str | None:
        """Return where labels of a step are not those of the last, shifted; None if they are."""
        if labels.shape != pattern.shape:
            return f"{list(labels.shape)} numbers, and {list(pattern.shape)} later"
        ours, mine = self._ledger.owners(labels)
        theirs, its = self._ledger.owners(pattern)
        pairs = np.unique(np.stack([ours, theirs]), axis=1)
        for one, other in pairs.T:
            made, model = self._ledger.made[one], self._ledger.made[other]
            where = (ours == one) & (theirs == other)
            if made.kind == "constant":
                if self._is_constant_there(self._ledger.numbers(labels[where]), model, its[where], step):
                    continue
                return f"it is constant, and made by {_said(model)} later"
            rest = None if made.kind == model.kind else self._rest_of_sum(model, step)
            if rest is not None:
                if self._difference(labels[where], rest[its[where]], step) is not None:
                    return f"{_said(made)} stands where {_said(model)} does later"
                continue
            if not np.array_equal(mine[where], its[where]):
                return f"{_said(model)} is read in another order"
            if not self._same(made, model, step):
                return f"{_said(made)} stands where {_said(model)} does later"
        return None

    def _rest_of_sum(self, model: Made, step: int) -> Labels | None:
        """Return the only part of a sum that there is in an early step, before the others were sent."""
        if model.kind != "sum":
            return None
        parts = [
            (labels, factor)
            for labels, factor in zip(model.reads, model.what, strict=True)
            if (values := self._numbers_before(labels, step)) is None or values.any()
        ]
        return parts[0][0] if len(parts) == 1 < len(model.reads) and parts[0][1] == 1 else None

    def _same(self, made: Made, model: Made, step: int) -> bool:
        key = (made.first, model.first)
        if key not in self._equal:
            self._equal[key] = self._compare(made, model, step)
        return self._equal[key]

    def _compare(self, made: Made, model: Made, step: int) -> bool:
        if made.kind != model.kind or made.size != model.size or not same(made.what, model.what):
            return False
        if ALWAYS in {model.time, made.time}:
            if made.time != model.time:
                return False
        elif step - made.time != self._last - model.time:
            # What sums one step's input and an older one's is as old as its youngest part.
            return False
        if made.kind in {"input", "spikes", "membrane", "state"}:
            return made.place == model.place
        reads = zip(made.reads, model.reads, strict=False)
        return len(made.reads) == len(model.reads) and all(
            self._difference(one, other, step) is None for one, other in reads
        )

    def _is_constant_there(self, numbers: Untyped, model: Made, elements: Untyped, step: int) -> bool:
        """Return whether constants are what the last step's operation makes before anything was sent."""
        values = self._before(model, step)
        if values is None:
            return False
        return bool(np.allclose(values[elements], numbers, rtol=_ROUNDING, atol=_ROUNDING))

    def _before(self, model: Made, step: int) -> Untyped:
        """Return what an operation of the last step would have made in an early one, if that is constant."""
        key = (model.first, step)
        if key not in self._silent:
            self._silent[key] = self._worked_out(model, step)
        return self._silent[key]

    def _worked_out(self, model: Made, step: int) -> Untyped:
        if model.kind == "constant":
            return model.what
        if model.kind in {"input", "spikes"}:
            sent = model.time != ALWAYS and self._last - model.time > step
            return np.zeros(model.size) if sent else None
        parts = [self._numbers_before(labels, step) for labels in model.reads]
        if not parts or any(part is None for part in parts):
            return None
        return evaluated(model, parts)

    def _numbers_before(self, labels: Labels, step: int) -> Untyped:
        owner, element = self._ledger.owners(labels)
        values = np.zeros(labels.shape)
        for number in np.unique(owner):
            made = self._before(self._ledger.made[number], step)
            if made is None:
                return None
            mine = owner == number
            values[mine] = made[element[mine]]
        return values


def same(one: Untyped, other: Untyped) -> bool:
    """Return whether two operations have the same parameters."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    match one:
        case Tensor():
            # Weights that are computed anew at each call, as those that PyTorch prunes, lie in other places.
            return one.shape == other.shape and bool(torch.equal(one, other))
        case np.ndarray():
            return one.shape == other.shape and bool(np.array_equal(one, other))
        case tuple() | list():
            return len(one) == len(other) and all(map(same, one, other))
        case Kernel():
            return same(tuple(vars(one).values()), tuple(vars(other).values()))
        case Linear():
            return one.shape == other.shape and same(one.key, other.key)
        case _:
            return bool(one == other)


def _said(made: Made) -> str:
    what = {"sum": "an addition", "scale": "a factor", "input": "the input"}.get(made.kind, f"'{made.kind}'")
    place = made.place or "a constant"
    return f"{what} ({place})" if made.kind != "spikes" else f"the spikes of '{made.place}'"

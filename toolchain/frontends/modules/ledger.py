"""Where every number of a run came from: a label for each element that an operation made in a step.

Tensors are cut, stacked and reshaped in any way between modules. A tensor of labels that takes part in all of
that says afterwards which element is which, so no rule about shapes is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Untyped = Any
"""What PyTorch, or a user's module, hands over: anything."""
ZERO: Final = 0
"""Label of a number that is zero whatever enters."""
ALWAYS: Final = -1
"""Step of what does not change over the steps: constants, and an input that is shown at every step."""


@final
@dataclass(frozen=True, eq=False)
class Made:
    """What one operation made in one step.

    Attributes:
        kind: What made it, such as `input`, `spikes` or `linear`.
        first: Label of its first element; the others follow.
        size: Number of its elements.
        time: Step in which it was made; `ALWAYS` for what does not change.
        place: Path of the module, or line of the user's code.
        reads: Labels of what it was made of.
        what: Parameters of the operation; equal in all steps.
    """

    kind: str
    first: int
    size: int
    time: int
    place: str
    reads: tuple[Labels, ...] = ()
    what: Untyped = None

    @property
    def labels(self) -> Labels:
        """The labels of all its elements, in order."""
        return np.arange(self.first, self.first + self.size)


@final
@dataclass(eq=False)
class Ledger:
    """All that was made in a run, by label."""

    made: list[Made] = field(default_factory=lambda: [Made("constant", ZERO, 1, ALWAYS, "", (), np.zeros(1))])
    _starts: list[int] = field(default_factory=lambda: [0])
    _next: int = 1

    def add(
        self,
        kind: str,
        size: int,
        time: int,
        place: str,
        reads: Sequence[Labels] = (),
        what: Untyped = None,
    ) -> Made:
        """Enter what an operation made, and return it with its labels."""
        made = Made(kind, self._next, size, time, place, tuple(reads), what)
        self.made.append(made)
        self._starts.append(self._next)
        self._next += size
        return made

    def constants(self, values: NDArray[Any], place: str) -> Labels:
        """Return labels of numbers that were not made of anything; zeros have a label of their own."""
        if not values.any():
            return np.zeros(values.shape, np.int64)
        labels = self.add(
            "constant", values.size, ALWAYS, place, what=values.astype(np.float64).ravel()
        ).labels
        return np.where(values == 0, ZERO, labels.reshape(values.shape))

    def owners(self, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return, for each label, which entry made it, and which element of that it is."""
        starts = np.asarray(self._starts)
        owner = np.searchsorted(starts, labels, side="right") - 1
        return owner, labels - starts[owner]

    def makers(self, labels: Labels) -> list[Made]:
        """Return what made some labels, each once, in order."""
        return [self.made[i] for i in np.unique(self.owners(labels)[0])]

    def times(self, labels: Labels) -> NDArray[np.int64]:
        """Return the step of each label."""
        owner, _ = self.owners(labels)
        numbers, inverse = np.unique(owner, return_inverse=True)
        times = np.array([self.made[i].time for i in numbers], np.int64)
        return times[inverse].reshape(labels.shape)

    def time(self, *reads: Labels) -> int:
        """Return the latest step of all that an operation reads."""
        return max((made.time for labels in reads for made in self.makers(labels)), default=ALWAYS)

    def is_constant(self, labels: Labels) -> bool:
        """Return whether nothing of it depends on what enters."""
        return all(made.kind == "constant" for made in self.makers(labels))

    def numbers(self, labels: Labels) -> NDArray[np.float64]:
        """Return the values of constants; zero elsewhere."""
        owner, element = self.owners(labels)
        values = np.zeros(labels.shape)
        for i in np.unique(owner):
            made = self.made[i]
            if made.kind == "constant":
                mine = owner == i
                values[mine] = made.what[element[mine]]
        return values

    def whole(self, labels: Labels) -> Made | None:
        """Return what made labels that are all of its elements in order; None if they are not."""
        made = self.made[int(self.owners(labels.ravel()[:1])[0][0])]
        if made.kind == "constant" or labels.size != made.size:
            return None
        return made if np.array_equal(labels.ravel(), made.labels) else None

"""What both kinds of populations have in common: what a spike does, and how it is checked."""

from abc import ABC
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from toolchain.ir.node import Node
from toolchain.ir.types import EdgeKind, Origin, ValueType, frozen, size_of
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset

_OPTIONAL: Final = ("reset_amount", "refractory", "adaptation", "adaptation_decay")
"""Fields with a number per neuron that a population may lack."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons(Node, ABC):
    """A population, in real numbers or in integers.

    Attributes:
        vth: Thresholds, `[N]` or `[C, H, W]`; all arrays have one shape.
        origin: Module and indices of the neurons in the user's model.
        reset: Effect of a spike on the potential.
        reset_amount: Potential that a spike sets, or that it takes away; None if the reset needs no number.
        refractory: Steps after a spike for which a neuron is refractory; None for none.
        adaptation: Amount by which a spike raises the threshold of the next step; None for none.
        adaptation_decay: Decay of what was added to the threshold; None without adaptation.
        max_spikes: Most spikes that a neuron sends in one step, 1 .. 255.
    """

    later: ClassVar[frozenset[str]] = frozenset(("reset", "max_spikes", *_OPTIONAL))
    required: ClassVar[tuple[str, ...]]
    """Fields with a number per neuron that every population has."""

    if TYPE_CHECKING:
        # Each kind of population lists all its fields itself, in the order in which they are read.
        vth: NDArray[Any]
        origin: Origin
        reset: Reset = Reset.ZERO
        reset_amount: NDArray[Any] | None = None
        refractory: NDArray[np.int32] | None = None
        adaptation: NDArray[Any] | None = None
        adaptation_decay: NDArray[Any] | None = None
        max_spikes: int = 1

    @property
    def per_neuron(self) -> dict[str, NDArray[Any]]:
        """The arrays with one number per neuron, by field; those that are None left out."""
        names = (*self.required, *_OPTIONAL)
        return {name: values for name in names if (values := getattr(self, name)) is not None}

    @property
    def is_plain(self) -> bool:
        """Whether a spike sets the potential to zero and does nothing else."""
        return all(map(self.has_default, self.later))

    @property
    def sent(self) -> ValueType:
        """The type of what it sends: spikes, or how many of them."""
        return ValueType(self.vth.shape, EdgeKind.GRADED if self.max_spikes > 1 else EdgeKind.SPIKE)

    def freeze(self, **numbers: type[np.generic]) -> None:
        """Make all arrays read-only, of the type that is given for them or else of that of `vth`.

        Raises:
            IRError: An array of whole numbers holds others, or numbers too large.
            VerifyError: The number of spikes is no whole number.
        """
        for name, values in self.per_neuron.items():
            what = f"node '{self.name}': {name}"
            object.__setattr__(self, name, frozen(values, numbers.get(name, numbers["vth"]), what))
        try:
            # A number of NumPy's is none that a file holds.
            object.__setattr__(self, "max_spikes", int(index(self.max_spikes)))
        except TypeError:
            raise self.fail(f"expected a whole number as max_spikes, got {self.max_spikes!r}") from None

    def check_population(self, operands: tuple[ValueType, ...]) -> None:
        """Raise unless it reads currents of its shape, and all its fields fit together.

        Raises:
            VerifyError: Names the field, and what it holds.
        """
        shape = self.vth.shape
        if not operands:
            raise self.fail("a population needs at least one incoming connection")
        for operand in operands:
            if operand.kind is not EdgeKind.CURRENT:
                raise self.fail(f"expected currents, got {operand}; put a connection in between")
            if operand.shape != shape:
                raise self.fail(f"has shape {shape}, but its input has {operand.shape}")
        if self.origin.elements.size != size_of(shape):
            raise self.fail(f"origin names {self.origin.elements.size} neurons, expected {size_of(shape)}")
        for name, values in self.per_neuron.items():
            if values.shape != shape:
                raise self.fail(f"{name} has shape {values.shape}, but vth has {shape}")
        self._check_firing()

    def _check_firing(self) -> None:
        needs = {"reset_amount": self.reset.has_amount, "adaptation_decay": self.adaptation is not None}
        for name, needed in needs.items():
            if needed is (getattr(self, name) is None):
                raise self.fail(f"{name} is {'missing' if needed else 'given, but nothing uses it'}")
        if self.reset is Reset.SUBTRACT:
            self._check_least("reset_amount", self.reset_amount, "a spike must not add to the potential")
        self._check_least("adaptation", self.adaptation, "a spike must not lower the threshold")
        steps = self.refractory
        if steps is not None and steps.size and not (steps.min() >= 0 and steps.max() <= LONGEST_REFRACTORY):
            raise self.fail(
                f"refractory must lie in 0 .. {LONGEST_REFRACTORY} steps, got {steps.min()} .. {steps.max()}"
            )
        if not 1 <= self.max_spikes <= MOST_SPIKES:
            raise self.fail(f"expected 1 to {MOST_SPIKES} spikes a step, got {self.max_spikes}")
        subtracts = self.reset is Reset.SUBTRACT and self.reset_amount is not None
        if self.max_spikes > 1 and not (subtracts and (np.asarray(self.reset_amount) > 0).all()):
            raise self.fail("several spikes a step need a reset that subtracts an amount above 0")

    def _check_least(self, name: str, values: NDArray[Any] | None, why: str) -> None:
        if values is not None and values.size and values.min() < 0:
            raise self.fail(f"{why}: expected {name} of 0 or more, got {values.min()}")

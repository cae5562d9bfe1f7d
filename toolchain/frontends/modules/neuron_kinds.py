"""What is known of the neurons of a framework: how they are called, and what a step does to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.frontends.modules.ledger import Untyped
from toolchain.interchange.nir.neurons import AfterSpike, Dynamics, after_a_spike
from toolchain.interchange.nir.resets import NirReset, StatedReset
from toolchain.ir.currents import spread

Shape = tuple[int, ...]
LATE_SUBTRACT: Final = StatedReset(NirReset.LATE_SUBTRACT, "the module says so")
SUBTRACT: Final = StatedReset(NirReset.SUBTRACT, "the module says so")
TO_VALUE: Final = StatedReset(NirReset.VALUE, "the module says so")


@final
@dataclass(frozen=True)
class NeuronCall:
    """The tensors of one call of a module of neurons.

    Attributes:
        current: What the neurons receive.
        spikes: What they send; None if they never fire.
        membrane: Their potentials after the step; None if the module does not show them.
        given: States that the caller handed in.
        returned: States that the caller gets back.
        time_axis: Axis of the steps; None if it is a call for one step.
        merged: Steps that are merged with the samples in the first axis; 0 for none.
    """

    current: Tensor
    spikes: Tensor | None
    membrane: Tensor | None = None
    given: tuple[Tensor, ...] = ()
    returned: tuple[Tensor, ...] = ()
    time_axis: int | None = None
    merged: int = 0


@final
@dataclass(frozen=True)
class OwnConnection:
    """A connection inside of a module of neurons, from the neurons to themselves, one step later.

    Attributes:
        weights: A matrix, the kernels of a convolution, or a vector for a connection of each to itself alone.
        bias: Constant that it adds; None for none.
        kernel: Whether the weights are kernels.
        padding: Zeros around the maps of a convolution.
    """

    weights: Floats
    bias: Floats | None = None
    kernel: bool = False
    padding: tuple[int, int] = (0, 0)


def _nothing(_: Untyped) -> None:
    return None


def _no_reason(_: Untyped) -> str:
    return ""


@final
@dataclass(frozen=True)
class NeuronKind:
    """A type of neurons.

    Attributes:
        call: Reads a call: module, positional arguments, named ones, result.
        dynamics: Returns what a step does to neurons of some shape.
        reset: Puts the neurons to rest.
        refusal: Says why a module cannot be compiled; empty if it can.
        recurrent: Returns the weights from the neurons to themselves, if the module has some.
        weights: Returns the weights in front of the neurons, if the module has some.
        within_call: Whether a call forgets the state of neurons, or what they sent to themselves, at its end.
    """

    call: Callable[[Untyped, tuple[Untyped, ...], Mapping[str, Untyped], Untyped], NeuronCall]
    dynamics: Callable[[Untyped, Shape], Dynamics]
    reset: Callable[[Untyped], None] = _nothing
    refusal: Callable[[Untyped], str] = _no_reason
    recurrent: Callable[[Untyped], OwnConnection | None] = _nothing
    weights: Callable[[Untyped], Floats | None] = _nothing
    within_call: bool = False


def values_of_parameter(value: Untyped, shape: Shape, what: str) -> Floats:
    """Return a number, or one per neuron, for every neuron of a shape."""
    array = as_array(value) if isinstance(value, Tensor) else np.asarray(value, np.float64)
    if array.size > 1 and array.shape != shape and array.size == int(np.prod(shape)):
        return np.array(array.reshape(shape))
    return np.array(spread(array, shape, what))


def _numbers(given: Mapping[str, Untyped], shape: Shape, name: str) -> dict[str, Floats]:
    """Return what a module says for every neuron, checked."""
    numbers = {key: values_of_parameter(value, shape, f"{key} of {name}") for key, value in given.items()}
    for key in ("du", "dv"):
        if not ((numbers[key] >= 0) & (numbers[key] <= 1)).all():
            raise FrontendError(
                f"a step of {name} loses {numbers[key].min():g} .. {numbers[key].max():g} of its state, "
                "expected 0 .. 1",
                "use time constants of a step or more",
            )
    return numbers


def stepped(
    shape: Shape,
    name: str,
    *,
    du: object = 1.0,
    dv: object = 0.0,
    gain: object = 1.0,
    threshold: object = np.inf,
    at_threshold: bool = False,
    leak: object = 0.0,
    start: object = 0.0,
    v_reset: object = 0.0,
    reset: StatedReset | None = None,
    loses_input: bool = False,
    amount: Floats | None = None,
    most: int = 1,
) -> Dynamics:
    """Return what a step does, from what the module says, each a number or one per neuron.

    Args:
        shape: Shape of the neurons.
        name: Type of the neurons, for errors.
        du: Share of the current that a step loses.
        dv: Share of the potential that a step loses.
        gain: Factor of what comes in.
        threshold: Threshold; infinite for neurons that never fire.
        at_threshold: Whether a potential equal to the threshold fires.
        leak: Potential to which the neurons leak.
        start: Potential at which they begin.
        v_reset: Potential that a spike sets.
        reset: What a spike does; None for neurons that never fire.
        loses_input: Whether a late reset to zero loses the input of its step.
        amount: What a spike takes away, where that is not the threshold.
        most: Most spikes in a step.
    """
    given = {
        "du": du,
        "dv": dv,
        "gain": gain,
        "threshold": threshold,
        "leak": leak,
        "start": start,
        "v_reset": v_reset,
    }
    numbers = _numbers(given, shape, name)
    above = numbers["threshold"] - numbers["start"]
    if (above <= 0).any():
        raise FrontendError(f"{name} has thresholds of {above.min():g} above rest, expected more than 0")
    firing = AfterSpike()
    if reset is not None:
        firing = after_a_spike(
            name,
            reset,
            numbers["threshold"] if amount is None else amount,
            numbers["v_reset"],
            start=numbers["start"],
            dv=numbers["dv"],
            lossy=loses_input,
            most=most,
        )
    if at_threshold:
        above = np.where(np.isfinite(above), np.nextafter(above, -np.inf), above)
    return Dynamics(
        du=numbers["du"],
        dv=numbers["dv"],
        gain=numbers["gain"],
        bias=numbers["dv"] * (numbers["leak"] - numbers["start"]),
        vth=above,
        rest=numbers["start"],
        firing=firing,
    )


def type_names(module: nn.Module) -> list[str]:
    """Return the names of a module's classes, its own first, such as `torch.nn.modules.linear.Linear`."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__]


def given_states(*states: object) -> tuple[Tensor, ...]:
    """Return the states that a caller handed in; empty tensors and None are none."""
    return tuple(state for state in states if isinstance(state, Tensor) and state.numel())


def as_array(tensor: Tensor) -> Floats:
    """Return a tensor as float64."""
    return tensor.detach().to("cpu", torch.float64).numpy()


def optional(tensor: Tensor | None) -> Floats | None:
    """Return a tensor that may be absent as float64."""
    return None if tensor is None else as_array(tensor)

"""Neurons of snnTorch."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from torch import Tensor, nn

from toolchain.arrays import Floats
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.neuron_kinds import (
    LATE_SUBTRACT,
    NeuronCall,
    NeuronKind,
    OwnConnection,
    Shape,
    as_array,
    given_states,
    optional,
    stepped,
    values_of_parameter,
)
from toolchain.interchange.nir.neurons import Dynamics
from toolchain.interchange.nir.resets import NirReset, StatedReset

_SAYS: Final = "the module says so"
_RESETS: Final = {
    ("subtract", True): LATE_SUBTRACT,
    ("subtract", False): StatedReset(NirReset.SNNTORCH, _SAYS),
    ("zero", True): StatedReset(NirReset.LATE_ZERO, _SAYS),
    ("zero", False): StatedReset(NirReset.VALUE, _SAYS, 0.0),
    ("none", True): StatedReset(NirReset.NONE, _SAYS),
    ("none", False): StatedReset(NirReset.NONE, _SAYS),
}
_STATES: Final = {
    "Leaky": ("mem",),
    "Synaptic": ("syn", "mem"),
    "RLeaky": ("spk", "mem"),
    "RSynaptic": ("spk", "syn", "mem"),
}


def _call(names: tuple[str, ...]) -> Untyped:
    def read(
        module: Untyped, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
    ) -> NeuronCall:
        given = [*args[1:], *(kwargs[name] for name in names if name in kwargs)]
        parts = result if isinstance(result, tuple) else (result,)
        current: Tensor = args[0] if args else kwargs["input_"]
        return NeuronCall(
            current,
            spikes=parts[0],
            membrane=module.mem,
            given=given_states(*given),
            returned=tuple(part for part in parts[1:-1]),
        )

    return read


def _reset(module: Untyped) -> None:
    module.reset_mem()


def _refusal(module: Untyped) -> str:
    if module.inhibition:
        return (
            "with inhibition=True only the strongest neuron of a layer fires, which no chip decides in a step"
        )
    if module.state_quant:
        return "state_quant rounds its states, and Pumice rounds them itself: leave it out"
    if not bool((module.graded_spikes_factor == 1).all()):
        return "graded_spikes_factor is not 1: multiply the weights that read the spikes instead"
    if type(module).__name__ == "RSynaptic" and not module.reset_delay:
        return "its own step fails with reset_delay=False in snnTorch 1.0"
    return ""


def _dynamics(module: Untyped, shape: Shape) -> Dynamics:
    name = type(module).__name__
    filtered = hasattr(module, "alpha")
    lossy = filtered or hasattr(module, "recurrent")
    return stepped(
        shape,
        name,
        du=1 - as_array(module.alpha.clamp(0, 1)) if filtered else 1.0,
        dv=1 - as_array(module.beta.clamp(0, 1)),
        threshold=module.threshold,
        reset=_RESETS[module.reset_mechanism, bool(module.reset_delay)],
        loses_input=lossy,
    )


def _recurrent(module: Untyped) -> OwnConnection:
    inner = module.recurrent
    if isinstance(inner, nn.Linear):
        return OwnConnection(as_array(inner.weight), optional(inner.bias))
    if isinstance(inner, nn.Conv2d):
        rows, columns = (int(pad) for pad in inner.padding)
        bias = optional(inner.bias)
        return OwnConnection(as_array(inner.weight), bias, kernel=True, padding=(rows, columns))
    return OwnConnection(_one_to_one(inner.V))


def _one_to_one(weights: Tensor) -> Floats:
    """Return the weight from every neuron to itself, a vector or one for all."""
    return np.atleast_1d(values_of_parameter(weights, tuple(weights.shape), "V"))


def _kind(name: str) -> NeuronKind:
    call = _call(_STATES[name])
    if name.startswith("R"):
        return NeuronKind(call, _dynamics, _reset, _refusal, _recurrent)
    return NeuronKind(call, _dynamics, _reset, _refusal)


KINDS: Final[Mapping[str, NeuronKind]] = {
    f"snntorch._neurons.{name.lower()}.{name}": _kind(name) for name in _STATES
}
_GATES: Final = "its gates multiply values with each other, and neurons only add"
_READ: Final = "only Leaky, Synaptic, RLeaky and RSynaptic are read"
REFUSED: Final[Mapping[str, str]] = {
    "snntorch._neurons.alpha.Alpha": "its two synaptic currents need neurons with two currents",
    "snntorch._neurons.slstm.SLSTM": _GATES,
    "snntorch._neurons.sconv2dlstm.SConv2dLSTM": _GATES,
    "snntorch._neurons.lapicque.Lapicque": f"{_READ}: use Leaky with the same beta",
    "snntorch._neurons.": _READ,
}
RESETS: Final[Mapping[str, Untyped]] = {}

"""Neurons of snnTorch."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from toolchain.arrays import Floats
from toolchain.frontends.modules.neuron_kinds import (
    LATE_SUBTRACT,
    NeuronCall,
    NeuronKind,
    OwnConnection,
    Shape,
    as_array,
    given_states,
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
_STATES: Final = {"Leaky": ("mem",), "Synaptic": ("syn", "mem"), "RLeaky": ("spk", "mem"), "RSynaptic": ("spk", "syn", "mem")}


def _call(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a function of any module
    def read(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> NeuronCall:  # noqa: ANN401
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


def _reset(module: Any) -> None:  # noqa: ANN401 - a module of any kind
    module.reset_mem()


def _refusal(module: Any) -> str:  # noqa: ANN401
    if module.inhibition:
        return "with inhibition=True only the strongest neuron of a layer fires, which no chip decides in a step"
    if module.state_quant:
        return "state_quant rounds its states, and Pumice rounds them itself: leave it out"
    if not bool((module.graded_spikes_factor == 1).all()):
        return "graded_spikes_factor is not 1: multiply the weights that read the spikes instead"
    if type(module).__name__ == "RSynaptic" and not module.reset_delay:
        return "its own step fails with reset_delay=False in snnTorch 1.0"
    return ""


def _dynamics(module: Any, shape: Shape) -> Dynamics:  # noqa: ANN401
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


def _recurrent(module: Any) -> OwnConnection:  # noqa: ANN401
    inner = module.recurrent
    if isinstance(inner, nn.Linear):
        return OwnConnection(as_array(inner.weight), None if inner.bias is None else as_array(inner.bias))
    if isinstance(inner, nn.Conv2d):
        rows, columns = (int(pad) for pad in inner.padding)
        bias = None if inner.bias is None else as_array(inner.bias)
        return OwnConnection(as_array(inner.weight), bias, kernel=True, padding=(rows, columns))
    return OwnConnection(_one_to_one(inner.V))


def _one_to_one(weights: Tensor) -> Floats:
    """Return the weight from every neuron to itself, a vector or one for all."""
    return np.atleast_1d(values_of_parameter(weights, tuple(weights.shape), "V"))


def _kind(name: str) -> NeuronKind:
    recurrent = {"recurrent": _recurrent} if name.startswith("R") else {}
    return NeuronKind(_call(_STATES[name]), _dynamics, _reset, _refusal, **recurrent)


KINDS: Final[Mapping[str, NeuronKind]] = {
    f"snntorch._neurons.{name.lower()}.{name}": _kind(name) for name in _STATES
}
REFUSED: Final[Mapping[str, str]] = {
    "snntorch._neurons.alpha.Alpha": "its two synaptic currents of opposite sign need neurons with two currents",
    "snntorch._neurons.slstm.SLSTM": "its gates multiply values with each other, and neurons only add",
    "snntorch._neurons.sconv2dlstm.SConv2dLSTM": "its gates multiply values with each other, and neurons only add",
    "snntorch._neurons.lapicque.Lapicque": "only Leaky, Synaptic, RLeaky and RSynaptic are read: use Leaky with the "
    "same beta",
    "snntorch._neurons.": "only Leaky, Synaptic, RLeaky and RSynaptic are read",
}
RESETS: Final[Mapping[str, Any]] = {}

"""Neurons of sinabs."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from torch import nn

from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.neuron_kinds import (
    SUBTRACT,
    TO_VALUE,
    NeuronCall,
    NeuronKind,
    OwnConnection,
    Shape,
    as_array,
    optional,
    stepped,
    type_names,
    values_of_parameter,
)
from toolchain.interchange.nir.neurons import Dynamics
from toolchain.interchange.nir.resets import NirReset, StatedReset
from toolchain.reset import MOST_SPIKES

_SEVERAL: Final = StatedReset(NirReset.SEVERAL, "the module says so")


def _call(
    module: Untyped, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
) -> NeuronCall:
    current = args[0] if args else kwargs["input_data"]
    fires = module.spike_fn is not None
    merged = 0
    if hasattr(module, "squeeze_forward"):
        merged = module.num_timesteps
        if merged < 1:
            merged = current.shape[0] // module.batch_size
    axis = None if merged else 1
    return NeuronCall(
        current, result if fires else None, None if fires else result, time_axis=axis, merged=merged
    )


def _reset(module: Untyped) -> None:
    if module.is_state_initialised():
        module.reset_states()


def _most(module: Untyped) -> int:
    kind = module.spike_fn
    most = getattr(kind, "max_num_spikes_per_bin", None)
    if most is not None:
        return int(most)
    return 1 if getattr(kind, "__name__", "") == "SingleSpike" else MOST_SPIKES


def _refusal(module: Untyped) -> str:
    if module.spike_fn is None:
        return ""
    spikes = getattr(module.spike_fn, "__name__", type(module.spike_fn).__name__)
    if spikes not in {"MultiSpike", "SingleSpike", "MaxSpike"}:
        return f"spike_fn={spikes} is not known; use MultiSpike, MaxSpike or SingleSpike"
    reset = type(module.reset_fn).__name__
    if reset not in {"MembraneSubtract", "MembraneReset"}:
        return f"reset_fn={reset} is not known; use MembraneSubtract or MembraneReset"
    if reset == "MembraneReset" and module.reset_fn.reset_value:
        return "MembraneReset adds a reset_value to neurons that did not fire, too; leave it at 0"
    if reset == "MembraneReset" and _most(module) > 1:
        return "several spikes a step with MembraneReset have no counterpart; use SingleSpike"
    return _refusal_of_recurrence(module) if hasattr(module, "rec_connect") else ""


def _refusal_of_recurrence(module: Untyped) -> str:
    inner = _inner(module)
    if not isinstance(inner, nn.Linear):
        return (
            "only nn.Linear, alone or in an nn.Sequential with Flatten and Unflatten, is read as rec_connect"
        )
    bias = optional(inner.bias)
    if bias is not None and bias.any():
        return "sinabs adds the bias of rec_connect from the second step on only; use bias=False"
    return ""


def _inner(module: Untyped) -> nn.Module | None:
    shapes = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential)
    inner = [child for child in module.rec_connect.modules() if not isinstance(child, shapes)]
    return inner[0] if len(inner) == 1 else None


def _dynamics(module: Untyped, shape: Shape) -> Dynamics:
    keeps, syn = as_array(module.alpha_mem_calculated), module.alpha_syn_calculated
    gain = 1 - keeps if module.norm_input else np.float64(1)
    du = np.float64(1)
    if syn is not None:
        du = 1 - as_array(syn)
        gain = gain * as_array(syn)
    facts: dict[str, Untyped] = {}
    if module.spike_fn is not None:
        subtracts = type(module.reset_fn).__name__ == "MembraneSubtract"
        most = _most(module)
        several = _SEVERAL if most > 1 else SUBTRACT
        taken = module.reset_fn.subtract_value if subtracts else None
        facts = {
            "threshold": module.spike_threshold,
            "at_threshold": True,
            "reset": several if subtracts else TO_VALUE,
            "most": most,
            "amount": None if taken is None else values_of_parameter(taken, shape, "subtract_value"),
        }
    return stepped(shape, type(module).__name__, du=du, dv=1 - keeps, gain=gain, **facts)


def _recurrent(module: Untyped) -> OwnConnection:
    inner: Untyped = _inner(module)
    return OwnConnection(as_array(inner.weight), optional(inner.bias))


def note_on_floor(module: nn.Module) -> str:
    """Return what a lowest potential, which is none here, may change; empty without one."""
    floor = getattr(module, "min_v_mem", None)
    if floor is None or not any(name.startswith("sinabs.") for name in type_names(module)):
        return ""
    return (
        f"potentials stop at min_v_mem={float(floor):g} in sinabs, and at nothing here; train or "
        "convert it with min_v_mem=None if spikes differ"
    )


_KIND: Final = NeuronKind(_call, _dynamics, _reset, _refusal)
_RECURRENT: Final = NeuronKind(_call, _dynamics, _reset, _refusal, recurrent=_recurrent, within_call=True)
KINDS: Final[Mapping[str, NeuronKind]] = {
    "sinabs.layers.lif.LIFRecurrent": _RECURRENT,
    "sinabs.layers.iaf.IAFRecurrent": _RECURRENT,
    **{
        f"sinabs.layers.{name}": _KIND
        for name in (
            "lif.LIF",
            "lif.LIFSqueeze",
            "iaf.IAF",
            "iaf.IAFSqueeze",
            "exp_leak.ExpLeak",
            "exp_leak.ExpLeakSqueeze",
        )
    },
}
REFUSED: Final[Mapping[str, str]] = {
    "sinabs.layers.stateful_layer.StatefulLayer": "only LIF, IAF and ExpLeak, and recurrent ones, are read",
}
RESETS: Final[Mapping[str, Untyped]] = {}

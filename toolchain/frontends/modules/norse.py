"""Neurons of Norse."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from toolchain.arrays import Floats
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.neuron_kinds import (
    SUBTRACT,
    TO_VALUE,
    NeuronCall,
    NeuronKind,
    OwnConnection,
    Shape,
    as_array,
    given_states,
    stepped,
)
from toolchain.interchange.nir.neurons import Dynamics


def _call(*, fires: bool, several: bool) -> Untyped:
    def read(
        _: Untyped, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
    ) -> NeuronCall:
        given = args[1] if len(args) > 1 else kwargs.get("state")
        current = args[0] if args else kwargs["input_tensor"]
        sent, state = result
        membrane = None if several else state.v
        return NeuronCall(
            current,
            sent if fires else None,
            membrane if fires else sent,
            given=() if given is None else given_states(*given),
            returned=tuple(part for part in state if isinstance(part, Tensor)),
            time_axis=0 if several else None,
        )

    return read


def _refusal(module: Untyped) -> str:
    method = getattr(getattr(module.p, "reset_method", None), "__name__", "reset_value")
    if method not in {"reset_value", "reset_subtract"}:
        return f"reset_method={method} is not known; use reset_value or reset_subtract"
    return ""


def _dynamics(module: Untyped, shape: Shape) -> Dynamics:
    """Return a step of Euler's method: the current jumps by what comes in, and acts before it decays."""
    p, dt = module.p, float(module.dt)
    leak = getattr(p, "v_leak", 0.0)
    facts: dict[str, Untyped] = {"leak": leak, "start": leak}
    if hasattr(p, "tau_syn_inv"):
        # As Norse multiplies them: what is of single precision is rounded to it.
        facts["du"] = as_array(dt * p.tau_syn_inv)
    if hasattr(p, "tau_mem_inv"):
        facts["dv"] = facts["gain"] = as_array(dt * p.tau_mem_inv)
    if hasattr(p, "v_th"):
        method = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
        facts |= {
            "threshold": p.v_th,
            "v_reset": p.v_reset,
            "reset": SUBTRACT if method == "reset_subtract" else TO_VALUE,
        }
    return stepped(shape, type(module).__name__, **facts)


def _recurrent(module: Untyped) -> OwnConnection:
    return OwnConnection(as_array(module.recurrent_weights))


def _weights(module: Untyped) -> Floats:
    return as_array(module.input_weights)


def _kind(name: str, *, fires: bool = True) -> NeuronKind:
    several = not name.endswith("Cell")
    call = _call(fires=fires, several=several)
    if "Recurrent" in name:
        return NeuronKind(call, _dynamics, refusal=_refusal, recurrent=_recurrent, weights=_weights)
    return NeuronKind(call, _dynamics, refusal=_refusal)


_MODULE: Final = "norse.torch.module"
KINDS: Final[Mapping[str, NeuronKind]] = {
    **{
        f"{_MODULE}.lif.{name}": _kind(name)
        for name in ("LIF", "LIFCell", "LIFRecurrent", "LIFRecurrentCell")
    },
    **{f"{_MODULE}.iaf.{name}": _kind(name) for name in ("IAF", "IAFCell")},
    f"{_MODULE}.lif_box.LIFBoxCell": _kind("LIFBoxCell"),
    f"{_MODULE}.lif_box.LIFBox": _kind("LIFBox"),
    **{f"{_MODULE}.leaky_integrator.{name}": _kind(name, fires=False) for name in ("LI", "LICell")},
    **{f"{_MODULE}.leaky_integrator_box.{name}": _kind(name, fires=False) for name in ("LIBox", "LIBoxCell")},
}
_READ: Final = "only LIF, LIFRecurrent, LIFBox, IAF, LI and LIBox, and their cells, are read"
REFUSED: Final[Mapping[str, str]] = {
    f"{_MODULE}.{name}.": _READ
    for name in (
        "coba_lif",
        "exp_filter",
        "iaf",
        "izhikevich",
        "leaky_integrator",
        "leaky_integrator_box",
        "lif",
        "lif_adex",
        "lif_adex_refrac",
        "lif_box",
        "lif_correlation",
        "lif_ex",
        "lif_mc",
        "lif_mc_refrac",
        "lif_refrac",
        "lsnn",
        "snn",
    )
}
RESETS: Final[Mapping[str, Untyped]] = {}

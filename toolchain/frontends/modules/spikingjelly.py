"""Neurons of SpikingJelly."""

from collections.abc import Mapping
from typing import Final

from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.neuron_kinds import (
    SUBTRACT,
    TO_VALUE,
    NeuronCall,
    NeuronKind,
    Shape,
    as_array,
    stepped,
)
from toolchain.interchange.nir.neurons import Dynamics


def _call(
    module: Untyped, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
) -> NeuronCall:
    several = module.step_mode == "m"
    membrane = module.v_seq if several else module.v
    return NeuronCall(args[0] if args else kwargs["x"], result, membrane, time_axis=0 if several else None)


def _reset(module: Untyped) -> None:
    module.reset()


def _decay(module: Untyped) -> float:
    name = type(module).__mro__
    kinds = {kind.__name__ for kind in name}
    if "ParametricLIFNode" in kinds:
        return float(as_array(module.w.sigmoid()))
    return 1 / float(module.tau) if "LIFNode" in kinds else 0.0


def _dynamics(module: Untyped, shape: Shape) -> Dynamics:
    decay = _decay(module)
    rest = 0.0 if module.v_reset is None else float(module.v_reset)
    return stepped(
        shape,
        type(module).__name__,
        dv=decay,
        gain=decay if getattr(module, "decay_input", False) else 1.0,
        threshold=module.v_threshold,
        at_threshold=True,
        leak=rest,
        start=rest,
        v_reset=rest,
        reset=SUBTRACT if module.v_reset is None else TO_VALUE,
    )


_NEURON: Final = "spikingjelly.activation_based.neuron"
_KIND: Final = NeuronKind(_call, _dynamics, _reset)
KINDS: Final[Mapping[str, NeuronKind]] = {
    f"{_NEURON}.integrate_and_fire.IFNode": _KIND,
    f"{_NEURON}.lif.LIFNode": _KIND,
    f"{_NEURON}.plif.ParametricLIFNode": _KIND,
}
_READ: Final = "only IFNode, LIFNode and ParametricLIFNode are read"
REFUSED: Final[Mapping[str, str]] = {
    f"{_NEURON}.base_node.NonSpikingBaseNode": f"{_READ}; put a Linear last to read out",
    f"{_NEURON}.": _READ,
}
RESETS: Final[Mapping[str, Untyped]] = {"spikingjelly.activation_based.base.MemoryModule": _reset}
"""Containers of its own have states beside those of neurons."""

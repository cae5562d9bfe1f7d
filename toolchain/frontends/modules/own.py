"""Pumice's own neurons inside of any module."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from toolchain.errors import FrontendError
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.neuron_kinds import NeuronCall, NeuronKind, Shape, as_array
from toolchain.interchange.nir.neurons import AfterSpike, Dynamics
from toolchain.models import CubaLif, Spiking


def _call(
    module: CubaLif, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
) -> NeuronCall:
    current = args[0] if args else kwargs["x"]
    if module.fires:
        return NeuronCall(current, result, time_axis=1)
    return NeuronCall(current, None, result, time_axis=1)


def _refusal(module: CubaLif) -> str:
    if module.adaptation is not None:
        return "neurons that adapt are compiled as a layer of a Network, not inside of another module"
    return ""


def _dynamics(module: CubaLif, shape: Shape) -> Dynamics:
    amount = module.effective_amount
    refractory = module.refractory
    firing = AfterSpike(
        module.reset,
        None if amount is None else as_array(amount).reshape(shape),
        None if refractory is None else refractory.cpu().numpy().astype(np.int32).reshape(shape),
        module.max_spikes,
    )
    du, dv, vth, bias = (
        as_array(part).reshape(shape) for part in (module.du, module.dv, module.vth, module.bias)
    )
    return Dynamics(du, dv, np.ones(shape), bias, vth, np.zeros(shape), firing)


def _call_of_step(
    _: Spiking, args: tuple[Untyped, ...], kwargs: Mapping[str, Untyped], result: Untyped
) -> NeuronCall:
    if len(args) > 1 or "steps" in kwargs:
        raise FrontendError(
            "Spiking is called with `steps`, which only a FeedForward does",
            "call it for one step after another",
        )
    return NeuronCall(args[0] if args else kwargs["x"], result)


def _dynamics_of_maps(module: Spiking, shape: Shape) -> Dynamics:
    ones, amount = np.ones(shape), module.effective_amount
    firing = AfterSpike(module.reset, None if amount is None else amount * ones)
    return Dynamics(ones, module.dv * ones, ones, 0 * ones, module.vth * ones, 0 * ones, firing)


KINDS: Final[Mapping[str, NeuronKind]] = {
    "toolchain.models.neurons.CubaLif": NeuronKind(_call, _dynamics, refusal=_refusal, within_call=True),
    "toolchain.models.spiking.Spiking": NeuronKind(_call_of_step, _dynamics_of_maps, Spiking.begin),
}
REFUSED: Final[Mapping[str, str]] = {}
RESETS: Final[Mapping[str, Untyped]] = {}

"""A network's run through the compiled loops: what is computed for all steps, then the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.compiled_passes import compiled_passes
from toolchain.models.loops.plan import KnownSynapses, Places, given, has_hooks, inner_weight
from toolchain.models.loops.products import Product, product_of
from toolchain.models.loops.run import EarlyCurrent, LoopPass, Passes, Run
from toolchain.models.loops.synapses import Weights
from toolchain.models.loops.tensor_passes import tensor_passes
from toolchain.models.loops.triton_passes import has_triton, triton_passes
from toolchain.models.neurons import MaskedSynapses


def passes_on(device: torch.device) -> Callable[..., Callable[[Run, Weights], Passes]]:
    """Return how passes are made on a device."""
    if device.type == "cpu":
        return compiled_passes
    return triton_passes if has_triton(device) else tensor_passes


class Arrow(Protocol):
    """A named arrow between two layers; see `toolchain.models.Connection`."""

    name: str
    source: str
    target: str
    delay: int


@final
class LoopRecord(NamedTuple):
    """What a run did, `[B, T, N]` each.

    Attributes:
        v: Potentials after the reset, by layer: of all layers, or of the output alone.
        spikes: Spikes by layer; of those that were asked for.
        u: Currents by layer, without gradients; empty unless asked for.
    """

    v: Mapping[str, Tensor]
    spikes: Mapping[str, Tensor]
    u: Mapping[str, Tensor]


def run_loops(
    dynamics: Mapping[str, NeuronDynamics],
    arrows: Sequence[tuple[Arrow, nn.Module]],
    streams: Mapping[str, Tensor],
    synapses: KnownSynapses,
    *,
    output: str,
    heard: Sequence[str],
    record: bool,
    recompute: bool,
    backward: bool,
) -> LoopRecord:
    """Run a batch from rest.

    Args:
        dynamics: The layers, in the order of a step.
        arrows: Connections and the module of each.
        streams: What enters, `[B, T, channels]` by name.
        synapses: Lists of the synapses between layers as far as they are known.
        output: Layer whose potentials are wanted.
        heard: Layers whose spikes are wanted: none, one, or all.
        record: Whether potentials and currents of all layers are wanted.
        recompute: Whether inputs are computed again for the gradients instead of being stored.
        backward: Whether there will be gradients.
    """
    first = next(iter(streams.values()))
    places = Places.of({name: len(each.vth) for name, each in dynamics.items()}, first.dtype)
    entering = _entering(arrows, streams, places)
    inner = [
        (module, arrow.delay, arrow.source, arrow.target)
        for arrow, module in arrows
        if arrow.source not in streams
    ]
    matrices = [inner_weight(module) for module, *_ in inner]
    like, whole = first.new_empty(0), (0, places.neurons)
    make = passes_on(first.device)
    run = Run(
        batch=first.shape[0],
        steps=first.shape[1],
        places=places,
        like=like,
        lists=synapses.of(inner, places, first.shape[1], first.device, wide=make is compiled_passes),
        passes=make(dynamics, places, like, backward=backward),
        products=entering.products,
        currents=entering.currents,
        inner=[tuple(each.shape) for each in matrices],
        shown=whole if record else places.layers[output],
        heard=(0, 0) if not heard else places.layers[heard[0]] if len(heard) == 1 else whole,
        currents_too=record,
        recompute=recompute,
        backward=backward,
    )
    numbers = [each for layer in dynamics.values() for each in given(layer)]
    with torch.autocast(first.device.type, enabled=False):
        v, spikes, u = LoopPass.apply(run, *entering.weights, *entering.values, *matrices, *numbers)  # type: ignore[misc]
    layers = list(dynamics)
    return LoopRecord(
        _by_layer(v, layers if record else [output], run.shown[0], places),
        _by_layer(spikes, heard, run.heard[0], places),
        _by_layer(u, layers if record else [], run.shown[0], places),
    )


@final
@dataclass
class _Entering:
    """What enters: products that are computed with the blocks, and currents that were computed before."""

    products: list[Product]
    weights: list[Tensor]
    currents: list[EarlyCurrent]
    values: list[Tensor]


def _entering(
    arrows: Sequence[tuple[Arrow, nn.Module]], streams: Mapping[str, Tensor], places: Places
) -> _Entering:
    entering = _Entering([], [], [], [])
    first = next(iter(streams.values()))
    extent, casts = first.shape[:2], torch.is_autocast_enabled(first.device.type)
    for arrow, module in arrows:
        if arrow.source not in streams:
            bias = dict(module.named_parameters()).get("bias")
            if bias is not None:
                # What a connection between layers adds at every step is a current like one from outside.
                entering.currents.append(EarlyCurrent(arrow.delay, arrow.target))
                entering.values.append(bias.expand(*extent, -1))
            continue
        stream = streams[arrow.source]
        plain = not casts and not has_hooks(module) and not stream.requires_grad
        if plain and isinstance(module, MaskedSynapses) and module.delays is None:
            effective, target = module.effective, places.layers[arrow.target][0]
            entering.products.append(product_of(stream, effective, arrow.delay, target))
            entering.weights.append(effective)
        else:
            entering.currents.append(EarlyCurrent(arrow.delay, arrow.target))
            # Of another type under autocast.
            entering.values.append(module(stream).to(stream.dtype))
    return entering


def _by_layer(values: Tensor, names: Sequence[str], start: int, places: Places) -> dict[str, Tensor]:
    """Return the part of each layer of values that begin at neuron `start`."""
    layers = {name: places.layers[name] for name in names}
    return {
        name: values[:, :, first - start : first - start + size] for name, (first, size) in layers.items()
    }

"""A network's run through the compiled loops: what is computed for all steps, then the rest."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, final

from torch import Tensor, nn

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.plan import KnownSynapses, Places, given, inner_weight, numbers_of, table_of
from toolchain.models.loops.products import EventProduct
from toolchain.models.loops.run import Current, LoopPass, Run
from toolchain.models.neurons import MaskedSynapses


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
    kind = first.numpy().dtype if not first.requires_grad else first.detach().numpy().dtype
    places = Places.of({name: len(each.vth) for name, each in dynamics.items()}, kind)
    products: list[EventProduct] = []
    weights: list[Tensor] = []
    currents: list[Current] = []
    values: list[Tensor] = []
    for arrow, module in arrows:
        if arrow.source not in streams:
            continue
        stream = streams[arrow.source]
        if isinstance(module, MaskedSynapses) and module.delays is None and not stream.requires_grad:
            effective = module.effective
            products.append(EventProduct(stream, effective, arrow.delay, places.layers[arrow.target][0]))
            weights.append(effective)
        else:
            currents.append(Current(arrow.delay, arrow.target))
            values.append(module(stream))
    inner = [
        (module, arrow.delay, arrow.source, arrow.target)
        for arrow, module in arrows
        if arrow.source not in streams
    ]
    matrices = [inner_weight(module) for module, *_ in inner]
    table, slopes = table_of(dynamics, places, kind, backward=backward)
    whole = (0, places.neurons)
    run = Run(
        batch=first.shape[0],
        steps=first.shape[1],
        places=places,
        numbers=numbers_of(dynamics, places, kind),
        layers=table,
        slopes=slopes,
        lists=synapses.of(inner, places),
        products=products,
        currents=currents,
        inner=[tuple(each.shape) for each in matrices],
        shown=whole if record else places.layers[output],
        heard=(0, 0) if not heard else places.layers[heard[0]] if len(heard) == 1 else whole,
        currents_too=record,
        recompute=recompute,
    )
    numbers = [each for layer in dynamics.values() for each in given(layer)]
    v, spikes, u = LoopPass.apply(run, *weights, *values, *matrices, *numbers)  # type: ignore[misc]
    layers = list(dynamics)
    return LoopRecord(
        _by_layer(v, layers if record else [output], run.shown[0], places),
        _by_layer(spikes, heard, run.heard[0], places),
        _by_layer(u, layers if record else [], run.shown[0], places),
    )


def _by_layer(values: Tensor, names: Sequence[str], start: int, places: Places) -> dict[str, Tensor]:
    """Return the part of each layer of values that begin at neuron `start`."""
    layers = {name: places.layers[name] for name in names}
    return {
        name: values[:, :, first - start : first - start + size] for name, (first, size) in layers.items()
    }

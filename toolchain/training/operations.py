"""Synaptic operations of a batch as numbers with gradients: messages times the synapses that they reach.

They are those that `toolchain.fidelity` counts in a graph: several spikes of a step are one message, and a
synapse that weighs nothing costs nothing. Backward, a message has the derivative of the spikes that it is
made of, which is that of their surrogate, and fan-outs are constants.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from toolchain.errors import TrainingError
from toolchain.models import FeedForward, GatedNorm, Network
from toolchain.models.feed_forward import INPUT, NetworkBlock, Select
from toolchain.models.neurons import MaskedSynapses
from toolchain.models.spiking import Spiking

_Flow = tuple[str, Tensor, Tensor]
"""A connection whose current a stream carries: its output in each channel, and 1 where that is not pruned."""


def messages(sent: Tensor) -> Tensor:
    """Return 1 wherever something is sent, with the gradient of what is sent."""
    return sent + ((sent != 0).to(sent.dtype) - sent).detach()


def operations(
    network: Network | FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the synaptic operations per sample of every connection, means over a batch.

    Args:
        network: The network that ran the batch.
        entering: What entered, by the name of the input.
        spikes: Spikes of its layers, `[batch, time, ...]`.

    Raises:
        TrainingError: A connection is of a kind whose synapses are not known.
    """
    if isinstance(network, Network):
        sent = {**entering, **spikes}
        return {
            arrow.name: messages(_real(sent[arrow.source], network.synapses[arrow.name])).sum(1).mean(0)
            @ fan_out(network.synapses[arrow.name])
            for arrow in network.connections
        }
    done: dict[str, Tensor] = {}
    repeats = _repeats(network)
    for block, module, source, shown in _reading(network, entering, spikes):
        count = messages(source).sum(1).mean(0)
        done[block.name] = shown * (count * _reached(module, repeats[block.name], count.shape)).sum()
    return done


def sent_per_sample(
    network: Network | FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return how many messages every source of every connection sends in a sample, float64 `[sources]`.

    Sources of a convolution are channels: the messages of all positions, as often as a weight meets them,
    which is once, and less often where the convolution has a stride. It is more often where several layers
    of neurons read one residual stream, since each of them has synapses of its own.
    """
    if isinstance(network, Network):
        sent = {**entering, **spikes}
        return {
            arrow.name: (sent[arrow.source].detach() != 0).double().sum(1).mean(0)
            for arrow in network.connections
        }
    counted: dict[str, Tensor] = {}
    repeats = _repeats(network)
    for block, module, source, shown in _reading(network, entering, spikes):
        count = shown * (source.detach() != 0).double().sum(1).mean(0) * repeats[block.name].max().double()
        if isinstance(module, nn.Conv2d):
            count = count.sum((1, 2)).reshape(module.groups, -1).mean(0) / math.prod(module.stride)
        counted[block.name] = count
    return counted


def fan_out(module: nn.Module) -> Tensor:
    """Return how many synapses leave each source of a dense connection, `[sources]`.

    Raises:
        TrainingError: It is no such connection.
    """
    if isinstance(module, MaskedSynapses):
        weight = module.effective.detach()
    elif isinstance(module, nn.Linear):
        weight = module.weight.detach()
    else:
        raise TrainingError(f"the synaptic operations of a {type(module).__name__} are not known")
    return (weight != 0).sum(0).to(weight.dtype)


def _reading(
    network: FeedForward, entering: Mapping[str, Tensor], spikes: Mapping[str, Tensor]
) -> Iterator[tuple[NetworkBlock, nn.Conv2d | nn.Linear, Tensor, int]]:
    """Yield the convolutions and matrices that read spikes, or what enters, what they read, and how often."""
    image = entering[INPUT].to(next(network.parameters()))
    # A still image is shown at every step.
    still = image.dim() == len(network.shape) + 1
    sent: dict[str, Tensor] = {INPUT: image[:, None] if still else image, **spikes}
    shown = {INPUT: network.steps if still else 1}
    for block in network.blocks:
        module, name = network.parts[block.name], block.sources[0]
        if name not in sent or len(block.sources) > 1 or isinstance(module, Spiking):
            continue
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield block, module, sent[name], shown.get(name, 1)
        elif isinstance(module, nn.AvgPool2d | nn.MaxPool2d | nn.Flatten | nn.Identity | Select):
            sent[block.name] = _passed_on(module, sent[name])
            shown[block.name] = shown.get(name, 1)


def _repeats(network: FeedForward) -> dict[str, Tensor]:
    """Return how many layers of neurons, or that are read, each output of each connection arrives at.

    A residual stream carries currents: every layer that reads it has the connections to the stream as
    synapses of its own, but those to channels that its norm has pruned.
    """
    repeats: dict[str, Tensor] = {}
    carried: dict[str, list[_Flow]] = {}
    for block in network.blocks:
        module = network.parts[block.name]
        flows = [flow for source in block.sources for flow in carried.get(source, [])]
        match module:
            case Spiking():
                _arrive(repeats, flows)
                flows = []
            case nn.Conv2d() | nn.Linear():
                outputs = torch.arange(len(module.weight), device=module.weight.device)
                repeats[block.name] = torch.zeros_like(outputs)
                # What reads currents is no connection: a graph composes it with those before.
                flows = [] if flows else [(block.name, outputs, torch.ones_like(outputs))]
            case GatedNorm():
                flows = [(name, outputs, there * (module.gate != 0)) for name, outputs, there in flows]
            case Select():
                flows = [(name, outputs[module.index], there[module.index]) for name, outputs, there in flows]
            case _:
                pass
        carried[block.name] = flows
    _arrive(repeats, carried[network.blocks[-1].name])
    return repeats


def _arrive(repeats: dict[str, Tensor], flows: Iterable[_Flow]) -> None:
    """Count the outputs of connections that arrive at a layer."""
    for name, outputs, there in flows:
        repeats[name] = repeats[name].index_add(0, outputs, there)


def _reached(module: nn.Conv2d | nn.Linear, repeats: Tensor, shape: torch.Size) -> Tensor:
    """Return how many synapses leave each element of the source, those of each layer that has them."""
    present = (module.weight.detach() != 0).to(module.weight.dtype)
    present = present * repeats.to(present.dtype).reshape(-1, *[1] * (present.dim() - 1))
    if isinstance(module, nn.Linear):
        return present.sum(0)
    plain: Any = {name: getattr(module, name) for name in ("stride", "padding", "dilation", "groups")}
    # The gradient of the sum of a convolution with respect to what it reads, which counts its synapses.
    source = torch.zeros(1, *shape, dtype=present.dtype, device=present.device)
    ones = torch.ones_like(functional.conv2d(source, present, **plain))
    return conv2d_input(source.shape, present, ones, **plain)[0]


def _passed_on(module: nn.Module, sent: Tensor) -> Tensor:
    """Return what a block without synapses sends on: a pooled window is one message, or none."""
    batch, steps = sent.shape[:2]
    folded = sent.flatten(0, 1)
    if isinstance(module, nn.AvgPool2d):
        # Whether there was any spike, as of a maximum.
        passed = functional.max_pool2d(folded, module.kernel_size, module.stride, module.padding)
    else:
        passed = module(folded)
    return cast("Tensor", passed).unflatten(0, (batch, steps))


def _real(values: Tensor, module: nn.Module) -> Tensor:
    like = next(module.parameters())
    return values.to(like.device, like.dtype)

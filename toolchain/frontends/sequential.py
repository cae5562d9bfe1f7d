"""From an `nn.Sequential` to a network of named parts."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import FrontendError
from toolchain.frontends.inputs import code_for
from toolchain.frontends.unsupported import ACTIVATIONS, unsupported
from toolchain.models import (
    INPUT,
    Connection,
    CubaLif,
    FeedForward,
    MaskedSynapses,
    Network,
    NetworkBlock,
    Readout,
    Spiking,
)
from toolchain.models.network import check_part_names

SUPPORTED: Final = ("Network", "Sequential", "Linear", "MaskedSynapses", "CubaLif", "Identity", "Dropout")


def from_sequential(module: nn.Sequential, example: NDArray[Any] | None) -> Network | FeedForward:
    """Return an `nn.Sequential`, nested or not, as a network.

    Args:
        module: Either `Linear` and `CubaLif` by turns, ending in a `CubaLif`; or convolutions, norms,
            poolings, `Linear` and `Spiking`, ending in a `Linear`: its mean over the steps gives the scores.
        example: Samples, which say whether spikes (only 0 and 1) or values enter, and the size of images.

    Raises:
        UnsupportedModuleError: A layer without meaning in the graph; names its path and what to do.
        FrontendError: The layers stand in another order, or there is no example of images.
    """
    layers = dict(_layers(module))
    # An activation is the mistake to name, whatever else is missing.
    for path, layer in layers.items():
        if isinstance(layer, ACTIVATIONS):
            raise unsupported(path, layer, SUPPORTED)
    if any(isinstance(layer, Spiking) for layer in layers.values()):
        return _feed_forward(layers, example)
    return _network(layers, example)


def _layers(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers by their paths, such as `features.0`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _name(path: str, kind: str) -> str:
    """Return a path as a name; a number is preceded by the kind of what it numbers."""
    name = path.replace(".", "_")
    return f"{kind}{name}" if name[0].isdigit() else name


def _feed_forward(layers: Mapping[str, nn.Module], example: NDArray[Any] | None) -> FeedForward:
    if example is None or example.ndim not in {4, 5}:
        raise FrontendError(
            "a Sequential of Spiking layers needs an example, images [batch, C, H, W] or frames "
            f"[batch, time, C, H, W]; got {None if example is None else list(example.shape)}"
        )
    blocks: dict[NetworkBlock, nn.Module] = {}
    source = INPUT
    for path, layer in layers.items():
        name = _name(path, "block")
        blocks[NetworkBlock(name, (source,))] = layer
        source = name
    channels, height, width = example.shape[-3:]
    return FeedForward(blocks, shape=(channels, height, width), input_code=code_for(example))


class _Stage(NamedTuple):
    arrow: str
    weights: nn.Module
    layer: str
    neurons: CubaLif


def _network(layers: Mapping[str, nn.Module], example: NDArray[Any] | None) -> Network:
    stages = _stages(layers)
    check_part_names([stage.layer for stage in stages], "layer")
    sources = [INPUT, *(stage.layer for stage in stages)]
    last = stages[-1]
    return Network(
        inputs={INPUT: int(cast("Tensor", stages[0].weights.weight).shape[1])},
        layers={stage.layer: stage.neurons for stage in stages},
        connections={
            Connection(stage.arrow, source, stage.layer): stage.weights
            for source, stage in zip(sources, stages, strict=False)
        },
        output=last.layer,
        readout=Readout.SPIKE_COUNT if last.neurons.fires else Readout.MEAN_V,
        input_code=code_for(example),
    )


def _stages(layers: Mapping[str, nn.Module]) -> list[_Stage]:
    """Return every CubaLif with the connection in front of it."""
    stages: list[_Stage] = []
    connection: tuple[str, nn.Module] | None = None
    for path, layer in layers.items():
        match layer:
            case nn.Identity() | nn.Dropout():
                continue
            case nn.Linear() | MaskedSynapses():
                if connection is not None:
                    raise FrontendError(
                        f"module '{path}' follows another connection; put a CubaLif in between"
                    )
                connection = (_name(path, "synapses"), layer)
            case CubaLif():
                if connection is None:
                    raise FrontendError(f"module '{path}' has no connection before it; put a Linear in front")
                _check_size(connection[1], path, layer)
                stages.append(_Stage(*connection, _name(path, "neurons"), layer))
                connection = None
            case _:
                raise unsupported(path, layer, SUPPORTED)
    if connection is not None or not stages:
        raise FrontendError(
            "the model must end in a CubaLif",
            "put one behind its last Linear; with an infinite threshold it never fires, and is read out",
        )
    return stages


def _check_size(weights: nn.Module, path: str, layer: CubaLif) -> None:
    outputs = int(cast("Tensor", weights.weight).shape[0])
    if outputs != layer.size:
        raise FrontendError(
            f"module '{path}' has {layer.size} neurons, but the connection before it has {outputs} outputs",
            "give both the same number",
        )

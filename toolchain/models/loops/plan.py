"""What the compiled loops need to know of a network, and which networks they do not know."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.models.dynamics import NeuronDynamics
from toolchain.models.loops.neurons import (
    ADAPTATION,
    AMOUNT,
    ANY,
    BIAS,
    COLUMNS,
    KEEP_RISE,
    KEEP_U,
    KEEP_V,
    KEEPS,
    KIND,
    MOST,
    NUMBERS,
    PLAIN,
    REFRACTORY,
    REMEMBERS,
    START,
    STOP,
    SURROGATE,
    VTH,
)
from toolchain.models.loops.products import row_length
from toolchain.models.loops.synapses import ConnectedPart, SynapseLists
from toolchain.models.neurons import MaskedSynapses
from toolchain.models.surrogate_loops import in_loops
from toolchain.reset import Reset

Numbers = NDArray[Any]
GIVEN: Final = (KEEP_U, KEEP_V, VTH, BIAS, AMOUNT, KEEP_RISE, ADAPTATION)
"""Rows of numbers that have gradients, in the order of `given`."""
BIAS_PLACE: Final = GIVEN.index(BIAS)


def given(dynamics: NeuronDynamics) -> tuple[Tensor | None, ...]:
    """Return what a population is made of, in the order of `GIVEN`; None where it has none of it."""
    return (
        dynamics.keep_u,
        dynamics.keep_v,
        dynamics.vth,
        dynamics.bias,
        dynamics.amount,
        dynamics.keep_rise,
        dynamics.adaptation,
    )


@final
@dataclass(frozen=True)
class Places:
    """Where the neurons of each layer stand in a row of all; layers begin at multiples of a row of weights.

    Attributes:
        layers: First neuron and number of neurons of each layer.
        neurons: Length of the row.
    """

    layers: Mapping[str, tuple[int, int]]
    neurons: int

    @classmethod
    def of(cls, sizes: Mapping[str, int], dtype: torch.dtype) -> "Places":
        """Place layers of these sizes."""
        width, start = row_length(dtype), 0
        layers: dict[str, tuple[int, int]] = {}
        for name, size in sizes.items():
            layers[name] = (start, size)
            start += -(-size // width) * width
        return cls(layers, start)

    def slice(self, name: str) -> slice:
        """Return the place of a layer."""
        start, size = self.layers[name]
        return slice(start, start + size)


def numbers_of(dynamics: Mapping[str, NeuronDynamics], places: Places, dtype: np.dtype[Any]) -> Numbers:
    """Return the numbers of all neurons, `[8, N]`; what is no neuron never fires."""
    numbers = np.zeros((NUMBERS, places.neurons), dtype)
    numbers[VTH] = np.inf
    for name, each in dynamics.items():
        at = places.slice(name)
        for row, values in zip(GIVEN, given(each), strict=True):
            if values is not None:
                numbers[row, at] = values.detach().numpy()
        if each.refractory is not None:
            numbers[REFRACTORY, at] = each.refractory.numpy()
    return numbers


def table_of(
    dynamics: Mapping[str, NeuronDynamics], places: Places, dtype: np.dtype[Any], *, backward: bool
) -> tuple[Numbers, Numbers]:
    """Return the table of the layers, see `neurons`, and their slopes.

    Args:
        dynamics: The populations.
        places: Place of each among all neurons.
        dtype: Type of all numbers.
        backward: Whether gradients will be asked for.
    """
    table = np.zeros((len(dynamics), COLUMNS), np.int64)
    slopes = np.zeros(len(dynamics), dtype)
    bounds = [start for start, _ in places.layers.values()] + [places.neurons]
    for k, each in enumerate(dynamics.values()):
        surrogate, slopes[k] = in_loops(each.surrogate, each.slope)
        learns = any(values is not None and values.requires_grad for values in given(each))
        plain = (
            each.reset is Reset.ZERO
            and each.refractory is None
            and each.adaptation is None
            and each.max_spikes == 1
            and not (backward and learns)
        )
        table[k, [START, STOP]] = bounds[k], bounds[k + 1]
        table[k, [KEEPS, MOST]] = each.reset in {Reset.SUBTRACT, Reset.NONE}, each.max_spikes
        table[k, [KIND, REMEMBERS, SURROGATE]] = PLAIN if plain else ANY, not plain, surrogate
    return table, slopes


def inner_weight(module: nn.Module) -> Tensor:
    """Return the matrix of a connection between layers."""
    return cast("Tensor", module.weight)


@final
class KnownSynapses:
    """The lists of the synapses between layers, made again only when a mask or delay has changed.

    A change is seen as autograd sees it: not behind the back of PyTorch, as through `mask.data`.
    """

    def __init__(self) -> None:
        self._lists: SynapseLists | None = None
        self._made_of: list[tuple[Tensor | None, float]] = []
        self._made_for: tuple[Places, torch.device, bool] | None = None
        self._steps = 0

    def __reduce__(self) -> tuple[type["KnownSynapses"], tuple[()]]:
        """A copy, or what is read from a file, knows nothing: PyTorch counts the changes of copies anew."""
        return KnownSynapses, ()

    def of(
        self,
        modules: Sequence[tuple[nn.Module, int, str, str]],
        places: Places,
        steps: int,
        device: torch.device,
        *,
        wide: bool,
    ) -> SynapseLists:
        """Return the lists of connections.

        Args:
            modules: Each one's module, delay, source and target.
            places: Where layers stand.
            steps: Length of the run.
            device: Where weights lie.
            wide: Whether connections with many synapses are matrices instead of being listed.
        """
        made_of = [(each, _version(each)) for module, *_ in modules for each in _structure(module)]
        same = len(made_of) == len(self._made_of) and all(
            old is new and was == now for (old, was), (new, now) in zip(self._made_of, made_of, strict=True)
        )
        lists = self._lists
        fits = lists is not None and (steps == self._steps or (not lists.is_cut and lists.longest < steps))
        if lists is None or not same or not fits or (places, device, wide) != self._made_for:
            parts = [
                _part(module, delay, source, target, places) for module, delay, source, target in modules
            ]
            lists = SynapseLists.of(
                parts, list(places.layers.values()), places.neurons, steps, device, wide=wide
            )
            self._lists, self._made_of = lists, made_of
            self._made_for, self._steps = (places, device, wide), steps
        return lists


def _version(tensor: Tensor | None) -> float:
    """Return the number of changes of a tensor; what equals nothing where PyTorch does not count them."""
    if tensor is None:
        return 0
    return math.nan if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch's


def _structure(module: nn.Module) -> tuple[Tensor | None, ...]:
    """Return the tensors that say which synapses there are, and how long they take."""
    if not isinstance(module, MaskedSynapses):
        return (None, None)
    return (module.mask, None if module.delays is None else module.delays.position)


def _part(module: nn.Module, delay: int, source: str, target: str, places: Places) -> ConnectedPart:
    mask = module.mask if isinstance(module, MaskedSynapses) else None
    shape = tuple(inner_weight(module).shape)
    delays = np.array(delay, np.int64)
    if isinstance(module, MaskedSynapses) and module.delays is not None:
        delays = delays + module.delays.steps.cpu().numpy()
    return ConnectedPart.of_mask(
        places.layers[source][0],
        places.layers[target][0],
        np.ones(shape, bool) if mask is None else mask.cpu().numpy(),
        delays,
    )


def obstacle(inner: Sequence[tuple[str, nn.Module]], like: Tensor) -> str | None:
    """Return why the loops do not know a network, as a clause; None if they do.

    Args:
        inner: Name and module of the connections between layers.
        like: A parameter.
    """
    if like.device.type == "meta":
        return "the network is on 'meta'"
    if like.dtype not in {torch.float32, torch.float64}:
        return f"its numbers are {like.dtype}"
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage] - torch documents it
        return "it is being traced"
    unknown = ((name, _unknown(module)) for name, module in inner)
    return next((f"connection '{name}' between layers {what}" for name, what in unknown if what), None)


def _unknown(module: nn.Module) -> str:
    """Return what the loops do not know of a connection, as a predicate; empty if they know all."""
    if isinstance(module, MaskedSynapses):
        delays = module.delays
        if delays is not None and delays.width and delays.training:
            return "is learning its delays"
        return "" if module.mask is None or module.mask.dtype is torch.bool else "has a mask that is not bool"
    if type(module).forward is not nn.Linear.forward:
        return f"is a {type(module).__name__}"
    return "has hooks" if has_hooks(module) else ""


def has_hooks(module: nn.Module) -> bool:
    """Return whether something of the user's happens when a module is called."""
    # There is no public way.
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for kind in kinds)

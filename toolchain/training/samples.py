"""Training samples, read batch by batch from wherever they are.

An array, a memory-mapped array and a tensor are indexed, so that only the rows of a batch are read. Anything
else that has a length and gives one sample per index, such as a `torch.utils.data.Dataset`, is asked for one
sample after the other. Nothing is ever held as a whole that the caller does not hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import ArgumentError
from toolchain.intake import (
    Axes,
    array_of,
    check_shape,
    labels_of,
    not_finite,
    samples_of,
)
from toolchain.models import FeedForward, Network
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.own_module import OwnModule

_PAIR = 2
_INPUT, _INPUTS = "input", "inputs"


class Samples(Protocol):
    """Samples by index: an array, a tensor, a list, a data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any:  # noqa: ANN401 - a sample, or rows of an array
        ...


@final
@dataclass(frozen=True)
class Feed:
    """Shapes of what a network takes and gives.

    Attributes:
        forms: Shapes that each of its inputs may have, by name.
        outputs: Number of scores: one per class.
    """

    forms: Mapping[str, tuple[Axes, ...]]
    outputs: int

    @classmethod
    def of(cls, network: Network | FeedForward | GraphNetwork | OwnModule) -> "Feed":
        """Return what a network takes and gives.

        Raises:
            ArgumentError: It is no network that is trained.
        """
        match network:
            case Network():
                inputs: dict[str, Sequence[int]] = {name: (size,) for name, size in network.inputs.items()}
                outputs = network.layer(network.output).size
            case FeedForward():
                still: Axes = ("samples", *network.shape)
                return cls({_INPUT: (still, ("samples", "time", *network.shape))}, network.scores)
            case GraphNetwork():
                inputs = {node.name: node.shape for node in network.graph.inputs}
                outputs = network.graph.scores
            case OwnModule():
                return cls({_INPUT: network.forms}, network.scores)
            case _:
                raise ArgumentError(
                    "network",
                    "a Network, a FeedForward or a GraphNetwork",
                    type(network).__name__,
                    "toolchain.frontends.as_model makes one of an nn.Sequential",
                )
        return cls({name: (("samples", "time", *shape),) for name, shape in inputs.items()}, outputs)


@final
class InputReader:
    """Reads what enters by one input.

    Args:
        inputs: `Samples`; pairs `(sample, label)` if `paired`.
        forms: Shapes that fit.
        name: Name of the argument.
        labels: Name of the argument that holds the labels.
        paired: Whether samples come with their labels.

    Raises:
        ArgumentError: They do not fit.
    """

    def __init__(
        self, inputs: object, forms: tuple[Axes, ...], name: str, labels: str, *, paired: bool = False
    ) -> None:
        self._name, self._labels, self._paired = name, labels, paired
        self._source = _source(inputs, name)
        if len(self._source) == 0:
            raise ArgumentError(name, "at least one sample", "none", "it is empty")
        if isinstance(self._source, np.ndarray | Tensor):
            if paired:
                raise ArgumentError(labels, "labels, one per sample", "None")
            shape = tuple(self._source.shape)
            check_shape(shape, name, *forms)
        else:
            shape = (1, *self.item(0)[0].shape)
            check_shape(shape, f"{name}, one sample in a batch", *forms)
        self.shape = shape[1:]

    def __len__(self) -> int:
        return len(self._source)

    def read(self, batch: NDArray[np.int64], like: Tensor) -> Tensor:
        """Return some samples, of the type and on the device of `like`."""
        return self._ready(self._rows(batch), batch, like)

    def read_pairs(self, batch: NDArray[np.int64], like: Tensor) -> tuple[Tensor, list[object]]:
        """Return some samples, and the labels that they come with."""
        items = [self.item(int(i)) for i in batch]
        x = self._ready(self._stacked([sample for sample, _ in items], batch), batch, like)
        return x, [target for _, target in items]

    def _rows(self, batch: NDArray[np.int64]) -> Tensor:
        if isinstance(self._source, Tensor):
            return self._source.detach()[torch.from_numpy(batch).to(self._source.device)]
        if isinstance(self._source, np.ndarray):
            return _tensor(array_of(self._source[batch], self._name))
        return self._stacked([self.item(int(i))[0] for i in batch], batch)

    def _ready(self, rows: Tensor, batch: NDArray[np.int64], like: Tensor) -> Tensor:
        x = rows.contiguous().to(like.device, like.dtype)
        if rows.is_floating_point() and not bool(torch.isfinite(x).all()):
            bad = ~torch.isfinite(x).flatten(1).all(dim=1)
            raise not_finite(self._name, int(batch[int(bad.nonzero()[0])]))
        return x

    def _stacked(self, samples: list[NDArray[Any]], batch: NDArray[np.int64]) -> Tensor:
        for i, sample in zip(batch, samples, strict=True):
            if sample.shape != self.shape:
                raise ArgumentError(
                    self._name,
                    f"samples of one shape, {list(self.shape)} as the first",
                    f"{list(sample.shape)} for sample {i}",
                    "pad or cut them to one length",
                )
        return _tensor(np.stack(samples))

    def item(self, index: int) -> tuple[NDArray[Any], object]:
        """Return one sample of a sequence, and its label if they come in pairs."""
        try:
            item = self._source[index]
        except (LookupError, TypeError, ValueError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ArgumentError(self._name, f"a sample for index {index}", reason) from error
        if not self._paired:
            return array_of(item, f"{self._name}[{index}]"), None
        if not isinstance(item, tuple | list) or len(cast("list[object]", item)) != _PAIR:
            raise ArgumentError(
                self._labels,
                f"labels, or pairs (sample, label) as {self._name}",
                f"None, and {type(item).__name__} for sample {index}",
            )
        sample, target = cast("tuple[object, object]", item)
        return array_of(sample, f"{self._name}[{index}]"), target


@final
class SampleReader:
    """Reads the samples of a batch as tensors, with their labels.

    Args:
        network: Network, which says what shapes fit.
        inputs: `Samples`, or a mapping of such by the names of several inputs; pairs `(sample, label)` if
            `labels` is None and `paired`.
        labels: Classes `[samples]` or values `[samples, outputs]`.
        paired: Whether samples come with their labels.
        name: Name of the argument that holds the inputs.
        lengths: Number of valid steps of each sample, `[samples]`; None if all are valid.

    Raises:
        ArgumentError: Inputs, labels or lengths are not what the network can learn from: names the argument.
    """

    def __init__(
        self,
        network: Network | FeedForward | GraphNetwork | OwnModule,
        inputs: object,
        labels: object = None,
        *,
        paired: bool = False,
        name: str = _INPUTS,
        lengths: object = None,
    ) -> None:
        self._feed = Feed.of(network)
        self._labels = "labels" if name == _INPUTS else f"{name} labels"
        self._paired = paired
        parts = _by_input(inputs, self._feed, name)
        if paired and len(parts) > 1:
            raise ArgumentError(self._labels, "labels, one per sample, beside several inputs", "None")
        self._readers = {
            key: InputReader(each, self._feed.forms[key], given, self._labels, paired=paired)
            for key, (each, given) in parts.items()
        }
        self._first = next(iter(self._readers.values()))
        for key, reader in self._readers.items():
            other = (len(reader), *reader.shape[: len(self._readers) > 1])
            if other != (len(self), *self._first.shape[: len(self._readers) > 1]):
                raise ArgumentError(
                    f"{name}['{key}']",
                    f"{len(self)} samples of {self._first.shape[0]} steps, as the first input",
                    f"{len(reader)} of {reader.shape[0]}",
                )
        self._targets = None if labels is None else self._targets_of(labels)
        self._lengths = None if lengths is None else self._checked_lengths(lengths, network, name)

    def __len__(self) -> int:
        return len(self._first)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample; of several inputs all their channels in one row."""
        if len(self._readers) == 1:
            return self._first.shape
        return self._first.shape[0], sum(prod(each.shape[1:]) for each in self._readers.values())

    def read(self, batch: NDArray[np.int64], like: Tensor) -> Any:  # noqa: ANN401 - a tensor, or one per input
        """Return the inputs of some samples, of the type and on the device of `like`."""
        if len(self._readers) == 1:
            return self._first.read(batch, like)
        return {name: each.read(batch, like) for name, each in self._readers.items()}

    def read_pairs(self, batch: NDArray[np.int64], like: Tensor) -> tuple[Any, Tensor]:
        """Return the inputs of some samples, and their classes (int64) or values (float)."""
        if self._targets is not None:
            return self.read(batch, like), torch.from_numpy(self._targets[batch]).to(like.device)
        x, targets = self._first.read_pairs(batch, like)
        return x, torch.from_numpy(self._checked(targets)).to(like.device)

    def lengths(self, batch: NDArray[np.int64], like: Tensor) -> Tensor | None:
        """Return the numbers of valid steps of some samples, on the device of `like`; None if all are."""
        return None if self._lengths is None else torch.from_numpy(self._lengths[batch]).to(like.device)

    def _checked_lengths(self, lengths: object, network: object, inputs: str) -> NDArray[np.int64]:
        name = "lengths" if inputs == _INPUTS else f"{inputs} lengths"
        if isinstance(network, FeedForward) and len(self.shape) == len(network.shape):
            raise ArgumentError(name, "None for still pictures", "lengths", "all steps of them are valid")
        array = labels_of(lengths, name, samples=len(self))
        steps = self.shape[0]
        if not ((array >= 1) & (array <= steps)).all():
            raise ArgumentError(name, f"numbers of steps, 1 .. {steps}", f"{array.min()} .. {array.max()}")
        return array

    def _targets_of(self, labels: object) -> NDArray[Any]:
        array = self._checked(labels)
        if len(array) != len(self):
            raise ArgumentError(
                self._labels, f"as many as samples, {len(self)}", str(len(array)), "give one per sample"
            )
        return array

    def _checked(self, labels: object) -> NDArray[Any]:
        """Return classes or values that the network can learn."""
        array = array_of(labels, self._labels)
        if array.ndim == _PAIR and array.dtype.kind == "f":
            return samples_of(array, self._labels, ("samples", self._feed.outputs))
        return labels_of(array, self._labels, classes=self._feed.outputs)


def _by_input(inputs: object, feed: Feed, name: str) -> dict[str, tuple[object, str]]:
    """Return what enters by each input of a network, with the name of the argument that it is."""
    names = tuple(feed.forms)
    if len(names) == 1 and not isinstance(inputs, Mapping):
        return {names[0]: (inputs, name)}
    listed = ", ".join(f"'{each}'" for each in names)
    wanted = f"a mapping of samples by the names of the inputs of the network, {listed}"
    if not isinstance(inputs, Mapping):
        raise ArgumentError(name, wanted, f"a {type(inputs).__name__}")
    given = cast("Mapping[object, object]", inputs)
    if len(names) == 1 and set(given) == {_INPUT}:
        return {names[0]: (given[_INPUT], name)}
    if set(given) != set(names):
        raise ArgumentError(name, wanted, f"samples for {sorted(map(str, given))}")
    return {each: (given[each], f"{name}['{each}']") for each in names}


def _source(inputs: object, name: str) -> Samples:
    """Return the object that is indexed for samples."""
    if isinstance(inputs, Tensor):
        if inputs.layout is not torch.strided or inputs.is_quantized or inputs.is_complex():
            raise ArgumentError(name, "a dense tensor of real numbers", f"{inputs.dtype}, {inputs.layout}")
        if inputs.dim() == 0:
            raise ArgumentError(name, "samples", "a tensor of one number")
        return inputs
    if isinstance(inputs, np.ndarray):
        return _checked_array(inputs, name)
    odd = isinstance(inputs, str | bytes | Mapping) or not hasattr(inputs, "__getitem__")
    try:
        size = None if odd else len(cast("Samples", inputs))
    except TypeError:
        size = None
    if size is None:
        raise ArgumentError(
            name,
            "an array, a tensor or a sequence of samples",
            f"a {type(inputs).__name__}",
            "what has no length and no index cannot be shuffled: give a list",
        )
    return cast("Samples", inputs)


def _checked_array(inputs: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array whose rows are read later, once its type is known to be that of numbers."""
    if np.ma.isMaskedArray(inputs):
        return array_of(inputs, name)
    array_of(inputs[:1] if inputs.ndim else inputs, name)
    return inputs.reshape(-1) if inputs.ndim == 0 else inputs


def _tensor(array: NDArray[Any]) -> Tensor:
    contiguous = np.ascontiguousarray(array)
    return torch.from_numpy(contiguous if contiguous.flags.writeable else contiguous.copy())

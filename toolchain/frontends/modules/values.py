"""From what a step was made of to the currents that drive populations."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, final

import numpy as np
import torch
from scipy.sparse import csr_array

from toolchain.arrays import Floats
from toolchain.errors import FrontendError
from toolchain.frontends.modules.ledger import ALWAYS, Labels, Ledger, Made
from toolchain.frontends.modules.neuron_kinds import as_array
from toolchain.frontends.modules.operations import Kernel
from toolchain.frontends.modules.parts import (
    Shape,
    Value,
    as_maps,
    as_shape,
    matrix_of,
    placed,
    product,
    targets,
)
from toolchain.interchange.nir.routes import Names, Routes
from toolchain.ir import Window
from toolchain.ir.convolved_currents import convolved
from toolchain.ir.currents import Branch, Current, Sent, check_size, identity, multiplied, summed
from toolchain.ir.matrix import Matrix, sources_of
from toolchain.ir.types import size_of

_IMAGE: Final = 3


class FlatNeuronsError(Exception):
    """Neurons of feature maps turned out to be driven by no convolution, so their maps are none.

    Attributes:
        path: Path of the module.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


@final
class Values:
    """Works out what stands between the neurons, at one step.

    Args:
        ledger: What was made in the run.
        step: The step, whose neurons read what was made at it and before.
        populations: Name and shape of the neurons of each module, by path.
        inputs: What enters: shape, and the largest value where it is not spikes, by name.
        several: Modules whose neurons send several spikes in a step.
    """

    def __init__(
        self,
        ledger: Ledger,
        step: int,
        populations: Mapping[str, tuple[str, Shape]],
        inputs: Mapping[str, tuple[Shape, float | None]],
        several: frozenset[str],
    ) -> None:
        names = Names([name for name, _ in populations.values()])
        self.routes = Routes(names)
        self._ledger, self._step = ledger, step
        self._populations, self._several = populations, several
        self._inputs = {name: self.routes.enter(name, shape, peak) for name, (shape, peak) in inputs.items()}
        self._made: dict[int, Value] = {}
        self._late: dict[tuple[str, int], Sent] = {}

    def current(self, labels: Labels, shape: Shape) -> Current:
        """Return what arrives at neurons of some shape.

        Raises:
            FlatNeuronsError: The shape is that of feature maps, but no maps arrive.
        """
        value = self.value(labels, shape)
        if isinstance(value, Sent):
            value = identity(
                f"{value.node}.direct", replace(value, flat=len(shape) == 1 and len(value.shape) == 1)
            )
        if len(shape) == 1:
            value = value if len(value.shape) == 1 else value.dense()
        return replace(value, flat=False)

    def value_through(self, labels: Labels, weights: Floats, path: str) -> Current:
        """Return what arrives through the weights of a module of neurons itself."""
        return self._linear(Made("linear", -1, len(weights), ALWAYS, path, (labels,)), weights, None)

    def one_step_late(self, path: str) -> Sent:
        """Return what the neurons of a module sent one step ago."""
        name, shape = self._populations[path]
        return self._waiting(Sent(name, shape, spikes=path not in self._several), self._step - 1)

    def value(self, labels: Labels, shape: Shape) -> Value:
        """Return what labels stand for, in a shape: what one thing sends or makes, or parts of several."""
        whole = self._ledger.whole(labels)
        if whole is not None:
            return as_shape(self._of(whole), shape)
        if self._ledger.is_constant(labels):
            return Current((), self._ledger.numbers(labels).reshape(shape), shape)
        return self._gathered(labels.ravel(), shape)

    def _of(self, made: Made) -> Value:
        if made.first not in self._made:
            self._made[made.first] = self._worked_out(made)
        return self._made[made.first]

    def _worked_out(self, made: Made) -> Value:
        if made.kind in {"linear", "matrix"}:
            return self._linear(made, *_weights(made))
        works: dict[str, Callable[[Made], Value]] = {
            "input": self._entered,
            "spikes": self._sent,
            "convolution": self._convolution,
            "affine": self._affine,
            "scale": self._scaled,
            "sum": self._sum,
            "sum_pool": self._sum_pool,
            "max_pool": self._max_pool,
        }
        if made.kind not in works:
            raise FrontendError(*_refused(made))
        return works[made.kind](made)

    def _entered(self, made: Made) -> Sent:
        return self._waiting(self._inputs[made.what], made.time)

    def _sent(self, made: Made) -> Sent:
        name, shape = self._populations[made.place]
        return self._waiting(Sent(name, shape, spikes=made.place not in self._several), made.time)

    def _waiting(self, sent: Sent, time: int) -> Sent:
        """Return what was sent in an earlier step."""
        steps = 0 if time == ALWAYS else self._step - time
        key = (sent.node, steps)
        if key not in self._late:
            self._late[key] = self.routes.wait(f"{sent.node}.late", sent, np.full(sent.shape, steps))
        return self._late[key]

    def _linear(self, made: Made, weights: Matrix, bias: Floats | None) -> Current:
        value = self.value(made.reads[0], (made.reads[0].size,))
        name = _name(made.place)
        if isinstance(value, Sent):
            current = Current(
                (Branch(name, replace(value, flat=True), weights),), np.zeros(made.size), (made.size,)
            )
        else:
            flat = value.dense() if len(value.shape) > 1 else replace(value, flat=False)
            current = multiplied(name, replace(flat, bias=flat.offsets.ravel()), weights)
        return current if bias is None else current.affine(np.ones(made.size), bias)

    def _convolution(self, made: Made) -> Current:
        kernel, shape = made.what
        maps = as_maps(shape)
        value = self.value(made.reads[0], maps)
        weights = as_array(kernel.weights)
        weights = weights.reshape(len(weights), -1, *kernel.kernel)
        bias = np.zeros(len(weights)) if kernel.bias is None else as_array(kernel.bias)
        name = _name(made.place)
        window = Window(kernel.kernel, kernel.stride, kernel.padding, kernel.dilation)
        if isinstance(value, Sent) and value.shape == maps:
            branch = Branch(
                name,
                replace(value, flat=False),
                weights,
                kernel.stride,
                kernel.padding,
                kernel.dilation,
                kernel.groups,
            )
            return Current((branch,), bias, (len(weights), *window.positions(maps[1:])))
        if isinstance(value, Current) and value.shape == maps and value.branches:
            try:
                current = convolved(
                    name,
                    replace(value, flat=False),
                    weights,
                    stride=kernel.stride,
                    padding=kernel.padding,
                    dilation=kernel.dilation,
                    groups=kernel.groups,
                )
                return current.affine(np.ones(len(bias)), bias)
            except FrontendError:
                pass
        return self._unrolled(made, maps, weights, kernel, bias)

    def _unrolled(self, made: Made, maps: Shape, weights: Floats, kernel: Kernel, bias: Floats) -> Current:
        """Return a convolution of what is no maps as the matrix that it is."""
        source = Sent("", maps, spikes=True)
        branch = Branch("", source, weights, kernel.stride, kernel.padding, kernel.dilation, kernel.groups)
        matrix = branch.unrolled().weights
        return self._linear(made, matrix, np.repeat(bias, made.size // len(bias)))

    def _operand(self, made: Made, place: int = 0) -> Value:
        """Return what an operation on elements reads, in the shape in which it is made."""
        labels = made.reads[place]
        whole = self._ledger.whole(labels)
        return self._of(whole) if whole is not None else self.value(labels, self._shape_beside(made))

    def _shape_beside(self, made: Made) -> Shape:
        """Return the shape of another operand; flat if none has one."""
        for labels in made.reads:
            whole = self._ledger.whole(labels)
            if whole is not None:
                return self._of(whole).shape
        return self._map_shape(made.reads[0]) or (made.size,)

    def _map_shape(self, labels: Labels) -> Shape | None:
        """Return the shape of feature maps that stand behind one another; None if they are none."""
        shapes = [self._of(made).shape for made in self._ledger.makers(labels) if made.kind != "constant"]
        if any(len(shape) != _IMAGE for shape in shapes) or len({shape[1:] for shape in shapes}) != 1:
            return None
        area = size_of(shapes[0][1:])
        return (labels.size // area, *shapes[0][1:]) if labels.size % area == 0 else None

    def _affine(self, made: Made) -> Current:
        factor, offset = made.what
        value = self._operand(made)
        current = identity(f"{value.node}.{_name(made.place)}", value) if isinstance(value, Sent) else value
        if current.shape[0] != len(factor):
            current = current.dense() if len(current.shape) > 1 else current
            repeats = current.shape[0] // len(factor)
            factor, offset = np.repeat(factor, repeats), np.repeat(offset, repeats)
        return current.affine(factor, offset)

    def _scaled(self, made: Made) -> Value:
        factor: Floats = made.what
        value = self._operand(made)
        if isinstance(value, Sent):
            return value.scaled(factor[:1] if (factor == factor[0]).all() else factor)
        maps = factor.reshape(value.shape[0], -1)
        if (maps != maps[:, :1]).any():
            value, maps = value.dense(), factor.reshape(-1, 1)
        return value.affine(maps[:, 0], np.zeros(len(maps)))

    def _sum(self, made: Made) -> Current:
        parts: list[Current] = []
        for place, factor in enumerate(made.what):
            value = self._operand(made, place)
            if isinstance(value, Sent):
                value = identity(f"{value.node}.{_name(made.place)}", replace(value, flat=False))
            value = replace(value, flat=False)
            if factor != 1:
                value = Current(
                    tuple(b.scaled(np.full(targets(b), factor)) for b in value.branches),
                    value.bias * factor,
                    value.shape,
                )
            parts.append(value)
        if len({part.shape for part in parts}) > 1:
            parts = [part.dense() for part in parts]
        return summed(parts)

    def _sum_pool(self, made: Made) -> Value:
        geometry, shape = made.what
        maps = as_maps(shape)
        value = self.value(made.reads[0], maps)
        window = Window(geometry.kernel, geometry.stride, geometry.padding)
        factor = 1.0 / window.area
        if isinstance(value, Sent) and value.shape == maps:
            return self.routes.pool(_name(made.place), replace(value, flat=False), window, factor)
        kernels = np.full((maps[0], 1, *window.kernel), factor)
        stand_in = Kernel(
            torch.from_numpy(kernels),
            None,
            geometry.kernel,
            geometry.stride,
            geometry.padding,
            groups=maps[0],
        )
        return self._convolution(replace(made, what=(stand_in, maps)))

    def _max_pool(self, made: Made) -> Sent:
        geometry, shape = made.what
        maps = as_maps(shape)
        value = self.value(made.reads[0], maps)
        if not isinstance(value, Sent) or not value.spikes or not value.plain or value.shape != maps:
            raise FrontendError(
                f"'{made.place}' takes the largest of what is not spikes: of sums of weights, no chip knows "
                "which is the largest",
                "put neurons in front of it, or use average pooling",
            )
        window = Window(geometry.kernel, geometry.stride, geometry.padding)
        return self.routes.largest(_name(made.place), value, window)

    def _gathered(self, labels: Labels, shape: Shape) -> Current:
        """Return parts of several things as one current."""
        owner, element = self._ledger.owners(labels)
        maps = self._concatenated(owner, element, shape) if len(shape) == _IMAGE else None
        if maps is not None:
            return maps
        size = len(labels)
        branches: list[Branch] = []
        bias = self._ledger.numbers(labels)
        for number in np.unique(owner):
            made = self._ledger.made[number]
            if made.kind == "constant":
                continue
            places = np.flatnonzero(owner == number)
            value = self._of(made)
            chosen = csr_array((np.ones(len(places)), (places, element[places])), shape=(size, made.size))
            if isinstance(value, Sent):
                branches.append(Branch(f"{value.node}.part", replace(value, flat=True), chosen))
                continue
            dense = value.dense() if len(value.shape) > 1 else value
            for branch in dense.branches:
                check_size(made.place, size, sources_of(branch.weights))
                branches.append(replace(branch, weights=product(chosen, branch.weights)))
            bias = bias + chosen @ dense.bias
        return Current(tuple(branches), bias, (size,))

    def _concatenated(self, owner: Labels, element: Labels, shape: Shape) -> Current | None:
        """Return feature maps of several things behind one another; None if they are not such."""
        area, branches, start = size_of(shape[1:]), list[Branch](), 0
        bias = np.zeros(shape[0])
        while start < len(owner):
            made = self._ledger.made[owner[start]]
            end = start + made.size
            whole = made.kind != "constant" and np.array_equal(element[start:end], np.arange(made.size))
            if not whole or (owner[start:end] != owner[start]).any():
                return None
            value = self._of(made)
            if value.shape[1:] != shape[1:] or len(value.shape) != _IMAGE:
                return None
            current = (
                identity(f"{value.node}.part", replace(value, flat=False))
                if isinstance(value, Sent)
                else value
            )
            channels = slice(start // area, end // area)
            if current.bias.ndim != 1 or any(b.dense for b in current.branches):
                return None
            bias[channels] = current.bias
            branches.extend(placed(branch, channels, shape[0]) for branch in current.branches)
            start = end
        return Current(tuple(branches), bias, shape)


def _weights(made: Made) -> tuple[Matrix, Floats | None]:
    """Return the matrix of an operation, and what it adds."""
    if made.kind == "matrix":
        return matrix_of(made.place, made.what)
    weight, bias = made.what
    return as_array(weight), None if bias is None else as_array(bias)


def _name(place: str) -> str:
    return place.partition(" ")[0] or "connection"


_REASONS: Final = {
    "membrane": (
        "the potential of '{place}' is read by another module; only spikes travel",
        "read its spikes, or return the potential as the result",
    ),
    "state": (
        "a state of '{place}' is read by another module; only spikes travel",
        "read its spikes",
    ),
    "score": ("{place} computes a score in the middle of the network", "put it behind the last neurons"),
    "max": (
        "{place} takes a maximum over the steps in the middle of the network",
        "put it behind the last neurons",
    ),
    "unknown": ("{place}", "leave it out, or train the network without it"),
}


def _refused(made: Made) -> tuple[str, str]:
    problem, remedy = _REASONS[made.kind]
    return problem.format(place=made.place), remedy

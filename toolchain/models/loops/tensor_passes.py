"""Blocks of steps in operations of PyTorch, on any device: the same equations, without a graph per step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor

from toolchain.models.dynamics import LayerState, NeuronDynamics
from toolchain.models.loops.matrices import LayerMatrix
from toolchain.models.loops.neurons import (
    ADAPTATION,
    AMOUNT,
    BIAS,
    KEEP_RISE,
    KEEP_U,
    KEEP_V,
    NUMBERS,
    RISE,
    VTH,
    WAIT,
    U,
    V,
)
from toolchain.models.loops.plan import GIVEN, Places, given
from toolchain.models.loops.run import BlockActivity, Run
from toolchain.models.loops.synapses import Weights
from toolchain.models.surrogates import derivative
from toolchain.reset import Reset


class _Population(NamedTuple):
    """A population without gradients.

    Attributes:
        dynamics: Its numbers.
        at: Its neurons among all.
        learnt: Rows of its numbers whose gradients are wanted.
    """

    dynamics: NeuronDynamics
    at: slice
    learnt: frozenset[int]

    def read(self, state: Tensor) -> LayerState:
        """Return its part of states `[B, 4, N]`."""
        dynamics = self.dynamics
        return LayerState(
            state[:, U, self.at],
            state[:, V, self.at],
            None if dynamics.refractory is None else state[:, WAIT, self.at],
            None if dynamics.adaptation is None else state[:, RISE, self.at],
        )

    def write(self, own: LayerState, state: Tensor) -> None:
        """Write its part of states."""
        for row, values in zip((U, V, WAIT, RISE), own, strict=True):
            if values is not None:
                state[:, row, self.at] = values

    def within(self, asked: tuple[int, int]) -> slice | None:
        """Return its place among the neurons that are asked for: the first, and their number."""
        first, count = asked
        inside = first <= self.at.start and self.at.stop <= first + count
        return slice(self.at.start - first, self.at.stop - first) if inside else None


def tensor_passes(
    dynamics: Mapping[str, NeuronDynamics], places: Places, like: Tensor, *, backward: bool
) -> Callable[[Run, Weights], "TensorPasses"]:
    """Return how passes of these populations are made; see `Run.passes`.

    Args:
        dynamics: The populations.
        places: Place of each among all neurons.
        like: A tensor of the type of all numbers.
        backward: Whether gradients will be asked for.
    """
    del like
    layers: list[_Population] = []
    for name, each in dynamics.items():
        tensors = {
            field.name: value.detach()
            for field in fields(each)
            if isinstance(value := getattr(each, field.name), Tensor)
        }
        learnt = {
            row
            for row, values in zip(GIVEN, given(each), strict=True)
            if backward and values is not None and values.requires_grad
        }
        layers.append(_Population(replace(each, **tensors), places.slice(name), frozenset(learnt)))
    return partial(TensorPasses, layers)


@final
class TensorPasses:
    """See `run.Passes`.

    Args:
        layers: The populations.
        run: The run.
        weights: Weights of its synapses.
    """

    def __init__(self, layers: Sequence[_Population], run: Run, weights: Weights) -> None:
        self._layers, self._run = layers, run
        self._matrices = [LayerMatrix(pattern, weights.listed) for pattern in run.lists.patterns]

    @property
    def remembers(self) -> bool:
        """Whether the way back needs states: it always runs again."""
        return True

    def advance(self, a: Tensor, tail: Tensor, state: Tensor) -> BlockActivity:
        """Run a block; see `run.Passes`."""
        run, neurons = self._run, a.shape[2]
        window = torch.cat((a, tail), dim=1)
        currents = window.flatten(1)
        sent = torch.zeros_like(a, dtype=torch.uint8)
        v = a.new_zeros(*a.shape[:2], run.shown[1])
        u = a.new_zeros(*a.shape[:2], run.shown[1] if run.currents_too else 0)
        states = [layer.read(state) for layer in self._layers]
        for t in range(a.shape[1]):
            for k, (layer, matrix) in enumerate(zip(self._layers, self._matrices, strict=True)):
                count, states[k] = _step(layer, window[:, t, layer.at], states[k])
                sent[:, t, layer.at] = count
                matrix.bring(count.to(a.dtype), currents[:, t * neurons :])
                asked = layer.within(run.shown)
                if asked is not None:
                    v[:, t, asked] = states[k].v
                    u[:, t, asked] = states[k].u if run.currents_too else 0
        for layer, own in zip(self._layers, states, strict=True):
            layer.write(own, state)
        a.copy_(window[:, : a.shape[1]])
        tail.copy_(window[:, a.shape[1] :])
        return BlockActivity(sent, v, u)

    def back(self) -> "TensorWayBack":
        """Return the way back through the run."""
        return TensorWayBack(self._layers, self._run, self._matrices)


def _step(layer: _Population, a: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    """Return the spikes of a step, and the state after it."""
    dynamics = layer.dynamics
    u, v = dynamics.charge(a, state)
    count, _ = dynamics.count(v, state)
    return count, dynamics.discharge(u, v, count, count.to(v.dtype), state)


class _Passed(NamedTuple):
    """Gradients of a step that numbers of neurons are learnt from, `[B, N]` each, or of all steps.

    Attributes:
        smooth: With respect to the distance to the threshold, by the surrogate.
        driven: With respect to the potential before the reset, where it is not held.
        a: With respect to the input.
        v: With respect to the potential after the step.
        rise: With respect to what is added to the threshold after the step; None without adaptation.
    """

    smooth: Tensor
    driven: Tensor
    a: Tensor
    v: Tensor
    rise: Tensor | None


@final
class _BlockBack:
    """A population's way back through a block.

    Args:
        layer: The population.
        a: Its input, `[B, T, N]`.
        sent: Its spikes.
        state: Its state before the block.
    """

    def __init__(self, layer: _Population, a: Tensor, sent: Tensor, state: LayerState) -> None:
        self._layer, dynamics = layer, layer.dynamics
        before: list[LayerState] = []
        potentials: list[Tensor] = []
        nearest: list[Tensor] = []
        for t in range(a.shape[1]):
            before.append(state)
            u, v = dynamics.charge(a[:, t], state)
            potentials.append(v)
            if dynamics.max_spikes > 1:
                nearest += [each for each in dynamics.count(v, state)[1:] if each is not None]
            count = sent[:, t]
            state = dynamics.discharge(u, v, count, count.to(v.dtype), state)
        self._before = LayerState(*(_stacked(each) for each in zip(*before, strict=True)))
        self._nearest = _stacked(nearest)
        self._count = sent.transpose(0, 1).to(a.dtype)
        self._sets = dynamics.reset in {Reset.ZERO, Reset.VALUE}
        self._distance = dynamics.distance(torch.stack(potentials), self._before, self._nearest)
        slope = derivative(self._distance, dynamics.surrogate, dynamics.slope) / dynamics.vth
        wait = self._before.wait
        self._held = None if wait is None else wait != 0
        self._slope = slope if self._held is None else slope.masked_fill(self._held, 0)
        self._passed: list[_Passed] = []

    def step(self, t: int, by_spikes: Tensor, later: LayerState) -> tuple[Tensor, LayerState]:
        """Go back over a step.

        Args:
            t: The step.
            by_spikes: Gradients with respect to the spikes, `[B, N]`.
            later: Those with respect to the state after the step.

        Returns:
            Those with respect to the input, and to the state before the step.
        """
        dynamics, rise = self._layer.dynamics, later.rise
        if rise is not None:
            by_spikes = by_spikes + _given(dynamics.adaptation) * rise
        smooth = by_spikes * self._slope[t]
        driven = later.v.masked_fill(self._count[t] > 0, 0) + smooth if self._sets else later.v + smooth
        v = dynamics.keep_v * driven
        if self._held is not None:
            v = torch.where(self._held[t], driven, v)
            driven = driven.masked_fill(self._held[t], 0)
        a = driven + later.u
        if self._layer.learnt:
            self._passed.append(_Passed(smooth, driven, a, later.v, rise))
        if rise is not None:
            rise = _given(dynamics.keep_rise) * rise - smooth
        return a, LayerState(dynamics.keep_u * a, v, None, rise)

    def learn(self, by_numbers: Tensor) -> None:
        """Add the gradients of its numbers to those of all neurons, `[8, N]`."""
        learnt, before = self._layer.learnt, self._before
        if not learnt:
            return
        passed = _Passed(*(_stacked(each[::-1]) for each in zip(*self._passed, strict=True)))
        products = {
            KEEP_U: lambda: passed.a * before.u,
            KEEP_V: lambda: passed.driven * before.v,
            # Times the distance in thresholds and one: 0 for a threshold that is infinite.
            VTH: lambda: -passed.smooth * (self._distance + 1),
            BIAS: lambda: passed.driven,
            AMOUNT: lambda: self._by_amount(passed),
            KEEP_RISE: lambda: _given(passed.rise) * _given(before.rise),
            ADAPTATION: lambda: _given(passed.rise) * self._count,
        }
        for row in learnt:
            by_numbers[row, self._layer.at] += products[row]().sum((0, 1))

    def _by_amount(self, passed: _Passed) -> Tensor:
        """Return gradients with respect to what a spike sets or takes away."""
        if self._sets:
            return passed.v.masked_fill(self._count == 0, 0)
        taken = -self._count * passed.v
        return taken if self._nearest is None else taken - self._nearest * passed.smooth


def _given(values: Tensor | None) -> Tensor:
    """Return what a population with adaptation has."""
    return cast("Tensor", values)


def _stacked(values: Sequence[Tensor | None]) -> Any:  # noqa: ANN401 - a tensor wherever there are values
    """Return the values of all steps; None where there are none."""
    there = [each for each in values if each is not None]
    return torch.stack(there) if there else None


@final
class TensorWayBack:
    """See `run.WayBack`.

    Args:
        layers: The populations.
        run: The run.
        matrices: What each layer sends.
    """

    def __init__(self, layers: Sequence[_Population], run: Run, matrices: Sequence[LayerMatrix]) -> None:
        self._layers, self._run, self._matrices = layers, run, matrices
        state = run.rest()[0]
        self._later = [layer.read(state) for layer in layers]
        self._by_matrices = [matrix.no_gradient() for matrix in matrices]
        self._by_numbers = run.like.new_zeros(NUMBERS, run.places.neurons)

    @property
    def by_weights(self) -> Sequence[Weights]:
        """Gradients with respect to the weights of synapses."""
        weights = self._run.lists.blank(self._run.like)
        for matrix, gradient in zip(self._matrices, self._by_matrices, strict=True):
            matrix.store(gradient, weights.listed)
        return [weights]

    @property
    def by_numbers(self) -> Tensor:
        """Gradients with respect to the numbers of neurons; zero where they are not wanted."""
        return self._by_numbers

    def take(
        self, a: Tensor, state: Tensor, sent: Tensor, by_spikes: Tensor, by_v: Tensor, future: Tensor
    ) -> Tensor:
        """Go back over a block; see `run.WayBack`."""
        run, steps, neurons = self._run, a.shape[1], a.shape[2]
        window = torch.cat((torch.zeros_like(a), future), dim=1)
        by_currents = window.flatten(1)
        blocks = [
            _BlockBack(layer, a[:, :, layer.at], sent[:, :, layer.at], layer.read(state))
            for layer in self._layers
        ]
        for t in reversed(range(steps)):
            for k, layer in reversed(list(enumerate(self._layers))):
                by_sent = self._matrices[k].fetch(by_currents[:, t * neurons :])
                heard = layer.within(run.heard) if by_spikes.numel() else None
                if heard is not None:
                    by_sent = by_sent + by_spikes[:, t, heard]
                shown = layer.within(run.shown) if by_v.numel() else None
                if shown is not None:
                    later = self._later[k]
                    self._later[k] = later._replace(v=later.v + by_v[:, t, shown])
                window[:, t, layer.at], self._later[k] = blocks[k].step(t, by_sent, self._later[k])
        for k, (layer, block) in enumerate(zip(self._layers, blocks, strict=True)):
            block.learn(self._by_numbers)
            spikes = sent[:, :, layer.at].to(a.dtype)
            self._by_matrices[k] = self._matrices[k].learn(self._by_matrices[k], spikes, by_currents, neurons)
        return window[:, :steps].contiguous()

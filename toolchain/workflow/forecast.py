"""Prediction of time series by spiking networks.

Either an untrained network runs along the series and a linear read-out on the host reads its filtered spikes,
or a network trained by surrogate gradients sees a window of values and its read-out population holds the
next one. Everything here uses a `Program`, so float graph and integers, emulator and Lava serve alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.data.codes.series_codes import SeriesCode
from toolchain.errors import SeriesError, UsageError
from toolchain.execution.clipping import warn_clipped
from toolchain.fidelity.decode import scores
from toolchain.intake import count_of, name_of, samples_of
from toolchain.ir import FixedLif, Graph, Lif
from toolchain.options import each, factor, flag, hold, real, whole
from toolchain.target.protocol import Program, Session, session_of
from toolchain.training.ridge import LinearReadout, fit_ridge

_INPUT = "input"


@final
@dataclass(frozen=True)
class ForecastOptions:
    """How states are read and the read-out is fitted.

    Attributes:
        layer: Population whose spikes are read; `feeding_layer` finds it in a graph.
        windows: Time constants, in steps, of the exponential filters over the spikes; one set of features
            for each.
        increments: Whether the read-out predicts the change of the value instead of the value. The
            host knows the present value, so this asks less of the network.
        strength: Strength of the ridge; see `fit_ridge`.
        segments: Pieces of the training series that are run side by side.
        wash_out: Values at the start of each piece whose states are thrown away.
    """

    layer: str
    windows: tuple[float, ...] = (30.0,)
    increments: bool = True
    strength: float = 1e-4
    segments: int = 32
    wash_out: int = 60

    def __post_init__(self) -> None:
        hold(
            self,
            layer=name_of,
            windows=each(factor, least=1),
            increments=flag,
            strength=real(0),
            segments=whole(1),
            wash_out=whole(),
        )


def feeding_layer(graph: Graph) -> str:
    """Return the population that feeds the population that the first output reads.

    Raises:
        UsageError: There is none, or several: lists them, so that one can be named.
    """
    read = graph[graph.outputs[0].inputs[0]]
    sources = (graph.source(graph[name].inputs[0])[0] for name in read.inputs)
    names = dict.fromkeys(
        node.name for node in sources if isinstance(node, Lif | FixedLif) and node.name != read.name
    )
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise UsageError(
            f"expected one population that feeds '{read.name}', got {listed}",
            "name the one to read as `layer`",
        )
    return next(iter(names))


@final
@dataclass(frozen=True)
class Forecaster:
    """A code, a filter over spikes and a read-out.

    Attributes:
        code: From values to input.
        options: How states are read.
        readout: From filtered spikes and the present value to the next one.
    """

    code: SeriesCode
    options: ForecastOptions
    readout: LinearReadout

    def next(self, states: Floats, present: Floats) -> Floats:
        """Return the prediction `[..., D]` of the value after `present`."""
        predicted = self.readout(np.concatenate([states, present], axis=-1))
        return present + predicted if self.options.increments else predicted


@final
class _Filter:
    """Exponentially filtered spikes of a batch."""

    def __init__(self, windows: Sequence[float]) -> None:
        self._forget = [float(np.exp(-1 / window)) for window in windows]
        self._levels: list[Any] = [0.0 for _ in windows]

    def add(self, spikes: NDArray[np.bool_]) -> None:
        """Take in one step, `[batch, N]`."""
        pairs = zip(self._forget, self._levels, strict=True)
        self._levels = [forget * level + (1 - forget) * spikes for forget, level in pairs]

    def read(self) -> Floats:
        """Return the features, `[batch, N * windows]`."""
        return np.concatenate(self._levels, axis=-1)


def fit_forecaster(
    program: Program,
    code: SeriesCode,
    train: Floats,
    options: ForecastOptions,
    rng: np.random.Generator,
) -> Forecaster:
    """Run the network on the training series and fit its read-out to the next value.

    Args:
        program: The network on a target that can be stepped.
        code: How values enter.
        train: Normalised training part, `[time, D]`.
        options: How states are read.
        rng: Used by random codes.

    Raises:
        SeriesError: The series is too short for the pieces and their wash-out.
        TargetError: The target cannot be stepped.
    """
    train = samples_of(train, "train", ("time", code.dimensions)).astype(np.float64, copy=False)
    length = (len(train) - 1) // options.segments
    if length <= options.wash_out + 1:
        raise SeriesError(
            "training part",
            f"has {len(train)} values; {options.segments} segments with wash-out {options.wash_out} need "
            f"{options.segments * (options.wash_out + 2) + 1}",
        )
    starts = np.arange(options.segments)[:, None] * length
    pieces = train[starts + np.arange(length)]
    targets = train[starts + np.arange(1, length + 1)]
    states = run_states(program, code, pieces, options, rng)[:, options.wash_out :]
    present, after = pieces[:, options.wash_out :], targets[:, options.wash_out :]
    features = np.concatenate([states, present], axis=-1).reshape(-1, states.shape[-1] + code.dimensions)
    wanted = after - present if options.increments else after
    readout = fit_ridge(features, wanted.reshape(-1, code.dimensions), options.strength)
    return Forecaster(code, options, readout)


def _series_of(values: object, name: str, code: SeriesCode) -> Floats:
    """Return a batch of series `[batch, time, D]` of the dimensions of a code."""
    given = samples_of(values, name, ("batch", "time", code.dimensions))
    return given.astype(np.float64, copy=False)


def run_states(
    program: Program,
    code: SeriesCode,
    values: Floats,
    options: ForecastOptions,
    rng: np.random.Generator,
) -> Floats:
    """Return the filtered spikes after every value of a batch of series from rest.

    Args:
        program: The network.
        code: How values enter.
        values: `[batch, time, D]`.
        options: What is read.
        rng: Used by random codes.

    Returns:
        `[batch, time, features]`.
    """
    values = _series_of(values, "values", code)
    runner = _Runner(session_of(program, len(values)), code, options, len(values), rng)
    states = np.stack([runner.show(values[:, t]) for t in range(values.shape[1])], axis=1)
    warn_clipped(runner.session.clipped)
    return states


def predict_open_loop(
    forecaster: Forecaster, program: Program, values: Floats, rng: np.random.Generator
) -> Floats:
    """Return the one-step predictions along a batch of series; works on targets that cannot be stepped.

    Args:
        forecaster: As fitted.
        program: The network on any target.
        values: `[batch, time, D]`.
        rng: Used by random codes.

    Returns:
        `[batch, time, D]`: at each time the prediction of the value after it.
    """
    values = _series_of(values, "values", forecaster.code)
    trace = program.run({_INPUT: forecaster.code.encode_all(values, rng)})
    spikes = trace.spikes[forecaster.options.layer]
    states = states_of_spikes(spikes, forecaster.code.steps, forecaster.options.windows)
    return forecaster.next(states, values)


def states_of_spikes(spikes: NDArray[np.bool_], steps: int, windows: Sequence[float]) -> Floats:
    """Return the filtered spikes at the last step of every value.

    Args:
        spikes: `[batch, time * steps, N]`.
        steps: Network steps per value.
        windows: Time constants in steps.
    """
    levels = _Filter(windows)
    states: list[Floats] = []
    for t in range(spikes.shape[1]):
        levels.add(spikes[:, t])
        if t % steps == steps - 1:
            states.append(levels.read())
    return np.stack(states, axis=1)


def predict_closed_loop(
    forecaster: Forecaster,
    program: Program,
    history: Floats,
    horizon: int,
    rng: np.random.Generator,
) -> Floats:
    """Let the network continue a batch of series on its own predictions.

    Args:
        forecaster: As fitted.
        program: The network on a target that can be stepped.
        history: True values before the prediction starts, `[batch, time, D]`: they bring the network into
            step with the series.
        horizon: Values to predict.
        rng: Used by random codes.

    Returns:
        `[batch, horizon, D]`.
    """
    options, code = forecaster.options, forecaster.code
    history, horizon = _series_of(history, "history", code), count_of(horizon, "horizon", least=1)
    runner = _Runner(session_of(program, len(history)), code, options, len(history), rng)
    states = np.zeros(0)
    for t in range(history.shape[1]):
        states = runner.show(history[:, t])
    present, predicted = history[:, -1], list[Floats]()
    for _ in range(horizon):
        present = np.clip(forecaster.next(states, present), -2 * code.reach, 2 * code.reach)
        predicted.append(present)
        states = runner.show(present)
    warn_clipped(runner.session.clipped)
    return np.stack(predicted, axis=1)


@final
class _Runner:
    """A session that is shown one value after another."""

    def __init__(
        self,
        session: Session,
        code: SeriesCode,
        options: ForecastOptions,
        batch: int,
        rng: np.random.Generator,
    ) -> None:
        self.session = session
        self._code = code
        self._layer = options.layer
        self._filter = _Filter(options.windows)
        self._state = code.start(batch)
        self._rng = rng

    def show(self, values: Floats) -> Floats:
        """Show a value `[batch, D]`; return the filtered spikes after it."""
        steps, self._state = self._code.encode(values, self._state, self._rng)
        for t in range(steps.shape[1]):
            self._filter.add(self.session.step({_INPUT: steps[:, t]})[self._layer])
        return self._filter.read()


def predict_from_windows(
    program: Program,
    graph: Graph,
    code: SeriesCode,
    history: Floats,
    horizon: int,
    rng: np.random.Generator,
    *,
    increments: bool = True,
) -> Floats:
    """Let a network that was trained on windows continue a batch of series on its own predictions.

    Every value is predicted from rest, so this works on targets that cannot be stepped.

    Args:
        program: The network on any target.
        graph: What the program runs; its first output says how it is read.
        code: How values enter.
        history: The first window, `[batch, length, D]`.
        horizon: Values to predict.
        rng: Used by random codes.
        increments: As in `windows_of`.

    Returns:
        `[batch, horizon, D]`.
    """
    horizon = count_of(horizon, "horizon", least=1)
    window, predicted = _series_of(history, "history", code), list[Floats]()
    for _ in range(horizon):
        trace = program.run({_INPUT: code.encode_all(window, rng)})
        value = scores(graph, trace, graph.outputs[0])
        value = np.clip(window[:, -1] + value if increments else value, -2 * code.reach, 2 * code.reach)
        predicted.append(value)
        window = np.concatenate([window[:, 1:], value[:, None]], axis=1)
    return np.stack(predicted, axis=1)

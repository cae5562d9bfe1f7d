"""Time series to predict: chaotic systems as the paper parameterises them, and Mackey-Glass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from toolchain.arrays import Floats
from toolchain.errors import ArgumentError, SeriesError
from toolchain.intake import array_of, count_of, names_of, real_of
from toolchain.memory import budget

Derivative = Callable[[Floats], Floats]

_LONGEST: Final = 2**40
"""Steps of the longest series."""
_LARGEST: Final = 1e150
"""No value is beyond: its square is needed."""


@final
@dataclass(frozen=True)
class Series:
    """A series and how it is split in time.

    Attributes:
        name: Name of the system or file.
        values: Values `[time, dimensions]`, in their own units.
        train: End of the training part.
        validation: End of the validation part, which follows it.
        test: End of the test part, which follows that.
        names: Name of each dimension; by default x, y and z, or x0, x1, ... of more.
        time: Name of the column beside them that says when each value was; empty where there is none.
        decimal: Decimal point or comma of the file it was read from; empty where there is none.
    """

    name: str
    values: Floats
    train: int
    validation: int
    test: int
    names: tuple[str, ...] = ()
    time: str = ""
    decimal: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", array_of(self.values, "values").astype(np.float64))
        for name in ("train", "validation", "test"):
            object.__setattr__(self, name, count_of(getattr(self, name), name))
        if self.values.ndim != 2 or not 0 < self.train <= self.validation <= self.test <= len(self.values):
            raise SeriesError(
                self.name,
                f"expected values [time, dimensions] and rising ends of its parts, got {self.values.shape}, "
                f"{self.train}, {self.validation}, {self.test}",
            )
        names = names_of(self.names, "names") or _default_names(self.values.shape[1])
        if len(names) != self.values.shape[1]:
            raise SeriesError(self.name, f"has {self.values.shape[1]} dimensions, got {len(names)} names")
        object.__setattr__(self, "names", names)
        if not (np.abs(self.values) <= _LARGEST).all():
            raise SeriesError(self.name, f"holds values that are not finite, or beyond {_LARGEST:g}")
        if (self.deviation == 0).any():
            raise SeriesError(self.name, "has a dimension that never changes; leave that column out")

    @property
    def mean(self) -> Floats:
        """Mean of every dimension over the training part."""
        return self.values[: self.train].mean(axis=0)

    @property
    def deviation(self) -> Floats:
        """Standard deviation of every dimension over the training part."""
        return self.values[: self.train].std(axis=0)

    @property
    def normalised(self) -> Floats:
        """Values with mean 0 and deviation 1 over the training part."""
        return (self.values - self.mean) / self.deviation


def _default_names(dimensions: int) -> tuple[str, ...]:
    return (
        tuple("xyz"[:dimensions]) if dimensions <= len("xyz") else tuple(f"x{i}" for i in range(dimensions))
    )


def runge_kutta(derivative: Derivative, start: Floats, step: float, samples: int) -> Floats:
    """Integrate an autonomous system by the classical fourth-order method.

    Args:
        derivative: Function that returns `dx/dt` of `x`.
        start: First sample, `[dimensions]`.
        step: Time between samples.
        samples: Number of samples, the first included.
    """
    values = np.empty((samples, len(start)))
    x = np.asarray(start, dtype=np.float64)
    for i in range(samples):
        values[i] = x
        k1 = derivative(x)
        k2 = derivative(x + step / 2 * k1)
        k3 = derivative(x + step / 2 * k2)
        k4 = derivative(x + step * k3)
        x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return values


def lorenz63() -> Series:
    r"""Return Lorenz63: sigma 10, rho 28, beta 8/3, from [12, 2, 9], step 0.01, 20,000 samples.

    .. math:: \dot x = \sigma (y - x), \quad \dot y = x (\rho - z) - y, \quad \dot z = x y - \beta z

    Split 11,250 / 3,750 / 5,000 (Chakraborty et al. 2024, appendix A.4).
    """

    def derivative(p: Floats) -> Floats:
        x, y, z = p
        return np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    values = runge_kutta(derivative, np.array([12.0, 2.0, 9.0]), 0.01, 20_000)
    return Series("Lorenz63", values, 11_250, 15_000, 20_000)


def rossler() -> Series:
    r"""Return the Rössler system: a 0.15, b 0.2, c 10, from [1, 1, 1], step 0.03, 12,700 samples.

    .. math:: \dot x = -y - z, \quad \dot y = x + a y, \quad \dot z = b + z (x - c)

    The first 7,700 samples are thrown away; split 3,000 / 1,000 / 1,000 (the same appendix).
    """

    def derivative(p: Floats) -> Floats:
        x, y, z = p
        return np.array([-y - z, x + 0.15 * y, 0.2 + z * (x - 10.0)])

    values = runge_kutta(derivative, np.ones(3), 0.03, 12_700)[7_700:]
    return Series("Rössler", values, 3_000, 4_000, 5_000)


def mackey_glass(delay: float = 17.0, samples: int = 10_000) -> Series:
    r"""Return the Mackey-Glass series, one value per unit of time.

    .. math:: \dot x(t) = 0.2 \frac{x(t - \tau)}{1 + x(t - \tau)^{10}} - 0.1 x(t)

    Fourth-order Runge-Kutta with step 0.1 and linear interpolation of the delayed value, from
    x = 1.2; the first 1,000 values are thrown away; split 60 / 20 / 20 percent. Not a task of the
    paper; the usual parameters of the reservoir literature.

    Args:
        delay: Delay `tau`; above 16.8 the series is chaotic.
        samples: Number of values.
    """
    delay = real_of(delay, "delay", least=0, most=_LONGEST)
    samples = count_of(samples, "samples", least=1, most=_LONGEST)
    per_unit, dropped = 10, 1_000
    excess = budget().excess(8 * per_unit * int(samples + delay + dropped))
    if excess:
        raise ArgumentError(
            "samples and delay",
            "a series that fits into the memory",
            f"{samples} and {delay:g}",
            f"it {excess}",
        )
    lag = delay * per_unit
    whole, part = int(np.floor(lag)), lag - np.floor(lag)
    steps = (samples + dropped) * per_unit
    x = np.full(steps + whole + 2, 1.2)
    first = whole + 1

    def slope(value: float, delayed: float) -> float:
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * value

    for i in range(first, first + steps):
        early = (1 - part) * x[i - whole] + part * x[i - whole - 1]
        late = (1 - part) * x[i - whole + 1] + part * x[i - whole]
        middle = (early + late) / 2
        k1 = slope(x[i], early)
        k2 = slope(x[i] + k1 / 20, middle)
        k3 = slope(x[i] + k2 / 20, middle)
        k4 = slope(x[i] + k3 / 10, late)
        x[i + 1] = x[i] + (k1 + 2 * k2 + 2 * k3 + k4) / 60
    values = x[first : first + steps : per_unit][dropped:, None]
    return Series("Mackey-Glass", values, samples * 6 // 10, samples * 8 // 10, samples)

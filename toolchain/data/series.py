"""Time series to predict: chaotic systems as the paper parameterises them, Mackey-Glass, and any CSV file."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from toolchain.disk import check_file
from toolchain.errors import ArgumentError, SeriesError
from toolchain.intake import PathText, array_of, count_of, names_of, path_of, real_of

Floats = NDArray[np.float64]
Derivative = Callable[[Floats], Floats]

MAX_CSV_BYTES: Final = 512 * 2**20


@final
@dataclass(frozen=True)
class Series:
    """A series and how it is split in time.

    Attributes:
        name: Of the system or file.
        values: `[time, dimensions]`, in its own units.
        train: End of the training part.
        validation: End of the validation part, which follows it.
        test: End of the test part, which follows that.
    """

    name: str
    values: Floats
    train: int
    validation: int
    test: int

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
        if not np.isfinite(self.values).all():
            raise SeriesError(self.name, "holds values that are not finite")
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


def runge_kutta(derivative: Derivative, start: Floats, step: float, samples: int) -> Floats:
    """Integrate an autonomous system by the classical fourth-order method.

    Args:
        derivative: `dx/dt` of `x`.
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
        delay: `tau`; above 16.8 the series is chaotic.
        samples: Number of values.
    """
    delay, samples = real_of(delay, "delay", least=0), count_of(samples, "samples", least=1)
    per_unit, dropped = 10, 1_000
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


def load_csv(
    path: PathText, columns: tuple[str, ...] = (), *, train: float = 0.6, validation: float = 0.2
) -> Series:
    """Read columns of numbers from a CSV file with a header line.

    Args:
        path: The file; rows are equally spaced in time.
        columns: Names of the columns; by default all whose first value is a number.
        train: Share of the rows for training.
        validation: Share for validation; the rest is the test part.

    Raises:
        MissingFileError: There is no such file.
        SeriesError: A column is unknown, a cell is not a number, or there are too few rows.
    """
    path, columns = path_of(path, "path"), names_of(columns, "columns")
    train = real_of(train, "train", above=0, most=1)
    validation = real_of(validation, "validation", least=0, most=1)
    if train + validation > 1:
        raise ArgumentError(
            "train and validation", "shares of at most 1 together", f"{train:g} and {validation:g}"
        )
    check_file("series", path)
    if path.stat().st_size > MAX_CSV_BYTES:
        raise SeriesError(str(path), f"is larger than {MAX_CSV_BYTES >> 20} MiB")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise SeriesError(str(path), f"is not a CSV file: {error}") from None
    if len(rows) < 10:
        raise SeriesError(str(path), f"expected a header and at least 10 rows, got {len(rows)}")
    known = [name for name in rows[0] if name is not None]
    chosen = columns or tuple(name for name in known if _number(rows[0][name]) is not None)
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise SeriesError(
            str(path), f"has no column '{', '.join(unknown)}' of numbers; known: {', '.join(known)}"
        )
    values = np.empty((len(rows), len(chosen)))
    for i, row in enumerate(rows):
        for j, name in enumerate(chosen):
            value = _number(row[name])
            if value is None:
                raise SeriesError(
                    str(path), f"row {i + 2}, column '{name}': expected a number, got {row[name]!r}"
                )
            values[i, j] = value
    ends = round(len(rows) * train), round(len(rows) * (train + validation))
    return Series(path.stem, values, *ends, len(rows))


def _number(cell: str | None) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None

"""Ridge regression of a read-out on the states of a network that is not trained itself."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from toolchain.arrays import Floats
from toolchain.errors import TrainingError
from toolchain.intake import real_of, samples_of


@final
@dataclass(frozen=True)
class LinearReadout:
    """`y = W x + c` on the host.

    Attributes:
        weights: Weights `[outputs, features]`.
        offset: Offsets `[outputs]`.
    """

    weights: Floats
    offset: Floats

    def __call__(self, features: NDArray[Any]) -> Floats:
        """Return outputs `[..., outputs]` of features `[..., features]`."""
        return features @ self.weights.T + self.offset


def fit_ridge(features: NDArray[Any], targets: Floats, strength: float) -> LinearReadout:
    r"""Return the read-out that minimises :math:`|Y - X W^T - c|^2 + \alpha |W|^2`.

    Args:
        features: Features `[samples, features]`.
        targets: Targets `[samples, outputs]`.
        strength: Strength `alpha` in units of the mean summed variance of a feature, so that it means the
            same for any number of samples and any scale of the features.

    Raises:
        ArgumentError: Features or targets do not fit each other or are not finite: names which.
        TrainingError: No feature varies.
    """
    # In double precision whatever came, so that the same numbers give the same read-out.
    features = samples_of(features, "features", ("samples", "features")).astype(np.float64, copy=False)
    targets = samples_of(targets, "targets", (len(features), "outputs")).astype(np.float64, copy=False)
    strength = real_of(strength, "strength", least=0)
    scale = float(features.var(axis=0, dtype=np.float64).mean()) * len(features)
    if scale == 0:
        raise TrainingError(
            "no feature of the read-out varies: the network is silent or saturated; change its gain"
        )
    from sklearn.linear_model import Ridge  # noqa: PLC0415 - takes long to load

    model: Any = Ridge(alpha=strength * scale, solver="cholesky").fit(features, targets)
    return LinearReadout(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_))

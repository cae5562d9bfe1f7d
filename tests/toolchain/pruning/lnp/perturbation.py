"""A second opinion on the largest exponent without a surrogate: the recipe of the paper's appendix A.1."""

import numpy as np

from toolchain.pruning.lnp import NoiseDrive, RecurrentPool
from toolchain.pruning.lnp.noise import simulate

STEPS, WARM_UP, TRIALS = 200, 40, 16
SIZE = 0.1
"""Perturbation of every potential, in thresholds: a spiking network with a hard reset forgets a perturbation
so small that no spike changes, whatever its coupling."""
SATURATION = 0.9
"""Share of the way to the largest distance at which a growing one is taken as saturated."""
HEALED = 1.0
"""Fall of the logarithm below its largest value from which on the copies are taken to come together again:
moved spikes make a distance jump at first in any network, but only a contracting one forgets them."""


def perturbation_growth(pool: RecurrentPool, drive: NoiseDrive, rng: np.random.Generator) -> float:
    """Return the exponential rate at which two copies of a pool part, per step.

    Two copies get the same noise, the potentials of one are perturbed, and the rate is that of the mean
    logarithm of their distance: from the start to where it saturates if it stays, from its largest value on
    if it falls.
    """
    floor = SIZE * 1e-9
    logs = np.zeros(STEPS)
    for generator in rng.spawn(TRIALS):
        inputs = drive.sample(pool, WARM_UP + STEPS, generator)
        perturbed = inputs.copy()
        kick = generator.choice([-1.0, 1.0], size=pool.size) * pool.threshold * SIZE
        perturbed[WARM_UP] += kick
        one, other = (simulate(pool, each)[0][WARM_UP:] for each in (inputs, perturbed))
        distance = np.sqrt(np.mean(np.square((one - other) / pool.threshold), axis=1))
        # Copies that have become equal stay equal: a floor keeps the logarithm finite.
        logs += np.log(np.maximum(distance, floor)) / TRIALS
    peak = int(np.argmax(logs))
    if logs[-1] < logs[peak] - HEALED:
        sunk = np.flatnonzero(logs <= np.log(floor) * (1 - 1e-9))
        end = max(peak + 2, int(sunk[0])) if sunk.size else STEPS
        return float(np.polyfit(np.arange(peak, end), logs[peak:end], 1)[0])
    rise = SATURATION * (logs[peak] - logs[0])
    end = int(np.argmax(logs >= logs[0] + rise))
    return float((logs[end] - logs[0]) / max(1, end))

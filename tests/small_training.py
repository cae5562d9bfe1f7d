"""A small network and a task that it learns in a few epochs."""

import numpy as np

from toolchain.models import HrsnnShape, Network, build_hrsnn
from toolchain.training import FitOptions

OPTIONS = FitOptions(epochs=6, batch_size=16, learning_rate=0.01)


def small_network(seed: int = 0) -> Network:
    return build_hrsnn(HrsnnShape(channels=6, classes=2, neurons=30), np.random.default_rng(seed))


def small_task(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 fires on the upper channels."""
    labels = rng.integers(0, 2, 96)
    rates = np.where(labels[:, None] == 1, [0.1, 0.1, 0.1, 0.8, 0.8, 0.8], [0.8, 0.8, 0.8, 0.1, 0.1, 0.1])
    return rng.random((96, 10, 6)) < rates[:, None, :], labels


def interrupt_after(epochs: int):
    def progress(done: int, total: int) -> None:
        if done == epochs:
            raise KeyboardInterrupt

    return progress

"""How fast a training goes, for a progress that can show it."""

import time
from typing import Final, final

from toolchain.models import FeedForward, Network
from toolchain.progress import Progress, StageReport
from toolchain.training.autocast import Autocast
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.own_module import OwnModule
from toolchain.training.state_file import EpochRecord

_WINDOW_S: Final = 1.0
"""Seconds over which a speed is measured."""


@final
class Pace:
    """Samples a second and the loss, beside how much of a training is done.

    A plain function is called after every epoch alone.

    Args:
        progress: Takes epochs.
        epochs: Epochs of the whole training.
    """

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress, self._epochs = progress, epochs
        self._report = progress if isinstance(progress, StageReport) else None
        self._since, self._samples, self._speed = time.monotonic(), 0, ""
        self._judged = ""

    def begin(self, path: str, done: int) -> None:
        """Say which path of training is taken, and how many epochs are done already."""
        if self._report is not None:
            self._report.say(path)
        self._progress(done, self._epochs)

    def step(self, done: float, samples: int, loss: float) -> None:
        """Show how much is done.

        Args:
            done: Epochs that are done, to a part of one.
            samples: Samples of this step.
            loss: Loss of this step.
        """
        if self._report is None:
            return
        self._samples += samples
        seconds = time.monotonic() - self._since
        if seconds >= _WINDOW_S or (done >= self._epochs and not self._speed):
            self._speed = f"{self._samples / seconds:,.0f} samples/s, "
            self._since, self._samples = self._since + seconds, 0
        self._report.detail(done, self._epochs, f"{self._speed}loss {loss:.4f}{self._judged}")

    def epoch(self, done: EpochRecord) -> None:
        """Report an epoch that is done; how the network was judged after it is shown during the next one."""
        if done.validation_accuracy is not None:
            self._judged = f", validation {done.validation_accuracy:.1f} %"
        elif done.validation_loss is not None:
            self._judged = f", validation loss {done.validation_loss:.4f}"
        self._progress(done.epoch, self._epochs)


def training_path(network: Network | FeedForward | GraphNetwork | OwnModule, autocast: Autocast) -> str:
    """Return in words how a network is trained: through compiled loops, or else why not; in which precision.

    Args:
        network: The network.
        autocast: Precision of its products and convolutions.
    """
    match network:
        case Network() | FeedForward() | GraphNetwork() | OwnModule():
            why = network.obstacle()
            path = "compiled loops" if why is None else f"step by step, because {why}"
            return path if autocast is Autocast.OFF else f"{path}; autocast to {autocast.value}"

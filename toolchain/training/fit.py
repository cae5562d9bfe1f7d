"""The training loop: surrogate gradients, a one-cycle learning rate, a checkpoint after every epoch."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, assert_never, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import TrainingError, UnknownNameError
from toolchain.intake import PathText, check_type, count_of, path_of, real_of
from toolchain.models import FeedForward, Network, SynapticDelays, learnt_parameters
from toolchain.options import choice, hold, real, share, whole
from toolchain.progress import Progress, no_progress
from toolchain.training.callback import BatchPosition, Callback, ScoreModel
from toolchain.training.compiler_cache import load_compiler
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.samples import SampleReader, Samples
from toolchain.training.state_file import EpochRecord, TrainingNote, restore_state, save_state

_DEVICES: Final = ("auto", "cpu", "cuda")
_MOMENTUM: Final = 0.9
_WARM_UP: Final = 0.3
_FIRST, _LAST = 1 / 25, 1 / 1000
SHARE: Final = "share"
"""Key of an optimizer's group: its learning rate as a share of that of the weights."""
_LATER: Final = {"neuron_rate": 0.2, "delay_rate": 20.0}
"""Options that a state of before does not name, and what it was trained with."""


class Optimizer(Enum):
    """How gradients move the parameters."""

    ADAMW = "adamw"
    SGD = "sgd"
    """With momentum 0.9."""


class LearningRateSchedule(Enum):
    """How the learning rate changes over the steps."""

    ONE_CYCLE = "one_cycle"
    """Up during the first 30 %, then down; see `one_cycle`."""
    THIRDS = "thirds"
    """A tenth of it after every third of the epochs (100 of 300 in the released code of SCA)."""


@final
@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Samples per step.
        learning_rate: Peak of the cycle.
        weight_decay: Decoupled weight decay of AdamW; of SGD, the usual one.
        gradient_clip: Largest norm of a gradient; infinite for none.
        label_smoothing: Label smoothing of the cross-entropy.
        device: `cpu`, `cuda` or `auto`: a GPU if there is one. Another device sums in another
            order, so it trains to slightly other numbers.
        optimizer: AdamW, or SGD with momentum 0.9.
        schedule: Course of the learning rate.
        neuron_rate: Learning rate of what neurons learn (time constants, thresholds, amounts), as a share
            of that of the weights: a step of their offsets is a relative one, and acts on all that a neuron
            does.
        delay_rate: Learning rate of delays in steps, as a multiple of that of the weights.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    label_smoothing: float = 0.0
    device: str = "auto"
    optimizer: Optimizer = Optimizer.ADAMW
    schedule: LearningRateSchedule = LearningRateSchedule.ONE_CYCLE
    neuron_rate: float = 0.2
    delay_rate: float = 20.0

    def __post_init__(self) -> None:
        hold(
            self,
            epochs=whole(),
            batch_size=whole(1),
            learning_rate=real(0),
            weight_decay=real(0),
            gradient_clip=lambda value, name: real_of(value, name, above=0, infinite=True),
            label_smoothing=share,
            optimizer=choice(Optimizer),
            schedule=choice(LearningRateSchedule),
            neuron_rate=real(0),
            delay_rate=real(0),
        )
        if self.device not in _DEVICES:
            raise UnknownNameError("device", str(self.device), _DEVICES)

    def rate(self, part: float) -> float:
        """Return the learning rate after `part` (0 .. 1) of all steps."""
        match self.schedule:
            case LearningRateSchedule.ONE_CYCLE:
                return self.learning_rate * one_cycle(part)
            case LearningRateSchedule.THIRDS:
                return self.learning_rate * 0.1 ** min(int(part * 3), 2)
            case _:
                assert_never(self.schedule)

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of all trained parameters of a network.

        What neurons learn, and delays, are groups of their own: each has a `share` of the learning rate, and
        the weights alone decay.
        """
        load_compiler()
        parameters = self._groups(network)
        rate, decay = self.learning_rate, self.weight_decay
        match self.optimizer:
            case Optimizer.ADAMW:
                return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
            case Optimizer.SGD:
                return torch.optim.SGD(parameters, lr=rate, momentum=_MOMENTUM, weight_decay=decay)
            case _:
                assert_never(self.optimizer)

    def _groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Return the trained parameters in groups; without anything but weights and biases, one of all."""
        neurons, delays = learnt_parameters(network)
        others = {id(p) for p in (*neurons, *delays)}
        weights = [p for p in network.parameters() if p.requires_grad and id(p) not in others]
        groups: list[dict[str, Any]] = [{"params": weights, SHARE: 1.0}]
        for parameters, rate in ((neurons, self.neuron_rate), (delays, self.delay_rate)):
            if parameters:
                groups.append({"params": parameters, SHARE: rate, "weight_decay": 0.0})
        return groups


def fit(
    network: Network | FeedForward | GraphNetwork,
    inputs: Samples,
    labels: Samples | None,
    options: FitOptions,
    *,
    seed: int,
    checkpoint: PathText | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = no_progress,
) -> tuple[EpochRecord, ...]:
    """Train a network in place.

    The order of samples in an epoch depends on `seed` and the epoch only, and the learning rate
    on the step only, so that a run continued from its checkpoint ends with the same numbers as
    one that was never interrupted.

    Args:
        network: Network, which is trained in place.
        inputs: Samples `[samples, time, channels]`, or what else the network takes: an array (in
            memory or memory-mapped), a tensor, or anything with a length that gives a sample per index.
            Read batch by batch, never copied as a whole.
        labels: Classes `[samples]`, whole numbers from 0, learnt by cross-entropy; or real values
            `[samples, outputs]`, learnt by squared error; None if `inputs` gives pairs `(sample, label)`.
        options: How to train.
        seed: Seed of the order of samples.
        checkpoint: Folder for the state after every epoch; a state that it holds is continued from.
        callbacks: Objects that are told of every step and epoch, in this order.
        progress: Function that is called after every epoch.

    Raises:
        ArgumentError: Inputs or labels do not fit the network, are empty or not finite: names which. The
            numbers of a sample are looked at when it is read.
        TrainingError: The loss is not finite, the checkpoint is of another training, or the device
            does not exist.
    """
    options = check_type(options, "options", FitOptions)
    samples = SampleReader(network, inputs, labels, paired=labels is None)
    start = count_of(seed, "seed")
    folder = None if checkpoint is None else path_of(checkpoint, "checkpoint")
    network.to(_device(options.device))
    network.train()
    try:
        return _Training(network, options, start, tuple(callbacks)).run(samples, folder, progress)
    finally:
        network.eval()
        network.to("cpu")


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def one_cycle(part: float) -> float:
    """Return the share of the peak learning rate after `part` (0 .. 1) of all steps.

    A function of the step alone, so that nothing of it has to be stored to continue a training.
    Cosine from 1/25 up to 1 during the first 30 %, then cosine down to 1/1000 (Smith & Topin
    2018, in the shape that torch's OneCycleLR made common).
    """
    if part < _WARM_UP:
        start, end, phase = _FIRST, 1.0, part / _WARM_UP
    else:
        start, end, phase = 1.0, _LAST, (part - _WARM_UP) / (1 - _WARM_UP)
    return end + (start - end) * (1 + math.cos(math.pi * phase)) / 2


@final
class _Training:
    """One run of the loop, with what it trains and the callbacks that watch it."""

    def __init__(
        self,
        network: Network | FeedForward | GraphNetwork,
        options: FitOptions,
        seed: int,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.network = network
        self.options = options
        self.seed = seed
        self.callbacks = callbacks
        self.optimizer = options.build(network)
        self.records: list[EpochRecord] = []
        self.delays = [module for module in network.modules() if isinstance(module, SynapticDelays)]

    def run(
        self, samples: SampleReader, checkpoint: Path | None, progress: Progress
    ) -> tuple[EpochRecord, ...]:
        epochs = self.options.epochs
        for each in self.callbacks:
            each.begin(self.network, self.optimizer, epochs)
        try:
            if checkpoint is not None:
                self.records = list(restore_state(checkpoint, *self._parts(), self._note()))
            for epoch in range(len(self.records) + 1, epochs + 1):
                progress(epoch - 1, epochs)
                order = np.random.default_rng([self.seed, epoch]).permutation(len(samples))
                self.records.append(self._epoch(samples, order, epoch))
                for each in self.callbacks:
                    each.after_epoch(self.network, epoch)
                if checkpoint is not None:
                    save_state(checkpoint, *self._parts(), self._note(self.records))
            progress(epochs, epochs)
        finally:
            for each in self.delays:
                each.narrow(1.0)
            for each in self.callbacks:
                each.end(self.network)
        return tuple(self.records)

    def _epoch(self, samples: SampleReader, order: NDArray[np.int64], epoch: int) -> EpochRecord:
        size = self.options.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        weight = next(self.network.parameters())
        total, right, values_learnt = 0.0, 0, False
        for i, batch in enumerate(batches):
            part = (epoch - 1 + i / len(batches)) / self.options.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = group[SHARE] * self.options.rate(part)
            for each in self.delays:
                each.narrow(part)
            x, target = samples.read_pairs(batch, weight)
            scores = self._model(BatchPosition(epoch, i + 1, len(batches)))(x).scores
            loss = _loss(scores, target, self.options)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss became {value} in epoch {epoch}; lower training.learning_rate or model.gain"
                )
            self._move(loss)
            total += value * len(batch)
            values_learnt = target.is_floating_point()
            if not values_learnt:
                right += int((scores.argmax(dim=1) == target).sum())
        return EpochRecord(epoch, total / len(order), None if values_learnt else 100 * right / len(order))

    def _model(self, at: BatchPosition) -> ScoreModel:
        """Return what computes the scores of a batch."""
        model: ScoreModel = self.network
        for each in self.callbacks:
            model = each.stand_in(model, at)
        return model

    def _move(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        for each in self.callbacks:
            each.after_backward(self.network)
        if math.isfinite(self.options.gradient_clip):
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.gradient_clip)
        self.optimizer.step()
        for each in self.callbacks:
            each.after_step(self.network)

    def _parts(self) -> tuple[nn.Module, torch.optim.Optimizer, tuple[Callback, ...]]:
        return self.network, self.optimizer, self.callbacks

    def _note(self, records: Sequence[EpochRecord] = ()) -> TrainingNote:
        """Return all that decides the numbers of a training, and the epochs that are done."""
        options = {
            name: _plain(value) for name, value in asdict(self.options).items() if _LATER.get(name) != value
        }
        watched = tuple(each.settings() for each in self.callbacks)
        return TrainingNote(options=options, seed=self.seed, callbacks=watched, records=tuple(records))


def _plain(value: Any) -> Any:  # noqa: ANN401 - an option
    """Return an option as JSON can hold it: JSON has no word for infinity."""
    if isinstance(value, Enum):
        return value.value
    return "infinite" if value == math.inf else value


def _loss(scores: Tensor, target: Tensor, options: FitOptions) -> Tensor:
    if target.is_floating_point():
        return nn.functional.mse_loss(scores, target.to(scores.dtype))
    return nn.functional.cross_entropy(scores, target, label_smoothing=options.label_smoothing)

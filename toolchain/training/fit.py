"""The training loop: steps, epochs, a checkpoint after each, and what is left where it ends early."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.bars import draws
from toolchain.errors import TrainingError
from toolchain.intake import PathText, check_type, count_of, path_of
from toolchain.interrupts import Held, uninterrupted
from toolchain.memory import enough_memory
from toolchain.models import FeedForward, Network, SynapticDelays
from toolchain.models.feed_forward import INPUT
from toolchain.progress import Progress, default_progress
from toolchain.training.autocast import check_autocast
from toolchain.training.callback import Callback, ScoreModel
from toolchain.training.divergence import (
    LastGood,
    Position,
    check_gradients,
    check_loss,
    check_parameters,
)
from toolchain.training.fit_options import SHARE, FitOptions
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.own_module import OwnModule
from toolchain.training.pace import Pace, training_path
from toolchain.training.records import Records
from toolchain.training.samples import SampleReader, Samples
from toolchain.training.state_file import EpochRecord, TrainingNote, restore_state, save_state
from toolchain.training.step_memory import check_step_memory
from toolchain.training.validation import Results, Validation, ValidationSamples
from toolchain.training.watch import EpochWatch, no_watch

_LATER: Final = {"neuron_rate": 0.2, "delay_rate": 20.0, "recompute": False, "autocast": "off"}
"""Options that a state of before does not name, and what it was trained with."""


@draws("train")
def fit(
    network: Network | FeedForward | GraphNetwork | OwnModule,
    inputs: Samples | Mapping[str, Samples],
    labels: Samples | None,
    options: FitOptions,
    *,
    seed: int,
    validation: ValidationSamples | None = None,
    checkpoint: PathText | None = None,
    callbacks: Sequence[Callback] = (),
    watch: EpochWatch = no_watch,
    progress: Progress = default_progress,
    lengths: Samples | None = None,
) -> Records:
    """Train a network in place.

    The order of samples in an epoch depends on `seed` and the epoch only, and the learning rate
    on the step only, so that a run continued from its checkpoint ends with the same numbers as
    one that was never interrupted.

    Args:
        network: Network, which is trained in place.
        inputs: Samples `[samples, time, channels]`, or what else the network takes: an array (in
            memory or memory-mapped), a tensor, or anything with a length that gives a sample per index.
            Read batch by batch, never copied as a whole. Of a network with several inputs a mapping of
            such by their names.
        labels: Classes `[samples]`, whole numbers from 0, learnt by cross-entropy; or real values
            `[samples, outputs]`, learnt by squared error; None if `inputs` gives pairs `(sample, label)`.
        options: How to train.
        seed: Seed of the order of samples.
        validation: Inputs and labels that the network is judged by after the last step of every epoch, before
            callbacks hear that it has ended. It does not learn from them: they change none of its numbers.
            Lengths of its samples may stand third.
        checkpoint: Folder for the state after every epoch; a state that it holds is continued from.
        callbacks: Objects that are told of every step and epoch, in this order.
        watch: Function that is called with the records of all epochs that are done, after each and once its
            checkpoint is written; what it raises ends the training.
        progress: Function that is called after every epoch; by default a bar where somebody looks, in a
            terminal or a notebook, which shows samples a second, too.
        lengths: Number of valid steps of each sample, `[samples]`: scores are read of these, and what stands
            after them is padding. None if all are valid.

    Returns:
        A record for each epoch, those of a state that was continued from included: a tuple that shows itself,
        as a line, as a table in a notebook, and by `plot()`.

    Raises:
        ArgumentError: Inputs or labels do not fit the network, are empty or not finite: names which. The
            numbers of a sample are looked at when it is read.
        TrainingError: The loss, a gradient or a parameter is not finite: says in which step, and leaves the
            network as its last whole epoch did. Or the checkpoint is of another training, the device does not
            exist, or `options.autocast` cannot be had.
        OutOfMemoryError: A batch needs more memory than there is.
    """
    options = check_type(options, "options", FitOptions)
    samples = SampleReader(network, inputs, labels, paired=labels is None, lengths=lengths)
    start = count_of(seed, "seed")
    folder = None if checkpoint is None else path_of(checkpoint, "checkpoint")
    device = _device(options.device)
    check_autocast(options.autocast, network, device)
    with Held(lambda: network.to(device).train(), lambda _: network.eval().to("cpu")):
        check_step_memory(network, samples.shape, min(options.batch_size, len(samples)))
        judge = None if validation is None else Validation(network, validation, options.batch_size)
        training = _Training(network, options, start, tuple(callbacks), judge)
        training.watch = watch
        return Records(training.run(samples, folder, progress))


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


@final
class _Training:
    """One run of the loop, with what it trains and the callbacks that watch it."""

    def __init__(
        self,
        network: Network | FeedForward | GraphNetwork | OwnModule,
        options: FitOptions,
        seed: int,
        callbacks: tuple[Callback, ...],
        judge: Validation | None,
    ) -> None:
        self.network = network
        self.judge = judge
        self.options = options
        self.seed = seed
        self.callbacks = callbacks
        self.optimizer = options.build(network)
        self.records: list[EpochRecord] = []
        self.delays = [module for module in network.modules() if isinstance(module, SynapticDelays)]
        self.position = Position(1, 0)
        self.finished = 0
        self.watch: EpochWatch = no_watch

    def run(
        self, samples: SampleReader, checkpoint: Path | None, progress: Progress
    ) -> tuple[EpochRecord, ...]:
        epochs, network = self.options.epochs, self.network
        recomputes = isinstance(network, Network) and network.recompute
        if isinstance(network, Network):
            network.recompute = recomputes or self.options.recompute
        for each in self.callbacks:
            each.begin(self.network, self.optimizer, epochs)
        try:
            if checkpoint is not None:
                self.records = list(restore_state(checkpoint, *self._parts(), self._note()))
            self.finished = len(self.records)
            pace = Pace(progress, epochs)
            pace.begin(training_path(self.network, self.options.autocast), len(self.records))
            for epoch in range(len(self.records) + 1, epochs + 1):
                with _own_chance(network, self.seed, epoch):
                    self._epoch(samples, epoch, pace)
                self._end_epoch(checkpoint)
                pace.epoch(self.records[-1])
                self.watch(tuple(self.records))
        except BaseException as error:
            if not isinstance(error, Exception):
                error.add_note(self._interrupted(checkpoint))
            raise
        finally:
            for each in self.delays:
                each.narrow(1.0)
            for each in self.callbacks:
                each.end(self.network)
            if isinstance(network, Network):
                network.recompute = recomputes
        return tuple(self.records)

    def _epoch(self, samples: SampleReader, epoch: int, pace: Pace) -> None:
        """Learn from all samples once; a training that diverges is put back to where the epoch began."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(samples))
        size = self.options.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        self.position = Position(epoch, len(batches))
        good, results = LastGood(self.network), Results()
        try:
            for i, batch in enumerate(batches):
                self.position.step = i + 1
                self._narrow((epoch - 1 + i / len(batches)) / self.options.epochs)
                with enough_memory(
                    f"a training step of {len(batch)} samples", f"lower `batch_size`, now {size}"
                ):
                    value = self._step(samples, batch, results)
                pace.step(epoch - 1 + (i + 1) / len(batches), len(batch), value)
            check_parameters(self.network, self.optimizer, self.position, self._remedy)
        except TrainingError:
            good.put_back()
            raise
        judged = None if self.judge is None else self.judge.judge(self.network)
        self.records.append(_record(epoch, results, judged))

    def _narrow(self, part: float) -> None:
        """Set what depends on the part (0 .. 1) of all steps that is done."""
        for group in self.optimizer.param_groups:
            group["lr"] = group[SHARE] * self.options.rate(part)
        for each in self.delays:
            each.narrow(part)

    def _step(self, samples: SampleReader, batch: NDArray[np.int64], results: Results) -> float:
        """Learn from a batch, and return its loss."""
        like = next(self.network.parameters())
        x, target = samples.read_pairs(batch, like)
        for each in self.callbacks:
            each.before_step(self.network, self.position)
        with self.options.autocast.context(like.device):
            scores, terms = self._scores(x, samples.lengths(batch, like))
            loss = _loss(scores, target, self.options)
        value = float(loss.detach())
        check_loss(value, self.network, self.position, self._remedy)
        self.optimizer.zero_grad()
        sum(terms, loss).backward()
        for each in self.callbacks:
            each.after_backward(self.network)
        self._clip()
        self._move()
        results.add(value, scores, target)
        return value

    def _scores(self, x: Any, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:  # noqa: ANN401 - a tensor, or one per input
        """Return the scores of a batch, and what callbacks that listened to it add to the loss."""
        network = self.network
        listeners = [each for each in self.callbacks if each.listens(self.position)]
        if listeners:
            return self._listened(x, lengths, listeners)
        if isinstance(network, Network):
            return network.scores(x, lengths), []
        model: ScoreModel = network
        for each in self.callbacks:
            model = each.stand_in(model, self.position)
        return (model(x) if lengths is None else model(x, lengths=lengths)).scores, []

    def _listened(
        self,
        x: Any,  # noqa: ANN401 - a tensor, or one per input
        lengths: Tensor | None,
        listeners: Sequence[Callback],
    ) -> tuple[Tensor, list[Tensor]]:
        network = self.network
        if isinstance(network, Network):
            record = network(x, lengths=lengths)
            entering = dict(x) if isinstance(x, Mapping) else {next(iter(network.inputs)): x}
        elif isinstance(network, FeedForward):
            record, entering = network(x, record=True, lengths=lengths), {INPUT: x}
        else:
            raise TrainingError(
                "what layers send is known of networks that Pumice builds only; train this one without a "
                "penalty on activity"
            )
        terms = [each.after_forward(network, entering, record.spikes) for each in listeners]
        return record.scores, [term for term in terms if term is not None]

    def _clip(self) -> None:
        parameters, most = list(self.network.parameters()), self.options.gradient_clip
        try:
            nn.utils.clip_grad_norm_(parameters, most, error_if_nonfinite=True)
        except RuntimeError:
            check_gradients(self.network, self.position, self._remedy)
            # All are finite, and only their norm is not.
            nn.utils.clip_grad_norm_(parameters, most)

    @uninterrupted
    def _move(self) -> None:
        self.optimizer.step()
        for each in self.callbacks:
            each.after_step(self.network)
        self.position.done = self.position.step

    @uninterrupted
    def _end_epoch(self, checkpoint: Path | None) -> None:
        for each in self.callbacks:
            each.after_epoch(self.network, self.position.epoch)
        if checkpoint is not None:
            save_state(checkpoint, *self._parts(), self._note(self.records))
        self.finished = self.position.epoch

    @property
    def _remedy(self) -> str:
        """What to change of a training that diverges."""
        lower = f"lower `learning_rate`, now {self.options.learning_rate:g}"
        clipped = math.isfinite(self.options.gradient_clip)
        return lower if clipped else f"{lower}, or give `gradient_clip` a finite value"

    def _interrupted(self, checkpoint: Path | None) -> str:
        """Return in words what is left of a training that was interrupted."""
        at, epochs = self.position, self.options.epochs
        where = f"epoch {at.epoch} of {epochs} was interrupted after step {at.done} of {at.steps}"
        if self.finished == at.epoch or not at.done:
            where = f"the training was interrupted after epoch {self.finished} of {epochs}"
        if checkpoint is None:
            return f"{where}; the network holds what it learnt until then, and `checkpoint` keeps it on disk"
        if not self.finished:
            return f"{where}; nothing is kept before the first epoch has ended"
        return (
            f"{where}; '{checkpoint}' holds the state after epoch {self.finished}, "
            "from which the same call continues"
        )

    def _parts(self) -> tuple[nn.Module, torch.optim.Optimizer, tuple[Callback, ...]]:
        return self.network, self.optimizer, self.callbacks

    def _note(self, records: Sequence[EpochRecord] = ()) -> TrainingNote:
        """Return all that decides the numbers of a training, and the epochs that are done."""
        given = {name: _plain(value) for name, value in asdict(self.options).items()}
        options = {name: value for name, value in given.items() if _LATER.get(name) != value}
        watched = tuple(each.settings() for each in self.callbacks)
        return TrainingNote(options=options, seed=self.seed, callbacks=watched, records=tuple(records))


def _own_chance(network: nn.Module, seed: int, epoch: int) -> AbstractContextManager[object]:
    """Return what the dropout of one's own module draws in: of seed and epoch only, and nobody else's."""
    if not isinstance(network, OwnModule):
        return nullcontext()
    context = ExitStack()
    context.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))
    return context


def _record(epoch: int, learnt: Results, judged: Results | None) -> EpochRecord:
    """Return what came out of an epoch."""
    others = (None, None) if judged is None else (judged.mean_loss, judged.accuracy)
    return EpochRecord(epoch, learnt.mean_loss, learnt.accuracy, *others)


def _plain(value: Any) -> Any:  # noqa: ANN401 - an option
    """Return an option as JSON can hold it: JSON has no word for infinity."""
    if isinstance(value, Enum):
        return value.value
    return "infinite" if value == math.inf else value


def _loss(scores: Tensor, target: Tensor, options: FitOptions) -> Tensor:
    if target.is_floating_point():
        return nn.functional.mse_loss(scores, target.to(scores.dtype))
    return nn.functional.cross_entropy(scores, target, label_smoothing=options.label_smoothing)

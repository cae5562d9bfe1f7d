"""The stage of a run that prunes to fit: search, training, and what is asked again after it."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, final

import numpy as np
from torch import Tensor

from toolchain.errors import DoesNotFitError, PreconditionError, PruningError
from toolchain.models import FeedForward, Network
from toolchain.progress import StageProgress, stage_progress
from toolchain.pruning import Allocation, SparseMethod, SparseTraining, SynapseUpdate
from toolchain.pruning.fit import FitPlan, FitRecord, FitSearch, FitStep, FittedPart, Saliency, SizeAnswer
from toolchain.pruning.fit.weighted_parts import parts_of
from toolchain.training import Callback, EpochRecord
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.fitting.asking import FitQuestion
from toolchain.workflow.fitting.gradients import gradients_of
from toolchain.workflow.prepare import EncodedData
from toolchain.workflow.sections.pruning import SparseLearning

_ROUNDS: Final = 4
"""Times that a trained network that does not fit is pruned further."""
_NARROWER: Final = 0.015
"""Share of the synapses that a round leaves free, for every round before it."""
_SHORT: Final = 5
"""Part of the epochs, one in so many, of a short training."""
PROFILES: Final = ("threshold_profiles", "decay_profiles")
"""Settings of the quantization that may be chosen, as bits may."""
SEARCH: Final = "search what fits"
TRAINED: Final = "after the training"


class Learn(Protocol):
    """Trains a network in place as the experiment says, or continues."""

    def __call__(
        self,
        network: Network | FeedForward,
        state: str,
        stage: str,
        callbacks: tuple[Callback, ...] = (),
        epochs: int | None = None,
    ) -> tuple[EpochRecord, ...]:
        """Return the records of all epochs.

        Args:
            network: The network.
            state: Name of the folder for its state.
            stage: Name of the stage, for people.
            callbacks: What prunes it meanwhile.
            epochs: Number of epochs; by default that of the experiment.
        """
        ...


@final
@dataclass(frozen=True)
class FittedNetwork:
    """A trained network that fits.

    Attributes:
        network: The network.
        record: How it came to fit.
        epochs: Records of its training.
        updates: Its synapses after every epoch.
    """

    network: Network | FeedForward
    record: FitRecord
    epochs: tuple[EpochRecord, ...]
    updates: tuple[SynapseUpdate, ...]

    @property
    def history(self) -> dict[str, Any]:
        """What a run remembers, by the fields of its history."""
        return {"network": self.epochs, "synapses": self.updates, "fit": self.record}


@final
@dataclass(frozen=True)
class _Candidate:
    """The largest network that fits with weights of some bits.

    Attributes:
        question: What asks the target.
        search: What searched.
        plan: Its neurons and synapses.
    """

    question: FitQuestion
    search: FitSearch
    plan: FitPlan


@final
class FitStage:
    """Prunes a network to fit while it trains.

    Args:
        experiment: The experiment.
        section: How it prunes; `fit` says what it has to fit.
        encoded: Its data.
        folder: The run folder.
        learn: Trains a network.
        progress: Callback with the stage and how far it is.
    """

    def __init__(
        self,
        experiment: Experiment,
        section: SparseLearning,
        encoded: EncodedData,
        folder: Path,
        learn: Learn,
        progress: StageProgress,
    ) -> None:
        self._experiment, self._section, self._encoded = experiment, section, encoded
        self._folder, self._learn, self._progress = folder, learn, progress
        self._questions = questions_of(experiment, section, encoded)
        self._budget = self._questions[0].budget
        self._steps: list[FitStep] = []
        self._tried: list[FitStep] = []

    def run(self, start: Network | FeedForward, guide: Network | FeedForward) -> FittedNetwork:
        """Return the network that fits, trained.

        Args:
            start: The network that the training begins with.
            guide: The same network after a training, or again that one: the search is made on it.

        Raises:
            PruningError: Nothing fits, or the trained network still does not after some rounds.
        """
        best = self._best(self._candidates(guide), guide)
        network = deepcopy(best.plan.of(start))
        method = SparseMethod(self._section.method)
        pruning = self._pruning(network, best.plan.counts, method)
        stage = f"train and prune by {method.value}"
        records = self._learn(network, "training", stage, (pruning, _Origin(network, best.plan.counts)))
        updates = tuple(pruning.updates)
        for number in range(1, _ROUNDS + 1):
            answer, _ = self._verdict(best, network, f"integers-{number}")
            if best.search.fits(answer) and answer.amount is not None:
                self._steps += best.search.steps
                record = self._record(start, network, best, answer)
                return FittedNetwork(network, record, records, updates)
            if number < _ROUNDS:
                more, renewed = self._further(best, network, number)
                records = (*records, *_after(records, more))
                updates = (*updates, *_after(updates, renewed))
        taken = [
            step.amount for step in best.search.steps if step.what == TRAINED and step.amount is not None
        ]
        least = f": it takes {self._budget.measured(min(taken))}" if taken else ""
        raise PruningError(
            f"after {_ROUNDS - 1} rounds of pruning it further, the trained network still does not fit "
            f"{self._budget.sentence()}{least}",
            f"give {'that' if taken else 'a larger budget'}, or train longer",
        )

    def _candidates(self, guide: Network | FeedForward) -> list[_Candidate]:
        """Return the largest network that fits for each choice of bits, where one does."""
        gradients: dict[str, Tensor] = {}
        if self._budget.saliency is Saliency.GRADIENT:
            gradients = gradients_of(guide, self._encoded, self._experiment.training.batch_size)
        candidates: list[_Candidate] = []
        refused: PruningError | None = None
        for each in self._questions:
            question = roomier(each, self._section, guide)
            progress = stage_progress(self._progress, _named(SEARCH, question.bits))
            search = FitSearch(
                self._budget,
                question,
                names=self._section.connections,
                gradients=gradients,
                bits=question.bits,
                progress=progress,
            )
            try:
                candidates.append(_Candidate(question, search, search.plan(guide)))
            except PruningError as error:
                refused = error
                self._steps += search.steps
            progress(1, 1)
        if refused is not None and not candidates:
            raise refused
        return candidates

    def _best(self, candidates: list[_Candidate], guide: Network | FeedForward) -> _Candidate:
        """Return the candidate that is best on the validation samples after a short training."""
        if len(self._questions) == 1:
            return candidates[0]
        ranks: list[float] = []
        for each in candidates:
            network = deepcopy(each.plan.of(guide))
            pruning = self._pruning(network, each.plan.counts, SparseMethod.GRADUAL)
            callbacks = (pruning, _Origin(network, each.plan.counts))
            bits = each.question.bits
            self._learn(network, f"training-bits-{bits}", f"try {bits} bits", callbacks, self._short)
            _, judged = self._verdict(each, network, f"integers-bits-{bits}")
            self._tried.append(replace(each.search.steps.pop(), what="after a short training"))
            ranks.append(judged)
        # Of equal ones the fewest bits, which are tried first.
        best = candidates[int(np.argmax(ranks))]
        for each in candidates:
            if each is not best:
                self._steps += each.search.steps
        return best

    def _verdict(
        self, candidate: _Candidate, network: Network | FeedForward, state: str
    ) -> tuple[SizeAnswer, float]:
        """Return what a trained network takes, and how right its integers are on validation samples.

        Both are of the network as the run is compiled; the larger the second, the better.
        """
        question, search = candidate.question, candidate.search
        progress = stage_progress(self._progress, _named("train with integers", question.bits))
        try:
            build = question.trained_build(network, self._folder / f"training-{state}", progress)
            answer, judged = question.of_build(build), question.judged(build, network)
        except DoesNotFitError:
            return search.noted(TRAINED, network, SizeAnswer(None, 0.0)), -math.inf
        accuracy = None if self._encoded.outputs is not None else judged
        search.noted(TRAINED, network, answer, accuracy)
        return answer, -math.inf if judged is None else judged

    def _further(
        self, candidate: _Candidate, network: Network | FeedForward, number: int
    ) -> tuple[tuple[EpochRecord, ...], tuple[SynapseUpdate, ...]]:
        """Prune a trained network a little more, and train it on."""
        counts = candidate.search.shrunk(network, candidate.plan.prices, 1 - _NARROWER * number)
        pruning = self._pruning(network, counts, SparseMethod.GRADUAL)
        callbacks = (pruning, _Origin(network, counts))
        stage = f"prune further to fit, round {number}"
        records = self._learn(network, f"training-further-{number}", stage, callbacks, self._short)
        return records, tuple(pruning.updates)

    @property
    def _short(self) -> int:
        return max(1, self._experiment.training.epochs // _SHORT)

    def _pruning(
        self, network: Network | FeedForward, counts: Mapping[str, int], method: SparseMethod
    ) -> SparseTraining:
        """Return what leaves so many synapses of each connection."""
        parts = [part for part in parts_of(network) if part.name in counts]
        options = replace(
            self._section.options(self._experiment.seed),
            method=method,
            fraction=sum(counts.values()) / sum(part.count for part in parts),
            connections=tuple(part.name for part in parts),
            allocation=Allocation.UNIFORM,
        )
        pruning = SparseTraining(network, options)
        pruning.wanted = tuple(counts[name] for name in pruning.names)
        return pruning

    def _record(
        self,
        start: Network | FeedForward,
        network: Network | FeedForward,
        best: _Candidate,
        answer: SizeAnswer,
    ) -> FitRecord:
        budget, section = self._budget, best.question.experiment.quantization
        after = {part.name: part.count for part in parts_of(network)}
        joint = len(self._questions) > 1
        before = self._experiment.quantization
        shared = {name: getattr(section, name) for name in PROFILES if getattr(before, name) is None}
        return FitRecord(
            budget=budget.sentence(),
            limit=budget.limit.value,
            target=budget.target,
            allowed=budget.amount,
            amount=answer.amount or 0.0,
            note=answer.note,
            unit=budget.limit.unit,
            connections=tuple(
                FittedPart(part.name, part.count, after.get(part.name, 0), best.plan.prices.get(part.name))
                for part in parts_of(start)
            ),
            layers=_layers(start, network),
            steps=tuple(self._steps),
            candidates=tuple(self._tried),
            weight_bits=best.question.bits,
            qat_epochs=section.qat_epochs if joint else None,
            **shared,
        )


def questions_of(
    experiment: Experiment, section: SparseLearning, encoded: EncodedData
) -> tuple[FitQuestion, ...]:
    """Return what asks the target of an experiment, for every choice of bits.

    Where there are several, the integers of each are trained for an epoch at least.

    Raises:
        PruningError: There is a choice to make, and nothing to judge it by.
        TargetError: The target has no such limit.
    """
    if section.fit is None:
        raise PruningError("there is no budget to fit", "give one as `fit`")
    budget = section.fit.budget()
    choices = sorted(budget.weight_bits)
    if len(choices) > 1 and not len(encoded.data.validation):
        raise PruningError(
            "bits are chosen by samples for validation, and there are none",
            "set some aside with `validation_fraction` under [data], or give one number of bits",
        )
    question = FitQuestion.of(budget, experiment, encoded)
    epochs = max(1, experiment.quantization.qat_epochs) if len(choices) > 1 else None
    return tuple(question.with_bits(bits, epochs) for bits in choices) or (question,)


def roomier(question: FitQuestion, section: SparseLearning, network: Network | FeedForward) -> FitQuestion:
    """Return a question with fewer profiles where no neurons have to go for that reason alone, or itself."""
    fewer = question.sharing(network)
    for each in (question, *fewer) if fewer else ():
        # Decays that differ too much to be shared by so few profiles are refused.
        with suppress(PreconditionError):
            if FitSearch(each.budget, each, names=section.connections).keeps_neurons(network):
                return each
    return question


def require_possible(experiment: Experiment, encoded: EncodedData, network: Network | FeedForward) -> None:
    """Raise if no network that an experiment could end with fits its budget; without a budget do nothing.

    Raises:
        PruningError: Says the nearest budget that is possible.
    """
    section = experiment.pruning
    if not isinstance(section, SparseLearning) or section.fit is None:
        return
    refused: PruningError | None = None
    for each in questions_of(experiment, section, encoded):
        question = roomier(each, section, network)
        search = FitSearch(question.budget, question, names=section.connections)
        try:
            search.require_possible(network)
        except PruningError as error:
            refused = error
        else:
            return
    if refused is not None:
        raise refused


def with_choice(experiment: Experiment, record: FitRecord | None) -> Experiment:
    """Return an experiment with the bits and profiles that were chosen, with which its run is compiled."""
    names = ("weight_bits", "qat_epochs", *PROFILES)
    changes = {name: getattr(record, name) for name in names if getattr(record, name, None) is not None}
    section = experiment.quantization.model_copy(update=changes)
    return experiment.model_copy(update={"quantization": section}) if changes else experiment


@final
class _Origin(Callback):
    """Says what a training begins with and ends with, so that a state is continued by no other."""

    def __init__(self, network: Network | FeedForward, counts: Mapping[str, int]) -> None:
        digest = sha256()
        for part in parts_of(network):
            values = (part.weight * part.mask).cpu().numpy()
            digest.update(f"{part.name}{values.dtype}{values.shape}".encode() + values.tobytes())
        self._settings = {"numbers": digest.hexdigest(), "counts": dict(counts)}

    def settings(self) -> dict[str, Any]:
        """Return the hash of the weights, and the synapses that will be left."""
        return self._settings


_Numbered = TypeVar("_Numbered", EpochRecord, SynapseUpdate)


def _after(before: Sequence[_Numbered], more: Sequence[_Numbered]) -> list[_Numbered]:
    """Return what a training remembers that goes on after another one."""
    last = before[-1].epoch if before else 0
    return [replace(each, epoch=last + each.epoch) for each in more]


def _named(stage: str, bits: int | None) -> str:
    return stage if bits is None else f"{stage}, {bits} bits"


def _layers(start: Network | FeedForward, network: Network | FeedForward) -> tuple[FittedPart, ...]:
    if not (isinstance(start, Network) and isinstance(network, Network)):
        return ()
    return tuple(FittedPart(name, start.layer(name).size, network.layer(name).size) for name in start.layers)

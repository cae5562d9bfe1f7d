"""What a place says of a network: it is compiled as the run will be, and its target is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, assert_never, final

from toolchain.errors import DoesNotFitError, TargetError
from toolchain.execution.activity import Activity
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.cost import cost_of
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.models import FeedForward, Network
from toolchain.progress import Progress, no_progress
from toolchain.pruning.fit import BudgetLimit, SizeAnswer, SizeBudget
from toolchain.target.processor_fit import FLASH, RAM
from toolchain.target.registry import load_chip, load_memories, load_target, load_writer
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import fit_activity, observe_activity
from toolchain.workflow.compile import compile_graph, repeat_over_steps
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import EncodedData
from toolchain.workflow.quantization import Quantization, repair_build
from toolchain.workflow.real_readout import with_real_readout
from toolchain.workflow.repairing import repair_options
from toolchain.workflow.sizes import judge_float

_JUDGED: Final = 512
"""Samples of a run whose events are counted for a candidate."""


@final
@dataclass(frozen=True)
class FitQuestion:
    """Compiles networks of an experiment, and asks the target of a budget what they take.

    Attributes:
        budget: The budget.
        experiment: The experiment, with the quantization of the run.
        encoded: Its data; the test part is never looked at.
        bits: Bits of a weight, where they are chosen.
    """

    budget: SizeBudget
    experiment: Experiment
    encoded: EncodedData
    bits: int | None = None

    @classmethod
    def of(cls, budget: SizeBudget, experiment: Experiment, encoded: EncodedData) -> "FitQuestion":
        """Return the question of a budget; without a processor, of the first known.

        Raises:
            UnknownNameError: There is no such target.
            TargetError: It has no such limit.
        """
        match budget.limit:
            case BudgetLimit.CORES:
                load_chip(budget.target)
            case BudgetLimit.FLASH | BudgetLimit.RAM:
                place = load_writer(budget.target)
                budget = replace(budget, profile=budget.profile or place.processors[0])
            case BudgetLimit.BRAM:
                load_memories(budget.target)
            case BudgetLimit.SYNOPS:
                load_target(budget.target)
            case _:
                assert_never(budget.limit)
        return cls(budget, experiment, encoded)

    def with_bits(self, bits: int, qat_epochs: int | None = None) -> "FitQuestion":
        """Return the question for weights of so many bits, and for so many epochs with integers if any."""
        changes = {"weight_bits": bits} | ({} if qat_epochs is None else {"qat_epochs": qat_epochs})
        return replace(self._with(changes), bits=bits)

    def sharing(self, network: Network | FeedForward) -> tuple["FitQuestion", ...]:
        """Return the question with fewer profiles for a population, so that several find room on one core.

        Without a word of the experiment a population may have as many thresholds and decays as a core holds,
        and then no other shares its core. First one is left for each of the others; then all have the same.
        """
        if self.budget.limit is not BudgetLimit.CORES:
            return ()
        section, chip = self.experiment.quantization, load_target(self.budget.target).profile
        limits = {"decay_profiles": chip.decay_profiles}
        if section.per_neuron:
            limits["threshold_profiles"] = chip.threshold_profiles
        limited = {name: most for name, most in limits.items() if most and getattr(section, name) is None}
        count = len(self.build(network).fixed_graph.populations) if limited else 0
        if count < 2:
            return ()
        shares = (lambda most: most - (count - 1), lambda most: most // count)
        return tuple(
            self._with({name: max(1, share(most)) for name, most in limited.items()}) for share in shares
        )

    def _with(self, changes: Mapping[str, int]) -> "FitQuestion":
        """Return the question with other quantization."""
        section = self.experiment.quantization.model_copy(update=changes)
        return replace(self, experiment=self.experiment.model_copy(update={"quantization": section}))

    def __call__(self, network: Network | FeedForward) -> SizeAnswer:
        """Return what a network takes that is compiled without training with integers."""
        try:
            return self.of_build(self.build(network))
        except DoesNotFitError as error:
            charge = error.needed / max(error.limit, 1) * self.budget.amount
            return SizeAnswer(None, charge, refusal=str(error))

    def build(self, network: Network | FeedForward) -> Build:
        """Compile a network as the run will be, without training with integers."""
        judged = _shown(network, self._judged)
        graph = from_torch(
            with_real_readout(network, judged),
            classes=self.encoded.data.classes,
            name=self.experiment.model.name,
        )
        section = self.experiment.quantization
        return compile_graph(
            graph,
            target=self.budget.target,
            stimulus=judged,
            calibration=_shown(network, self._calibration),
            quantization=Quantization(**section.model_dump(exclude={"qat_epochs"})),
        )

    def trained_build(
        self, network: Network | FeedForward, folder: Path, progress: Progress = no_progress
    ) -> Build:
        """Compile a network as the run will be, training with the integers included.

        Args:
            network: The network.
            folder: Folder for the state of that training.
            progress: Callback after every epoch of it.
        """
        build, epochs = self.build(network), self.experiment.quantization.qat_epochs
        if not epochs:
            return build
        samples = _shown(network, self.encoded.first(len(self.encoded.data.train)))
        options = repair_options(self.experiment, epochs)
        return repair_build(build, samples, options, resume=folder, progress=progress)

    def of_build(self, build: Build) -> SizeAnswer:
        """Return what a build takes.

        Raises:
            DoesNotFitError: A part of it is too large for any core.
        """
        graph = build.fixed_graph
        activity = observe_activity(graph, build.stimulus_for(None).take(slice(0, _JUDGED)))
        match self.budget.limit:
            case BudgetLimit.CORES:
                return self._on_chip(graph, activity)
            case BudgetLimit.FLASH | BudgetLimit.RAM:
                return self._on_processor(graph, activity)
            case BudgetLimit.BRAM:
                total = sum(load_memories(self.budget.target).memory_bytes(graph).values())
                return SizeAnswer(total, total)
            case BudgetLimit.SYNOPS:
                cost = cost_of(graph, activity)
                by_part = _by_part(cost.synaptic_operations)
                return SizeAnswer(cost.total_operations, cost.total_operations, by_part)
            case _:
                assert_never(self.budget.limit)

    def judged(self, build: Build, network: Network | FeedForward) -> float | None:
        """Return how right integers are on the validation samples; None if there are none.

        It is the accuracy in percent, or for real outputs the error below zero: more is better.
        """
        samples = self.encoded.for_validation()
        if samples is None:
            return None
        figure = judge_float(build.fixed_graph, _shown(network, samples))[1]
        return -figure if samples.real else figure

    @property
    def _calibration(self) -> Stimulus:
        return self.encoded.first(self.experiment.training.calibration_samples)

    @property
    def _judged(self) -> Stimulus:
        """Samples for validation, or else training samples: those of the test are for no choice."""
        return self.encoded.for_validation() or self._calibration

    def _on_chip(self, graph: Graph, activity: Activity) -> SizeAnswer:
        """Return the cores of a network, whatever its samples are.

        Neurons are gathered on cores by what they send, which differs from samples to samples; the fit is
        never worse than the layout in order, which knows of no samples.
        """
        profile = Path(self.budget.profile) if self.budget.profile else None
        fit = fit_activity(graph, activity, self.budget.target, profile=profile).fit
        cores = len(fit.cores) if fit.in_order is None else fit.in_order.cores
        return SizeAnswer(cores, sum(max(fit.utilization(core).values()) for core in fit.cores))

    def _on_processor(self, graph: Graph, activity: Activity) -> SizeAnswer:
        place, profile = load_writer(self.budget.target), self.budget.profile
        fit = place.fit_processor(graph, activity, Path(profile) if "." in profile else profile)
        if self.budget.limit is BudgetLimit.FLASH and fit.code_bytes is None:
            raise TargetError(
                f"flash of '{profile}' holds instructions beside the tables, and there is no compiler to say "
                "how many",
                "install one: `pumice doctor` says which",
            )
        if self.budget.limit is BudgetLimit.RAM:
            return SizeAnswer(fit.used[RAM], fit.used[RAM])
        note = "" if fit.exact else f"its code is that of '{fit.compiled_by}', for another processor"
        return SizeAnswer(fit.used[FLASH], fit.used[FLASH], note=note)


def _shown(network: Network | FeedForward, samples: Stimulus) -> Stimulus:
    """Return samples as the graph of a network takes them."""
    return repeat_over_steps(network.steps if isinstance(network, FeedForward) else None, samples)


def _by_part(operations: Mapping[str, float]) -> dict[str, float]:
    """Return operations by connection of the network: signs may have connections of their own."""
    total = dict[str, float]()
    for name, count in operations.items():
        part = name.partition(".")[0]
        total[part] = total.get(part, 0.0) + count
    return total

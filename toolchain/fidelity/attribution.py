"""The loss of a build, split by cause: what each integer rule does alone, and all of them together."""

from typing import Annotated, Final, Self, final

from toolchain.fidelity.compare import Comparison
from toolchain.files.documents import OMITTED, Count, Document

_SENTENCES: Final = {
    "weights": "rounding the weights",
    "thresholds": "rounding the thresholds",
    "decays": "decays of 12 bits",
    "bias": "rounding the biases",
    "input": "rounding the graded input",
    "truncation": "states that round toward zero",
    "saturation": "registers of 24 bits",
}


@final
class RuleEffect(Document):
    """What some of the integer rules change against real numbers.

    Attributes:
        accuracy_drop: Points of accuracy lost; None without classes.
        spike_f1: Spike F1 over all populations.
        prediction_agreement: Share of samples with equal predictions, in percent; None for real outputs.
        nodes: Spike F1 per population.
        error_rise: How much larger the error of real outputs became, in percent; None without any.
    """

    accuracy_drop: float | None
    spike_f1: float
    prediction_agreement: float | None
    nodes: dict[str, float]
    error_rise: Annotated[float | None, OMITTED] = None

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """Return what a comparison measured."""
        return cls(
            accuracy_drop=comparison.accuracy_drop,
            spike_f1=comparison.spike_f1,
            prediction_agreement=comparison.prediction_agreement,
            nodes={name: node.spike_f1 for name, node in comparison.nodes.items()},
            error_rise=comparison.error_rise,
        )

    @property
    def loss(self) -> str:
        """What was lost at the output in words; empty where nothing says what is right."""
        if self.error_rise is not None:
            return f"{self.error_rise:+.2f} % of error"
        if self.accuracy_drop is None:
            return ""
        return (
            f"{abs(self.accuracy_drop):.2f} points of accuracy {'won' if self.accuracy_drop < 0 else 'lost'}"
        )


@final
class LossAttribution(Document):
    """The loss of a build, split by cause. Effects do not add up: errors can cancel or meet.

    Attributes:
        samples: Number of samples that were run.
        alone: Effect of each rule alone; rules that cannot matter in this network are left out.
        rounded: Effect of all rounded numbers together, states being exact (fake quantization).
        together: Effect of all rules: the fixed graph itself.
        arithmetic: Effect of the arithmetic of states, from the rounded numbers to the fixed graph.
    """

    samples: Count
    alone: dict[str, RuleEffect]
    rounded: RuleEffect
    together: RuleEffect
    arithmetic: RuleEffect

    @property
    def ranked(self) -> list[str]:
        """The rules by what they change alone, the largest change first."""
        return sorted(self.alone, key=lambda rule: self.alone[rule].spike_f1)

    def sentence(self) -> str:
        """Return the result in words."""
        parts = [
            f"{_SENTENCES[rule]} alone: spike F1 {self.alone[rule].spike_f1:.4f}" for rule in self.ranked[:3]
        ]
        points = f", {self.together.loss}" if self.together.loss else ""
        # The figures over all samples stand beside these, and need not agree.
        where = f"on {self.samples} samples" if self.samples > 1 else "on 1 sample"
        together = f"All rules of the integers, {where}: spike F1 {self.together.spike_f1:.4f}{points}"
        return f"{together}. {'; '.join(parts)}."

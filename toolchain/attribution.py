"""Where a loss comes from: each integer rule switched on alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np
import torch

from toolchain.build_folder import Build
from toolchain.fidelity import Comparison, compare_traces
from toolchain.ir import EdgeKind, Graph
from toolchain.progress import Progress, no_progress
from toolchain.stimulus import Stimulus, fit_stimulus
from toolchain.trace import Trace
from toolchain.training import ALL_RULES, GraphNetwork, Rule

ROUNDED: Final = frozenset({Rule.WEIGHTS, Rule.THRESHOLDS, Rule.DECAYS, Rule.BIAS, Rule.INPUT})
"""The rules that change numbers of the network, not the arithmetic of its states: fake quantization."""
_SAMPLES: Final = 256
_BATCH_VALUES: Final = 2**23
"""States (times steps) that are held at once."""
_SENTENCES: Final = {
    Rule.WEIGHTS: "rounding the weights",
    Rule.THRESHOLDS: "rounding the thresholds",
    Rule.DECAYS: "decays of 12 bits",
    Rule.BIAS: "rounding the biases",
    Rule.INPUT: "rounding the graded input",
    Rule.TRUNCATION: "states that round toward zero",
    Rule.SATURATION: "registers of 24 bits",
}


@final
@dataclass(frozen=True)
class Share:
    """What some of the rules do, against real numbers.

    Attributes:
        accuracy_drop: Points lost; None without labels.
        spike_f1: Over all populations.
        prediction_agreement: Percent.
        nodes: Spike F1 per population.
    """

    accuracy_drop: float | None
    spike_f1: float
    prediction_agreement: float
    nodes: Mapping[str, float]

    @classmethod
    def of(cls, comparison: Comparison) -> "Share":
        """Return what a comparison says."""
        nodes = {name: node.spike_f1 for name, node in comparison.nodes.items()}
        return cls(comparison.accuracy_drop, comparison.spike_f1, comparison.prediction_agreement, nodes)


@final
@dataclass(frozen=True)
class Attribution:
    """The loss of a build, split by cause. Shares do not add up: errors can cancel or meet.

    Attributes:
        samples: How many were run.
        alone: What each rule does alone; rules that cannot matter in this network are left out.
        rounded: What all rounded numbers do together, states being exact (fake quantization).
        together: What all rules do: the fixed graph itself.
        arithmetic: From the rounded numbers to the fixed graph: what the arithmetic of states adds.
    """

    samples: int
    alone: Mapping[Rule, Share]
    rounded: Share
    together: Share
    arithmetic: Share

    @property
    def largest(self) -> Rule:
        """The rule that changes most spikes alone."""
        return min(self.alone, key=lambda rule: self.alone[rule].spike_f1)

    def sentence(self) -> str:
        """Return the finding in words."""
        ranked = sorted(self.alone, key=lambda rule: self.alone[rule].spike_f1)
        parts = [f"{_SENTENCES[rule]} alone: spike F1 {self.alone[rule].spike_f1:.4f}" for rule in ranked[:3]]
        drop = self.together.accuracy_drop
        points = "" if drop is None else f", {drop:+.2f} points"
        return f"All rules: spike F1 {self.together.spike_f1:.4f}{points}. {'; '.join(parts)}."

    def to_json(self) -> dict[str, Any]:
        """Return the document that stands in `fidelity.json`."""
        return {
            "samples": self.samples,
            "alone": {rule.value: asdict(share) for rule, share in self.alone.items()},
            "rounded": asdict(self.rounded),
            "together": asdict(self.together),
            "arithmetic": asdict(self.arithmetic),
        }


def attribute_loss(
    build: Build,
    stimulus: Stimulus | None = None,
    *,
    samples: int = _SAMPLES,
    progress: Progress = no_progress,
) -> Attribution:
    """Run the float graph with each integer rule alone, and compare.

    Args:
        build: A compiled network.
        stimulus: By default the build's own.
        samples: At most how many of the first samples are run; large networks run fewer.
        progress: Told how many of the runs are done.
    """
    given = build.stimulus_for(stimulus)
    size = sum(node.vth.size for node in build.fixed_graph.populations) * given.steps
    part = given.take(slice(0, min(samples, max(1, 2 * _BATCH_VALUES // size))))
    chosen = [rule for rule in Rule if _matters(rule, build.fixed_graph)]

    def share(expected: Trace, got: Trace) -> Share:
        graphs = build.fixed_graph, build.fixed_graph
        compared = compare_traces(graphs, (expected, got), labels=part.labels, lengths=part.lengths)
        return Share.of(compared)

    real = run_rules(build, part, frozenset())
    shares: list[Share] = []
    for done, rule in enumerate(chosen):
        progress(done, len(chosen) + 2)
        shares.append(share(real, run_rules(build, part, frozenset({rule}))))
    progress(len(chosen), len(chosen) + 2)
    rounded = run_rules(build, part, ROUNDED)
    integers = run_rules(build, part, ALL_RULES)
    progress(len(chosen) + 2, len(chosen) + 2)
    return Attribution(
        part.samples,
        dict(zip(chosen, shares, strict=True)),
        share(real, rounded),
        share(real, integers),
        share(rounded, integers),
    )


def run_rules(build: Build, stimulus: Stimulus, rules: frozenset[Rule]) -> Trace:
    """Return what the network does by some of the integer rules, in the units of the fixed graph.

    Args:
        build: A compiled network.
        stimulus: What is given.
        rules: None are real numbers, all are the fixed graph bit for bit.
    """
    network = GraphNetwork(build.float_graph, build.fixed_graph, rules=rules)
    fitted = fit_stimulus(build.float_graph, stimulus)
    size = sum(node.vth.size for node in build.fixed_graph.populations) * fitted.steps
    batch = max(1, _BATCH_VALUES // size)
    parts: list[Trace] = []
    with torch.inference_mode():
        for start in range(0, fitted.samples, batch):
            values = fitted.take(slice(start, start + batch)).values
            streams = {name: torch.from_numpy(np.array(array)) for name, array in values.items()}
            activity = network(streams, record=True)
            parts.append(
                Trace(
                    {name: each.numpy().astype(bool) for name, each in activity.spikes.items()},
                    {name: each.double().numpy() for name, each in activity.v.items()},
                )
            )
    return Trace(
        *(
            {name: np.concatenate([getattr(part, q)[name] for part in parts]) for name in parts[0].v}
            for q in ("spikes", "v")
        )
    )


def _matters(rule: Rule, graph: Graph) -> bool:
    """Return whether a rule can change anything in a network."""
    match rule:
        case Rule.BIAS:
            return any(bool(node.bias.any()) for node in graph.populations)
        case Rule.INPUT:
            return any(node.edge is EdgeKind.GRADED for node in graph.inputs)
        case _:
            return True

"""The figures of the study of channel pruning, and the comparisons that are judged together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from sca_study import ARMS, LNP, PLANS, SCRATCH
from study_tables import Comparison, Family, compare, judged_together

ORDER = (*ARMS, *SCRATCH, *LNP)
STRICT = "recommended, strict"
PAIRS = (
    *(
        (STRICT, other)
        for other in (
            "published",
            "recommended, faithful",
            "random regrowth, strict, annealed",
            "firing rate",
            "weight norm",
            "Network Slimming",
            "mean gradient",
            "from scratch, strict's widths",
        )
    ),
    ("recommended at 0.7, strict", "recommended at 0.7, faithful"),
    ("LNP, channels only", "LNP, synapses and channels"),
)


@dataclass(frozen=True)
class Study:
    """What was measured, by width, arm and seed."""

    rows: Mapping[tuple[str, str, int], dict[str, Any]]

    def of(self, width: str, arm: str) -> dict[int, dict[str, Any]]:
        """Return the rows of an arm by seed."""
        return {seed: row for (w, a, seed), row in sorted(self.rows.items()) if (w, a) == (width, arm)}

    def values(self, width: str, arm: str, key: str) -> np.ndarray:
        """Return one figure of an arm, seed by seed."""
        return np.array([row[key] for row in self.of(width, arm).values()])

    def accuracies(self, width: str, arm: str) -> dict[int, float]:
        """Return the accuracies of an arm by seed, measured on the masked network."""
        return {seed: row["masked_accuracy"] for seed, row in self.of(width, arm).items()}

    def weights(self, width: str, arm: str) -> float:
        """Return how many percent of the convolution weights are left, mean over seeds."""
        left = self.values(width, arm, "conv_parameters") / self.values(width, "dense", "conv_parameters")
        return float(100 * left.mean())

    def fewer(self, width: str, arm: str) -> float | None:
        """Return how many times fewer operations the dense network's are cut to, mean over seeds.

        All connections count, from the input to the classifier. None if a network is silent.
        """
        left = self.values(width, arm, "operations")
        return None if (left == 0).any() else float((self.values(width, "dense", "operations") / left).mean())

    def kept(self, width: str, arm: str) -> np.ndarray:
        """Return the channels kept per layer, mean over seeds; empty where nothing was pruned."""
        rows = self.of(width, arm).values()
        return np.mean([row.get("kept", []) for row in rows], axis=0)

    def integers(self, width: str, arm: str) -> np.ndarray:
        """Return the accuracy of integers minus that of real numbers, seed by seed; empty where not measured.

        Rows of an earlier day fed the integers in eight bits, which leave the weights less room.
        """
        rows = self.of(width, arm).values()
        if not all("input_bits" in row for row in rows):
            return np.array([])
        return np.array([row["integers"] - row["accuracy"] for row in rows])

    @cached_property
    def to_dense(self) -> Family[tuple[str, str]]:
        """Every arm against the dense network, at both widths."""
        return judged_together(
            {
                (width, arm): self._compared(width, arm, "dense")
                for width, arm in product(PLANS, ORDER)
                if arm != "dense"
            }
        )

    @cached_property
    def pairs(self) -> Family[tuple[str, str, str]]:
        """The other pairs that the text speaks of, at both widths."""
        return judged_together(
            {(width, *pair): self._compared(width, *pair) for width, pair in product(PLANS, PAIRS)}
        )

    def _compared(self, width: str, first: str, second: str) -> Comparison:
        return compare(self.accuracies(width, first), self.accuracies(width, second))

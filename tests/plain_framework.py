"""A framework of our own: a network in a loop that anybody would write, and what its exporter writes."""

from itertools import pairwise
from typing import Any

import nir
import numpy as np

from toolchain.arrays import Array

SAMPLES, STEPS = 4, 30
Arrays = dict[str, Array]


class Framework:
    """Two layers of leaky neurons and a read-out, in a loop that anybody would write."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.weights = [rng.normal(size=shape) for shape in ((8, 6), (5, 8), (3, 5))]
        self.beta = [rng.uniform(0.5, 0.95, size) for size in (8, 5, 3)]
        self.threshold = [rng.uniform(0.5, 1.5, 8), rng.uniform(0.5, 1.5, 5), np.full(3, np.inf)]
        self.x = rng.random((SAMPLES, STEPS, 6)) < 0.4

    def graph(self) -> nir.NIRGraph:
        """What its exporter writes; a step is 0.1 ms."""
        nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([6])})}
        for i, (weights, beta, threshold) in enumerate(
            zip(self.weights, self.beta, self.threshold, strict=True), 1
        ):
            tau, zero = 1e-4 / (1 - beta), np.zeros_like(beta)
            nodes[f"fc{i}"] = nir.Linear(weights)
            nodes[f"lif{i}"] = (
                nir.LI(tau, tau / 1e-4, zero)
                if np.isinf(threshold).all()
                else nir.LIF(tau, tau / 1e-4, zero, threshold, zero)
            )
        nodes["output"] = nir.Output({"output": np.array([3])})
        names = list(nodes)
        return nir.NIRGraph(nodes, list(pairwise(names)))

    def run(self, reset: str = "zero", number: type[np.floating[Any]] = np.float64) -> Arrays:
        """Spikes and potentials of every layer, `[batch, time, neurons]`."""
        records: dict[str, list[Array]] = {
            f"lif{i}.{quantity}": [] for i in (1, 2, 3) for quantity in ("spikes", "v")
        }
        v = [np.zeros((SAMPLES, len(beta)), number) for beta in self.beta]
        owed = [np.zeros_like(each) for each in v]
        for t in range(STEPS):
            sent = self.x[:, t].astype(number)
            for i, (weights, beta, theta) in enumerate(
                zip(self.weights, self.beta, self.threshold, strict=True)
            ):
                above = v[i] > theta.astype(number)
                v[i] = beta.astype(number) * v[i] + sent @ weights.T.astype(number) - owed[i]
                if reset == "subtract-snntorch":
                    v[i] = v[i] - np.where(above, theta, 0).astype(number)
                spikes = v[i] > theta.astype(number)
                if reset == "subtract-snntorch":
                    v[i] = v[i] - np.where(spikes, theta, 0) + np.where(above, theta, 0)
                elif reset == "subtract-delayed":
                    owed[i] = np.where(spikes, theta, 0).astype(number)
                else:
                    v[i] = np.where(spikes, v[i] - theta if reset == "subtract" else 0, v[i]).astype(number)
                sent = spikes.astype(number)
                records[f"lif{i + 1}.spikes"].append(spikes)
                records[f"lif{i + 1}.v"].append(v[i])
        arrays = {key: np.stack(rows, axis=1) for key, rows in records.items()}
        del arrays["lif3.spikes"]
        return arrays

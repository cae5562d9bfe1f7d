"""Training with integers: a few epochs that repair what quantization changed."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import nn

from toolchain.intake import PathText
from toolchain.ir import Graph
from toolchain.models.surrogates import Surrogate
from toolchain.progress import Progress, default_progress
from toolchain.training.callback import Callback
from toolchain.training.fit import fit
from toolchain.training.fit_options import FitOptions
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.records import Records
from toolchain.training.samples import Samples


@final
class HoldInRange(Callback):
    """After every step, moves weights that no integer can follow back to the edge of their range."""

    def after_step(self, network: nn.Module) -> None:
        """Clip the weights of a `GraphNetwork`."""
        if isinstance(network, GraphNetwork):
            network.hold_in_range()


def tune_graph(
    graph: Graph,
    fixed: Graph | None,
    inputs: Samples | Mapping[str, Samples],
    labels: Samples | None,
    options: FitOptions,
    *,
    seed: int,
    surrogate: Surrogate = Surrogate.FAST_SIGMOID,
    slope: float = 2.0,
    checkpoint: PathText | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = default_progress,
    lengths: Samples | None = None,
) -> tuple[Graph, Records]:
    """Go on training the weights and biases of a graph, with its integers in the forward pass.

    The forward pass is the fixed graph, bit for bit; gradients pass straight through the rounding (Bengio et
    al. 2013). Scales, exponents, thresholds and decays stay, as do pruned synapses and the signs of
    connections. The result holds the weights that acted, the rounded ones: quantizing it with
    `QuantizeGraph(keep=fixed, rounding=NEAREST)` gives the very integers it was trained with.

    Args:
        graph: The float graph.
        fixed: The fixed graph quantized from it; None trains in real numbers, for comparison.
        inputs: Training samples `[samples, time, *features]`, in the model's units, as `fit` takes them.
        labels: Classes or values, as `fit` takes them.
        options: How to train.
        seed: Seed of the order of samples.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.
        checkpoint: Folder for the state after every epoch; a state that it holds is continued from.
        callbacks: Objects that are told of every step and epoch.
        progress: Function that is called after every epoch; by default a bar where somebody looks.
        lengths: Number of valid steps of each sample; None if all are valid.

    Returns:
        The float graph with new weights and biases, and one record per epoch.
    """
    network = GraphNetwork(graph, fixed, precision=torch.float32, surrogate=surrogate, slope=slope)
    records = fit(
        network,
        inputs,
        labels,
        options,
        seed=seed,
        checkpoint=checkpoint,
        callbacks=(*callbacks, HoldInRange()),
        progress=progress,
        lengths=lengths,
    )
    return network.tuned(), records

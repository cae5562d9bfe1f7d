"""A module of another framework as a network that `fit` trains on."""

from typing import Any

import torch
from torch import nn

from toolchain.errors import UsageError
from toolchain.frontends.modules import MODULES, is_recorded
from toolchain.intake import choice_of, real_of
from toolchain.memory import enough_memory
from toolchain.models.surrogates import Surrogate
from toolchain.training import GraphNetwork
from toolchain.workflow.compile import Prepared


@enough_memory("following the module")
def trainable(
    module: nn.Module,
    example: Any,  # noqa: ANN401 - samples of any kind
    *,
    surrogate: Surrogate = Surrogate.FAST_SIGMOID,
    slope: float = 10.0,
) -> GraphNetwork:
    """Return a module of another framework as a network that `fit` trains.

    Its own forward is run on the example and followed, as `compile` does. What comes back is another network
    that computes the same: weights and biases are its parameters, norms are folded into them, dropout does
    nothing, and thresholds, decays and resets stay as they are. A synapse whose weight is zero stays zero.
    Train it with `fit`, and give it to `compile` in the place of the module, which stays as it was.

    Args:
        module: Module with neurons of snnTorch, SpikingJelly, sinabs or Norse, or with `CubaLif` or `Spiking`
            in a forward of its own.
        example: Samples as the module takes them.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative.

    Returns:
        The network. It takes `[batch, time, *features]`, samples before steps, whatever the module takes.

    Raises:
        UsageError: The module is one that `fit` trains as it is.
        FrontendError: The module does something that no graph does; names it and the line.
        SourceMismatchError: The network is not what the module computes: says where it first differs.
    """
    shape, sharpness = choice_of(surrogate, "surrogate", Surrogate), real_of(slope, "slope", above=0)
    if not is_recorded(module):
        raise UsageError(
            f"a {type(module).__name__} is no module of another framework, which are: {MODULES}",
            "give `fit` a Network or FeedForward as it is, or what `as_model` makes of an nn.Sequential",
        )
    prepared = Prepared.of(module, example, None, ())
    if prepared.facts.source is not None:
        prepared.facts.source.require_equal()
    return GraphNetwork(prepared.graph, precision=torch.float32, surrogate=shape, slope=sharpness)

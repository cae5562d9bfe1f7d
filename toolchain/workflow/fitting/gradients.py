"""Gradients of the weights of a network on a few training batches."""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.models import FeedForward, Network
from toolchain.pruning.fit.weighted_parts import parts_of
from toolchain.training.samples import SampleReader
from toolchain.workflow.prepare import EncodedData

_BATCHES: Final = 4


def gradients_of(network: Network | FeedForward, encoded: EncodedData, batch_size: int) -> dict[str, Tensor]:
    """Return the gradients of the loss by connection, summed over the first training batches.

    Args:
        network: The network; it is left as it is.
        encoded: The data.
        batch_size: Samples of a batch.
    """
    part = encoded.data.train
    reader = SampleReader(
        network, encoded.train, part.labels, paired=False, lengths=encoded.encoder.lengths(part)
    )
    modules = {each.name: each.module for each in parts_of(network)}
    total = {name: torch.zeros_like(module.weight) for name, module in modules.items()}
    like = next(network.parameters())
    for first in range(0, min(len(reader), _BATCHES * batch_size), batch_size):
        batch = np.arange(first, min(first + batch_size, len(reader)))
        x, target = reader.read_pairs(batch, like)
        lengths = reader.lengths(batch, like)
        scores = (
            network.scores(x, lengths) if isinstance(network, Network) else network(x, lengths=lengths).scores
        )
        real = target.is_floating_point()
        loss = nn.functional.mse_loss(scores, target) if real else nn.functional.cross_entropy(scores, target)
        weights = [module.weight for module in modules.values()]
        for name, gradient in zip(modules, torch.autograd.grad(loss, weights), strict=True):
            total[name] += gradient
    return {name: gradient.detach() for name, gradient in total.items()}

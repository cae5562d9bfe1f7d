"""How a network does on samples that it does not learn from, and the sums behind every such figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.models import FeedForward, Network
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.own_module import OwnModule
from toolchain.training.samples import SampleReader, Samples

_Entering = Samples | Mapping[str, Samples]
ValidationSamples = (
    tuple[_Entering, Samples | None] | tuple[_Entering, Samples | None, Samples | NDArray[np.int64] | None]
)
"""Inputs and labels, as `fit` takes them, and the numbers of their valid steps, where not all are."""


@final
@dataclass
class Results:
    """What came out of the steps of an epoch, added up.

    Attributes:
        samples: Number of samples.
        loss: Sum of their losses.
        right: Number of those whose class is right.
        values_learnt: Whether values are learnt, which are neither right nor wrong.
    """

    samples: int = field(default=0, init=False)
    loss: float = field(default=0.0, init=False)
    right: int = field(default=0, init=False)
    values_learnt: bool = field(default=False, init=False)

    def add(self, loss: float, scores: Tensor, target: Tensor) -> None:
        """Add those of a step, of which `loss` is the mean."""
        self.samples += len(target)
        self.loss += loss * len(target)
        self.values_learnt = target.is_floating_point()
        if not self.values_learnt:
            self.right += int((scores.argmax(dim=1) == target).sum())

    @property
    def mean_loss(self) -> float:
        """Mean over all samples."""
        return self.loss / self.samples

    @property
    def accuracy(self) -> float | None:
        """Share of right classes in percent; None where values are learnt."""
        return None if self.values_learnt else 100 * self.right / self.samples


@final
class Validation:
    """Samples that a training is judged by after every epoch, and does not learn from.

    Args:
        network: Network, which says what shapes fit.
        samples: The samples and their labels, as `fit` takes them; the labels are None if samples come in
            pairs. Lengths may stand third.
        batch_size: Samples at a time.

    Raises:
        ArgumentError: They do not fit the network.
    """

    def __init__(
        self,
        network: Network | FeedForward | GraphNetwork | OwnModule,
        samples: ValidationSamples,
        batch_size: int,
    ) -> None:
        given: Any = samples
        if not isinstance(given, tuple) or len(given) not in {2, 3}:
            what = f"a tuple of {len(given)}" if isinstance(given, tuple) else type(given).__name__
            raise ArgumentError("validation", "a pair: inputs and labels", what)
        inputs, labels, lengths = (*given, None)[:3]
        self._reader = SampleReader(
            network, inputs, labels, paired=labels is None, name="validation", lengths=lengths
        )
        self._batch_size = batch_size

    def judge(self, network: Network | FeedForward | GraphNetwork | OwnModule) -> Results:
        """Return the results of a network, as it is when it is used: by its running statistics.

        The loss is cross-entropy without smoothing, or squared error.
        """
        results = Results()
        for scores, target in self._batches(network):
            results.add(float(_loss(scores, target)), scores, target)
        return results

    def scores(self, network: Network | FeedForward | GraphNetwork | OwnModule) -> NDArray[np.float64]:
        """Return what a network says of every sample, `[samples, outputs]`."""
        return np.concatenate([scores.double().cpu().numpy() for scores, _ in self._batches(network)])

    def _batches(
        self, network: Network | FeedForward | GraphNetwork | OwnModule
    ) -> list[tuple[Tensor, Tensor]]:
        """Return the scores of a network as it is used, and the labels, batch by batch."""
        batches = list[tuple[Tensor, Tensor]]()
        like, was_training = next(network.parameters()), network.training
        network.eval()
        try:
            # States that a module of the user keeps from call to call would be of inference for ever.
            with torch.no_grad() if isinstance(network, OwnModule) else torch.inference_mode():
                for start in range(0, len(self._reader), self._batch_size):
                    batch = np.arange(start, min(start + self._batch_size, len(self._reader)))
                    x, target = self._reader.read_pairs(batch, like)
                    lengths = self._reader.lengths(batch, like)
                    scores = (
                        network.scores(x, lengths)
                        if isinstance(network, Network)
                        else network(x, lengths=lengths).scores
                    )
                    batches.append((scores, target))
        finally:
            network.train(was_training)
        return batches


def _loss(scores: Tensor, target: Tensor) -> Tensor:
    if target.is_floating_point():
        return nn.functional.mse_loss(scores, target.to(scores.dtype))
    return nn.functional.cross_entropy(scores, target)

"""Noise pruning of an untrained convolutional network: synapses by the noise rule, channels by |V|.

The feed-forward variant of Chakraborty et al. 2024, appendix B.2. Its Step I is the rule of the recurrent
pool on the weights of the convolutions; its Step II removes the channels of lowest mean |V|. The appendix
also adds skip connections back (Step III) and tunes time constants (Step IV) of a ResNet19, which is not done
here: a network keeps the skips it was built with. Choices that the appendix leaves open are marked as ours.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, Final, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.arrays import Floats
from toolchain.errors import PruningError
from toolchain.models import INPUT, Add, FeedForward, GatedNorm, Spiking
from toolchain.progress import Progress, no_progress
from toolchain.pruning.channel_choice import choose_channels
from toolchain.pruning.channels import Mask, channel_layers, compact_channels, silence
from toolchain.pruning.lnp.noise_pruning import KeepRule, draw_synapses, probabilities_of
from toolchain.training import Callback

_RIDGE: Final = 1e-6


@final
@dataclass(frozen=True, kw_only=True)
class FeedForwardLnpOptions:
    """How an untrained convolutional network is pruned.

    Attributes:
        synapses: Share of the weights of all convolutions that Step I keeps.
        channels: Share of all channels, over all layers together, that Step II keeps.
        rounds: Number of rounds of Step I, in each of which the answer to noise is measured anew.
        rule: Rule by which keep probabilities are formed. The Lyapunov matrix has no meaning without
            recurrence; the weight takes its place, as in the rule from which the paper starts. Signs are
            drawn together and channels may lose all their inputs, as in the paper, unless the rule says else.
        samples: Number of noise images per measurement.
        mean: Mean of the noise that enters.
        deviation: Standard deviation of the noise that enters.
        least: Number of channels that every layer keeps.
    """

    synapses: float = 0.5
    channels: float = 0.5
    rounds: int = 10
    rule: KeepRule = field(default_factory=lambda: KeepRule(by_sign=False, connected=False))
    samples: int = 64
    mean: float = 0.5
    deviation: float = 0.5
    least: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.synapses <= 1 and 0 < self.channels <= 1 and self.rounds >= 1 and self.samples > 1):
            raise PruningError(
                "expected shares of synapses and channels in 0 .. 1, one round or more and two samples or "
                f"more, got {self.synapses}, {self.channels}, {self.rounds} and {self.samples}"
            )
        if self.rule.needs_exponents:
            raise PruningError(
                "the Lyapunov matrix needs recurrence; use importance 'weight' or 'covariance' and the "
                "simulated covariance"
            )


@final
@dataclass(frozen=True)
class FeedForwardSelection:
    """A pruned untrained network.

    Attributes:
        network: The smaller network. A weight that is exactly zero is a pruned synapse; train with
            `HoldPruned`, so that it stays zero.
        masks: Mask per layer, True for the channels that live.
        synapses: Share of the weights of all convolutions that was left before channels were removed.
    """

    network: FeedForward
    masks: dict[str, Mask]
    synapses: float


@final
class HoldPruned(Callback):
    """Keeps the weights of convolutions at zero that are zero when the training begins."""

    def __init__(self) -> None:
        self._absent: list[tuple[nn.Conv2d, Tensor]] = []

    def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        """Remember which weights are zero."""
        del optimizer, epochs
        modules = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        self._absent = [(module, module.weight.detach() == 0) for module in modules]

    def after_step(self, network: nn.Module) -> None:
        """Set them back to zero."""
        del network
        with torch.no_grad():
            for module, absent in self._absent:
                module.weight[absent] = 0

    def restore(self, state: dict[str, Tensor]) -> None:
        """Look for zeros again: absent weights were saved as zeros, so there is no other state."""
        del state
        self._absent = [(module, module.weight.detach() == 0) for module, _ in self._absent]


def prune_feed_forward(
    network: FeedForward,
    options: FeedForwardLnpOptions,
    rng: np.random.Generator,
    *,
    progress: Progress = no_progress,
) -> FeedForwardSelection:
    r"""Prune an untrained convolutional network without data.

    .. math:: p_{o,i,k,l} = \rho\, |w_{o,i,k,l}|\, (\Sigma_{oo} + \Sigma_{ii} \mp 2 \Sigma_{oi})

    Channels stand for the neurons of the recurrent rule: Sigma is the covariance, over samples and
    steps, of the mean rates of output and input channel under noise (ours; the appendix does not say).

    Args:
        network: The untrained network, not changed.
        options: How to prune.
        rng: Source of noise and draws.
        progress: Callback after every round.

    Raises:
        PruningError: The network does not answer to noise, or there is nothing to prune.
    """
    pruned = copy.deepcopy(network)
    layers = channel_layers(pruned)
    edges = [_Edge.of(pruned, block.name) for block in pruned.blocks if _is_convolution(pruned, block.name)]
    share = options.synapses ** (1 / options.rounds)
    grown = [np.ones(edge.weights.size) for edge in edges]
    for done in range(options.rounds):
        progress(done, options.rounds)
        _prune_synapses(edges, grown, _answer_to_noise(pruned, options, rng), share, options.rule, rng)
    progress(options.rounds, options.rounds)
    left = sum(int((edge.weights != 0).sum()) for edge in edges) / sum(edge.weights.size for edge in edges)
    answer = _answer_to_noise(pruned, options, rng)
    scores = [answer.polarisation[layer.name] for layer in layers]
    gradients = [np.zeros(len(score)) for score in scores]
    living, _ = choose_channels(
        scores, gradients, sparsity=1 - options.channels, regrowth=0.0, least=options.least
    )
    masks = {layer.name: mask for layer, mask in zip(layers, living, strict=True)}
    silence(layers, masks)
    return FeedForwardSelection(compact_channels(pruned, masks), masks, left)


@final
@dataclass(frozen=True)
class _Answer:
    """The answer of all layers, and of the input, to noise.

    Attributes:
        rates: Mean over the positions `[samples * steps, C]`, by layer.
        polarisation: Mean |V| after the reset, `[C]`, by layer.
    """

    rates: dict[str, Floats]
    polarisation: dict[str, Floats]


@final
@dataclass(frozen=True)
class _Edge:
    """A convolution and the layers at its ends."""

    module: nn.Conv2d
    source: str
    target: str

    @classmethod
    def of(cls, network: FeedForward, name: str) -> "_Edge":
        module = cast("nn.Conv2d", network.parts[name])
        return cls(module, _source_of(network, name), _target_of(network, name))

    @property
    def weights(self) -> Floats:
        return self.module.weight.detach().double().numpy()


def _is_convolution(network: FeedForward, name: str) -> bool:
    module = network.parts[name]
    return isinstance(module, nn.Conv2d) and module.groups == 1


def _source_of(network: FeedForward, name: str) -> str:
    """Return the layer of neurons, or the input, that a convolution reads, through poolings."""
    by_name = {block.name: block for block in network.blocks}
    source = by_name[name].sources[0]
    while source != INPUT and not isinstance(network.parts[source], Spiking):
        source = by_name[source].sources[0]
    return source


def _target_of(network: FeedForward, name: str) -> str:
    """Return the first layer of neurons that a convolution reaches, through norms and streams."""
    while True:
        reader = network.readers(name)[0]
        module = network.parts[reader.name]
        if isinstance(module, Spiking):
            return reader.name
        if not isinstance(module, GatedNorm | Add | nn.BatchNorm2d):
            raise PruningError(f"convolution '{name}' does not lead to neurons")
        name = reader.name


def _answer_to_noise(
    network: FeedForward, options: FeedForwardLnpOptions, rng: np.random.Generator
) -> _Answer:
    """Run the untrained network on noise; its norms use the statistics of that noise."""
    shape = (options.samples, network.steps, *network.shape)
    noise = torch.from_numpy(rng.normal(options.mean, options.deviation, shape).astype(np.float32))
    probe = copy.deepcopy(network).train()
    with torch.no_grad():
        activity = probe(noise, record=True)
    rates = {INPUT: _channel_means(noise)}
    rates |= {name: _channel_means(spikes) for name, spikes in activity.spikes.items()}
    polarisation = {name: _channel_means(v.abs()).mean(axis=0) for name, v in activity.v.items()}
    return _Answer(rates, polarisation)


def _channel_means(values: Tensor) -> Floats:
    means: NDArray[Any] = (
        values.double().flatten(3).mean(3).flatten(0, 1).numpy()
        if values.dim() > 3
        else (values.double().flatten(0, 1).numpy())
    )
    return means


def _prune_synapses(
    edges: list[_Edge],
    grown: list[Floats],
    answer: _Answer,
    share: float,
    rule: KeepRule,
    rng: np.random.Generator,
) -> None:
    """Draw every remaining synapse once, over all convolutions together; those that stay grow."""
    alive = [np.flatnonzero(edge.weights) for edge in edges]
    scores = [_scores(edge, answer)[index] for edge, index in zip(edges, alive, strict=True)]
    together = np.concatenate(scores)
    if not together.size or not np.isfinite(together).all() or together.max() <= 0:
        raise PruningError("the network does not answer to noise: raise its mean or deviation")
    sign = np.concatenate([np.sign(edge.weights.ravel()[i]) for edge, i in zip(edges, alive, strict=True)])
    probabilities = probabilities_of(together, sign, share, rule)
    before = np.concatenate([each[index] for each, index in zip(grown, alive, strict=True)])
    draw = draw_synapses(probabilities, before, _channels(edges, alive), rng, rule)
    start = 0
    with torch.no_grad():
        for edge, each, index in zip(edges, grown, alive, strict=True):
            part = slice(start, start + len(index))
            start = part.stop
            factor = np.where(draw.stays[part], draw.rescaled[part] / before[part], 0.0)
            flat = edge.weights.ravel().copy()
            flat[index] *= factor
            each[index] = draw.rescaled[part]
            edge.module.weight.copy_(torch.from_numpy(flat.reshape(edge.weights.shape)))


def _channels(edges: list[_Edge], alive: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the output channel of every remaining synapse, counted over all convolutions."""
    starts = np.cumsum([0, *(len(edge.weights) for edge in edges[:-1])])
    own = [at // (edge.weights.size // len(edge.weights)) for edge, at in zip(edges, alive, strict=True)]
    return np.concatenate([channels + start for channels, start in zip(own, starts, strict=True)])


def _scores(edge: _Edge, answer: _Answer) -> Floats:
    """Return `|w| (S_oo + S_ii -+ 2 S_oi)` per weight, flattened."""
    sources, targets = answer.rates[edge.source], answer.rates[edge.target]
    centred = sources - sources.mean(axis=0), targets - targets.mean(axis=0)
    cross = centred[1].T @ centred[0] / len(sources)
    variances = [(part**2).mean(axis=0) + _RIDGE for part in centred]
    weights = edge.weights
    sums = (variances[1][:, None] + variances[0])[:, :, None, None]
    spread = np.maximum(sums - 2 * np.sign(weights) * cross[:, :, None, None], 0.0)
    return (np.abs(weights) * spread).ravel()

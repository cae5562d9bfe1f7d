"""`[pruning]`: which synapses, neurons or channels leave, by a method that its `method` says."""

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from toolchain.files.documents import Document, later
from toolchain.pruning import (
    Allocation,
    ChannelPrice,
    Masking,
    Price,
    Ranking,
    Regrowth,
    ScaOptions,
    SparseMethod,
    SparseOptions,
)
from toolchain.pruning.lnp import ExponentSource, Importance, Preference, PruningStep
from toolchain.workflow.sections.fit import FitSection
from toolchain.workflow.sections.numbers import Amount, Fraction, Positive, Share, Whole


class SynapsePruning(Document):
    """`[pruning]`: of an untrained recurrent network; only activity pruning sees data."""

    method: Literal["lnp", "activity", "magnitude", "random", "erdos_renyi"] = Field(
        default="lnp", description="lnp, activity, magnitude, random or erdos_renyi"
    )
    neurons: Positive = Field(default=190, description="neurons that remain")
    synapse_fraction: Fraction = Field(
        default=0.07, description="share of the recurrent synapses that remains"
    )
    iterations: Positive = Field(
        default=20, description="rounds (lnp and activity, which also trains for an epoch after each)"
    )
    steps: Annotated[tuple[PruningStep, ...], Field(min_length=1)] = Field(
        default=(PruningStep.NOISE, PruningStep.CENTRALITY, PruningStep.DELOCALIZATION),
        description="steps of lnp: noise, centrality, delocalization, time_scales",
    )
    importance: Importance = Field(
        default=Importance.WEIGHT,
        description="what a synapse is weighed by: lyapunov, weight or covariance",
    )
    prefer: Preference = Field(
        default=Preference.LEAVES, description="which edges come back first: hubs, leaves or random"
    )
    attribution: ExponentSource = Field(
        default=ExponentSource.DIAGONAL,
        description="source of the exponents: diagonal, anew in every round, full or auto",
    )
    input_fraction: Fraction = later(
        default=1.0,
        description="share of the input synapses that remains, of every neuron alike: the strongest by "
        "magnitude, otherwise at random",
    )
    balanced: bool = later(
        default=True,
        description="whether lnp keeps the shares of the signs and inputs of all neurons (the paper: false)",
    )
    baseline: bool = Field(default=True, description="also train the unpruned network, for comparison")


class ChannelSelection(Document):
    """`[pruning]`: channels of a convolutional network leave and come back while it trains (SCA)."""

    method: Literal["sca"] = Field(description="sca: spiking channel activity")
    sparsity: Share = Field(default=0.7, description="share of all channels that is pruned in the end")
    regrowth: Share = Field(default=0.2, description="share that comes back at the first renewal")
    masking: Masking = Field(
        default=Masking.STRICT,
        description="a pruned channel between renewals: silent at every step (strict), or free to drift "
        "(faithful, as the released code)",
    )
    ranking: Ranking = Field(
        default=Ranking.ACTIVITY,
        description="what decides which live: activity (the paper), firing_rate, weight_norm or slimming",
    )
    price: ChannelPrice = later(
        default=ChannelPrice.CHANNEL,
        description="what a channel costs: each the same (channel), or what its spikes make later layers do "
        "(operations, ours)",
    )
    criterion: Regrowth = Field(
        default=Regrowth.GRADIENT, description="what decides which come back: gradient (the paper) or random"
    )
    anneal: bool = Field(default=True, description="whether regrowth falls to zero (ours)")
    frozen: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.3, description="share of the epochs, at the end, with the channels as they are (ours)"
    )
    warm_up: Whole = Field(default=0, description="epochs before the first renewal")
    interval: Positive = Field(default=1, description="epochs from one renewal to the next")
    mean_gradient: bool = Field(
        default=False, description="whether gradients are averaged over an epoch, not of its last batches"
    )
    gradient_batches: Positive = later(
        default=4, description="last batches of an epoch whose gradients count (the paper: 1)"
    )
    least: Whole = Field(default=1, description="channels that every layer keeps")
    l1: Amount = Field(default=0.0, description="penalty on 3 x 3 convolutions (the paper: 3e-5)")
    gamma_l1: Amount = Field(default=0.0, description="penalty on scales of batch-norms (slimming)")
    baseline: bool = Field(default=True, description="also train the unpruned network, for comparison")

    def options(self, seed: int) -> ScaOptions:
        """Return the options of the pruning; random regrowth draws from `seed`."""
        return ScaOptions(**self.model_dump(exclude={"method", "baseline"}), seed=seed)


class SparseLearning(Document):
    """`[pruning]`: synapses of a network leave and come back while it trains, its inputs included."""

    method: Literal[
        "gradual", "set", "rigl", "deep_rewiring", "soft_deep_rewiring", "snip", "synflow", "static"
    ] = Field(
        description="gradual, set, rigl, deep_rewiring, soft_deep_rewiring, snip, synflow, or their control "
        "static"
    )
    fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="share of the synapses of all connections that the trained network has"
    )
    connections: tuple[str, ...] = Field(
        default=(), description="connections that are pruned, such as encode, recur and decode; empty for all"
    )
    allocation: Allocation | None = Field(
        default=None,
        description="synapses of each connection: by the neurons it joins (erdos_renyi), uniform, or by one "
        "threshold for all (global); by default global of gradual, snip and synflow, erdos_renyi of others",
    )
    price: Price | None = later(
        None,
        description="what a synapse costs where the worst leave: each the same (synapse), or the messages of "
        "its source (operations: gradual, set, rigl, snip); by default operations of gradual",
    )
    batches: Positive = later(default=4, description="first batches, which only choose (snip)")
    rounds: Positive = later(default=100, description="rounds of the choice (synflow)")
    interval: Positive = Field(default=20, description="steps from one renewal to the next")
    renewed: Fraction = Field(default=0.3, description="share that is renewed at first (set, rigl)")
    frozen: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.25, description="share of the training, at the end, with the synapses as they are"
    )
    l1: Amount = Field(default=1e-4, description="decay of magnitudes, in learning rates (deep rewiring)")
    temperature: Amount = Field(default=0.0, description="of the noise on weights (deep rewiring)")
    fit: FitSection | None = later(
        None, description="what the network has to fit, in place of `fraction` and `allocation`"
    )
    baseline: bool = Field(default=True, description="also train the unpruned network, for comparison")

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        """Refuse a number of synapses beside a budget, which decides it."""
        if self.fit is not None:
            whole = type(self).model_fields["fraction"].default
            given = {"fraction": self.fraction != whole, "allocation": self.allocation is not None}
            if names := [f"`{name}`" for name, is_given in given.items() if is_given]:
                raise ValueError(f"`fit` decides {' and '.join(names)}; leave one or the other out")
        return self

    def options(self, seed: int) -> SparseOptions:
        """Return the options of the pruning; what is drawn comes from `seed`."""
        given = self.model_dump(exclude={"method", "baseline", "fit"})
        return SparseOptions(method=SparseMethod(self.method), **given, seed=seed)


PruningOptions = Annotated[SynapsePruning | ChannelSelection | SparseLearning, Field(discriminator="method")]
"""What may stand under `[pruning]`."""
PRUNING_KINDS: Final[tuple[type[Document], ...]] = get_args(get_args(PruningOptions)[0])
"""All of that, kind by kind."""

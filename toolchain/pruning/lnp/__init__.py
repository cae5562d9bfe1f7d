"""Lyapunov Noise Pruning (Chakraborty et al., ICLR 2024)."""

from toolchain.pruning.lnp.algorithm import prune_pool
from toolchain.pruning.lnp.centrality import CentralityRule, NeuronCriterion
from toolchain.pruning.lnp.delocalization import DelocalizationRule, Preference
from toolchain.pruning.lnp.feed_forward import (
    FeedForwardLnpOptions,
    FeedForwardSelection,
    HoldPruned,
    prune_feed_forward,
)
from toolchain.pruning.lnp.noise import NoiseDrive
from toolchain.pruning.lnp.noise_pruning import Covariance, Diagonal, Importance, KeepRule
from toolchain.pruning.lnp.options import ExponentSource, LnpOptions, LnpRecord, LnpResult, PruningStep
from toolchain.pruning.lnp.spectrum import (
    Spectrum,
    SpectrumOptions,
    lyapunov_spectrum,
)
from toolchain.pruning.lnp.time_scales import TimeScaleOptions, optimise_time_scales
from toolchain.pruning.pool import RecurrentPool

__all__ = [
    "CentralityRule",
    "Covariance",
    "DelocalizationRule",
    "Diagonal",
    "ExponentSource",
    "FeedForwardLnpOptions",
    "FeedForwardSelection",
    "HoldPruned",
    "Importance",
    "KeepRule",
    "LnpOptions",
    "LnpRecord",
    "LnpResult",
    "NeuronCriterion",
    "NoiseDrive",
    "Preference",
    "PruningStep",
    "RecurrentPool",
    "Spectrum",
    "SpectrumOptions",
    "TimeScaleOptions",
    "lyapunov_spectrum",
    "optimise_time_scales",
    "prune_feed_forward",
    "prune_pool",
]

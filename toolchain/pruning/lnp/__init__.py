"""Lyapunov Noise Pruning (Chakraborty et al., ICLR 2024)."""

from toolchain.pruning.lnp.algorithm import LnpOptions, LnpRecord, LnpResult, prune_pool
from toolchain.pruning.lnp.dynamics import NoiseDrive, RecurrentPool
from toolchain.pruning.lnp.noise_pruning import KeepRule

__all__ = ["KeepRule", "LnpOptions", "LnpRecord", "LnpResult", "NoiseDrive", "RecurrentPool", "prune_pool"]

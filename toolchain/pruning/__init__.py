"""Pruning, and making the pruned network really smaller."""

from toolchain.pruning.compact import compact
from toolchain.pruning.lnp import LnpOptions, LnpRecord, LnpResult
from toolchain.pruning.recurrent import prune_recurrent

__all__ = ["LnpOptions", "LnpRecord", "LnpResult", "compact", "prune_recurrent"]

"""Pruning, and making the pruned network really smaller."""

from toolchain.pruning.activity import ActivityOptions, prune_by_activity
from toolchain.pruning.compact import compact
from toolchain.pruning.lnp import LnpOptions, LnpRecord, LnpResult, Step, prune_pool
from toolchain.pruning.magnitude import prune_by_magnitude
from toolchain.pruning.pool import RecurrentPool, Selection
from toolchain.pruning.random import erdos_renyi, prune_at_random, without_recurrence
from toolchain.pruning.recurrent import pool_of, prune_recurrent, with_pool

__all__ = [
    "ActivityOptions",
    "LnpOptions",
    "LnpRecord",
    "LnpResult",
    "RecurrentPool",
    "Selection",
    "Step",
    "compact",
    "erdos_renyi",
    "pool_of",
    "prune_at_random",
    "prune_by_activity",
    "prune_by_magnitude",
    "prune_pool",
    "prune_recurrent",
    "with_pool",
    "without_recurrence",
]

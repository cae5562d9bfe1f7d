"""Pruning, and making the pruned network really smaller."""

from toolchain.pruning.activity import ActivityOptions, prune_by_activity
from toolchain.pruning.channel_choice import choose_channels
from toolchain.pruning.channels import channel_layers, compact_channels
from toolchain.pruning.compact import compact
from toolchain.pruning.lnp import LnpOptions, LnpRecord, LnpResult, PruningStep, prune_pool
from toolchain.pruning.magnitude import prune_by_magnitude
from toolchain.pruning.pool import RecurrentPool, Selection
from toolchain.pruning.random import erdos_renyi, prune_at_random, without_recurrence
from toolchain.pruning.recurrent import pool_of, prune_recurrent, recurrent_layer, with_pool
from toolchain.pruning.sca import ChannelPruning, ChannelUpdate, UntrainedChannelsWarning
from toolchain.pruning.sca_options import ChannelPrice, Masking, Ranking, Regrowth, ScaOptions
from toolchain.pruning.sparse import (
    Allocation,
    Price,
    SparseMethod,
    SparseOptions,
    SparseTraining,
    SynapseUpdate,
)

__all__ = [
    "ActivityOptions",
    "Allocation",
    "ChannelPrice",
    "ChannelPruning",
    "ChannelUpdate",
    "LnpOptions",
    "LnpRecord",
    "LnpResult",
    "Masking",
    "Price",
    "PruningStep",
    "Ranking",
    "RecurrentPool",
    "Regrowth",
    "ScaOptions",
    "Selection",
    "SparseMethod",
    "SparseOptions",
    "SparseTraining",
    "SynapseUpdate",
    "UntrainedChannelsWarning",
    "channel_layers",
    "choose_channels",
    "compact",
    "compact_channels",
    "erdos_renyi",
    "pool_of",
    "prune_at_random",
    "prune_by_activity",
    "prune_by_magnitude",
    "prune_pool",
    "prune_recurrent",
    "recurrent_layer",
    "with_pool",
    "without_recurrence",
]

"""Training, and what it leaves on disk."""

from toolchain.training.activity_penalty import ActivityPenalty
from toolchain.training.autocast import Autocast
from toolchain.training.callback import Callback, ScoreModel
from toolchain.training.checkpoint import NETWORK_FILES, load_network, network_of, save_network
from toolchain.training.divergence import Position
from toolchain.training.feed_forward_files import load_feed_forward, save_feed_forward
from toolchain.training.fit import fit
from toolchain.training.fit_options import FitOptions, LearningRateSchedule, Optimizer
from toolchain.training.graph_network import GraphNetwork
from toolchain.training.integer_rules import ALL_RULES, Rule
from toolchain.training.model_files import TrainedNetwork, save_trained, scores_of, trained_of
from toolchain.training.quantization_aware import tune_graph
from toolchain.training.readouts import fit_linear_layer
from toolchain.training.records import Records
from toolchain.training.ridge import LinearReadout, fit_ridge
from toolchain.training.state_file import EpochRecord
from toolchain.training.stdp import StdpOptions, learn_stdp
from toolchain.training.time_constants import LearntTimeConstants, TimeConstantSpread, learnt_time_constants

__all__ = [
    "ALL_RULES",
    "NETWORK_FILES",
    "ActivityPenalty",
    "Autocast",
    "Callback",
    "EpochRecord",
    "FitOptions",
    "GraphNetwork",
    "LearningRateSchedule",
    "LearntTimeConstants",
    "LinearReadout",
    "Optimizer",
    "Position",
    "Records",
    "Rule",
    "ScoreModel",
    "StdpOptions",
    "TimeConstantSpread",
    "TrainedNetwork",
    "fit",
    "fit_linear_layer",
    "fit_ridge",
    "learn_stdp",
    "learnt_time_constants",
    "load_feed_forward",
    "load_network",
    "network_of",
    "save_feed_forward",
    "save_network",
    "save_trained",
    "scores_of",
    "trained_of",
    "tune_graph",
]

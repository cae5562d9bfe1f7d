"""Training, and what it leaves on disk."""

from toolchain.training.checkpoint import load_network, save_network
from toolchain.training.fit import EpochRecord, FitOptions, fit

__all__ = ["EpochRecord", "FitOptions", "fit", "load_network", "save_network"]

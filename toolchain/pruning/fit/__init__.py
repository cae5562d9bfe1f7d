"""Prune to fit: the largest network that the place it runs on has room for."""

from toolchain.pruning.fit.budget import BudgetLimit, Saliency, SizeBudget, bytes_of
from toolchain.pruning.fit.record import FitRecord, FitStep, FittedPart
from toolchain.pruning.fit.search import FitPlan, FitSearch, SizeAnswer

__all__ = [
    "BudgetLimit",
    "FitPlan",
    "FitRecord",
    "FitSearch",
    "FitStep",
    "FittedPart",
    "Saliency",
    "SizeAnswer",
    "SizeBudget",
    "bytes_of",
]

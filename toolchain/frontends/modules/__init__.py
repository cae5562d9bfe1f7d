"""Modules of other frameworks: their own forward pass is run, followed, and folded to a graph."""

from toolchain.frontends.modules.kinds import MODULES, is_recorded
from toolchain.frontends.modules.network import Recorded, recorded

__all__ = ["MODULES", "Recorded", "is_recorded", "recorded"]

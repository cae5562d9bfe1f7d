"""From models to graphs."""

from toolchain.frontends.from_torch import from_torch

__all__ = ["from_torch"]

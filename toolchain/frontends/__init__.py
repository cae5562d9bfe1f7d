"""From models to graphs."""

from toolchain.frontends.check_float import FloatAgreement, check_float
from toolchain.frontends.from_torch import as_model, from_torch

__all__ = ["FloatAgreement", "as_model", "check_float", "from_torch"]

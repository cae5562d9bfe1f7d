"""Values that enter a network which is called directly, as a tensor."""

import torch
from torch import Tensor

from toolchain.intake import array_of


def tensor_of(values: object, name: str) -> Tensor:
    """Return a dense tensor of real numbers as it is, and anything else that `array_of` reads as one.

    Args:
        values: Values as the caller gave them.
        name: Name of the argument.

    Raises:
        ArgumentError: It is not made of numbers.
    """
    if isinstance(values, Tensor) and values.layout is torch.strided and not values.is_complex():
        return values
    # A copy, because PyTorch takes neither arrays that may not be written nor those that run backwards.
    return torch.from_numpy(array_of(values, name).copy())

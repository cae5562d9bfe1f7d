"""Short names for the arrays in signatures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Numbers of any kind."""
Floats = NDArray[np.float64]
"""Real numbers."""
Ints = NDArray[np.int64]
"""Whole numbers."""
Pair = tuple[int, int]
"""Rows and columns, as in a stride."""

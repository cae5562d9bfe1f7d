"""What runs as C."""

from typing import Final

from toolchain.stage import Stage
from toolchain.target.capabilities import Capabilities

CAPABILITIES: Final = Capabilities(
    name="C",
    real=None,
    stepped=True,
    exports=frozenset({Stage.FIXED}),
    largest=2**26,
    # Compilers take minutes, and much memory, for more.
    form="tables in C",
)
"""What C can."""

"""What runs on the core."""

from typing import Final

from toolchain.stage import Stage
from toolchain.target.capabilities import Capabilities, ImageRules

LARGEST: Final = 2**31
"""Bytes of memories that are simulated."""
CAPABILITIES: Final = Capabilities(
    name="the core in Verilog",
    real=None,
    stepped=True,
    exports=frozenset({Stage.FIXED}),
    # An instruction has 15 bits for a channel, and for a column.
    images=ImageRules(largest_image=2**15),
    largest=LARGEST,
    form="memories of a simulated core",
    remedy="run it on the emulator, which gives the same integers",
)
"""What the core in Verilog can."""

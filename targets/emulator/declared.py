"""What the emulator runs: everything."""

from typing import Final

from toolchain.target.capabilities import Capabilities

CAPABILITIES: Final = Capabilities(
    name="the emulator",
    stepped=True,
)
"""What the emulator can."""

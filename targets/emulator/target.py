"""The emulator as a target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from toolchain.errors import TargetUnavailableError

if TYPE_CHECKING:
    from targets.emulator.program import EmulatorProgram
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.protocol import BatchedProgram, Target


@final
@dataclass(frozen=True)
class EmulatorTarget:
    """Runs float and fixed graphs in batches; integers equal Lava's bit for bit.

    Attributes:
        device: `cpu` or `cuda`.
    """

    device: str = "cpu"

    @property
    def name(self) -> str:
        """Name of the target, as users type it."""
        return "emulator"

    @property
    def profile(self) -> "HardwareProfile":
        """The limits of Lava's fixed-point models, which it equals."""
        from toolchain.hardware import LAVA_FIXED_POINT

        return LAVA_FIXED_POINT

    @property
    def capabilities(self) -> "Capabilities":
        """Everything."""
        from targets.emulator.declared import CAPABILITIES

        return CAPABILITIES

    def check(self) -> None:
        """Raise if the device is a GPU and there is none."""
        if not self.device.startswith("cuda"):
            return
        import torch

        if not torch.cuda.is_available():
            raise TargetUnavailableError(self.name, "no CUDA device here, use device 'cpu'", "pumice doctor")

    def legalization(self) -> Sequence["Pass"]:
        """Return no pass: every verified graph runs as it is."""
        return ()

    def build(self, graph: "Graph") -> "EmulatorProgram":
        """Make a graph ready to run.

        Raises:
            TargetUnavailableError: The device does not exist.
        """
        from targets.emulator.program import EmulatorProgram

        self.check()
        return EmulatorProgram(graph, self.device)


if TYPE_CHECKING:
    _conforms: type[Target] = EmulatorTarget
    _is_batched: type[BatchedProgram] = EmulatorProgram

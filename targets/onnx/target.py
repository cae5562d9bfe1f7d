"""onnxruntime as a target; what it needs is loaded when a network is built."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from toolchain.errors import TargetUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targets.onnx.program import OnnxProgram
    from toolchain.hardware import HardwareProfile
    from toolchain.ir import Graph
    from toolchain.passes import Pass
    from toolchain.target.capabilities import Capabilities
    from toolchain.target.protocol import Target


@final
@dataclass(frozen=True)
class OnnxTarget:
    """Runs graphs in onnxruntime on the CPU: standard operators, and neurons as a function of the model."""

    @property
    def name(self) -> str:
        """As typed on the command line."""
        return "onnx"

    @property
    def profile(self) -> HardwareProfile:
        """The limits of Lava's fixed-point models, whose integers these are."""
        from toolchain.hardware import LAVA_FIXED_POINT

        return LAVA_FIXED_POINT

    @property
    def capabilities(self) -> Capabilities:
        """What models of ONNX can."""
        from targets.onnx.declared import CAPABILITIES

        return CAPABILITIES

    def check(self) -> None:
        """Raise unless onnx and onnxruntime are installed."""
        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            raise TargetUnavailableError(
                self.name, f"{', '.join(missing)} not installed", "python -m pip install --upgrade pumice"
            )

    def legalization(self) -> Sequence[Pass]:
        """Delays per neuron go into the synapses."""
        from toolchain.passes import FoldDelays

        return (FoldDelays(),)

    def build(self, graph: Graph) -> OnnxProgram:
        """Write a graph as a model and load it.

        Raises:
            TargetError: The graph is larger than the format allows, or a delay differs per neuron.
        """
        from targets.onnx.program import OnnxProgram

        return OnnxProgram(graph)


if TYPE_CHECKING:
    _conforms: type[Target] = OnnxTarget

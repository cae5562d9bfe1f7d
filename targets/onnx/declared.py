"""What runs as a model of ONNX."""

from typing import Final

from toolchain.stage import Stage
from toolchain.target.capabilities import Capabilities

CAPABILITIES: Final = Capabilities(
    name="onnxruntime",
    neuron_delays=False,
    stepped=True,
    exports=frozenset(Stage),
    largest=2**31 - 1,
    form="an ONNX model",
)
"""What onnxruntime can."""

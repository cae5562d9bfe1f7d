"""Integer networks as ONNX models: standard operators, run by onnxruntime, equal to Lava bit for bit."""

import os

# From version 1.31 on it reports its use to its maker, and leaves a file in the temporary folder for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

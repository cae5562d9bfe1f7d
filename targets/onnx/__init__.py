"""Integer networks as ONNX models: standard operators, run by onnxruntime, equal to Lava bit for bit.

onnxruntime reports to its makers from the moment it is imported, and leaves a file in the temporary folder
for that. Nobody asked for it, so it is switched off, unless the user's environment says otherwise.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

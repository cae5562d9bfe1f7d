"""Integer networks as ONNX models: standard operators, run by onnxruntime, equal to Lava bit for bit."""

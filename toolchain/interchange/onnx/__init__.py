"""ONNX files, in."""

"""Networks as files of other frameworks: NIR, ONNX and Lava-DL's netx, in and out."""

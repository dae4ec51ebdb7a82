"""From a resolved ONNX graph to a program of mansard's ops."""

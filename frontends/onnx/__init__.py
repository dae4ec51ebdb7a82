"""ONNX files: from a graph as exported to symbolic shapes, weights known without their bytes.

``mansard.frontends.onnx.resolve.resolve`` is the way in.
"""

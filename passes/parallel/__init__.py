"""Tensor, pipeline, expert, data and context parallelism: one technique, several rewrites."""

from mansard.passes.parallel.technique import Parallel

__all__ = ["Parallel"]

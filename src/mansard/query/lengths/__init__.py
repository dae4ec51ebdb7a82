"""Prompts and outputs of distributed lengths: read, mixed, and expectations over them."""

from mansard.query.lengths.distribution import is_spread, read_lengths
from mansard.query.lengths.expected import (
    Averaged,
    beside_of,
    expectations,
    is_expected,
    metrics_of,
    of_the_whole,
    said,
)
from mansard.query.lengths.mix import Mix
from mansard.query.lengths.sizes import read_mix, read_sizes

__all__ = [
    "Averaged", "Mix", "beside_of", "expectations", "is_expected", "is_spread", "metrics_of",
    "of_the_whole", "read_lengths", "read_mix", "read_sizes", "said",
]  # fmt: skip

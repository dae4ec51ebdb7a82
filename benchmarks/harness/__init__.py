"""What the benchmarks share: timing a step, a line beside its limit, one table of all lines."""

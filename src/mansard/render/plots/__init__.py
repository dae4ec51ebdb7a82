"""The same figures on matplotlib axes, for papers and notebooks that draw with it."""

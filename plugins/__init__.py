"""The plugin manager, what mansard itself registers, and bundled plugins."""

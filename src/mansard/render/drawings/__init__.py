"""Figures as SVG without another package: text that a file, a page or a notebook shows."""

"""Hugging Face configs: raw ``config.json`` to fields, to an architecture, to a program.

``mansard.frontends.hf.load`` is the way in; the reading half imports neither sympy nor graphs.
"""

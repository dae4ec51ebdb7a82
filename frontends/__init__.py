"""Frontends: from a description of a model to a program."""

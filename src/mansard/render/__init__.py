"""Estimates, graphs and lists as text for people and files for programs."""

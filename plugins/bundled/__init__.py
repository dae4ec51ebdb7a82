"""Techniques and backends that mansard bundles as plugins: the public API only, one file each.

Each module is called as what it adds, and nothing is imported before it is asked for.
"""

TECHNIQUES: tuple[str, ...] = ()
"""Module and class of each technique, by name."""

BACKENDS = (
    "caches:Caches",
    "carbon:Carbon",
    "dataflow:Dataflow",
    "energy:Energy",
    "launches:Launches",
    "pim:Pim",
)
"""Module and class of each backend, by name."""

OPS: tuple[str, ...] = ()
"""Module and class of each op that techniques here insert."""

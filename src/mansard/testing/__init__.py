"""For authors of plugins: golden graphs, laws of techniques, strategies, an installed plugin.

Nothing here needs hypothesis or pytest until it is asked for. The fixtures are a pytest plugin:
``pytest_plugins = ["mansard.testing.fixtures"]`` in the top ``conftest.py``.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "assert_rewrites": "golden", "rewritten": "golden", "read": "golden",
    "is_identity_when": "laws", "removes_no_flops": "laws", "removes_flops": "laws",
    "reads_back": "laws", "small_configs": "strategies", "small_graphs": "strategies",
}  # fmt: skip
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mansard.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mansard.testing' has no attribute {name!r}")

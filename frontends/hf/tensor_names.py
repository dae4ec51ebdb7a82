"""Where the tensors of a checkpoint live, by their roles."""

from __future__ import annotations

from collections.abc import Mapping

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass


def moved(path: str, rules: tuple[tuple[str, str], ...]) -> str:
    """Return a path as it is inside another model: the first rule whose beginning it has counts."""
    hit = next(((a, b) for a, b in rules if path.startswith(a)), None)
    return path if hit is None else hit[1] + path.removeprefix(hit[0])


@dataclass(frozen=True)
class Names:
    """Where each role's tensor lives in a checkpoint; ``*`` stands for the layer's index.

    ``input_major`` roles are stored ``[in, out]``; ``blocks`` of a block-diagonal matrix lie one
    below the other.
    """

    paths: Mapping[str, str]
    input_major: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()

    def path(self, role: str) -> str:
        """Return the module path of ``role``; a card without one is a defect of the card."""
        try:
            return self.paths[role]
        except KeyError:
            raise unknown_name("tensor role of the card", role, self.paths) from None

    def inside(self) -> Names:
        """Return the names of a layer that lies in a module of its own, ``inner``, of the layer."""
        inner = self.paths.get("inner")
        if inner is None:
            return self
        layer, _, _ = inner.rpartition(".")
        moved = {
            role: inner + path.removeprefix(layer) if path.startswith(f"{layer}.") else path
            for role, path in self.paths.items()
        }
        return Names(moved, self.input_major, self.blocks)

    def renamed(self, rules: tuple[tuple[str, str], ...]) -> Names:
        """Return the names as they are inside another model."""
        paths = {role: moved(path, rules) for role, path in self.paths.items()}
        return Names(paths, self.input_major, self.blocks)

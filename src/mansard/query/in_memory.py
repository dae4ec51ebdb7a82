"""An ONNX model that was handed over as bytes and is read in the way a question says."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mansard.core.errors import SpecError
from mansard.ir.program import Program
from mansard.query.reading import AS_FOUND, INPUTS, Reading

if TYPE_CHECKING:
    from mansard.frontends.onnx.load import Model

KEPT = 4
"""Ways of reading that are remembered; the oldest goes first."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """A file without a path; its weights are not kept, and no other file is opened for it.

    Args:
        name: as its owner has it.
        model: its graph as written.
    """

    name: str
    model: Model = field(repr=False)
    _read: OrderedDict[object, Program] = field(default_factory=OrderedDict, repr=False)

    def __str__(self) -> str:
        return self.name

    def program(self, overrides: Mapping[str, str], reading: Reading = AS_FOUND) -> Program:
        """Return the program of the file, read in one way.

        Raises:
            MansardError: it is no ONNX model, or cannot be read like this.
        """
        from mansard.frontends.onnx.frontend import OnnxFrontend

        given = dict(reading.given)
        if INPUTS in given:
            raise SpecError(f"{self.name} takes no inputs", hint="leave input.… out")
        key = repr((sorted(overrides.items()), sorted(given.items())))
        if key not in self._read:
            found = OnnxFrontend().load_model(self.model, dict(overrides), **given)
            while len(self._read) >= KEPT:
                self._read.popitem(last=False)
            self._read[key] = found
        return self._read[key]


def in_memory(data: bytes, name: str) -> InMemory:
    """Return the model in a file's bytes.

    Raises:
        SpecError: it is no ONNX model, or its graph is not a graph.
    """
    from mansard.frontends.onnx.load import load_bytes

    return InMemory(name, load_bytes(data, name))

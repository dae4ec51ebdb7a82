"""Where a block is built: the builder, the checkpoint's names, the layer's index, the dtype."""

from __future__ import annotations

from dataclasses import field

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import ExprLike
from mansard.frontends.hf.architecture import Architecture, NormKind
from mansard.ir.builder import Builder
from mansard.ir.op import Op
from mansard.ir.ops import LayerNorm, Linear, Multiply, RMSNorm
from mansard.ir.value import Value

WEIGHTLESS = ("none", "rms-none")


@dataclass(frozen=True)
class Scope:
    """Names and makes what a block stores.

    Args:
        arch: of the model.
        build: collects the ops.
        prefix: of op names: ``layers.`` inside a layer, nothing outside.
        index: of the layer, as it stands in storage names.
        weights: the index weights are stored under where it is another layer's.
        part: of a layer that has two of each block: what ``#`` stands for in names.
        carried: what layers hand on besides the hidden state: inputs of their own, kept caches.
    """

    arch: Architecture
    build: Builder
    prefix: str = ""
    index: str = ""
    weights: str = ""
    part: str = ""
    carried: dict[str, Value] = field(default_factory=dict)

    @property
    def encoding(self) -> Encoding:
        """How unquantized elements lie."""
        return Encoding(self.arch.dtype)

    def __call__(self, op: Op, role: str) -> Value:
        """Append an op under the name of a role."""
        return self.build(op, self.prefix + role)

    def storage(self, name: str) -> str:
        """Return a storage name with the layer's index filled in."""
        return name.replace("*", self.index or "0")

    def tensor(self, name: str, *shape: ExprLike) -> Value:
        """Return a weight by the checkpoint's name."""
        name = name.replace("*", self.weights) if self.weights else self.storage(name)
        name = name.replace("#", self.part)
        return self.build.leaf(name, *shape, encoding=self.encoding)

    def param(self, role: str, *shape: ExprLike) -> Value:
        """Return the weight a role names: a parameter of its own, no module's."""
        return self.tensor(self.arch.names.path(role), *shape)

    def state(self, role: str, *shape: ExprLike, wide: bool = False) -> Value:
        """Return a state of this layer: its size knows no context.

        ``wide`` keeps it in fp32, as implementations keep what they sum over many steps.
        """
        encoding = Encoding("fp32") if wide else self.encoding
        name = self.storage(f"{self.prefix}*.{role}")
        return self.build.leaf(name, *shape, encoding=encoding, role="state")

    def cache(self, role: str, *shape: ExprLike) -> Value:
        """Return a cache of this layer, in the model's dtype."""
        role = f"{self.part}.{role}" if self.part else role
        name = self.storage(f"{self.prefix}*.{role}" if self.index else role)
        return self.build.leaf(name, *shape, encoding=self.encoding, role="cache")

    def linear(self, x: Value, role: str, out: int, *, bias: bool = False) -> Value:
        """Append the linear a role names: ``x`` to ``out`` features."""
        path = self.arch.names.path(role)
        w = self.tensor(f"{path}.weight", out, x.shape[-1])
        b = self.tensor(f"{path}.bias", out) if bias else None
        return self(Linear(x, w, b), role)

    def scaled(self, x: Value, role: str) -> Value:
        """Append a product with a stored vector as wide as ``x``."""
        return self(Multiply(x, self.param(role, x.shape[-1])), role)

    def norm(
        self, x: Value, role: str, kind: NormKind, width: int | None = None, output: str = ""
    ) -> Value:
        """Append the norm a role names, over the last axis or over heads of ``width``.

        ``output`` names its result where the graph hands it out.
        """
        path = "" if kind in WEIGHTLESS else self.arch.names.path(role)
        size = x.shape[-1] if width is None else width
        w = None if kind in WEIGHTLESS else self.tensor(f"{path}.weight", size)
        label = self.prefix + role
        if kind in ("rms", "rms-none"):
            return self.build(RMSNorm(x, w, width, name=label), output or label)
        b = self.tensor(f"{path}.bias", size) if kind == "layer" else None
        return self.build(LayerNorm(x, w, b, width, name=label), output or label)

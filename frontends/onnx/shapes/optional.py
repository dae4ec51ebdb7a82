"""Values that may be absent."""

from __future__ import annotations

from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import UNKNOWN, Optional, Sequence, Tensor, Value


@rule("Optional")
def optional(call: Call, value: Value | None = None) -> Optional:
    """Wrap a value, or nothing."""
    if isinstance(value, (Tensor, Sequence)):
        return Optional(value, present=True)
    return Optional(UNKNOWN, present=False)


@rule("OptionalGetElement")
def element(call: Call, value: Value) -> Value:
    """Unwrap."""
    return value.element if isinstance(value, Optional) else value


@rule("OptionalHasElement")
def present(call: Call, value: Value | None = None) -> Tensor:
    """Tell whether there is a value."""
    known = value.present if isinstance(value, Optional) else value is not None
    return Tensor("bool", (), None if known is None else (int(known),))

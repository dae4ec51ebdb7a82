"""Recurrent layers: a state walks along time."""

from __future__ import annotations

from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Tensor


@rule("LSTM", "GRU", "RNN")
@rule("DynamicQuantizeLSTM", domain=MS)
def recurrent(call: Call, x: Tensor, w: Tensor, r: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Walk ``x[T, B, in]``; yield every state and the last one, per direction."""
    ways = 2 if call.attr("direction", "forward") == "bidirectional" else 1
    hidden = call.attr("hidden_size", 0) or r.dims[-1]
    if call.attr("layout", 0):
        b, t, _ = x.dims
        b = _batch(call, b, rest, 0)
        states, last = x.like((b, t, ways, hidden)), x.like((b, ways, hidden))
    else:
        t, b, _ = x.dims
        b = _batch(call, b, rest, 1)
        states, last = x.like((t, ways, b, hidden)), x.like((ways, b, hidden))
    return [states, last, last]


def _batch(call: Call, size: Dim, rest: tuple[Tensor | None, ...], axis: int) -> Dim:
    """Return the sequences of the input, which the states handed in have too."""
    for state in rest[2:4]:
        if state is not None and state.shape is not None and len(state.shape) == 3:
            size = call.same(state.dims[axis], size)
    return size

"""Recurrent layers: a state walks along time."""

from __future__ import annotations

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
        states, last = x.like((b, t, ways, hidden)), x.like((b, ways, hidden))
    else:
        t, b, _ = x.dims
        states, last = x.like((t, ways, b, hidden)), x.like((ways, b, hidden))
    return [states, last, last]

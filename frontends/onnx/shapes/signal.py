"""Spectra and windows."""

from __future__ import annotations

from mansard.frontends.onnx.dims import Unresolved, add, floor_div, sub
from mansard.frontends.onnx.dtypes import name_of
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import Tensor, shaped


@rule("DFT")
def dft(call: Call, x: Tensor, length: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """Transform along an axis into complex pairs, half of them if ``onesided``."""
    given = (
        axis.integers()[0]
        if axis is not None
        else call.attr("axis", -2 if call.version > 19 else 1)
    )
    where, dims = x.axis(given), list(x.dims)
    if length is not None:
        dims[where] = length.numbers()[0]
    if call.attr("onesided", 0):
        dims[where] = add(floor_div(dims[where], 2), 1)
    dims[-1] = 2
    return x.like(dims)


@rule("STFT")
def stft(
    call: Call,
    x: Tensor,
    step: Tensor,
    window: Tensor | None = None,
    length: Tensor | None = None,
) -> Tensor:
    """Transform overlapping frames."""
    if length is not None:
        (size,) = length.numbers()
    elif window is not None:
        size = window.dims[0]
    else:
        raise Unresolved("a frame of unknown length")
    frames = add(floor_div(sub(x.dims[1], size), step.numbers()[0]), 1)
    bins = add(floor_div(size, 2), 1) if call.attr("onesided", 1) else size
    return x.like((x.dims[0], frames, bins, 2))


@rule("HannWindow", "HammingWindow", "BlackmanWindow")
def window(call: Call, size: Tensor) -> Tensor:
    """Make a window."""
    return shaped(name_of(call.attr("output_datatype", 1), "its dtype"), size.numbers())


@rule("MelWeightMatrix")
def mel(call: Call, bins: Tensor, length: Tensor, *rest: Tensor) -> Tensor:
    """Make the matrix from a spectrum to mel bands."""
    dtype = name_of(call.attr("output_datatype", 1), "its dtype")
    return shaped(dtype, (add(floor_div(length.numbers()[0], 2), 1), bins.numbers()[0]))

"""Operators that resample space."""

from __future__ import annotations

from fractions import Fraction

from mansard.frontends.onnx.dims import Dim, floor, mul
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.tensors import exact
from mansard.frontends.onnx.values import Scalar, Tensor


@rule("Upsample")
def upsample(call: Call, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Scale each axis."""
    given = call.attr("scales", None)
    factors = tuple(map(exact, given)) if given else scales.value if scales is not None else None
    return x.like(_scaled(call, x, factors))


@rule("Resize", until=10)
def resize_old(call: Call, x: Tensor, scales: Tensor) -> Tensor:
    """Scale each axis."""
    return x.like(_scaled(call, x, scales.value))


@rule("Resize", since=11)
def resize(
    call: Call,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Give each axis named a size, or scale it: ``⌊x · scale⌋``."""
    axes = [x.axis(a) for a in call.attr("axes", tuple(range(x.rank)))]
    dims = list(x.dims)
    if sizes is not None and sizes.shape != (0,):
        wanted: tuple[Scalar, ...] = sizes.value or (None,) * len(axes)
        for axis, size in zip(axes, wanted, strict=True):
            dims[axis] = call.fresh(axis) if size is None else size
        return x.like(_in_proportion(call, x, axes, dims))
    part = x.like(dims[a] for a in axes)
    factors = scales.value if scales is not None else None
    for axis, size in zip(axes, _scaled(call, part, factors), strict=True):
        dims[axis] = size
    return x.like(dims)


def _scaled(call: Call, x: Tensor, factors: tuple[Scalar, ...] | None) -> list[Dim]:
    if factors is None:
        return [call.fresh(axis) for axis in range(x.rank)]
    pairs = zip(x.dims, factors, strict=True)
    return [
        call.fresh(axis) if f is None else floor(mul(d, f)) for axis, (d, f) in enumerate(pairs)
    ]


def _in_proportion(call: Call, x: Tensor, axes: list[int], dims: list[Dim]) -> list[Dim]:
    """Keep the aspect ratio where a policy asks for it: one scale for all axes."""
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return dims
    known = [(d, dims[a]) for a, d in ((a, x.dims[a]) for a in axes)]
    if not all(isinstance(d, int) and isinstance(w, int) and d for d, w in known):
        return [call.fresh(k) if k in axes else d for k, d in enumerate(dims)]
    ratios = [Fraction(int(w), int(d)) for d, w in known]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [
        int(scale * int(x.dims[k]) + Fraction(1, 2)) if k in axes else d for k, d in enumerate(dims)
    ]


@rule("GridSample")
def grid_sample(call: Call, x: Tensor, grid: Tensor) -> Tensor:
    """Sample at the points of a grid."""
    return x.like((*x.dims[:2], *grid.dims[1:-1]))


@rule("AffineGrid")
def affine_grid(call: Call, theta: Tensor, size: Tensor) -> Tensor:
    """Make a grid of points."""
    n, _, *space = size.numbers()
    return theta.like((n, *space, len(space)))


@rule("CenterCropPad")
def crop(call: Call, x: Tensor, wanted: Tensor) -> Tensor:
    """Cut or pad axes to a size."""
    dims = list(x.dims)
    for axis, size in zip(call.attr("axes", tuple(range(x.rank))), wanted.numbers(), strict=True):
        dims[x.axis(axis)] = size
    return x.like(dims)

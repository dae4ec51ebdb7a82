"""Shape rules against numpy and plain counting, for whatever sizes hypothesis draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from tests.frontends.onnx.graphs import Inputs, model, resolved

from mansard.core.symbols import B, P, S
from mansard.frontends.onnx.frontend import meaning
from mansard.frontends.onnx.values import Tensor

SIZES = st.integers(1, 12)


def inferred(node: Any, dims: list[list[int | str]], env: dict[str, int], **constants: Any) -> Any:
    """Return the shape of a node's first result, its symbols bound."""
    inputs: Inputs = {f"x{k}": ("f", d) for k, d in enumerate(dims)}
    stored = [numpy_helper.from_array(np.asarray(v, np.int64), n) for n, v in constants.items()]
    found = resolved(model([node], inputs, ["y"], stored))
    value = found.values["y"]
    assert isinstance(value, Tensor)
    own = {size: env[text] for text, size in found.names.items() if text in env}
    return tuple(int(sp.S(d).xreplace({sp.S(s): sp.S(n) for s, n in own.items()}))
                 for d in value.dims)  # fmt: skip


@given(SIZES, st.integers(-20, 20), st.integers(-20, 20), st.integers(-4, 4).filter(bool))
def test_a_slice_is_as_long_as_numpys(size: int, start: int, end: int, step: int) -> None:
    node = helper.make_node("Slice", ["x0", "starts", "ends", "axes", "steps"], ["y"])
    found = inferred(node, [[size, 3]], {}, starts=[start], ends=[end], axes=[0], steps=[step])
    assert found == np.zeros((size, 3))[start:end:step].shape


@given(st.integers(13, 40), st.integers(0, 12), st.integers(-12, 12), st.integers(1, 4))
def test_a_slice_of_a_named_size_is_right_where_the_bounds_lie_inside(
    size: int, start: int, end: int, step: int
) -> None:
    node = helper.make_node("Slice", ["x0", "starts", "ends", "axes", "steps"], ["y"])
    bounds = {"starts": [start], "ends": [end], "axes": [0], "steps": [step]}
    assert (
        inferred(node, [["k", 3]], {"k": size}, **bounds)
        == np.zeros((size, 3))[start:end:step].shape
    )


@given(st.lists(st.sampled_from([1, 3, "k", "l"]), max_size=4), st.data())
def test_shapes_broadcast_as_numpys(dims: list[int | str], data: st.DataObject) -> None:
    other: list[int | str] = [d if data.draw(st.booleans()) else 1 for d in dims]
    cut = data.draw(st.integers(0, len(other)))
    env = {"k": 5, "l": 7}
    shapes = [[env[d] if isinstance(d, str) else d for d in x] for x in (dims, other[cut:])]
    wanted = np.broadcast_shapes(*map(tuple, shapes))
    found = inferred(helper.make_node("Add", ["x0", "x1"], ["y"]), [dims, other[cut:]], env)
    assert found == wanted


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
       st.tuples(st.integers(0, 2), st.integers(0, 2)))  # fmt: skip
def test_a_convolution_has_as_many_places_as_fit(
    size: int, taps: int, stride: int, dilation: int, pads: tuple[int, int]
) -> None:
    reach = dilation * (taps - 1) + 1
    padded = size + sum(pads)
    assume(padded >= reach)
    places = sum(1 for at in range(0, padded, stride) if at + reach <= padded)
    node = helper.make_node("Conv", ["x0", "x1"], ["y"], strides=[stride], pads=list(pads),
                            dilations=[dilation])  # fmt: skip
    dims: list[list[int | str]] = [[1, 2, "k"], [5, 2, taps]]
    assert inferred(node, dims, {"k": size}) == (1, 5, places)


@given(SIZES, SIZES, st.permutations(["0", "-1", "6"]))
def test_a_reshape_keeps_every_element(k: int, m: int, order: list[str]) -> None:
    target = [int(d) for d in order]
    dims: list[int | str] = ["k", "m", 6]
    sizes = [k, m, 6]
    kept = sizes[target.index(0)]
    total = k * m * 6
    assume(total % (kept * 6) == 0)
    node = helper.make_node("Reshape", ["x0", "shape"], ["y"])
    found = inferred(node, [dims], {"k": k, "m": m}, shape=target)
    assert np.prod(found) == total
    assert found[target.index(0)] == kept


@given(st.recursive(st.sampled_from(["B", "S", "P", "2", "7"]),
                    lambda inner: st.tuples(inner, st.sampled_from("+*"), inner).map(
                        lambda t: f"({t[0]}{t[1]}{t[2]})"), max_leaves=8),
       st.tuples(SIZES, SIZES, SIZES))  # fmt: skip
def test_an_alias_is_worth_what_its_text_says(text: str, at: tuple[int, int, int]) -> None:
    env = dict(zip("BSP", at, strict=True))
    wanted = eval(text, {"__builtins__": {}}, env)  # noqa: S307 - text this test made
    found = sp.S(meaning("size", text)).xreplace({B: at[0], S: at[1], P: at[2]})
    assert int(found) == wanted

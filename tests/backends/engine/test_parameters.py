"""Fields of a chip as parameters: every executor equals the fractions of a chip with that value."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from io import StringIO
from keyword import kwlist
from token import NAME
from tokenize import generate_tokens

import numpy as np
import pytest
from tests.backends.engine.test_exact import CASES, exact_on, made

from mansard.backends.cluster import Cluster
from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.generated import defined, nest
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.parameters import Parameter
from mansard.backends.engine.straight import SCALAR

BANDWIDTH, PEAK, SIZE = "memory.bandwidth", "peak.matrix.bf16", "memory.capacity"
UNITS = {BANDWIDTH: "B/s", PEAK: "FLOP/s", SIZE: "B"}
ENDS = {BANDWIDTH: (0.7e12, 31e12), PEAK: (3e13, 7e15), SIZE: (1e10, 3e11)}
VALUES = {
    BANDWIDTH: (0.7e12, 3350000000001.0, 31e12), PEAK: (3e13, 989.4e12, 7e15),
    SIZE: (1e10, 8e10, 3e11),
}  # fmt: skip
NAMES = ("ttft", "tpot", "memory", "capacity")


def with_fields(cluster: Cluster, **fields: float) -> Cluster:
    chip = cluster.chip
    for name, value in fields.items():
        chip = chip.override(name, f"{value!r}{UNITS[name]}")
    return Cluster(chip, cluster.per_node, cluster.nodes, cluster.network, cluster.mesh)


def open_to(cluster: Cluster, *names: str) -> list[Parameter]:
    found = []
    for name in names:
        low, high = (with_fields(cluster, **{name: value}).chip for value in ENDS[name])
        found.append(Parameter(name, ENDS[name], (low, high)))
    return found


@pytest.mark.parametrize(("name", "specs", "devices"), CASES)
def test_every_executor_equals_the_fractions_of_a_chip_with_those_values(
    name: str, specs: tuple[str, ...], devices: int
) -> None:
    program, cluster = made(name, specs, devices)
    engine = Compiled(program, cluster).varying(open_to(cluster, BANDWIDTH, PEAK, SIZE))
    b, p, n = 7, 4090, 9
    line = engine.line()
    assert line is not None
    ops = {**SCALAR, "power": lambda a, n: Fraction(float(a) ** float(n))}
    for rate, peak, size in zip(*VALUES.values(), strict=True):
        fields = {BANDWIDTH: rate, PEAK: peak, SIZE: size}
        seconds, tokens = exact_on(program, with_fields(cluster, **fields), (b, p, n))
        wanted = float(seconds["prefill"]), float(seconds["decode"] / tokens), size
        columns = {"batch": np.array([b, 3.0]), "prompt": np.array([p, 50.0]), "output": n}
        env = {k: Fraction(v) for k, v in {"batch": b, "prompt": p, "output": n, **fields}.items()}
        arrays = [np.array([float(v)]) for v in (b, p, n, *fields.values())]
        for found in (
            engine.point(b, p, n, NAMES, fields),
            engine.figures([b] * 9, p, n, NAMES, fields),
            Columns(line, NAMES).at({**columns, **fields}),
            engine._rows.figures(arrays, 1, NAMES),
            line.run(
                env, ops, NAMES, lambda v: v if isinstance(v, bool) or v != v else Fraction(v)
            ),
        ):
            got = [float(np.ravel(found[k])[0]) for k in ("ttft", "tpot", "capacity")]
            assert got == pytest.approx(wanted, rel=1e-12)


def test_a_grid_over_fields_equals_its_points_in_any_order_of_axes() -> None:
    program, cluster = made(*CASES[1])
    engine = Compiled(program, cluster).varying(open_to(cluster, BANDWIDTH, PEAK))
    every = {"batch": (1.0, 333.0), BANDWIDTH: VALUES[BANDWIDTH], PEAK: VALUES[PEAK]}
    fixed = {"prompt": (4090.0,), "output": (9.0,)}
    for order in itertools.permutations(every):
        axes = {name: every[name] for name in order}
        grid = engine.grid({**fixed, **axes}, NAMES)
        assert grid is not None
        assert grid.size == 18
        for block in grid.blocks():
            for offset in np.ndindex(block.shape):
                at = [axes[k][s + o] for k, s, o in zip(order, block.start, offset, strict=True)]
                here = dict(zip(order, at, strict=True))
                expected = engine.point(here.pop("batch"), 4090, 9, NAMES, here)
                for name, values in block.values.items():
                    got = np.broadcast_to(values, block.shape)[offset]
                    assert got == pytest.approx(expected[name], rel=1e-12, nan_ok=True)


def test_loops_over_fields_equal_the_points() -> None:
    program, cluster = made(*CASES[0])
    engine = Compiled(program, cluster).varying(open_to(cluster, BANDWIDTH, PEAK))
    axes = {BANDWIDTH: VALUES[BANDWIDTH], PEAK: VALUES[PEAK]}
    ranges = {k: (min(v), max(v)) for k, v in axes.items()}
    sizes = dict.fromkeys(("batch", "prompt", "output"), (5.0, 5.0))
    line = engine.line({**sizes, **ranges}, tuple(axes))
    assert line is not None
    found = [np.empty((3, 3)) for _ in NAMES]
    defined(nest(line, NAMES), "at")(*(np.array(v) for v in axes.values()), *found)
    for k, m in np.ndindex(3, 3):
        expected = engine.point(
            5, 5, 5, NAMES, {BANDWIDTH: VALUES[BANDWIDTH][k], PEAK: VALUES[PEAK][m]}
        )
        for name, values in zip(NAMES, found, strict=True):
            assert values[k, m] == pytest.approx(expected[name], rel=1e-12, nan_ok=True)


def test_a_field_that_sets_more_than_a_rate_is_no_parameter() -> None:
    program, cluster = made(*CASES[3])
    chips = [cluster.chip.override("link.per_direction", f"{v}GB/s") for v in (100, 900)]
    link = Parameter("link.per_direction", (1e11, 9e11), (chips[0], chips[1]))
    with pytest.raises(NotCompiledError, match="priced value by value"):
        Compiled(program, cluster).varying([link])


def test_generated_source_holds_nothing_but_numbers_and_names_made_here() -> None:
    program, cluster = made(*CASES[3])
    engine = Compiled(program, cluster).varying(open_to(cluster, BANDWIDTH, PEAK))
    line = engine.line()
    assert line is not None
    names = {t.string for t in generate_tokens(StringIO(nest(line, NAMES)).readline)
             if t.type == NAME}  # fmt: skip
    made_here = re.compile(r"[axirv]\d+|at|size|range|floor|power|nan|inf|True|False")
    assert {n for n in names if not made_here.fullmatch(n)} <= {*kwlist}
    assert "import" not in names
    assert BANDWIDTH not in nest(line, NAMES)

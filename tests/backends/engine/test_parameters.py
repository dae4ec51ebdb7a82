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

from mansard.backends.chips import load as chip
from mansard.backends.cluster import FIELDS, Cluster, network
from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.generated import defined, nest
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.parameters import Parameter
from mansard.backends.engine.straight import SCALAR
from mansard.core.errors import MansardError
from mansard.frontends.hf.load import load
from mansard.ir.program import Program
from mansard.query.techniques import apply_techniques

BANDWIDTH, PEAK, SIZE = "memory.bandwidth", "peak.matrix.bf16", "memory.capacity"
LINK, HOP, HOST = "link.per_direction", "link.latency", "link.host"
WIRE, WIRE_HOP = "network.per_direction", "network.latency"
UNITS = {BANDWIDTH: "B/s", PEAK: "FLOP/s", SIZE: "B", LINK: "B/s", HOP: "s", HOST: "B/s",
         WIRE: "B/s", WIRE_HOP: "s"}  # fmt: skip
ENDS = {BANDWIDTH: (0.7e12, 31e12), PEAK: (3e13, 7e15), SIZE: (1e10, 3e11), LINK: (1e9, 2e12),
        HOP: (0.0, 3e-4), HOST: (1e9, 1e12), WIRE: (1e9, 4e11), WIRE_HOP: (1e-7, 1e-3)}  # fmt: skip
VALUES = {
    BANDWIDTH: (0.7e12, 3350000000001.0, 31e12), PEAK: (3e13, 989.4e12, 7e15),
    SIZE: (1e10, 8e10, 3e11),
}  # fmt: skip
NAMES = ("ttft", "tpot", "memory", "capacity")


def with_fields(cluster: Cluster, **fields: float) -> Cluster:
    chip, net = cluster.chip, cluster.network
    for name, value in fields.items():
        section, _, key = name.partition(".")
        if section == "network":
            assert net is not None
            net = net.override(key, f"{value!r}{UNITS[name]}")
        else:
            chip = chip.override(name, f"{value!r}{UNITS[name]}")
    return Cluster(chip, cluster.per_node, cluster.nodes, net, cluster.mesh)


def open_to(cluster: Cluster, *names: str) -> list[Parameter]:
    found = []
    for name in names:
        low, high = (with_fields(cluster, **{name: value}) for value in ENDS[name])
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


LINKED = [
    ("deepseek-v3", ("parallel{tp=8}",), (8, 1)),
    ("llama-3.1-8b", ("parallel{tp=8}",), (4, 2)),
    ("mixtral-8x7b-v0.1", ("parallel{tp=2 dp=4 ep=8}",), (2, 4)),
    ("llama-3.1-8b", ("parallel{tp=2 pp=4}",), (2, 4)),
    ("gemma-2-2b", ("parallel{tp=4 overlap=true}",), (2, 2)),
]


def over_nodes(
    name: str, specs: tuple[str, ...], nodes: tuple[int, int]
) -> tuple[Program, Cluster]:
    program = apply_techniques(load(name), specs, "O1")[0]
    per_node, count = nodes
    net = network("ib-ndr400") if count > 1 else None
    return program, Cluster(chip("h100-sxm"), per_node, count, net, program.mesh)


@pytest.mark.parametrize(("name", "specs", "nodes"), LINKED)
def test_links_are_parameters_and_collectives_choose_their_algorithm_at_each_value(
    name: str, specs: tuple[str, ...], nodes: tuple[int, int]
) -> None:
    program, cluster = over_nodes(name, specs, nodes)
    fields = (LINK, HOP, *((WIRE, WIRE_HOP) if nodes[1] > 1 else ()))
    engine = Compiled(program, cluster).varying(open_to(cluster, *fields))
    b, p, n = 9, 300, 3
    assert engine.line() is not None
    for which in itertools.product((0, 1), repeat=len(fields)):
        at = {f: ENDS[f][k] for f, k in zip(fields, which, strict=True)}
        at = {f: v * 1.37 if not k else v / 3 for (f, v), k in zip(at.items(), which, strict=True)}
        seconds, tokens = exact_on(program, with_fields(cluster, **at), (b, p, n))
        wanted = float(seconds["prefill"]), float(seconds["decode"] / tokens)
        arrays = [np.array([float(v)]) for v in (b, p, n, *at.values())]
        for found in (
            engine.point(b, p, n, NAMES, at),
            engine.figures([b] * 9, p, n, NAMES, at),
            engine._rows.figures(arrays, 1, NAMES),
        ):
            got = [float(np.ravel(found[k])[0]) for k in ("ttft", "tpot")]
            assert got == pytest.approx(wanted, rel=1e-12), at


@pytest.mark.parametrize("overlap", ["false", "true"])
def test_the_link_to_the_host_is_a_parameter_too(overlap: str) -> None:
    offload = f"offload{{weights=0.5 kv=0.3 overlap={overlap}}}"
    program, cluster = over_nodes("llama-3.1-8b", (offload,), (1, 1))
    engine = Compiled(program, cluster).varying(open_to(cluster, HOST, BANDWIDTH))
    for rate in (2e9, 6.4e10, 9e11):
        at = {HOST: rate, BANDWIDTH: 2e12}
        seconds, tokens = exact_on(program, with_fields(cluster, **at), (4, 100, 4))
        found = engine.point(4, 100, 4, NAMES, at)
        assert found["ttft"] == pytest.approx(float(seconds["prefill"]), rel=1e-12)
        assert found["tpot"] == pytest.approx(float(seconds["decode"] / tokens), rel=1e-12)


def test_ranges_of_links_leave_out_algorithms_that_never_win() -> None:
    program, cluster = over_nodes(*LINKED[0])
    engine = Compiled(program, cluster).varying(open_to(cluster, LINK, HOP))
    sizes = {"batch": (64.0, 64.0), "prompt": (1024.0, 1024.0), "output": (64.0, 64.0)}
    wide = engine.line({**sizes, LINK: ENDS[LINK], HOP: ENDS[HOP]}, (LINK, HOP))
    narrow = engine.line({**sizes, LINK: (4e11, 5e11), HOP: (1e-6, 1e-6)}, (LINK,))
    assert wide is not None
    assert narrow is not None
    assert len(narrow.needed(NAMES)) < 0.8 * len(wide.needed(NAMES))


def test_a_field_that_sets_more_than_a_rate_is_no_parameter() -> None:
    program, cluster = made(*CASES[0])
    held = [
        with_fields(cluster, **{BANDWIDTH: v, LINK: w}) for v, w in ((1e12, 1e11), (2e12, 9e11))
    ]
    ends = [Cluster(c.chip.override("memory.reserve", f"{k}GB"), 1) for k, c in enumerate(held)]
    both = Parameter("memory.reserve", (1.0, 2e9), (ends[0], ends[1]))
    with pytest.raises(NotCompiledError, match="priced value by value"):
        Compiled(program, cluster).varying([both])


def test_a_network_is_restated_field_by_field() -> None:
    net = network("ib-ndr400").override("per_direction", "100GB/s").override("latency", "0s")
    assert (net.bytes_per_s, net.latency_s, set(FIELDS)) == (
        1e11,
        0.0,
        {"per_direction", "latency"},
    )
    for key, value in (("speed", "1GB/s"), ("per_direction", "0GB/s"), ("latency", "3GB")):
        with pytest.raises(MansardError):
            net.override(key, value)


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

"""Views of a graph: what is alive when, the longest chain, and text for other tools."""

import json
import xml.etree.ElementTree as ET

import networkx as nx
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from tests.ir.examples import HEADS, H, attention, every_op, linear_chain, numbers, repeated

from mansard.core.symbols import T
from mansard.ir.builder import Builder
from mansard.ir.export import to_dot, to_graphml, to_node_link
from mansard.ir.graph import Graph
from mansard.ir.ops import Add, Linear, Reshape, Scale, Slice
from mansard.ir.region import Repeat, Routed
from mansard.ir.value import Value
from mansard.ir.view import critical_path, live_sets, liveness, to_networkx


def alive(graph: Graph) -> dict[str, set[str]]:
    return {label: {v.name for v in values} for label, values in liveness(graph)}


def sets(graph: Graph) -> list[set[str]]:
    return [{v.name for v in values} for values in live_sets(graph)]


def test_a_value_lives_from_the_op_that_makes_it_to_its_last_reader() -> None:
    assert alive(linear_chain()) == {
        "up": {"x", "up"},
        "act": {"up", "act"},
        "down": {"act", "down"},
    }


def test_outputs_live_to_the_end_and_stored_values_are_counted_elsewhere() -> None:
    b = Builder()
    y = b(Scale(b.input("x", T, H)), "y")
    graph = b.done(y, b(Scale(b(Scale(y), "z")), "end"))
    assert alive(graph)["end"] == {"y", "z", "end"}
    assert not {"k_cache", "keys"} & set[str]().union(*sets(attention()))


def test_values_inside_a_kernel_do_not_exist() -> None:
    plain, fused = attention(), attention(kernel="flash")
    assert {"scores", "softmax"} in sets(plain)
    assert alive(fused)["flash"] == {"q", "out"}
    at = numbers(B=1, S=64, P=0)
    peak = max(sp.Add(*(v.bytes for v in s)).xreplace(at) for s in live_sets(plain))
    assert peak == 2 * 2 * HEADS * 64 * 64


def test_a_view_keeps_its_root_alive_and_occupies_nothing() -> None:
    b = Builder()
    y = b(Scale(b.input("x", T, H)), "y")
    view = b(Reshape(b(Slice(y, 1, 0, 8), "cut"), (8 * T,)), "flat")
    graph = b.done(b(Scale(view), "end"), b(Scale(b.input("w", T, H)), "other"))
    assert alive(graph)["end"] == {"y", "w", "end"}
    assert "cut" not in alive(graph)


def test_during_a_body_its_own_values_live_beside_what_lives_across() -> None:
    b = Builder()
    x = b.input("x", T, H)
    kept = b(Scale(x), "kept")
    y = b(Scale(x), "y")

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        return (inner(Add((given[0], inner(Scale(given[0]), "a"))), "b"),)

    z = b.region(lambda body, ins: Repeat(body, ins, 3), "r", (y,), fill)[0]
    graph = b.done(b(Add((z, kept)), "end"))
    assert alive(graph)["r/a"] == {"kept", "y", "a"}
    assert alive(graph)["r/b"] == {"kept", "y", "a", "b"}
    assert alive(graph)["end"] == {"r", "kept", "end"}


def test_an_operand_that_outlives_a_repeat_lives_beside_what_trips_hand_on() -> None:
    b = Builder()
    x = b.input("x", T, H)
    z = b.region(
        lambda body, ins: Repeat(body, ins, 3), "r", (x,),
        lambda inner, ins: (inner(Scale(ins[0]), "a"),),
    )[0]  # fmt: skip
    graph = b.done(b(Add((z, x)), "end"))
    assert len(liveness(graph)[0][1]) == 3


def test_a_routed_body_occupies_the_share_that_enters() -> None:
    b = Builder()
    x = b.input("x", T, H)
    z = b.region(
        lambda body, ins: Routed(body, ins, sp.Rational(1, 4), T), "r", (x,),
        lambda inner, ins: (inner(Scale(ins[0]), "a"),),
    )  # fmt: skip
    (inside,) = (dict.fromkeys(v) for label, v in liveness(b.done(*z)) if label == "r/a")
    assert {v.name: v.bytes for v in inside} == {"x": 2 * T * H, "a": T * H / 2}


def test_no_live_set_is_contained_in_another() -> None:
    for graph in (attention(), repeated(), linear_chain()):
        found = [set(s) for s in live_sets(graph)]
        assert not any(a < b for a in found for b in found)


widths = st.lists(st.integers(1, 9), min_size=1, max_size=7)


@given(widths, st.data())
def test_live_bytes_equal_a_count_by_hand_of_a_straight_program(
    sizes: list[int], data: st.DataObject
) -> None:
    b = Builder()
    made = [b.input("x", 1, 4)]
    reads: list[int] = []
    for k, n in enumerate(sizes):
        reads.append(data.draw(st.integers(0, k)))
        x = made[reads[-1]]
        made.append(b(Linear(x, b.leaf(f"w{k}", n, x.shape[1])), f"y{k}"))
    graph = b.done(made[-1])
    last = {k + 1: k for k in range(len(sizes))} | {r: k for k, r in enumerate(reads)}
    last |= {len(sizes): len(sizes), 0: last.get(0, -1)}
    peak = 0
    for k in range(len(sizes)):
        last_reads = {
            j: max([i for i, r in enumerate(reads) if r == j], default=j - 1) for j in last
        }
        last_reads[len(sizes)] = len(sizes)
        peak = max(peak, sum(int(made[j].bytes) for j in last if j <= k + 1 and last_reads[j] >= k))
    assert max(sum(int(v.bytes) for v in s) for s in live_sets(graph)) == peak


def test_the_critical_path_is_the_heaviest_chain() -> None:
    b = Builder()
    x = b.input("x", T, H)
    long = b(Scale(b(Scale(x), "a")), "b")
    graph = b.done(b(Add((long, b(Scale(x), "c"))), "end"))
    path, weight = critical_path(graph, lambda k: 1.0)
    assert ([k.label for k in path], weight) == (["a", "b", "end"], 3.0)
    path, weight = critical_path(graph, lambda k: 9.0 if k.label == "c" else 1.0)
    assert ([k.label for k in path], weight) == (["c", "end"], 10.0)
    assert critical_path(Graph(), lambda k: 1.0) == ((), 0.0)


def test_the_networkx_view_is_acyclic_and_has_every_op_of_every_body() -> None:
    for graph in every_op().values():
        view = to_networkx(graph)
        assert nx.is_directed_acyclic_graph(view)
        assert len(view) == sum(1 for _ in graph.walk()) + len(graph.inputs)
    view = repeated().nx()
    assert view.nodes["layers/add"]["region"] == "layers"
    assert nx.has_path(view, "x", "norm")
    assert {d["bytes"] for _, _, d in view.edges(data=True)} == {"128*T"}


names = st.text(min_size=1, max_size=8)


@given(names, names)
def test_exports_hold_any_name_and_say_the_same_twice(value: str, label: str) -> None:
    b = Builder()
    graph = b.done(b(Scale(b.input(value, T, H), name=label), "y"))
    tree = ET.fromstring(to_graphml(graph))
    assert len(tree.findall(".//{*}node")) == 2
    assert len(json.loads(json.dumps(to_node_link(graph)))["edges"]) == 1
    dot = to_dot(graph)
    assert dot.count("\n") == 6
    assert dot == to_dot(graph)


def test_graphml_is_read_by_networkx() -> None:
    graph = repeated()
    again = nx.parse_graphml(to_graphml(graph))
    assert set(again) == set(graph.nx())


def test_dot_escapes_quotes_and_backslashes() -> None:
    b = Builder()
    graph = b.done(b(Scale(b.input('a"\\', T, H)), "y"))
    assert '"a\\"\\\\" -> "y"' in to_dot(graph)

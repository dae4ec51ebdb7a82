"""One model, two doors: a file and a config are one program, to the FLOP, the byte and the op.

Equal, exactly: FLOPs of products, bytes of weights as they are read (each as often as an op uses
it), bytes of caches, and how often an op of each kind runs - in the encoding of the file.

What may differ, and why:

- logits: a file computes those of every token, a config's call wants one row a sequence, so FLOPs
  are compared with ``R = T``
- stored weights: an exporter may write a tied head as a second, transposed tensor (``untied``),
  and keep tensors of equal elements once, which those of random norms and biases are (``once``)
- linears: a file may hold q, k, v, or gate and up, as one weight (``packed``): as many fewer
- heads of encoders: a config is the encoder and its pooler, a file the encoder or one with the head
  it was trained with; what is compared ends with the last layer (``encoder``)
- sums of embeddings: positions are looked up once and broadcast over sequences in files, so that
  sum is elementwise, and a file may make the positions as it runs (``broadcast``)
- integer tables, masks and the angles of rotary embeddings are no weights on either side
- names of ops, values and storages, and the order of independent ops
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import sympy as sp

import mansard as ms
from mansard.core.symbols import B, Expr, R, S, T
from mansard.frontends.hf.load import load as load_config
from mansard.frontends.onnx.frontend import OnnxFrontend
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.ops import LayerNorm
from mansard.ir.program import Program
from mansard.ir.region import Repeat
from mansard.ir.value import Value

FOLDER = Path(__file__).parents[3] / ".." / "shared" / "data" / "onnx"
DTYPES = {"fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class Door:
    """A config that is the same model as a file.

    Args:
        model: a bundled model.
        changes: keys in which the file was cut.
        untied: elements of a head that the file stores beside the embedding.
        once: elements the file does not store because they equal others it does.
        packed: linears of a layer that the file has in others.
        layers: how many layers the file has.
        encoder: whether it has no past, so that only its layers are compared.
        broadcast: ops the file has more, or fewer, where positions are broadcast.
    """

    model: str
    changes: dict[str, str] = field(default_factory=dict)
    untied: int = 0
    once: int = 0
    packed: int = 0
    layers: int = 2
    encoder: bool = False
    broadcast: dict[str, int] = field(default_factory=dict)


TWO = {"num_hidden_layers": "2"}
CUT = {**TWO, "vocab_size": "32000"}
DOORS = {
    "mobius__llama31_8b__model": Door("llama-3.1-8b"),
    "mobius__llama31_8b-cuda__model": Door("llama-3.1-8b", packed=2, layers=32),
    "mobius__qwen3_0.6b__model": Door("qwen3-0.6b"),
    "mobius__mixtral_8x7b_4L__model": Door("mixtral-8x7b-v0.1", {"num_hidden_layers": "4"}),
    # 19 of the 20 vectors of ones and zeros in norms and biases of hidden size
    "optimum__gpt2__model": Door("gpt2", {"n_layer": "2"}, untied=50257 * 768, once=19 * 768),
    # 4 of 5 norms, the biases of one q and of three of k and v
    "optimum__qwen2-0.5b__model": Door(
        "qwen2-0.5b", CUT, untied=32000 * 896, once=4 * 896 + 896 + 3 * 128
    ),
    # 4 of 5 norms
    "optimum__llama32-1b__model": Door("llama-3.2-1b", TWO, untied=128256 * 2048, once=4 * 2048),
    "dynamo__llama32_1b-opdef": Door("llama-3.2-1b", TWO),
    "dynamo__llama32_1b-op23": Door("llama-3.2-1b", TWO),
    "dynamo__llama32_1b-opdef-cuda-fp16": Door("llama-3.2-1b", TWO, packed=3),
    "genai__llama32_1b-fp16-cuda": Door("llama-3.2-1b", CUT, packed=2),
    "mobius__bert_base__model": Door(
        "bert-base-uncased", encoder=True, broadcast={"add": -1, "elementwise": 1, "move": 1}
    ),
    # 4 of 5 norms' weights and 14 of 15 biases of hidden size, one of two of the inner size
    "optimum__bert-base__model": Door(
        "bert-base-uncased", TWO, once=18 * 768 + 3072, encoder=True,
        broadcast={"add": -1, "elementwise": 1},
    ),
    # 2 of 3 norms, and one of those of q and k
    "dynamo__qwen3_moe-opdef": Door(
        "qwen3-30b-a3b",
        {"num_hidden_layers": "1", "vocab_size": "32000", "hidden_size": "1024",
         "num_attention_heads": "16", "num_key_value_heads": "4", "num_experts": "16",
         "num_experts_per_tok": "4", "moe_intermediate_size": "384"},
        once=2 * 1024 + 128,
    ),
}  # fmt: skip
"""File → config, cut as the files' list says."""


@pytest.fixture(params=DOORS, scope="module")
def doors(request: pytest.FixtureRequest) -> tuple[Door, Program, Program]:
    """What may differ, the file's program, and the config's in the dtype of the file."""
    path, door = FOLDER / f"{request.param}.onnx", DOORS[request.param]
    if not path.is_file():
        pytest.skip("the exported files are not here")
    file = OnnxFrontend().load(path)
    stored = next(v for v in file.graph().leaves if v.role == "weight").encoding.dtype
    config = load_config(door.model, {**door.changes, "torch_dtype": DTYPES[stored]})
    return (door, encoder(file), encoder(config)) if door.encoder else (door, file, config)


def test_products_have_the_same_flops(doors: tuple[Door, Program, Program]) -> None:
    _, file, config = doors
    assert matrix_flops(file) == matrix_flops(config)


def test_weights_are_read_alike(doors: tuple[Door, Program, Program]) -> None:
    _, file, config = doors
    assert used(file.graph()) == used(config.graph())


def test_weights_are_stored_alike_but_for_copies(doors: tuple[Door, Program, Program]) -> None:
    door, file, config = doors
    assert model_facts(file).params == model_facts(config).params + door.untied - door.once
    more = (door.untied - door.once) * element(file)
    assert stored(file, "weight") == stored(config, "weight") + more


def test_caches_are_the_same(doors: tuple[Door, Program, Program]) -> None:
    _, file, config = doors
    assert stored(file, "cache") == stored(config, "cache")
    assert model_facts(file).kv_bytes_per_token == model_facts(config).kv_bytes_per_token


def test_ops_of_each_kind_run_as_often(doors: tuple[Door, Program, Program]) -> None:
    door, file, config = doors
    wanted = kinds(config)
    wanted.update(door.broadcast)
    wanted.subtract({"linear": door.packed * door.layers})
    assert kinds(file) == +wanted


TECHNIQUES = ("quantize{weights=int4 group=128}", "quantize{kv=int8}", "limit-kv{window=512}")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_makes_the_same_of_both(technique: str) -> None:
    path = FOLDER / "mobius__llama31_8b__model.onnx"
    if not path.is_file():
        pytest.skip("the exported files are not here")
    file, config = (
        ms.analyze(
            model, on="h100-sxm", prompt=4096, output=2, techniques=[technique], set=changed
        ).phases["decode"]
        for model, changed in ((path, None), ("llama-3.1-8b", {"model.torch_dtype": "float16"}))
    )
    for figure in ("flops", "bytes", "weight_bytes", "kv_bytes", "time_s"):
        assert getattr(file, figure) == getattr(config, figure)


def encoder(program: Program) -> Program:
    """Return a program that ends with its last layer, its norm included."""
    graph = program.graph()
    (run,) = (op for op in graph.ops if isinstance(op, Repeat))
    norm = next((op for op in graph.ops if isinstance(op, LayerNorm) and op.x in run.outs), run)
    return program.with_graph("target", drop_dead(replace(graph, outputs=(norm.out,))))


def matrix_flops(program: Program) -> Expr:
    """Return the FLOP of all products, every token having logits."""
    flops = program.graph().cost.flops
    found = sp.Add(*(v for (unit, *_), v in flops.items() if unit == MATRIX))
    return sp.expand(found.xreplace({R: T}).xreplace({T: B * S}))


def used(graph: Graph, trips: Expr = sp.S.One) -> Expr:
    """Return the bytes of weights, each as often as an op uses it."""
    found: list[Expr] = []
    for op in graph.ops:
        if not op.is_view:
            found += [w.bytes * trips for v in op.operands for w in weights(graph, v)]
        found += [used(body, trips * getattr(op, "trips", sp.S.One)) for body in op.bodies]
    return sp.Add(*found)


def weights(graph: Graph, value: Value) -> Iterator[Value]:
    """Yield the weights behind a value, seen through views."""
    op = graph.producers.get(value)
    if op is not None and op.is_view:
        for operand in op.operands:
            yield from weights(graph, operand)
    elif value.role == "weight" and value.storage:
        yield value


def stored(program: Program, role: str) -> Expr:
    """Return the bytes of everything stored in a role."""
    found = storages(program.graph()).values()
    return sp.expand(sp.Add(*(s.bytes for s in found if s.value.role == role)))


def element(program: Program) -> int:
    """Return the bytes of an element of the weights."""
    leaf = next(v for v in program.graph().leaves if v.role == "weight")
    return int(leaf.encoding.bits) // 8


def kinds(program: Program) -> Counter[str]:
    """Return how often an op of each kind runs in a call, views left out."""
    found: Counter[str] = Counter()
    for op, times in program.graph().walk():
        if not op.is_view and not op.bodies:
            found[op.kind] += int(times)
    return found

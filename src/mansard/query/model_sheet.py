"""A model on one page: its parameters by role, what a sequence keeps, its layers, its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mansard.core.facts import ModelFacts
from mansard.core.records import dataclass
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.program import Program
from mansard.ir.value import Value

# What an op's name begins with, or holds, → the role of the weights it reads; the first match
# counts. Embeddings of every kind, then what is no matrix, then the blocks.
ROLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("modulation", ("norm1.linear", "norm1_context.linear", "norm.linear", "norm_out.linear",
                    "proj_out_1")),
    ("embedding", ("pos_embed", "x_embedder", "context_embedder", "time_text_embed", "norm1.emb")),
    ("attention", ("attn.", "attn1.")),
    ("mlp", ("ff.", "ff_context.", "proj_mlp", "proj_out")),
    ("lm_head", ("lm_head", "logits")),
    ("indexer", ("index",)),
    ("streams", ("hyper_",)),
    ("norm", ("*norm",)),
    ("per_layer", ("per_layer_", "altup", "laurel", "predict", "correct", "first")),
    ("embedding", ("embed", "positions", "types")),
    ("router", ("router", "correction", "expert_scale")),
    ("expert", ("experts.",)),
    ("shared_expert", ("shared_up", "shared_gate", "shared_down")),
    ("mlp", ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "act", "ffn_", "channel_")),
    ("mixer", ("conv", "in_proj", "out_proj", "x_proj", "dt_proj", "scan", "delta", "decay_", "ssm",
               "gate_a", "gate_b", "linear_", "out_gate", "lru", "recurrence_", "input_gate",
               "time_", "wkv")),
    ("attention", ("q_", "k_", "v_", "o_", "qkv", "kv_", "attn_", "cross_", "sliding_", "chunked_",
                   "softmax", "scores", "values", "summary")),
)  # fmt: skip
ROLE_NAMES = (*dict.fromkeys(name for name, _ in ROLES), "other")
BLOCKS = ("layers.", "transformer_blocks.", "single_transformer_blocks.", "first.", "last.", "out.")
"""What stands in front of an op's own name inside a block."""


@dataclass(frozen=True)
class ModelSheet:
    """What `mansard models show` says.

    Args:
        facts: parameters, cache and state.
        by_role: parameters by what they are for; they add up to all of them.
        layers: what repeats and what each layer is made of; empty where the frontend says none.
        mtp_params: of layers that the checkpoint has and serving leaves out.
        checkpoint: the techniques the checkpoint carries, as pipeline text.
        weights_bytes: of the weights in the config's dtype, before those techniques.
        stored_bytes: of the weights after them, as the checkpoint stores what is served.
        by_encoding: those bytes by how the weights lie.
    """

    facts: ModelFacts
    by_role: Mapping[str, int]
    layers: str
    mtp_params: int
    checkpoint: str
    weights_bytes: int
    stored_bytes: int
    by_encoding: Mapping[str, int]


def model_sheet(program: Program) -> ModelSheet:
    """Count a program's weights by role, each storage once."""
    counts = dict.fromkeys(ROLE_NAMES, 0)
    size = 0
    counted: set[str] = set()
    for graph in program.graphs.values():
        readers = dict(_readers(graph))
        for name, stored in storages(graph).items():
            if stored.value.role == "weight" and name not in counted:
                counted.add(name)
                counts[role_of(readers.get(name, ""))] += int(stored.numel)
                size += int(stored.bytes)
    facts = program.origin.facts
    lies = _by_encoding(program)
    return ModelSheet(
        facts=model_facts(program),
        by_role={role: n for role, n in counts.items() if n},
        layers=facts["layers"][0] if "layers" in facts else "",
        mtp_params=int(facts["mtp_params"][0].replace(",", "")) if "mtp_params" in facts else 0,
        checkpoint=program.origin.pipeline,
        weights_bytes=size,
        stored_bytes=sum(lies.values()),
        by_encoding=lies,
    )


def _by_encoding(program: Program) -> dict[str, int]:
    """Return the bytes of a program's weights by encoding, once what the checkpoint carries ran."""
    from mansard.passes.pipeline import run
    from mansard.query.techniques import read_techniques

    own = read_techniques([program.origin.pipeline]) if program.origin.pipeline else ()
    after = run(program, own)[0] if own else program
    sizes: dict[str, dict[str, int]] = {}
    for graph in after.graphs.values():
        for name, stored in storages(graph).items():
            if stored.value.role == "weight":
                sizes.setdefault(str(stored.value.encoding), {})[name] = int(stored.bytes)
    found = {encoding: sum(each.values()) for encoding, each in sizes.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def role_of(op: str) -> str:
    """Return what the weights an op reads are for, by the op's name.

    >>> role_of("layers.experts.down_proj"), role_of("layers.kv_a_norm"), role_of("layers.q_proj")
    ('expert', 'norm', 'attention')
    """
    name = op.partition("~")[0]
    name = name.removeprefix(next((b for b in BLOCKS if name.startswith(b)), ""))
    for role, patterns in ROLES:
        for pattern in patterns:
            if name.startswith(pattern) or (pattern[0] == "*" and pattern[1:] in name):
                return role
    return "other"


def _readers(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield (storage of a weight, name of an op that reads it); of several the first one counts."""
    found: dict[str, str] = {}
    for op in _ops(graph):
        for operand in op.operands:
            if isinstance(operand, Value) and operand.role == "weight" and operand.storage:
                found.setdefault(operand.storage, op.name)
    yield from found.items()


def _ops(graph: Graph) -> Iterator[Op]:
    for op in graph.ops:
        yield op
        for body in op.bodies:
            yield from _ops(body)

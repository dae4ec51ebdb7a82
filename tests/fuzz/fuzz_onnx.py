"""Fuzz the ONNX reader: bytes, sizes written as text, and attributes of operators.

Usage: ``python -m tests.fuzz.fuzz_onnx [SECONDS]``. With atheris installed the fuzzer is guided by
coverage; without it, seeded mutations run for as long, and the last line says so. An input either
is read or refused with an error of mansard's own; anything else, and more than ten seconds for one
input, is a failure, and the input is printed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SECONDS, LONGEST_S, SEED = 55, 10.0, 20261129


def read(content: bytes) -> None:
    """Load bytes as a model, infer its sizes, lower it both ways, add up its cost."""
    from mansard.core.errors import MansardError
    from mansard.frontends.onnx.load import model_of, parse
    from mansard.frontends.onnx.lower.program import lower
    from mansard.frontends.onnx.resolve import resolve
    from mansard.frontends.onnx.wire import without_weights

    with contextlib.suppress(MansardError):
        model = model_of(parse(without_weights(memoryview(content)), "fuzzed"))
        for raw in (True, False):
            _ = lower(resolve(model), raw=raw).graph().cost.total_flops


def expression(content: bytes) -> None:
    """Read text as a size of a file, and as an expression."""
    from mansard.core.errors import MansardError
    from mansard.core.expressions import parse_expression
    from mansard.core.symbols import PARAMETERS
    from mansard.frontends.onnx.naming import Names

    text = content.decode(errors="replace")
    size = Names({}).dim(text)
    if not isinstance(size, int) and size.is_nonnegative is False:
        raise AssertionError(f"{text!r} is a negative size")
    with contextlib.suppress(MansardError):
        parse_expression(text, PARAMETERS)


def attributes(content: bytes) -> None:
    """Change numbers of an operator's case, and read it."""
    from tests.frontends.onnx.graphs import build, cases

    known = cases("executed.txt")
    choice = random.Random(content)
    proto, _ = build(known[choice.randrange(len(known))])
    for attribute in proto.graph.node[0].attribute:
        if attribute.ints:
            values = [choice.choice((-(2**63), -3, -1, 0, 1, 2, 7, 2**31, 2**62))
                      for _ in range(choice.randrange(5))]  # fmt: skip
            attribute.ClearField("ints")
            attribute.ints.extend(values)
        elif choice.random() < 0.5:
            attribute.i = choice.randrange(-4, 9)
    for info in proto.graph.input:
        dims = info.type.tensor_type.shape.dim
        if dims and choice.random() < 0.5:
            del dims[choice.randrange(len(dims))]
        for dim in dims:
            if choice.random() < 0.3:
                dim.dim_value = choice.choice((0, 1, 2, 3, 2**31, 2**62, -1))
    read(proto.SerializeToString())


TARGETS: tuple[Callable[[bytes], None], ...] = (read, expression, attributes)


def one_input(content: bytes) -> None:
    """Give bytes to the target that the first one picks."""
    if content:
        TARGETS[content[0] % len(TARGETS)](content[1:])


def seeds() -> list[bytes]:
    """Return inputs to start from: small models, sizes as exporters write them."""
    from tests.frontends.onnx.graphs import build, cases, model
    from tests.frontends.onnx_lower.decoders import language_model
    from tests.frontends.onnx_lower.test_branches import proto

    models = [build(case)[0].SerializeToString() for case in cases("executed.txt")[::4]]
    nodes, inputs, outputs, weights = language_model(1)
    sizes: dict[str, tuple[str, list[int | str]]] = {n: ("f", [*s]) for n, s in weights.items()}
    models.append(model(nodes, {**inputs, **sizes}, outputs, [], 23).SerializeToString())
    models.append(proto().SerializeToString())
    texts = ["past_seq_len + seq_len", "64", "p2o.Dim.0", "2*(n+1)//3", "min(a,b)", "((((n))))"]
    numbers = [bytes([n]) for n in range(20)]
    return [b"\0" + m for m in models] + [b"\1" + t.encode() for t in texts] + [
        b"\2" + n for n in numbers
    ]  # fmt: skip


def mutated(seed: bytes, choice: random.Random) -> bytes:
    """Return an input with some bytes changed, left out, doubled or put in."""
    content = bytearray(seed)
    for _ in range(choice.choice((1, 1, 2, 4, 8))):
        at = choice.randrange(len(content) + 1)
        match choice.randrange(5):
            case 0 if content:
                content[at % len(content)] = choice.randrange(256)
            case 1:
                del content[at : at + choice.randrange(1, 9)]
            case 2:
                content[at:at] = content[at : at + choice.randrange(1, 40)]
            case 3:
                content[at:at] = choice.randbytes(choice.randrange(1, 5))
            case _ if content:
                content[at % len(content)] ^= 1 << choice.randrange(8)
    return bytes(content)


def seeded(seconds: float) -> int:
    """Mutate seeds for a while without guidance; return how many inputs were tried."""
    choice, start, tried = random.Random(SEED), time.monotonic(), 0
    pool: Sequence[bytes] = seeds()
    while time.monotonic() - start < seconds:
        content = mutated(choice.choice(pool), choice)
        began = time.monotonic()
        try:
            one_input(content)
        except Exception:
            print(f"failed on {content!r}", file=sys.stderr)
            raise
        if time.monotonic() - began > LONGEST_S:
            raise TimeoutError(f"{time.monotonic() - began:.0f} s for {content!r}")
        tried += 1
    return tried


def guided(seconds: int) -> None:
    """Hand over to atheris, which does not come back."""
    from importlib import import_module

    atheris = import_module("atheris")
    parts = ("mansard.frontends.onnx", "mansard.core.expressions")
    with atheris.instrument_imports(include=list(parts)):
        one_input(b"\1n")
        for content in seeds()[:1]:
            one_input(content)
    corpus = Path(tempfile.mkdtemp(prefix="mansard-fuzz-"))
    for number, content in enumerate(seeds()):
        (corpus / f"{number}").write_bytes(content)
    options = [f"-max_total_time={seconds}", f"-timeout={LONGEST_S:.0f}", "-rss_limit_mb=2048",
               "-verbosity=0", f"-artifact_prefix={corpus}/failed-"]  # fmt: skip
    print(f"coverage-guided, {seconds} s; an input that fails is left in {corpus}", flush=True)
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input)
    atheris.Fuzz()


def main() -> None:
    """Fuzz for the seconds of the first argument."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    if importlib.util.find_spec("atheris") is not None:
        guided(seconds)
    else:
        tried = seeded(seconds)
        print(f"{tried} seeded mutations in {seconds} s, not guided: atheris is not installed")


if __name__ == "__main__":
    main()

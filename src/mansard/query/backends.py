"""The backend of a question: the roofline, or what a name and its options say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mansard.core.errors import PluginError, SpecError, unknown_name

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.backends.roofline import Answer
    from mansard.ir.program import Program

Reader = Callable[["Program", "Cluster", Mapping[str, int], Iterable[str]], "Answer"]


def read_backend(text: str | None) -> Reader:
    """Return what reads an answer off a program.

    Args:
        text: of a backend, ``name`` or ``name:key=value``; None for the roofline.

    Raises:
        UnknownNameError: there is none of that name, or it has no such option.
    """
    if text is None:
        from mansard.backends.roofline import estimate

        return estimate
    backend, owner = _backend(text)

    def read(
        program: Program, on: Cluster, scenario: Mapping[str, int], phases: Iterable[str]
    ) -> Answer:
        return _only(_asked(backend, owner, program, on, scenario), tuple(phases))

    return read


def _backend(text: str) -> tuple[Any, str]:
    """Return a backend with its options set, and the distribution it came from."""
    from mansard.passes.pipeline import parse
    from mansard.plugins.registry import backends

    found = backends()
    name = text.partition(":")[0].partition("{")[0].strip()
    if name not in found:
        raise unknown_name("backend", name, found, see="(`mansard backends list`)")
    backend, owner = found[name].thing, found[name].owner
    if text.strip() == name:
        return backend, owner
    if not hasattr(type(backend), "__dataclass_fields__"):
        raise SpecError(f"the backend {name} has no options", hint=f"write --backend {name}")
    known: Any = {name: type(backend)}
    made = parse(text, known, what="backend")
    if len(made) != 1:
        raise SpecError(f"{text!r} is more than one backend", hint="name one")
    return made[0], owner


def _asked(
    backend: Any, owner: str, program: Program, on: Cluster, scenario: Mapping[str, int]
) -> Answer:
    """Ask a backend; a failure names the distribution it came from.

    Raises:
        PluginError: it raised what no backend should, or returned no answer.
    """
    from mansard.backends.roofline import Answer
    from mansard.plugins.importing import blamed

    hint = f"report it to the authors of {owner}"
    with blamed(owner, f"backend {backend.name}"):
        answer = backend.estimate(program, on, scenario)
    if not isinstance(answer, Answer):
        said = f"backend {backend.name}, of {owner}, returned a {type(answer).__name__}"
        raise PluginError(f"{said}, not an Answer", hint=hint)
    return answer


def _only(answer: Answer, wanted: tuple[str, ...]) -> Answer:
    """Return the phases that were asked for; metrics of the others are none."""
    if not wanted:
        return answer
    gone: dict[str, None] = {}
    for phase, metric in (("prefill", "ttft_s"), ("decode", "tpot_s")):
        if phase not in wanted:
            gone |= dict.fromkeys((metric, "latency_s", "throughput_tok_s", "energy_j"))
            gone |= {"tokens_per_s_per_user": None} if phase == "decode" else {}
    kept = {name: phase for name, phase in answer.phases.items() if name in wanted}
    fields: dict[str, Any] = gone
    return replace(answer, phases=kept, metrics=replace(answer.metrics, **fields))

"""``analyze``: one model on one hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mansard.backends.hardware import Hardware
from mansard.backends.spending import spent
from mansard.core.errors import SpecError, unknown_name
from mansard.core.facts import ModelFacts
from mansard.core.notes import Note
from mansard.ir.footprint import model_facts
from mansard.ir.program import Program
from mansard.query.backends import read_backend
from mansard.query.calibration import (
    IDEAL,
    calibrated_figures,
    check_kind,
    engine_as,
    priced_as,
    read_calibration,
)
from mansard.query.concerns import concerns
from mansard.query.effects import Technique
from mansard.query.estimate import Estimate
from mansard.query.lengths import Mix, beside_of, metrics_of, read_sizes
from mansard.query.lengths import said as said_of
from mansard.query.overrides import read_overrides
from mansard.query.plugins import skipped_plugins
from mansard.query.prepare import Prepared, prepare
from mansard.query.scenario import DEFAULT_OUTPUT, DEFAULT_PROMPT, Scenario, make_scenario
from mansard.query.sequence import (
    as_long_as_it_takes,
    fixed_batch,
    generates,
    longest,
    prefilled,
    steps_there_are,
)
from mansard.query.settings import from_file, is_scenario, keywords
from mansard.query.several import several
from mansard.query.source import Source
from mansard.query.speculation import drafts
from mansard.query.target import dealt
from mansard.query.techniques import Spec

if TYPE_CHECKING:
    from mansard.backends.roofline import Answer


def analyze(
    source: Source,
    *,
    on: str | Path | Hardware | None = None,
    batch: int | str | None = None,
    prompt: int | str | None = None,
    output: int | str | None = None,
    techniques: Spec | Sequence[Spec] = (),
    level: str | None = None,
    phase: str | None = None,
    context: int | str | None = None,
    set: Mapping[str, object] | None = None,  # noqa: A002 - the name of the option
    estimate: str | None = None,
    price: float | None = None,
    backend: str | None = None,
) -> Estimate:
    """Predict what a model costs on hardware.

    Args:
        source: what ``load`` takes, or the path of a scenario's TOML, whose settings count where
            the call gives none.
        on: a chip's name, ``name:N``, ``name:NODESxN``, the path of a chip's file, or a Hardware.
        batch: sequences of the whole system; 1 unless given.
        prompt: tokens of each prompt; 2048 unless given; or a distribution of them, as
            ``query.lengths`` reads it: "lognormal(2k,0.8)", "uniform(1k,4k)", "lengths.csv".
        output: tokens to generate for each; 128 unless given; or a distribution.
        techniques: passes, or pipeline text, in order.
        level: "O0" keeps the graph as written, "O1" then fuses what every engine fuses.
        phase: prefill, decode or both.
        context: asks for one decode step over this many cached tokens instead.
        set: ``{"model.num_hidden_layers": 40, "hardware.memory.bandwidth": "4TB/s"}``;
            ``network`` names what joins nodes; ``framework`` (vllm, trtllm …) the engine and
            ``calibration`` a file of ``mansard calibrate``, for a calibrated estimate;
            ``input.images`` and ``input.image_size`` say what a prompt holds besides text,
            ``input.memory`` how long a memory is that another model makes.
        estimate: "ideal", the roofline bound, or "calibrated", what is measured, with its band.
        price: of a device and hour, in any currency; the answer then says what it costs.
        backend: what reads the answer off the program, in place of the roofline: a name of
            ``mansard backends list``, with options as techniques have them: "energy:host=600W".

    Raises:
        MansardError: a name nothing carries, a model or chip that cannot be read, a size that is
            no whole number of at least one, a technique that cannot be applied.
    """
    if is_scenario(source):
        given = {"on": on, "batch": batch, "prompt": prompt, "output": output, "context": context,
                 "techniques": techniques, "level": level, "phase": phase, "set": set,
                 "estimate": estimate, "price": price}  # fmt: skip
        model, rest = keywords(from_file(Path(str(source)), given))
        return analyze(model, **rest, backend=backend)
    if on is None:
        raise SpecError("the question names no hardware", hint='add on="h100-sxm"')
    kind = estimate or IDEAL
    check_kind(kind, read_overrides(set or {}))
    p, n, mix = read_sizes(prompt, output, context, (DEFAULT_PROMPT, DEFAULT_OUTPUT))
    asked = make_scenario(1 if batch is None else batch, p, n, phase or "both", context)
    ready = prepare(source, on, asked, several(techniques), level or "O1", set or {})
    unsaid = prompt is None and context is None
    return answered(ready, asked, mix=mix, unsaid=unsaid, kind=kind, price=price,
                    backend=backend)  # fmt: skip


def answered(
    ready: Prepared, asked: Scenario, *, mix: Mix | None = None, unsaid: bool = False,
    kind: str | None = None, price: float | None = None, backend: str | None = None,
) -> Estimate:  # fmt: skip
    """Return the answer for a program and devices that are ready; what ``analyze`` ends with.

    Args:
        ready: prepared for a scenario that is a single step exactly when ``asked`` is.
        asked: the scenario.
        mix: lengths as distributions, where they are.
        unsaid: whether nobody gave the prompt, so that a model that takes less gets what it takes.
        kind: "ideal", unless given, or "calibrated".
        price: of a device and hour.
        backend: in place of the roofline.

    Raises:
        MansardError: no such estimate, or a phase the model does not have.
    """
    kind, overrides = kind or IDEAL, ready.overrides
    check_kind(kind, overrides)
    program, target, applied = ready.program, ready.target, ready.techniques
    shorter: tuple[Note, ...] = ()
    if unsaid:
        asked, shorter = as_long_as_it_takes(asked, ready.origin)
    if backend and kind != IDEAL:
        raise SpecError(f"{backend} answers in place of the roofline, which --estimate {kind}"
                        " corrects", hint="leave --estimate out, or --backend")  # fmt: skip
    if backend and mix is not None:
        raise SpecError(f"{backend} answers for one length, not for a distribution",
                        hint="give one prompt and one output, or leave --backend out")  # fmt: skip
    reader = read_backend(backend) if backend else None
    engine, own = overrides.framework or "", read_calibration(overrides.calibration, target.chip)

    def priced(program: Program) -> Answer:
        cluster = target.laid_out(program.mesh)
        if reader is not None:
            return reader(program, cluster, asked.symbols, asked.phases)
        return priced_as(kind, program, cluster, asked, engine, own)

    answer = priced(program)
    missing = [name for name in asked.phases if name not in answer.phases]
    if missing:
        known = [n for n in dict.fromkeys(s.phase for s in program.schedule) if n]
        raise unknown_name("phase of this model's schedule", missing[0], known)
    metrics, tokens, memory = answer.metrics, float(asked.output), answer.memory
    said_beside = calibrated_figures(answer, program, ready.cluster, asked, engine)
    if mix is not None:
        cluster = target.laid_out(program.mesh)
        many = engine_as(kind, program, cluster, asked.phases, engine, own)
        metrics, tokens, memory = metrics_of(many, mix, asked.batch, memory)
        if said_beside is not None:
            said_beside = said_beside.expected(beside_of(many, mix, asked.batch))
    said = [
        *([said_of(mix, ready.origin.max_context)] if mix is not None else []),
        *skipped_plugins(),
        *answer.notes,
        *ready.notes,
        *shorter,
        *dealt(asked.batch, program.mesh),
        *fixed_batch(asked, program),
        *steps_there_are(longest_of(asked, mix), applied),
        *drafts(applied, program),
        *concerns(longest(asked, ready.origin), ready.origin.max_context, target.chip, memory),
    ]
    return Estimate(
        model=_whole_model(program, applied),
        chip=target.chip,
        devices=target.devices,
        scenario=asked,
        prefilled=prefilled(asked, program.origin),
        kind=kind,
        backend=backend or "",
        techniques=applied,
        program=program,
        phases=answer.phases,
        memory=memory,
        metrics=spent(
            metrics,
            target.chip,
            target.devices,
            asked.batch,
            tokens if generates(program) else None,
            price,
        ),
        notes=_once(said),
        price=priced,
        figures=answer.figures,
        assumes=answer.assumes,
        cluster=ready.cluster,
        calibrated=said_beside,
        lengths={} if mix is None else mix.written,
    )


def longest_of(asked: Scenario, mix: Mix | None) -> Scenario:
    """Return the scenario with the longest output there is."""
    return asked if mix is None else replace(asked, output=max(1, round(max(mix.outputs))))


def _whole_model(program: Program, applied: Sequence[Technique]) -> ModelFacts:
    """Return what is true of the model undivided: as it was when techniques spread it."""
    return model_facts(next((t.before for t in applied if t.before.mesh != t.after.mesh), program))


def _once(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(sorted(dict.fromkeys(notes), key=lambda note: note.code))

"""``plan``: the fewest devices that serve a rate within objectives, and how they share a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from mansard.backends.chips import parse_target
from mansard.backends.estimate import DECODE
from mansard.backends.spending import HOUR_S, MILLION
from mansard.core.errors import MansardError, SpecError
from mansard.core.notes import Note
from mansard.query.beside import rests, warned
from mansard.query.calibration import CALIBRATED
from mansard.query.estimate import Estimate
from mansard.query.overrides import read_overrides
from mansard.query.planning.front import Point, front
from mansard.query.planning.layouts import NODE, layouts
from mansard.query.planning.objectives import read_objectives
from mansard.query.planning.options import PREFILL, Load, Option, apart, together
from mansard.query.planning.reasons import nearest_miss, why_not
from mansard.query.planning.replica import Replica
from mansard.query.report import finite
from mansard.query.several import several
from mansard.query.solving.question import Question
from mansard.query.source import Source, load_with
from mansard.query.study import Study, study
from mansard.query.techniques import Spec, read_techniques

SCHEMA = "mansard.plan/1"
MOST_DEVICES = 64
MOST_RATE = 10**9
"""Requests a second that nobody receives."""
ASSUMES = (
    "prompts and outputs are all of the length asked for, and requests arrive evenly: no time in a"
    " queue, and no time until the step under way ends",
    "each replica is in its steady state: a prompt is prefilled when a sequence ends, between"
    " decode steps, which wait for it (batch-continuously)",
    "apart: whole prompts, one a replica at a time; a cache moves at the link's rate before its"
    " first decode step (disaggregate)",
    f"replicas of 1, 2, 4 … {NODE} devices, joined by the chip's own link",
    "times are bounds: engines need more devices, mostly 1.4 to 2 times as many",
)
"""What a plan rests on."""
EXPECTED = (
    "lengths are a distribution and every batch is of one length: objectives hold for expectations,"
    " not for every request, and throughput is all tokens over all time; requests arrive evenly, no"
    " time in a queue, and no time until the step under way ends",
    *ASSUMES[1:],
)
"""What a plan of lengths that are a distribution rests on."""

MEASURED = (
    "times are calibrated: what kernels and engines were measured to take in the median, with the"
    " band of four in five beside it; objectives hold for the median, rates too",
    "nobody measured a cache on its way between devices: the bound over 0.75",
)
"""What a plan of the calibrated estimate rests on, in place of the last of those."""

READ = ("model", "graph", "input")
"""Sections of overrides that count when a model is loaded."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The answer of ``plan``.

    Args:
        model, on: what was asked.
        load: what has to be served.
        options: the best of each layout, the best first; empty where nothing can serve.
        front: what no other point beats in both throughput a device and speed for a user.
        misses: why nothing can serve, a sentence each.
        failed: layouts that cannot serve, with their reason.
        skipped: layouts that could not be evaluated, with their reason.
        notes: what the figures rest on.
        alone: the answer of one request on one device, which rests on what the others do.
        assumes: what the plan itself rests on, a sentence each.
        price: of a device and hour; None where nobody gave one.
    """

    model: str
    on: str
    load: Load
    options: tuple[Option, ...]
    front: tuple[Point, ...]
    misses: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    alone: Estimate = field(repr=False)
    assumes: tuple[str, ...] = ASSUMES
    price: float | None = None

    @property
    def best(self) -> Option | None:
        """The option with the fewest devices."""
        return self.options[0] if self.options else None

    def cost_per_hour(self, option: Option) -> float | None:
        """Return what an option's devices cost an hour; None without a price."""
        return None if self.price is None else self.price * option.devices

    def cost_per_mtok(self, option: Option) -> float | None:
        """Return what a million generated tokens cost at the rate that was asked for."""
        hourly = self.cost_per_hour(option)
        tokens = self.load.rate * self.load.output * HOUR_S
        return None if hourly is None else hourly / tokens * MILLION

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.plan/1`` document."""
        options = [
            asdict(o) | {
                "devices": o.devices, "requests_per_s": o.requests_per_s,
                "cost_per_hour": self.cost_per_hour(o), "cost_per_mtok": self.cost_per_mtok(o),
            }
            for o in self.options
        ]  # fmt: skip
        found = finite({
            "schema": SCHEMA, "model": self.model, "on": self.on, "rate": self.load.rate,
            "objectives": [o.text for o in self.load.objectives],
            "devices": self.best.devices if self.best else None,
            "options": options, "front": [asdict(p) for p in self.front],
            "price": self.price,
            "misses": list(self.misses), "failed": [list(pair) for pair in self.failed],
            "skipped": [list(pair) for pair in self.skipped],
            "assumes": list(self.assumes), **rests(self.alone), "warnings": warned(self.notes),
        })  # fmt: skip
        assert isinstance(found, dict)
        return found


def plan(
    source: Source,
    *,
    on: str | Path,
    slo: str,
    rate: float,
    variants: Spec | Sequence[Spec | Sequence[Spec]] = ((),),
    most_devices: int = MOST_DEVICES,
    split: str = "both",
    **asked: Any,
) -> Plan:
    """Find the fewest devices that serve a rate of requests within objectives.

    Args:
        source: what ``load`` takes.
        on: a chip; ``name:N`` allows N devices at most.
        slo: ``ttft<1s,tpot<30ms``: conditions on what a user sees.
        rate: requests a second.
        variants: pipelines to try; each follows ``techniques``, which all have in common.
        most_devices: an option takes no more.
        split: "together", "apart" (prefill and decode on devices of their own) or "both".
        asked: prompt, output, techniques, level and set, as ``analyze`` takes them.

    Raises:
        MansardError: no such model or chip, a technique that divides the model already, a rate
            that is no positive number, or no layout that can be evaluated.
    """
    if not rate > 0:
        raise SpecError(f"the rate is {rate:g} requests a second, which must be above 0",
                        hint="write --rate 5/s")  # fmt: skip
    if rate >= MOST_RATE:
        raise SpecError(f"the rate is {rate:g} requests a second, which must be"
                        f" below {MOST_RATE:,}", hint="plan for a part of it")  # fmt: skip
    if asked.pop("batch", 1) not in (None, 1):
        raise SpecError("the batch is what a plan chooses", hint="leave it out")
    objectives = read_objectives(slo)
    chip, nodes, per_node = parse_target(str(on))
    most = nodes * per_node if ":" in str(on) else most_devices
    named = study(source, on=chip, **asked)
    base = _one_device(named)
    pipelines = [several(variant) for variant in several(variants)]
    question = Question(base)
    question.check_few("plans")
    load = Load(rate, question.sizes["output"], objectives)
    found: list[Replica] = []
    skipped: list[tuple[str, str]] = []
    mixture = _has_experts(base)
    for layout, variant in product(layouts(most, experts=mixture), pipelines):
        replica = Replica(base, layout, ",".join(map(str, variant)), named)
        try:
            assert replica.steady is not None
        except MansardError as problem:
            skipped.append((_named(replica), problem.message))
        else:
            found.append(replica)
    if not found:
        raise SpecError(f"no layout can be evaluated: {skipped[0][1]}", hint="check the techniques")
    options = sorted(_options(found, load, split), key=lambda option: option.order)
    kept = tuple(option for option in options if option.devices <= most)
    misses = () if kept else (*nearest_miss(found, load), *_too_many(options, most))
    failed = tuple(
        (_named(replica), why_not(replica, load)) for replica in found
        if not any(_uses(option, replica) for option in options)
    )  # fmt: skip
    if split != "together":
        skipped += _not_apart(found)
    alone = base.analyze()
    name = base.prepared.program.origin.name
    return Plan(name, chip, load, kept, front(found), misses, failed, tuple(skipped),
                tuple(n for n in alone.notes if n.code not in ("M030", "M040")), alone,
                _assumes(base), base.price)  # fmt: skip


def _assumes(base: Study) -> tuple[str, ...]:
    """Return what the plan rests on, of its lengths and of its estimate."""
    said = ASSUMES if base.mix is None else EXPECTED
    return said if base.kind != CALIBRATED else (*said[:-1], *MEASURED)


def _options(found: Sequence[Replica], load: Load, split: str) -> Iterator[Option]:
    if split in ("both", "together"):
        yield from filter(None, (together(replica, load) for replica in found))
    if split in ("both", "apart"):
        for late in found:
            alike = [early for early in found if early.variant == late.variant]
            made = filter(None, (apart(early, late, load) for early in alike))
            if best := min(made, key=lambda option: option.order, default=None):
                yield best


def _named(replica: Replica) -> str:
    return f"{replica.layout} {replica.variant}".strip()


def _uses(option: Option, replica: Replica) -> bool:
    """Say whether a replica is one that an option is made of."""
    layouts = [pool.layout for pool in option.pools if pool.does != PREFILL]
    return option.variant == replica.variant and str(replica.layout) in layouts


def _not_apart(found: Sequence[Replica]) -> list[tuple[str, str]]:
    """Return why no cache can be handed over, where none can."""
    try:
        assert found[0].transfer_s >= 0
    except MansardError as problem:
        return [("prefill and decode apart", problem.message)]
    return []


def _too_many(options: Sequence[Option], most: int) -> Iterator[str]:
    if options:
        yield f"devices: {options[0].devices} would serve it; at most {most} were allowed"


def _one_device(asked: Study) -> Study:
    """Return the question with its model loaded once, checked to divide nothing itself."""
    if asked.scenario.phase != "both" or asked.scenario.single_step:
        raise SpecError("a plan needs both phases", hint="leave --phase and --context out")
    for technique in read_techniques(asked.techniques):
        if technique.divides or technique.name == "batch-continuously":
            raise SpecError(f"{technique.name} is what a plan chooses", hint="leave it out")
    overrides = read_overrides(asked.set)
    program = load_with(asked.source, overrides.model, overrides.reading)
    if DECODE not in {step.phase for step in program.schedule}:
        raise SpecError(f"a plan needs a model that decodes, and {program.origin.name} makes no"
                        " tokens one by one",
                        hint="ask sweep for its throughput: --vary batch=1..512x2")  # fmt: skip
    rest = {k: v for k, v in asked.set.items() if k.partition(".")[0] not in READ}
    return replace(asked, source=program, set=rest)


def _has_experts(asked: Study) -> bool:
    from mansard.ir.ops import GroupedLinear

    graph = asked.prepared.program.graph("target")
    return any(isinstance(op, GroupedLinear) for op, _ in graph.walk())

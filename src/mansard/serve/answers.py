"""What each address answers: plain JSON values, the same figures as the command line's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.core.errors import MansardError, SpecError
from mansard.ir.program import Program
from mansard.query.analyze import answered
from mansard.query.comparing import Comparison, Entry
from mansard.query.effects import Figures
from mansard.query.estimate import Estimate
from mansard.query.report import finite, memory_record
from mansard.render.drawings.roofline import ceilings
from mansard.render.technique_words import said, written
from mansard.serve.graphs import Drawing
from mansard.serve.memo import Memo
from mansard.serve.names import Names
from mansard.serve.question import Question, read_question

if TYPE_CHECKING:
    from mansard.query.study import Study

MOST_COMPARED = 24
MOST_POINTS = 20_000
"""Points of a sweep that a page is given; more is a task for the command line."""
MOST_KNOWN = 64
MOST_CONDITIONS = 12


class Answers:
    """Everything a page can ask of one server; one thread at a time."""

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self._memo = Memo(self.names)
        self._drawings: WeakKeyDictionary[Program, Drawing] = WeakKeyDictionary()

    def estimate(self, question: Question) -> Estimate:
        """Return the answer to a question."""
        ready = self._memo.prepared(question)
        return answered(
            ready, question.scenario, mix=question.mix, unsaid=question.unsaid,
            kind=question.kind, price=question.price,
        )  # fmt: skip

    def analyze(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "known": [hashes]}``: the result, and its graph unless known."""
        question = read_question(_part(body, "question"), self.names)
        return self.told(self.estimate(question), _known(body))

    def told(self, estimate: Estimate, known: Sequence[str] = ()) -> dict[str, Any]:
        """Return all a page shows of an estimate."""
        drawing = self._drawing(estimate.program)
        told: dict[str, Any] = {
            "result": estimate.to_dict(),
            "rows": {n: _rows(p, drawing) for n, p in estimate.phases.items()},
            "steps": {n: p.steps for n, p in estimate.phases.items()},
            "roof": roof(estimate.chip, estimate),
            "graph": drawing.hash,
        }
        if drawing.hash not in known:
            told["drawing"] = drawing.document
        return told

    def passes(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question pass by pass: the figures of every program, and its graph."""
        question = read_question(_part(body, "question"), self.names)
        return self.staged(self.estimate(question), _known(body))

    def staged(self, estimate: Estimate, known: Sequence[str] = ()) -> dict[str, Any]:
        """Return the programs between the passes of an estimate."""
        seen: dict[str, Any] = {}
        stages: list[dict[str, Any]] = []

        def stage(title: str, change: str, program: Program, figures: Figures) -> dict[str, Any]:
            drawing = self._drawing(program)
            if drawing.hash not in known:
                seen[drawing.hash] = drawing.document
            return {"title": title, "changed": change, "graph": drawing.hash, **_figures(figures)}

        for effect in estimate.effects:
            done = effect.technique
            if not stages:
                stages.append(stage("as loaded", "", done.before, effect.before))
            made = stage(written(done), said(effect), done.after, effect.after)
            made |= {
                "name": done.name,
                "same": done.before is done.after,
                "notes": [f"{n.code}: {n.message}" for n in done.notes],
                "source": done.technique.source,
            }
            stages.append(made)
        answer: dict[str, Any] = finite({"stages": stages, "drawings": seen})
        return answer

    def compare(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"questions": […]}`` side by side."""
        asked = body.get("questions")
        if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_COMPARED:
            raise SpecError("compare takes a list of questions", hint=f"1 to {MOST_COMPARED}")
        entries = [self._entry(each) for each in asked]
        return compared(Comparison(tuple(entries)))

    def _entry(self, body: Any) -> Entry:
        said = body if isinstance(body, Mapping) else {}
        model, on = str(said.get("model", ""))[:80], str(said.get("on", ""))[:80]
        try:
            question = read_question(body, self.names)
            found = self.estimate(question)
        except MansardError as problem:
            return Entry(model, on, "", "", None, problem)
        text = ", ".join(question.techniques)
        return Entry(found.model.name, question.on, text, text, found)

    def sweep(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "axes": {name: text}, "pareto": [metrics]}``."""
        from mansard.query.sweeps.axes import read_axes

        question = read_question(_part(body, "question"), self.names)
        given = body.get("axes")
        if not isinstance(given, Mapping) or not 1 <= len(given) <= 3:
            raise SpecError("a sweep has one to three axes", hint='{"batch": "1..512x2"}')
        axes = read_axes({str(k)[:80]: str(v)[:2000] for k, v in given.items()})
        points = 1
        for axis in axes:
            points *= len(axis.values)
            self._check_axis(axis.name, axis.kind, axis.values)
        if points > MOST_POINTS:
            raise SpecError(f"{points:,} points are more than the {MOST_POINTS:,} of a page",
                            hint="vary less, or use `mansard sweep`")  # fmt: skip
        pareto = body.get("pareto") or []
        found = self._study(question).sweep({a.name: a.values for a in axes})
        columns = {name: finite(_listed(column)) for name, column in found.columns.items()}
        return {
            "axes": {a.name: [finite(a.shown(k)) for k in range(len(a.values))] for a in axes},
            "columns": columns,
            "front": _front(columns, [str(m) for m in pareto]),
            "notes": [{"code": n.code, "message": n.message} for n in found.notes],
        }

    def solve(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "find": …, "goal": …, "conditions": […]}``."""
        question = read_question(_part(body, "question"), self.names)
        find, goal = str(body.get("find", ""))[:80], body.get("goal")
        conditions = body.get("conditions")
        if not isinstance(conditions, list) or len(conditions) > MOST_CONDITIONS:
            raise SpecError("conditions is a list", hint=f"of at most {MOST_CONDITIONS}")
        if "." in find and not find.startswith("hardware."):
            technique, _, option = find.partition(".")
            self.names.check_option(technique, option, "")
        found = self._study(question).solve(
            find, maximize=goal == "maximize", minimize=goal == "minimize",
            subject_to=[str(c)[:200] for c in conditions],
        )  # fmt: skip
        return found.to_dict()

    def _study(self, question: Question) -> Study:
        from mansard.query.study import Study

        return Study(
            self.names.model(question.model), question.on, question.scenario, question.techniques,
            question.level, dict(question.changed), question.kind, question.price,
        )  # fmt: skip

    def _check_axis(self, name: str, kind: str, values: Sequence[Any]) -> None:
        if kind == "model":
            for value in values:
                self.names.model(str(value))
        elif kind == "on":
            for value in values:
                self.names.chip(str(value))
        elif kind == "technique":
            technique, _, option = name.partition(".")
            for value in values:
                self.names.check_option(technique, option, value)

    def upload(self, data: bytes, filename: str) -> dict[str, Any]:
        """Keep a model that was dropped onto the page; return the name it goes by."""
        from mansard.serve.uploads import read_upload

        made = read_upload(data, filename)
        name = self.names.keep(data, made)
        shown = made.origin.name if isinstance(made, Program) else made["_name_or_path"]
        return {"model": name, "name": str(shown)[:120]}

    def _drawing(self, program: Program) -> Drawing:
        if program not in self._drawings:
            self._drawings[program] = Drawing(program)
        return self._drawings[program]


def compared(comparison: Comparison) -> dict[str, Any]:
    """Return answers side by side: records, the best of each metric, changes, where time goes."""
    from mansard.query.metrics import METRICS

    first = next((e for e in comparison.entries if e.estimate), None)
    best, change = {}, []
    if first is not None:
        best = {m.field: [e in comparison.best(n) for e in comparison.entries]
                for n, m in METRICS.items()}  # fmt: skip
        change = [
            {m.field: comparison.change(e, n) for n, m in METRICS.items()}
            for e in comparison.entries
        ]
    answer: dict[str, Any] = finite(
        {
            "records": comparison.records() if first is not None else [],
            "problems": [e.problem.message if e.problem else None for e in comparison.entries],
            "best": best,
            "change": change,
            "phases": [
                {n: dict(p.time_by_resource_s) for n, p in e.estimate.phases.items()}
                if e.estimate else {}
                for e in comparison.entries
            ],
            "memory": [
                memory_record(e.estimate.memory) if e.estimate else None
                for e in comparison.entries
            ],
        }
    )  # fmt: skip
    return answer


def roof(chip: Hardware, estimate: Estimate) -> dict[str, Any]:
    """Return the slopes and ceilings that the ops of an estimate meet."""
    peaks = dict(pair for phase in estimate.phases.values() for pair in ceilings(chip, phase))
    highest = sorted(peaks.items(), key=lambda pair: -pair[1])
    found: dict[str, Any] = finite({
        "name": chip.name, "id": chip.id,
        "bandwidth_bytes_per_s": chip.bandwidth_bytes_per_s,
        "link_bytes_per_s": chip.link_bytes_per_s,
        "onchip_bytes": chip.onchip_bytes,
        "peaks": [
            {"label": label, "unit": "vector" if label == "vector" else "matrix",
             "flops_per_s": rate}
            for label, rate in highest
        ],
    })  # fmt: skip
    return found


def _rows(phase: Phase, drawing: Drawing) -> list[list[Any]]:
    """Return key, seconds by resource and members of each row, in the order of the result's ops."""
    found: list[list[Any]] = finite(
        [[drawing.key(row), dict(row.time_by_resource_s), list(row.members)] for row in phase.ops]
    )
    return found


def _figures(figures: Figures) -> dict[str, Any]:
    names = ("time_s", "flops", "bytes", "weight_bytes", "kv_bytes", "link_bytes", "kernels")
    return {
        "ops": figures.ops,
        "memory": memory_record(figures.memory),
        "phases": {n: {k: getattr(p, k) for k in names} for n, p in figures.phases.items()},
    }


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, Mapping):
        raise SpecError(f"the request has no {name}", hint=f'{{"{name}": {{…}}}}')
    return found


def _known(body: Mapping[str, Any]) -> tuple[str, ...]:
    found = body.get("known")
    return tuple(map(str, islice(found, MOST_KNOWN))) if isinstance(found, list) else ()


def _listed(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _front(columns: Mapping[str, Sequence[Any]], metrics: Sequence[str]) -> list[int]:
    """Return the rows that no other beats in every metric, those that do not fit left out."""
    if not metrics:
        return []
    from mansard.query.metrics import METRICS
    from mansard.query.sweeps.metrics import read_metric, sign

    names = [read_metric(m) for m in metrics]
    fields = [(METRICS[n].field, sign(n)) for n in names]
    count = len(next(iter(columns.values()), ()))
    fits = columns.get("fits", [True] * count)
    points = [
        (tuple(s * columns[f][k] for f, s in fields), k)
        for k in range(count)
        if fits[k] is not False and all(columns[f][k] is not None for f, _ in fields)
    ]
    front: list[tuple[tuple[float, ...], int]] = []
    for point in sorted(points):
        if not any(all(a <= b for a, b in zip(kept[0], point[0], strict=True)) for kept in front):
            front.append(point)
    return [k for _, k in front]


def listings(names: Names) -> dict[str, Any]:
    """Return what a page offers: models, chips, techniques with their options."""
    from mansard.frontends.hf import bundled
    from mansard.query.catalogue import techniques
    from mansard.query.metrics import METRICS
    from mansard.query.named import plugin_models

    models = [
        {"name": n, "parameters": bundled.load_bundled(n).parameters} for n in bundled.names()
    ]
    others = [{"name": n, "parameters": None} for n in (*plugin_models(), *names.models)]
    return {
        "models": models + others,
        "chips": _chips(names),
        "techniques": [asdict(sheet) for sheet in techniques()],
        "metrics": {m.field: {"name": n, "label": m.label, "dimension": m.dimension,
                              "better": m.better} for n, m in METRICS.items()},
    }  # fmt: skip


def _chips(names: Names) -> list[dict[str, Any]]:
    from mansard.query.named import chip, chip_names

    listed = (*chip_names(), *names.chips.values())
    return [chip_summary(chip(name)) for name in listed]


def chip_summary(chip: Hardware) -> dict[str, Any]:
    """Return what a list of chips shows of one."""
    found: dict[str, Any] = finite({
        "id": chip.id, "name": chip.name, "vendor": chip.vendor, "year": chip.year,
        "kind": chip.kind, "memory": chip.capacity_bytes,
        "bandwidth": chip.bandwidth_bytes_per_s, "link": chip.link_bytes_per_s,
        "bf16": chip.peaks.get(("matrix", "bf16", "dense")),
        "fp8": chip.peaks.get(("matrix", "fp8", "dense")), "tdp": chip.tdp_w,
        "confidence": chip.confidence,
    })  # fmt: skip
    return found


def named_sheet(names: Names, name: str) -> dict[str, Any]:
    """Return the sheet of a chip that may be named."""
    from mansard.query.named import chip

    return chip_sheet(chip(names.chip(name).partition(":")[0]))


def chip_sheet(chip: Hardware) -> dict[str, Any]:
    """Return everything known of one chip: figures as people read them, with their sources."""
    from mansard.render import chips

    shown = list(chips.chip_sheet(chip).shown)
    record: dict[str, Any] = finite(chips.chip_record(chip) | {"figures": shown})
    return record

"""What a setting chooses: layers by a schedule, a word of a closed set."""

from __future__ import annotations

from typing import Any, get_args

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.agreement import check_period
from mansard.frontends.hf.cards import Setting
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.schedule import Schedule, by_list, by_rule
from mansard.frontends.hf.spans import expand_spans


def picks(schedule: Schedule, fields: Fields, layers: int) -> tuple[bool, ...]:
    """Return, per layer, whether the schedule picks it in this config."""
    fields.touch(*schedule.keys())
    if schedule.list is not None and (entries := fields.value(schedule.list)) is not None:
        kinds = fields.card.kinds.get(schedule.list, ())
        entries = entries[:layers] if schedule.more else entries
        again = schedule.rule == "cycle"
        values = schedule.values
        return by_list(fields.where, schedule.list, entries, values, layers, kinds, repeat=again)
    if schedule.indices is not None and (chosen := fields.value(schedule.indices)) is not None:
        return tuple((i in chosen) != schedule.others for i in range(layers))
    if schedule.rule == "spans" and schedule.spans is not None:
        kinds = expand_spans(fields.where, schedule.spans, fields.value(schedule.spans) or [])
        return by_list(fields.where, schedule.spans, kinds, schedule.values, layers)
    skip = fields.value(schedule.skip) if schedule.skip else None
    for layer in skip or ():
        if type(layer) is not int:
            raise SpecError(
                f"{fields.where}: {schedule.skip} holds {show(layer)}", hint="list layer indices"
            )
    before = None if schedule.before is None else _whole(fields, schedule.before)
    if schedule.last is not None and (last := fields.setting(schedule.last)) not in (None, -1):
        before = last + 1
    start, step = _whole(fields, schedule.start), _whole(fields, schedule.step)
    check_period(fields, schedule, start, step)
    return by_rule(
        schedule.rule,
        layers,
        start=start,
        step=step,
        skip=frozenset(skip or ()),
        before=before,
        first=_whole(fields, schedule.first),
    )


def _whole(fields: Fields, setting: Setting) -> int:
    return fields.whole(setting) if isinstance(setting, str) else int(fields.setting(setting))


def choice(fields: Fields, what: str, setting: Any, choices: Any) -> Any:
    """Evaluate a setting whose literal is one of a closed set of words."""
    chosen = fields.decide(setting)
    if chosen not in get_args(choices):
        raise unknown_name(f"{what} of a card", str(chosen), get_args(choices))
    return chosen

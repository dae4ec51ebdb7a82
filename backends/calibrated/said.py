"""What a reader should know of the sets an estimate rests on, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mansard.backends.calibrated.lookup import MEDIAN, Found
from mansard.backends.calibrated.parameters import Calibration, ParameterSet
from mansard.core.notes import Note

WORTH_SAYING = 0.005
"""Share of the time below which other chips' medians are not worth a note."""


UNRELIABLE = 0.5
"""Error held back from which a set predicts nothing."""


def engine_words(engine: Found) -> str:
    """Say how much slower kernels run in an engine than alone, and on what that rests."""
    return f"{factors(engine)}, {engine.basis}"


def factors(engine: Found) -> str:
    """Say how much slower kernels run in an engine than alone."""
    *_, prefill, decode, attend, grouped, _ = engine.one.values
    shared = f"{attend * grouped:.2f} where heads share a cache"
    rest = f"{decode:.2f} in decode, its attention {attend:.2f}, {shared}"
    return f"kernels run {prefill:.2f} times as long in prefill, {rest}"


def medians(bases: Iterable[tuple[str, str, float]], chip: str) -> Iterator[Note]:
    """Yield M080 where medians of other chips, of the family or of all, carry some of the time.

    Args:
        bases: (set in words, form, time that rests on it).
        chip: id.
    """
    known = list(bases)
    total = sum(time_s for *_, time_s in known) or 1.0
    foreign = [(form, time_s) for words, form, time_s in known if MEDIAN in words]
    share = sum(time_s for _, time_s in foreign) / total
    if share >= WORTH_SAYING:
        forms = listed([form for form, _ in foreign])
        said = f"{share:.0%} of the time rests on medians of other chips, for {chip} itself has no"
        yield Note("M080", f"{said} measurements of {forms} as asked: the band is wide")


def own_without_engine(own: Calibration, engine: Found) -> Iterator[Note]:
    """Yield M083 where a user's kernels run in an engine the user did not measure."""
    if not any(one.key.form == "engine" for one in own.sets):
        said = f"your calibration has no engine, so another counts ({engine.basis})"
        slower = "so a kernel you measured alone comes back slower"
        yield Note("M083", f"{said}: {factors(engine)}, {slower}")


def own_without_use(own: Calibration, asked: Iterable[tuple[str, str]]) -> Iterator[Note]:
    """Yield M158: a user's calibration counts for nothing here; what it has, and what was asked.

    >>> from mansard.backends.calibrated.parameters import Key, ParameterSet
    >>> mine = Calibration("a100", (ParameterSet(Key("gemm", dtype="int4_wo"), (), 0.1, 0.9, 1.1),))
    >>> [note.message for note in own_without_use(mine, [("gemm", "bfloat16")])]
    ['none of the sets of your calibration applies: it has gemm int4_wo, asked are gemm bfloat16']

    Args:
        own: of the user.
        asked: (form, dtype) of the kernels of the question.
    """
    has = listed(sorted(f"{s.key.form} {s.key.dtype}".strip() for s in own.sets)) or "no sets"
    wants = listed(sorted(" ".join(filter(None, each)) for each in asked))
    said = f"none of the sets of your calibration applies: it has {has}, asked are {wants}"
    yield Note("M158", said)


def unreliable(sets: Iterable[ParameterSet]) -> Iterator[Note]:
    """Yield M085 where a user's sets predict nothing: random times, a wrong unit, few shapes."""
    names = [f"{s.key.text()} ({s.error:.0%} off)" for s in dict.fromkeys(sets) if is_unreliable(s)]
    if names:
        said = f"your calibration predicts nothing of {listed(names)} on shapes held back"
        yield Note("M085", f"{said}: measure again before you rely on figures that rest on it")


def is_unreliable(one: ParameterSet) -> bool:
    """Whether a set is so far off on what was held back that it predicts nothing."""
    return one.error is not None and one.error > UNRELIABLE


def at_the_bound(rows: Sequence[str]) -> Iterator[Note]:
    """Yield M084 where rows come out at their bound, which no kernel that was measured reaches."""
    if rows:
        said = (
            f"the bound itself stands for {listed(rows)}: the fit of measured kernels is below it"
        )
        yield Note("M084", f"{said} at these sizes, so they are outside what was measured")


def listed(names: Sequence[str]) -> str:
    """Return names once each, as a list in a sentence.

    >>> listed(["gemm", "moe", "gemm", "engine"]), listed(["gemm"])
    ('gemm, moe and engine', 'gemm')
    """
    once = list(dict.fromkeys(names))
    return " and ".join(filter(None, (", ".join(once[:-1]), once[-1])))

"""Which set of parameters serves a kernel: the chip's own, its siblings' median, or any chip's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet, bundled
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError

OTHER_DTYPE = 1.25  # a set of another dtype: the floor between dtypes of one framework
OTHER_FAMILY = 1.5  # a set of another kernel group, or of chips of another kind
FOREIGN = 2.5  # not one of the families that were measured: ACCURACY of such chips is unknown

FRAMEWORKS = ("vllm", "trtllm", "sglang", "deepspeed-mii", "llama.cpp")
"""Engines that kernels or networks were measured with."""

EXACT = (
    (("framework", "dtype", "family", "kernel"), 1.0),
    (("dtype", "family", "kernel"), 1.0),
)
RELAXED = (
    (("framework", "dtype", "family"), 1.0),
    (("dtype", "family"), 1.0),
    (("framework", "like", "family"), OTHER_DTYPE),
    (("like", "family"), OTHER_DTYPE),
    (("framework", "family"), OTHER_DTYPE),
    (("family",), OTHER_DTYPE),
    (("framework", "dtype"), OTHER_FAMILY),
    ((), OTHER_FAMILY * OTHER_DTYPE),
)
"""What a set must share with what is asked for, and how much wider its band is then.

What nothing matches is dropped, the least telling first: kernel, framework, dtype, family. ``like``
is the dtype that ``LIKE`` has for the one asked for.
"""

LIKE = {
    "fp8_block": "fp8",
    "mxfp4": "nvfp4",
    "w4a16_nvfp4": "w4a16_mxfp4",
    "w4a8_nvfp4_fp8": "w4a8_mxfp4_mxfp8",
}
"""Scheme that was not measured → the one nearest to it: as many bits, but for the scales'."""

ALIKE = {"layernorm": "input_layernorm", "gelu": "mlp_act"}
"""Kernel that no engine was measured with → one that streams as it does: the other norm, the other
activation. The rows there are were launched from Python, which takes longer than they do."""

MEDIAN = "median of"
"""Begins the name of a source that is a median over chips."""

Tries = tuple[tuple[tuple[str, ...], float], ...]


@dataclass(frozen=True)
class Found:
    """A set, how much wider its band must be, and where it comes from."""

    one: ParameterSet
    wider: float
    basis: str

    def band(self, first: bool = False) -> tuple[float, float]:
        """Return which multiples of a time hold four of five measurements; of first tokens."""
        low, high = self.one.of_first if first else (self.one.low, self.one.high)
        return low / self.wider, high * self.wider


def family_of(chip: Hardware) -> str:
    """Return the family of measured chips a chip belongs to; empty for none.

    >>> from mansard.backends.chips import load
    >>> family_of(load("h100-pcie")), family_of(load("l40s")), family_of(load("mi300x"))
    ('hopper', 'gddr', '')
    """
    if chip.vendor != "NVIDIA" or chip.kind not in ("gpu", "superchip"):
        return ""
    stacked = chip.memory_type.startswith("HBM")
    if stacked:
        for name in ("hopper", "blackwell", "ampere"):
            if chip.arch.lower().startswith(name):
                return name
        return ""
    return "gddr" if chip.memory_type.startswith("GDDR") else ""


@lru_cache(maxsize=4096)
def find(key: Key, chip: str, family: str, own: Calibration | None = None) -> Found:
    """Return the set for a key on a chip.

    Args:
        key: what is asked for; empty fields mean "any".
        chip: id.
        family: of the chip, from ``family_of``.
        own: a user's calibration, asked first, for the dtypes it has.

    Raises:
        SpecError: no chip at all was calibrated for this form.
    """
    sources = _sources(chip, family, own)
    for asked, names in _passes(key):
        for calibration, wider, name in sources:
            alike = tuple(n for n in names if "dtype" in n[0]) if calibration is own else names
            found = _within(calibration, asked, alike)
            if found is not None:
                one, relaxed = found
                return Found(one, wider * relaxed, _basis(one, key, name))
    raise SpecError(
        f"no calibration holds {key.form!r}",
        hint="use the bound, or fit a chip: mansard calibrate",
    )


def _passes(key: Key) -> tuple[tuple[Key, Tries], ...]:
    """Return what to ask every source for before the next, the nearest first.

    Another kernel, or engine, of this chip tells less than the same one of a sibling.
    """
    if key.form == "stream":
        alike = replace(key, kernel=ALIKE.get(key.kernel, key.kernel))
        return (key, EXACT), (alike, EXACT), (alike, RELAXED)
    if key.form in ("network", "engine"):
        return (key, EXACT[:1]), (key, EXACT[1:] + RELAXED)
    return ((key, EXACT + RELAXED),)


def one_for_all(found: Found, asked: str, chip: str, family: str) -> Found:
    """Return the set of an engine with a band that others fit in, where it stands for them.

    One engine measured on a chip says nothing of the next: the band then reaches as far as that of
    the median of engines, on chips of the family it was not taken from.

    Args:
        found: the set.
        asked: the engine asked for; empty for the median of all.
        chip: id.
        family: of the chip, from ``family_of``.
    """
    one = found.one
    if one.key.framework in ("", asked):
        return found
    for calibration, wider, name in _sources(chip, family, None):
        others = calibration.by_key.get(Key(one.key.form)) if name.startswith(MEDIAN) else None
        if others is not None:
            more = wider / found.wider
            low, high = _held((one.low, one.high), (others.low, others.high), more)
            first = _held(one.of_first, others.of_first, more)
            return replace(found, one=replace(one, low=low, high=high, first=first))
    return found


def _held(
    ends: tuple[float, float], others: tuple[float, float], wider: float
) -> tuple[float, float]:
    """Return a band that holds another, which is wider than it says."""
    return min(ends[0], others[0] / wider), max(ends[1], others[1] * wider)


def stands_for(found: Found | None, asked: str, chip: str, family: str = "") -> str:
    """Say which engine an estimate is of, and where one stands for all, which may be asked for.

    Args:
        found: the engine's set; None where there is none.
        asked: the engine asked for; empty for the median of all.
        chip: id.
        family: of the chip, from ``family_of``.

    >>> stands_for(None, "", "l40s")
    'kernels alone, no engine around them'
    """
    if found is None:
        return f"kernels of {asked} alone" if asked else "kernels alone, no engine around them"
    engine = found.one.key.framework
    if engine == asked:
        return asked or "the median of engines"
    if not engine:
        return f"{asked}, whose engine was not measured: the median of engines counts"
    if asked:
        return f"{asked}, whose engine was not measured: that of {engine} counts, its band widened"
    measured = bundled(chip)
    only = [s for s in measured.sets if s.key.form == found.one.key.form] if measured else []
    which = "the only engine measured on this chip"
    if len(only) > 1:
        which += " that serves several at once"
    others = [name for name in FRAMEWORKS if name != engine and _is_measured(name, chip, family)]
    rest = f"; {' and '.join(others)} from siblings" if others else ""
    return (
        f"{engine}, {which}, its band widened to hold others, around kernels of all frameworks"
        f" (--set framework={engine} has its kernels alone{rest})"
    )


def _is_measured(engine: str, chip: str, family: str) -> bool:
    """Whether an engine that is asked for by name is that of a set, on whichever chips."""
    return find(Key("engine", engine), chip, family).one.key.framework == engine


def _sources(
    chip: str, family: str, own: Calibration | None
) -> list[tuple[Calibration, float, str]]:
    found = [(own, 1.0, f"your calibration of {own.chip}")] if own is not None else []
    files = [(bundled(chip), 1.0, chip)]
    if family:
        files.append((bundled(f"family-{family}"), 1.0, f"{MEDIAN} the {family} family"))
    foreign = OTHER_FAMILY if family else FOREIGN
    files.append((bundled("family-generic"), foreign, f"{MEDIAN} all measured chips"))
    return found + [(c, w, name) for c, w, name in files if c is not None]


def _within(calibration: Calibration, key: Key, tries: Tries) -> tuple[ParameterSet, float] | None:
    like = LIKE.get(key.dtype)
    for names, wider in tries:
        if "like" in names and like is None:
            continue
        kept = {name: getattr(key, name) for name in names if name != "like"}
        if "like" in names:
            kept["dtype"] = str(like)
        one = calibration.by_key.get(Key(key.form, **kept))
        if one is not None:
            return one, wider
    return None


def _basis(one: ParameterSet, key: Key, name: str) -> str:
    parts = [name, one.key.framework or "all frameworks", one.key.dtype, one.key.kernel]
    text = ", ".join(p for p in parts if p)
    when = f", fitted {one.date}" if one.date else ""
    off = "error not known" if one.error is None else f"{one.error:.0%} off when held back"
    text += f": {one.rows} rows{when}, {off}"
    if key.dtype and one.key.dtype != key.dtype:
        text += f"; {key.dtype} itself was not measured"
    return text

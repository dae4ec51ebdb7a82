"""Numbers as words, for every form of output."""

from __future__ import annotations

from mansard.backends.estimate import Memory, Metrics, Number
from mansard.core.units import format_bytes, format_count, format_rate, format_time
from mansard.query.metrics import METRICS

SHORTEST_TAIL = 10
"""Cells of an op's name that are worth naming its graph in front."""


def band(low: float, high: float) -> str:
    """Write the ends of a band of times, their unit once where they share it.

    >>> band(0.0503, 0.0701), band(0.9, 1.2)
    ('50.3-70.1 ms', '900 ms-1.20 s')
    """
    a, b = format_time(low), format_time(high)
    (number, _, unit), (_, _, other) = a.partition(" "), b.partition(" ")
    return f"{number}-{b}" if unit == other else f"{a}-{b}"


def cost(metrics: Metrics) -> str:
    """Say what a batch costs, and a million of its tokens; nothing where no price was given."""
    if metrics.cost is None:
        return ""
    if metrics.cost_per_mtok is None:
        return f"{metrics.cost:.3g} $"
    return f"{metrics.cost:.3g} $ ({metrics.cost_per_mtok:.3g} $ per M tokens)"


def made_per_s(rate: float, makes: str) -> str:
    """Write a throughput of what a model makes."""
    if makes == "tokens":
        return tokens_per_s(rate)
    return f"{rate:,.0f} {makes}/s" if rate >= 100 else f"{rate:.3g} {makes}/s"


def figure(metric: str, value: float, makes: str = "tokens") -> str:
    """Return a metric's value with its unit.

    Args:
        metric: by its name.
        value: of it.
        makes: what throughput counts.
    """
    if metric == "throughput":
        return made_per_s(value, makes)
    match METRICS[metric].dimension:
        case "time":
            return format_time(value)
        case "bytes":
            return format_bytes(value)
        case "1/s":
            return tokens_per_s(value)
    return f"{value:.3g}"


def counted(n: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "replica"), counted(12288, "point")
    ('1 replica', '12,288 points')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def change(share: float) -> str:
    """Say by how much something changed.

    >>> change(-0.404), change(0.12), change(1.5), change(0.0004)
    ('−40 %', '+12 %', '×2.5', '±0 %')
    """
    if share >= 1:
        return f"×{1 + share:.3g}"
    percent = round(share * 100)
    return f"{'+' if percent > 0 else '−'}{abs(percent)} %" if percent else "±0 %"


def parameters(count: Number) -> str:
    """Write a number of parameters as the field does, in billions.

    >>> parameters(8030261248), parameters(124439808), parameters(512)
    ('8.03 B', '124 M', '512')
    """
    return format_count(count).replace("G", "B")


def tokens_per_s(value: float | None) -> str:
    """Write a token rate in full up to a million.

    >>> tokens_per_s(1653.4), tokens_per_s(12.34), tokens_per_s(None)
    ('1,653 tok/s', '12.3 tok/s', '-')
    """
    if value is None:
        return "-"
    if value >= 1e6:
        return format_rate(value, "tok/s")
    return f"{value:,.0f} tok/s" if value >= 100 else f"{value:.3g} tok/s"


def capacity(memory: Memory) -> str:
    """Write the capacity in GB, and in GiB where chips are sold by it (80 GiB is 85.9 GB)."""
    if memory.capacity is None:
        return "unknown"
    gib, rest = divmod(int(memory.capacity), 2**30)
    return format_bytes(memory.capacity) + ("" if rest or not gib else f" ({gib} GiB)")


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.7821), percent(0.0004), percent(0), percent(1)
    ('78.2 %', '<0.1 %', '0 %', '100 %')
    """
    if share <= 0:
        return "0 %"
    if share < 0.0005:
        return "<0.1 %"
    return "100 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def times(count: Number) -> str:
    """Write a number of occurrences.

    >>> times(32), times(1.5)
    ('32', '1.5')
    """
    return str(count) if isinstance(count, int) else f"{count:.3g}"


def intensity(value: float | None) -> str:
    """Write FLOP/B.

    >>> intensity(62.06), intensity(4123.4), intensity(0.0), intensity(None)
    ('62.1', '4123', '0', '-')
    """
    if value is None:
        return "-"
    if value == 0:
        return "0"
    places = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    return f"{value:.{places}f}"


def shorten(name: str, width: int) -> str:
    """Cut the head of a name that is too long, at a dot where one is near; its end tells ops apart.

    >>> shorten("layers.gate_up_proj", 17), shorten("layers.query_key_value_proj", 12)
    ('….gate_up_proj', '…_value_proj')
    >>> shorten("draft: layers.gate_up_proj", 22)
    'draft: ….gate_up_proj'
    """
    if len(name) <= width:
        return name
    owner, colon, own = name.rpartition(": ")
    if colon and width - len(owner) >= SHORTEST_TAIL:
        return owner + colon + shorten(own, width - len(owner + colon))
    tail = name[len(name) - width + 1 :]
    dot = tail.find(".")
    return f"…{tail[dot:] if 0 <= dot <= width // 3 else tail}"

"""The seconds of collectives and copies as polynomials, over links that are known or that vary."""

from __future__ import annotations

from mansard.backends.collectives import Level, seconds
from mansard.backends.engine.arithmetic import Value, greatest, least
from mansard.backends.engine.parameters import OpenLevel
from mansard.backends.engine.polynomials import Space, SpaceAtom, add, freeze, number, scaled
from mansard.backends.engine.transfers import pieces
from mansard.backends.quantity import Terms
from mansard.backends.rates import Transfer
from mansard.core.symbols import Symbol


def sent_terms(
    space: Space, size: Terms, sent: Transfer, opened: tuple[OpenLevel, ...] | None
) -> Terms:
    """Return the seconds of a transfer.

    Args:
        space: of the polynomials.
        size: of the message [B].
        sent: it, over links with some value of every parameter.
        opened: the same links with their parameters; None where nothing varies.
    """
    if opened is None:
        return transfer_terms(space, size, sent.op, sent.levels)
    levels = tuple(_level(space, level) for level in opened)
    found: Value = seconds(sent.op, Value(space, size), levels, (least, greatest))
    return found.terms


def transfer_terms(space: Space, size: Terms, op: str, levels: tuple[Level, ...]) -> Terms:
    """Return the seconds of a message: a polynomial of one atom, or in its size if that is all."""
    _, slopes, bases = pieces(op, levels)
    if len(slopes) == 1:
        return add([scaled(size, float(slopes[0])), number(float(bases[0]))])
    return space.atom(SpaceAtom("transfer", args=(freeze(size),), link=(op, levels)))


def _level(space: Space, level: OpenLevel) -> Level:
    """Return a level whose rate and latency are polynomials where a parameter sets them."""
    (rate, sets_rate), (late, sets_late) = level.bytes_per_s, level.latency_s
    return Level(
        level.ranks,
        rate if sets_rate is None else rate / _symbol(space, sets_rate.inverse),
        late if sets_late is None else late * _symbol(space, sets_late.itself),
    )


def _symbol(space: Space, of: Symbol) -> Value:
    return Value(space, space.atom(SpaceAtom("symbol", of)))

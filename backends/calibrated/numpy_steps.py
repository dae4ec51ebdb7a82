"""Polynomials over atoms as numpy steps, each among the batches, the prompts, or the scenarios."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from mansard.backends.calibrated.form_ranges import FormRanges
from mansard.backends.calibrated.traced_numbers import UndecidedError, contents
from mansard.backends.engine.polynomials import Frozen, Space, constant, freeze
from mansard.backends.engine.transfers import transfer_s
from mansard.backends.quantity import ONE, Monomial, Terms
from mansard.core.symbols import batch, prompt

BATCH, PROMPT, BOTH = 1, 2, 3
"""What a step depends on, one bit each."""
SHORT = 4
"""Terms and factors of a polynomial that is done at every scenario, not looked up."""
LARGEST_WHOLE = 1 << 21
"""Whole numbers whose powers are looked up, at most."""

Line = tuple[str, str, tuple[str, ...]]
"""A name, what it is, and the names that is made of."""


class Writer:
    """Writes polynomials as steps.

    Args:
        space: of the polynomials.
        ranges: of their atoms.

    ``lines`` are the steps among batches, prompts and scenarios, ``gathered`` the values of batches
    and of prompts that scenarios look up, and ``links`` functions that are called by name.
    """

    def __init__(self, space: Space, ranges: FormRanges) -> None:
        self._space, self._ranges = space, ranges
        self.lines: dict[int, list[Line]] = {BATCH: [], PROMPT: [], BOTH: []}
        self.gathered: dict[int, dict[str, str]] = {BATCH: {}, PROMPT: {}}
        self.links: dict[str, Any] = {}
        self._seen: dict[object, tuple[str, int]] = {}
        self._levels: dict[int, int] = {}
        self._count = 0

    def result(self, terms: Terms) -> str:
        """Return the name of a polynomial's value among scenarios.

        Raises:
            UndecidedError: a function that is not written.
        """
        return self._full(*self._polynomial(terms))

    def _level(self, slot: int) -> int:
        if slot not in self._levels:
            mentions = self._space.atom_mentions
            level = BATCH * mentions(slot, batch) + PROMPT * mentions(slot, prompt)
            self._levels[slot] = level
        return self._levels[slot]

    def _do(self, level: int, text: str, *args: str) -> tuple[str, int]:
        """Write a step, and return its name and level; equal ones are one."""
        key = (level, text, args)
        if key not in self._seen:
            name = f"v{self._count}"
            self._count += 1
            self.lines[level].append((name, text.format(*args), args))
            self._seen[key] = name, level
        return self._seen[key]

    def _full(self, name: str, level: int) -> str:
        """Return a value's name among scenarios."""
        if level in (0, BOTH) or name in ("b", "p"):
            return name
        known = self.gathered[level]
        if name not in known:
            picked = "of_batch" if level == BATCH else "of_prompt"
            known[name] = self._do(BOTH, f"{picked}({name})")[0]
        return known[name]

    def _at(self, value: tuple[str, int], level: int) -> str:
        name, own = value
        return self._full(name, own) if level == BOTH else name

    def _polynomial(self, terms: Terms) -> tuple[str, int]:
        """Return a polynomial's value."""
        if not terms:
            return "(0.0)", 0
        key = ("polynomial", freeze(terms))
        if key not in self._seen:
            self._seen[key] = self._sum(terms)
        return self._seen[key]

    def _near(self, terms: Terms) -> str:
        """Return a polynomial's value among scenarios: what is short is sooner done than found."""
        plain = all(self._space.atoms[slot].symbol is not None for m in terms for slot, _ in m)
        if not plain or len(terms) + sum(abs(e) for m in terms for _, e in m) > SHORT:
            return self._full(*self._polynomial(terms))
        total = ""
        for monomial, c in sorted(terms.items(), reverse=True):
            name = ""
            for slot, e in monomial:
                factor = self._raised(slot, abs(e), BOTH)
                if not name and e < 0:
                    name = self._do(BOTH, "1.0 / {0}", factor)[0]
                else:
                    text = f"{{0}} {'*' if e > 0 else '/'} {{1}}"
                    name = self._do(BOTH, text, name, factor)[0] if name else factor
            if not name:
                name = f"({float(c)!r})"
            elif c != 1:
                name = self._do(BOTH, f"{float(c)!r} * {{0}}", name)[0]
            total = self._do(BOTH, "{0} + {1}", total, name)[0] if total else name
        return total

    def _sum(self, terms: Terms) -> tuple[str, int]:
        by_level: dict[int, Terms] = {}
        for monomial, c in terms.items():
            level = 0
            for slot, _ in monomial:
                level |= self._level(slot)
            by_level.setdefault(level, {})[monomial] = c
        known = by_level.pop(0, {}).get(ONE, 0)
        if not by_level:
            return f"({float(known)!r})", 0
        if len(by_level) > 1:
            parts = [some for _, some in sorted(by_level.items())]
            if known:
                parts[0] = {**parts[0], ONE: known}
            total = self._near(parts[0])
            for part in parts[1:]:
                total, _ = self._do(BOTH, "{0} + {1}", total, self._near(part))
            return total, BOTH
        ((level, rest),) = by_level.items()
        content, inner = contents(rest)
        if content and len(rest) > 1 and not known:
            value = self._polynomial(inner)
            return self._product(content, 1.0, [value], level)
        total = ""
        by_factor: dict[float, list[Monomial]] = {}
        for monomial, c in rest.items():
            by_factor.setdefault(float(c), []).append(monomial)
        alone = len(by_factor) == 1
        for c, some in by_factor.items():
            if alone and c == 1.0:
                for monomial in some:
                    name, _ = self._product(monomial, c, [], level)
                    total = name if not total else self._do(level, "{0} + {1}", total, name)[0]
                break
            if len(some) == 1:
                name, _ = self._product(some[0], c, [], level)
            else:
                inside = self._polynomial(dict.fromkeys(some, 1.0))
                name, _ = self._product(ONE, c, [inside], level)
            total = name if not total else self._do(level, "{0} + {1}", total, name)[0]
        if known:
            total, _ = self._do(level, f"{{0}} + {float(known)!r}", total)
        return total, level

    def _product(
        self, monomial: Monomial, c: float, more: list[tuple[str, int]], level: int
    ) -> tuple[str, int]:
        """Return a number times atoms and values, what is shared multiplied first."""
        above = [self._at(v, level) for v in more]
        if level == BOTH:
            small: dict[int, dict[int, int]] = {BATCH: {}, PROMPT: {}}
            rest: dict[int, int] = {}
            for slot, e in monomial:
                own = self._level(slot)
                small.get(own, rest)[slot] = e
            tokens = self._tokens(small)
            above += [self._token_name(tokens)] if tokens else []
            for own in (BATCH, PROMPT):
                if small[own]:
                    powers = tuple(sorted(small[own].items()))
                    above.append(self._near({powers: c}))
                    c = 1.0
            monomial = tuple(rest.items())
        total = ""
        for name in above:
            total = self._do(level, "{0} * {1}", total, name)[0] if total else name
        for slot, e in monomial:  # in the order of their slots, so that equal beginnings are one
            name = self._raised(slot, abs(e), level)
            if total:
                total = self._do(level, f"{{0}} {'*' if e > 0 else '/'} {{1}}", total, name)[0]
            elif e > 0:
                total = name
            else:
                total, c = self._do(level, f"{c!r} / {{0}}", name)[0], 1.0
        if not total:
            return f"({c!r})", level
        return (total if c == 1.0 else self._do(level, f"{c!r} * {{0}}", total)[0]), level

    def _tokens(self, small: dict[int, dict[int, int]]) -> int:
        """Take products of the batch and the prompt out of factors, and return how many."""
        found = []
        for own, symbol in ((BATCH, batch), (PROMPT, prompt)):
            slots = [s for s in small[own] if self._space.atoms[s].symbol == symbol]
            found.append((own, slots[0], small[own][slots[0]]) if slots else (own, -1, 0))
        count = int(min(e for *_, e in found))
        if count <= 0:
            return 0
        for own, slot, e in found:
            small[own].pop(slot)
            if e > count:
                small[own][slot] = e - count
        return count

    def _token_name(self, power: int) -> str:
        """Return the name of a power of the batch times the prompt."""
        key = ("tokens", power)
        if key not in self._seen:
            if power == 1:
                names = [self._full(*self._symbol(level)) for level in (BATCH, PROMPT)]
            else:
                half = self._token_name(power // 2)
                names = [half, half if power % 2 == 0 else self._token_name(power - power // 2)]
            self._seen[key] = self._do(BOTH, "{0} * {1}", *names)
        return self._seen[key][0]

    def _symbol(self, level: int) -> tuple[str, int]:
        return "b" if level == BATCH else "p", level

    def _raised(self, slot: int, exponent: int, level: int) -> str:
        name = self._at(self._atom(slot), level)
        if exponent == 1:
            return name
        key = ("raised", name, exponent, level)
        if key not in self._seen:
            if exponent % 2 == 0:
                half = self._raised(slot, exponent // 2, level)
                self._seen[key] = self._do(level, "{0} * {0}", half)
            else:
                less = self._raised(slot, exponent - 1, level)
                self._seen[key] = self._do(level, "{0} * {1}", less, name)
        return self._seen[key][0]

    def _atom(self, slot: int) -> tuple[str, int]:
        if ("atom", slot) not in self._seen:
            self._seen["atom", slot] = self._evaluated(slot)
        return self._seen["atom", slot]

    def _evaluated(self, slot: int) -> tuple[str, int]:
        atom, level = self._space.atoms[slot], self._level(slot)
        if atom.symbol is not None:
            if level == 0:
                raise UndecidedError(f"nothing binds {atom.symbol}")
            return self._symbol(level)
        args = [self._at(self._polynomial(dict(a)), level) for a in atom.args]
        kind, _, given = atom.kind.partition(" ")
        do = partial(self._do, level)
        match kind:
            case "sum":
                return args[0], level
            case "ceil":
                return do("ceil({0})", *args)
            case "max" | "min":
                return do(f"{kind}imum({{0}}, {{1}})", *args)
            case "least":
                return do("minimum({0}, {1})", *args)
            case "ceil_div":
                return do("ceil({0} / {1})", *args)
            case "power" if constant_base(atom.args[0]) is not None:
                base = constant_base(atom.args[0])
                return do(f"exp({{0}} * {base!r})", args[1])
            case "less" | "power":
                return do(f"{kind}({{0}}, {{1}})", *args)
            case "where":
                return do("where({0}, {1}, {2})", *args)
            case "knee":
                return do(f"knee({{0}}, {given})", *args)
            case "raised" if given == "0.5":
                return do("sqrt({0})", *args)
            case "raised":
                ((monomial, _),) = atom.args[0]
                high = self._ranges.of({monomial: 1})[1]
                whole = self._space.atoms[monomial[0][0]].kind == "ceil"
                if whole and high < LARGEST_WHOLE and level == BOTH:
                    return do(f"whole_power({{0}}, {given}, {high!r})", *args)
                return do(f"exp(log({{0}}) * {given})", *args)
            case "transfer":
                name = f"link{slot}"
                self.links[name] = partial(_transfer, link=atom.link)
                return do(f"{name}({{0}})", *args)
        raise UndecidedError(f"{kind} is evaluated at points")


def constant_base(terms: Frozen) -> float | None:
    """Return the logarithm of a base that is a positive number; None of any other."""
    value = constant(terms)
    return math.log(value) if value is not None and value > 0 else None


def _transfer(size: Any, link: Any) -> Any:
    return transfer_s(size, *link)

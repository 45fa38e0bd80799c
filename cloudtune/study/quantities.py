"""Parse and format durations, sizes, amounts of money and counts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SHORTEST = 1e-6
_LONGEST_DAYS = 10**12
"""Chosen: longer durations cannot be written exactly in all units."""
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _UNITS))
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(i?)B")
_MONEY = re.compile(rf"{_NUMBER} ?([A-Z]{{3}})")
DURATION_PATTERN = rf"^\s*(?=\d){_DURATION.pattern}\s*$"
MONEY_PATTERN = rf"^\s*{_MONEY.pattern}\s*$"
"""Patterns for the JSON Schema of the text that `parse_duration` and `parse_money` accept."""


class Money(NamedTuple):
    """An amount in one currency (ISO 4217 code)."""

    amount: float
    currency: str

    def __str__(self) -> str:
        return f"{Decimal(repr(self.amount)).normalize():f} {self.currency}"


def format_list(names: Collection[str], most: int) -> str:
    """Return the first names, and how many more there are.

    >>> format_list(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    shown = ", ".join([*names][:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 trial`` or ``2 trials``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_cost(amount: float, currency: str | None = None) -> str:
    """Return an amount of money for reading: to the cent, below 1 with three significant digits.

    Example:
        >>> format_cost(12.345, "USD"), format_cost(0.5, "USD"), format_cost(0.00091234)
        ('12.35 USD', '0.50 USD', '0.000912')
    """
    digits = 2 if not amount or abs(amount) >= 0.995 else 2 - math.floor(math.log10(abs(amount)))
    whole, _, cents = f"{amount:.{digits}f}".partition(".")
    return f"{whole}.{cents.rstrip('0').ljust(2, '0')} {currency or ''}".rstrip()


def format_percent(share: float) -> str:
    """Return a share in whole percent; 0 % and 100 % are exactly that."""
    if 0 < abs(share) <= 0.005:
        return "< 1 %" if share > 0 else "> -1 %"
    return f"{min(100 * share, 99.0) if share < 1 else 100 * share:.0f} %"


def format_bytes(count: int) -> str:
    """Return a number of bytes in the unit that suits it, such as ``20 MB``."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def parse_bytes(size: str) -> int:
    """Return a size such as ``1.5 GiB`` or ``2 MB`` in bytes.

    Example:
        >>> parse_bytes("1.5 GiB"), parse_bytes("2 MB")
        (1610612736, 2000000)

    Raises:
        ValueError: If the text is not a number with a unit.
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"invalid size {size!r}: use for example 500 MB or 16 GiB")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(prefix) + 1))


def parse_duration(value: object) -> float:
    """Return seconds for text such as ``90s``, ``10m``, ``2h30m`` or ``1d``.

    Raises:
        ValueError: If the unit is missing, the text is malformed, or the duration is not positive
            or too long.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str) and value and (match := _DURATION.fullmatch(value.strip())):
        numbers = zip(match.groups(), _UNITS.values(), strict=True)
        seconds = sum(float(number) * unit for number, unit in numbers if number)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"invalid duration {value:g}: add a unit, for example {value:g}s or {value:g}m"
        )
    else:
        raise ValueError(f"invalid duration {value!r}: use for example 90s, 10m, 2h30m or 1d")
    if seconds > _LONGEST_DAYS * 86400:
        raise ValueError(f"a duration must be at most {_LONGEST_DAYS}d")
    if seconds < _SHORTEST:
        raise ValueError(f"a duration must be greater than 0, not {value!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """Return the duration as short text that `parse_duration` reads back as the same number."""
    rest = Decimal(repr(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:f}{unit}")
    if rest or not parts:
        parts.append(f"{rest.normalize():f}s")
    text = "".join(parts)
    return text if parse_duration(text) == seconds else f"{Decimal(repr(seconds)):f}s"


def parse_money(value: object) -> Money:
    """Return the amount and currency of text such as ``25 USD``.

    Raises:
        ValueError: If the currency is missing or the text is malformed.
    """
    if isinstance(value, Money):
        return value
    if isinstance(value, str) and (match := _MONEY.fullmatch(value.strip())):
        amount = float(match[1])
        if amount == math.inf:
            raise ValueError("an amount of money must be finite")
        return Money(amount, match[2])
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"invalid amount of money {value:g}: add a currency, for example {value:g} USD"
        )
    raise ValueError(f"invalid amount of money {value!r}: use for example 25 USD")

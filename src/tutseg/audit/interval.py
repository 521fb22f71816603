"""Printed numbers as intervals: 79.61 may be anything in [79.605, 79.615].

No rule of the audit can then report what is an artefact of the last digit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

POINT = Decimal("0.01")


@dataclass(frozen=True)
class Interval:
    """All values a printed number can stand for; arithmetic keeps the outer ends."""

    lo: Decimal
    hi: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.lo + self.hi) / 2

    @property
    def width(self) -> Decimal:
        return self.hi - self.lo

    def meets(self, other: "Interval") -> bool:
        return self.lo <= other.hi and other.lo <= self.hi

    def away(self, other: "Interval") -> Decimal:
        """Distance between two intervals, 0 if they meet."""
        return max(self.lo - other.hi, other.lo - self.hi, Decimal(0))


def printed(number: Decimal, scale: int | Decimal = 1, zeros: int = 0, cut: bool = False) -> Interval:
    """The numbers that round to `number` at its last digit, `zeros` idle ones not counted, divided by `scale`.

    With `cut` also those that lead to it if further digits were cut off.

    Examples
    --------
    >>> printed(Decimal("79.61"))
    Interval(lo=Decimal('79.605'), hi=Decimal('79.615'))
    """
    half = Decimal(1).scaleb(number.as_tuple().exponent + zeros) / 2
    below, above = (half, 2 * half if cut else half) if number >= 0 else (2 * half if cut else half, half)
    return Interval((number - below) / scale, (number + above) / scale)


def span(function: Callable[..., Decimal], *intervals: Interval) -> Interval:
    """Range of a function that is monotone in each argument: its extremes lie at the corners."""
    values = [function(*corner) for corner in product(*((i.lo, i.hi) for i in intervals))]
    return Interval(min(values), max(values))


def pct(value: Decimal | Interval, digits: int = 2) -> str:
    """A fraction, or an interval of fractions, as points."""
    if isinstance(value, Interval):
        return f"[{pct(value.lo, digits)}, {pct(value.hi, digits)}]"
    return f"{value * 100:.{digits}f}"

"""Sentences that state a result, made from the numbers that their table shows.

A cell ends with one, so that it stands on the page, in Jupyter and in print, and cannot outlive its table::

    say("Beside no discrepancy at all the method is {gain}.", gain=difference)
    say("It is {gains}.", gains=differences(groups, "dme-fd"))

A value is written by its kind: a `Difference` as what its interval allows one to say, its size and its interval, a
list of them as those that are lower, higher and undecided. What follows the colon writes other numbers:

========== =============================================================
{x:share}  a fraction in per cent: "81.2 %"
{x:points} a fraction in points: "5.1 points"
{x:span}   the ends of a list of fractions, in points: "2.0 to 8.4"
{x:names}  a list of names: "`cps`, `cct` and `unimatch`"
{x:word}   of a difference "higher", "lower" or "undecided" alone
{x:signed} of a difference "+5.1 points (95 % interval +3.0 to +7.2)"
========== =============================================================
"""

import math
import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

from tutseg.report.groups import Difference, scale_of, told


class Said:
    """A sentence in Markdown; where there is no Markdown, it stands alone."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return re.sub(r"[*`$]", "", self.text)


def say(sentence: str, **values: Any) -> Said:
    """A sentence with its numbers.

    Parameters
    ----------
    sentence : str
        Markdown with replacement fields, as in ``str.format``; a number in it that looks like a result is a fault
        (`tutseg.workflow.prose`).
    **values
        What the fields name.
    """
    return Said(_Sentence().vformat(sentence, (), values))


def against(differences: Sequence[Difference]) -> str:
    """What one group is against the others: "higher than `cct`, undecided against `cps` and `unimatch`".

    Differences in several settings become a list, a line a setting.
    """
    settings = list(dict.fromkeys(each.setting for each in differences))
    told = {setting: _sorted([each for each in differences if each.setting == setting]) for setting in settings}
    parts = [f"at {setting} {text}" if setting else text for setting, text in told.items()]
    return parts[0] if len(parts) == 1 else "\n\n- " + ";\n- ".join(parts)


def _sorted(differences: Sequence[Difference]) -> str:
    words = {"higher": "higher than", "lower": "lower than", "undecided": "undecided against"}
    found = {verdict: [each.other for each in differences if each.verdict == verdict] for verdict in words}
    return ", ".join(f"{words[verdict]} {names(others)}" for verdict, others in found.items() if others)


def difference(each: Difference) -> str:
    """ "higher by 5.1 points (95 % interval 3.0 to 7.2)", or "undecided (+0.3 points, 95 % interval -1.0 to +1.6)"."""
    if each.verdict == "undecided":
        size, ends = _numbers(each, "+")
        return f"undecided ({size}, {ends})"
    sides = (each.value, each.low, each.high) if each.verdict == "higher" else (-each.value, -each.high, -each.low)
    size, ends = _numbers(each, "", sides)
    return f"{each.verdict} by {size} ({ends})"


def signed(each: Difference) -> str:
    """ "+5.1 points (95 % interval +3.0 to +7.2)"."""
    size, ends = _numbers(each, "+")
    return f"{size} ({ends})"


def _numbers(each: Difference, sign: str, sides: tuple[float, ...] = ()) -> tuple[str, str]:
    middle, low, high = (told(value, each.score, sign) for value in sides or (each.value, each.low, each.high))
    unit = "points" if scale_of(each.score) == 100 else "pixels"
    ends = "one seed, so no interval" if math.isnan(each.low) else f"95 % interval {low} to {high}"
    return f"{middle} {unit}", ends


def names(words: Iterable[str]) -> str:
    """ "`a`, `b` and `c`"; "none" of nothing."""
    *others, last = [f"`{word}`" for word in words] or ["none"]
    return f"{', '.join(others)} and {last}" if others else last


def _span(values: Iterable[float]) -> str:
    values = list(values)
    return f"{told(min(values))} to {told(max(values))}"


WAYS = {
    "share": lambda value: f"{told(value)}\N{NO-BREAK SPACE}%",
    "points": lambda value: f"{told(value)} points",
    "span": _span,
    "names": names,
    "word": lambda each: each.verdict,
    "signed": signed,
}


class _Sentence(string.Formatter):
    def format_field(self, value: Any, how: str) -> str:
        if how in WAYS:
            return WAYS[how](value)
        if isinstance(value, Difference):
            return difference(value)
        if isinstance(value, list) and value and isinstance(value[0], Difference):
            return against(value)
        return super().format_field(value, how)

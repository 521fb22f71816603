r"""Numbers as people write them in tables: ``82.06 ± 0.69``, ``82,06 %``, ``$\mathbf{88.0} \pm 0.3$``, ``1,234.5``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

EMPTY = {"", "-", "--", "---", "–", "—", "n/a", "n.a.", "na", "nan", "none", "null", "nr", "n.r.", "inf", "-inf", "∞"}
_UNSIGNED = r"(?:\d{1,3}(?:[.,]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?"
_NUMBER = rf"[-+]?{_UNSIGNED}"
_CELL = re.compile(
    rf"(?P<value>{_NUMBER})\s*(?P<sign>%?)\s*"
    rf"(?:(?:±|\+/-|\+-)\s*(?P<spread>{_NUMBER})\s*(?P<sign_after>%?)|\(\s*±?\s*(?P<bracket>{_UNSIGNED})\s*%?\s*\))?"
    # a gain, or the two ends of an interval: neither is a spread
    rf"(?:\s*[(\[]\s*(?:[-+]\s*{_UNSIGNED}\s*%?"
    rf"|(?:95\s*%?\s*CI:?\s*)?{_NUMBER}\s*%?\s*(?:[,;–—-]|to)\s*{_NUMBER}\s*%?)\s*[)\]])?",
    re.IGNORECASE,
)
PLACES = 20  # more decimals than any measurement has
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*")
_MARKS = re.compile(r"[*†‡§¶#↑↓]|\^\{?[^\s{}±]*\}?")
# LaTeX that carries no content, with its argument; that sets a spread small; and all else, which keeps its argument
_DROPPED = re.compile(r"\\(?:textcolor|color|cellcolor|rowcolor|textsuperscript|footnote|tnote|cite\w*)\s*\{[^{}]*\}")
_WRAPPED = re.compile(r"\\multi(?:row|column)\s*\{[^{}]*\}\s*\{[^{}]*\}|\\[a-zA-Z]+\*?(?=\s*\{)")
_WORDS = re.compile(r"\\(?:[a-zA-Z]+)")


@dataclass(frozen=True)
class Number:
    """A printed number: its value and spread with exactly the printed digits, and whether a per-cent sign stands by."""

    value: Decimal
    spread: Decimal | None
    percent: bool

    @property
    def printed(self) -> list[Decimal]:
        """The value, and the spread if there is one."""
        return [self.value] if self.spread is None else [self.value, self.spread]


def without_latex(text: str) -> str:
    r"""Text without LaTeX: ``$\textbf{88.0}_{\pm 0.3}$`` is ``88.0 ±0.3``."""
    text = re.sub(r"[\u00a0\u2007\u2009\u202f~]", " ", text).replace("−", "-").replace("Â±", "±")
    if "\\" in text or "$" in text or "{" in text:
        text = text.replace(r"\%", "%").replace(r"\_", "_").replace(r"\&", "&").replace("$", "")
        text = re.sub(r"\\pm\b|\\pm(?=\d)", "±", text)
        text = re.sub(r"\\[,;:! ]|\\\\", " ", text)
        text = _DROPPED.sub("", text.replace(r"\textsubscript", "_"))
        text = _WORDS.sub(" ", _WRAPPED.sub("", text))
        text = re.sub(r"[_^]\s*\{?\s*±", " ±", text)
        text = re.sub(r"_\s*\{\s*([\d.,]+)\s*\}", r" ±\1", text)
        text = re.sub(r"\^\s*\{[^{}]*\}", "", text).replace("{", "").replace("}", "")
    return " ".join(text.split())


def decimal_mark(texts: Iterable[str]) -> str:
    """What an ambiguous ``1,234`` of a table means: "." if points stand before its decimals, else ","."""
    return "." if any(re.search(r"\d\.\d+(?![\d.,])", text) for text in texts) else ","


def read_number(text: str, mark: str = ".") -> Number | None:
    """A cell's number; None if it is empty, or says that there is none.

    Parameters
    ----------
    mark : {".", ","}
        What `decimal_mark` says of the table.

    Raises
    ------
    ValueError
        It is no number.
    """
    bare = without_latex(text)
    if bare.casefold() in EMPTY:
        return None
    bare = re.sub(r"(?<=\d)[ '’](?=\d{3}(?!\d))", "", _MARKS.sub("", bare).replace("_", " ")).strip()
    match = _CELL.fullmatch(bare)
    if match is None:
        raise ValueError(f"'{text}' is not a number")
    spread = match["spread"] or match["bracket"]
    return Number(
        _decimal(match["value"], mark),
        _decimal(spread, mark) if spread else None,
        bool(match["sign"] or match["sign_after"]),
    )


def _decimal(text: str, mark: str) -> Decimal:
    """A number with points or commas: before decimals the last of the two stands, once."""
    digits, letter, power = text.lower().partition("e")
    if "," in digits and "." in digits:
        digits = digits.replace("," if digits.rindex(",") < digits.rindex(".") else ".", "")
    elif _THOUSANDS.fullmatch(digits) and (
        digits.count(",") + digits.count(".") > 1 or ("," in digits and mark == ".")
    ):
        digits = digits.replace(",", "").replace(".", "")
    try:
        number = Decimal(digits.replace(",", ".") + letter + power)
        return round(number, PLACES) if number.as_tuple().exponent < -PLACES else number
    except ArithmeticError as error:  # two marks that part no thousands, or an exponent of a hundred digits
        raise ValueError(f"'{text}' is not a number") from error

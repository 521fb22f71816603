"""No measured number is typed: a check of the book's prose.

A result that stands in a sentence is computed by a cell (`tutseg.report.say`), so that it cannot outlive its table.
Prose is the Markdown of the chapters and of ``book/``, and the sentences given to ``say``. In it three things look
like a result:

- a share or a gain: a number, in digits or in words, before ``%``, "per cent" or "points";
- a score or the end of an interval: a number with decimals;
- a whole number behind the name of a score ("a Dice of 90").

Code, mathematics, tables (of settings) and exercises are not prose, which is also where a setting belongs. In prose
"4 % labelled" and "95 % interval" are settings, as are the numbers of sections, tables, figures and equations. A
paper's number stands in a sentence that says "prints" or "printed", and is then looked up among the transcribed ones.
"""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tutseg.workflow.notebooks import folder

_NOT_PROSE = (
    r"```\{(exercise|solution)-start\}.*?```\{\1-end\}\s*```",
    r"^(`{3,}).*?^\2\s*$",
    r"<!--.*?-->|\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\]\([^)]*\)",
    r"^\|.*?$",
)
_CODE = re.compile("|".join(f"(?:{part})" for part in _NOT_PROSE), re.DOTALL | re.MULTILINE)
_WORDS = (
    "half|quarter|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    "(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\\w+)?|hundred"
)
_NUMBER = rf"(?:[+−-]?\d+(?:\.\d+)?|\b(?:{_WORDS}))"
_TO = "is|of|at|to|by|from|near|above|below|about|over|under|jumps|rises|falls|reaches|stands"
_RESULTS = (
    rf"{_NUMBER}\s*(?:%|per cent\b)(?!\s+(?:labelled|interval))",
    rf"{_NUMBER}[\s-]+(?:of\s+an?\s+|an?\s+|Dice\s+)?points?\b",
    r"(?<!section )(?<!sections )(?<![\w.§])[+−-]?\d*\.\d+",
    rf"\b(?:Dice|Jaccard|HM|XOR|IoU)\s+(?:(?:{_TO})\s+){{0,3}}\d{{2,3}}\b(?!\.\d)",
)
_RESULT = re.compile("|".join(_RESULTS), re.IGNORECASE)
_PRINTED = re.compile(r"\bprint(?:s|ed)\b")


def results_in(text: str, printed: frozenset[str] = frozenset()) -> list[str]:
    """What looks like a typed result in a piece of Markdown, each with the words around it.

    Parameters
    ----------
    text : str
        Markdown.
    printed : frozenset of str
        Numbers that a sentence may give as a paper's own.
    """
    prose = _CODE.sub(" ", text)
    found = []
    for sentence in re.split(r"(?<=[.!?])\s+(?=[^\W\d_]|[*(\[])|\n\s*\n|\n(?=\s*(?:[-*#]|\d+\.)\s)", prose):
        allowed = printed if _PRINTED.search(sentence) else ()
        for hit in _RESULT.finditer(sentence):
            numbers = re.findall(r"\d+\.?\d*", hit[0])
            if not numbers or not all("." in number and number in allowed for number in numbers):
                around = sentence[max(0, hit.start() - 30) : hit.end() + 20]
                found.append(" ".join(around.split()))
    return found


def check_prose(root: Path | None = None) -> list[str]:
    """Typed results in the prose of a checkout: one line each, none when there is none."""
    root = root or folder().parent
    printed = printed_numbers(root / "data" / "papers")
    return [f"{place}: a typed result: …{words}…" for place, text in prose(root) for words in results_in(text, printed)]


def prose(root: Path) -> Iterator[tuple[str, str]]:
    """Every piece of prose of a checkout, with its place."""
    import jupytext

    for page in sorted((root / "book").glob("*.md")):
        yield f"book/{page.name}", page.read_text(encoding="utf-8")
    for script in sorted((root / "notebooks").glob("*.py")):
        for at, cell in enumerate(jupytext.read(script, fmt="py:percent").cells, 1):
            for text in [cell.source] if cell.cell_type == "markdown" else sentences(cell.source):
                yield f"{script.stem}: cell {at}", text
    for module in sorted((root / "src" / "tutseg" / "report").glob("*.py")):
        for text in sentences(module.read_text(encoding="utf-8")):
            yield f"report/{module.name}", text


def sentences(code: str) -> list[str]:
    """The literal parts of what is given to ``say`` in a piece of Python."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    said = [part for call in calls if getattr(call.func, "id", "") == "say" for part in call.args]
    texts = [node.value for part in said for node in ast.walk(part) if isinstance(node, ast.Constant)]
    return [re.sub(r"\{[^}]*\}", "…", text) for text in texts if isinstance(text, str)]


@lru_cache
def printed_numbers(folder: Path) -> frozenset[str]:
    """Every number with decimals in the transcribed tables and facts of the papers, as it is printed."""
    files = [*folder.glob("*/table_*.csv"), *folder.glob("*/facts.yaml")]
    return frozenset(number for file in files for number in re.findall(r"\d+\.\d+", file.read_text("utf-8")))

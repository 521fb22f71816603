"""The package's own source on a page, so that page and code cannot drift apart."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer


class Source:
    """A function or class as it stands in the package; docstrings are left out unless asked for.

    Parameters
    ----------
    thing : function or class
        What to show.
    doc : bool
        Keep the docstring.
    """

    def __init__(self, thing: Callable[..., Any], doc: bool = False) -> None:
        text = textwrap.dedent(inspect.getsource(thing))
        self.text = text if doc else _without_docstring(text, thing)
        self.place = f"{thing.__module__}.{thing.__qualname__}"

    def _repr_html_(self) -> str:
        code = highlight(self.text, PythonLexer(), HtmlFormatter(nowrap=True))
        return (
            f'<div class="highlight-python notranslate"><div class="highlight"><pre>{code}</pre></div></div>'
            f"<p><small>This is <code>{self.place}</code>, read from the package when the page was made.</small></p>"
        )

    def __repr__(self) -> str:
        return self.text


def _without_docstring(text: str, thing: Callable[..., Any]) -> str:
    if not thing.__doc__:
        return text
    start = text.index('"""')
    end = text.index('"""', start + 3) + 3
    return text[: text.rindex("\n", 0, start) + 1] + text[end:].removeprefix("\n")


def show(thing: Callable[..., Any], doc: bool = False) -> Source:
    """See `Source`."""
    return Source(thing, doc)

"""The command line. Heavy imports stay inside commands, so that help and lists answer at once."""

import contextlib
import os
import sys
from typing import TextIO

import typer
from typer.exceptions import TyperException

# isort: off
from tutseg.cli.common import app
from tutseg.cli import (
    book,
    train,
    score,
    data,
    weights,
    lists,
    grid,
    papers,
    labs,
)  # in the order of the help

# isort: on
from tutseg.errors import InputError, as_input_error, printable

__all__ = ["app", "book", "data", "grid", "labs", "lists", "main", "papers", "score", "train", "weights"]


def _joined(words: list[str]) -> list[str]:
    """papermill's ``-p NAME VALUE`` as ``-p NAME=VALUE``, the only form typer can read."""
    joined: list[str] = []
    for word in words:
        if len(joined) > 1 and joined[-2] == "-p" and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _usage(error: TyperException) -> str:
    """A wrong command line in one line, such as "No such option: --stepz (see `tutseg train --help`)"."""
    context = getattr(error, "ctx", None)
    help_of = context.command_path if context else "tutseg"
    return printable(f"{error.format_message().rstrip('.')} (see `{help_of} --help`)")


def _notice(message: Warning | str, *_: object) -> None:
    """What Python would print of a warning, in one line that names no source file."""
    _say("notice: " + printable(str(message).partition("\n")[0]))


def _say(what: object) -> None:
    with contextlib.suppress(OSError):
        print(f"tutseg: {what}", file=sys.stderr, flush=True)


def _drop(stream: TextIO) -> None:
    """Nobody can read the stream: what is still in its buffer must not be an error a second time, on the way out."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and exit code 2 (1: a check failed)."""
    import warnings

    warnings.simplefilter("ignore", FutureWarning)
    warnings.showwarning = _notice
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a name must not end a training
        stream.reconfigure(errors="backslashreplace")
    try:
        code = app(_joined(sys.argv[1:]), standalone_mode=False)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
    except InputError as error:
        _say(error)
        code = 2
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help text, where a command was left out
            error.show()
        else:
            _say(_usage(error))
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted: the same command goes on where it can")
        code = 2
    except Exception as error:
        from tutseg.workflow.notebooks import BookFailed

        foreseen = as_input_error(error)
        if not foreseen and not isinstance(error, BookFailed):
            raise
        _say(foreseen or error)
        code = 2 if foreseen else 1
        if isinstance(error, OSError) and error.filename is None:
            _drop(sys.stdout)
    sys.exit(code)

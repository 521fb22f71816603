"""The command line. Heavy imports stay inside commands, so that help and lists answer at once."""

import sys

import typer
from typer.exceptions import TyperException

# isort: off
from tutseg.cli.common import app
from tutseg.cli import book, train, data, weights, lists, grid, papers  # in the order in which the help lists them

# isort: on
from tutseg.errors import InputError

__all__ = ["app", "book", "data", "grid", "lists", "main", "papers", "train", "weights"]


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
    return f"tutseg: {error.format_message().rstrip('.')} (see `{help_of} --help`)"


def _notice(message: Warning | str, *_: object) -> None:
    """What Python would print of a warning, in one line that names no source file."""
    print(f"tutseg: notice: {str(message).splitlines()[0]}", file=sys.stderr)


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and exit code 2 (1: a check failed)."""
    import warnings

    warnings.simplefilter("ignore", FutureWarning)
    warnings.showwarning = _notice
    try:
        code = app(_joined(sys.argv[1:]), standalone_mode=False)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except InputError as error:
        print(f"tutseg: {error}", file=sys.stderr)
        code = 2
    except TyperException as error:
        if "\n" in error.format_message():  # the help text, where a command was left out
            error.show()
        else:
            print(_usage(error), file=sys.stderr)
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("tutseg: interrupted: the same command goes on where it can", file=sys.stderr)
        code = 2
    except Exception as error:
        from tutseg.workflow.notebooks import BookFailed

        if not isinstance(error, BookFailed):
            raise
        print(f"tutseg: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)

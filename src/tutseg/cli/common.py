"""What the commands share: the application, options that several have, and how they print."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tutseg.errors import InputError

app = typer.Typer(
    name="tutseg",
    help="Five papers on segmenting lesions with little labelled data, running. `tutseg COMMAND --help` has examples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set, or of all; else $TUTSEG_DATA.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write over files that were not made by this very command.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Profile = Annotated[str, typer.Option(help="lab (2 CPU cores), gpu (one GPU) or paper (the paper's protocol).")]


def example(*lines: str) -> str:
    """A command's examples, below its help."""
    return "\n\n".join(["**Example**", *(f"`{line}`" for line in lines)])


def show(rows: list[dict[str, Any]], as_json: bool, title: str, columns: dict[str, str] | None = None) -> None:
    """A list of objects as JSON, or as a table of `columns` (key -> heading)."""
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    columns = columns or {key: key for key in rows[0]} if rows else {}
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")  # what is typed stays whole
    for row in rows:
        table.add_row(*("" if row[key] is None else _text(row[key]) for key in columns))
    Console().print(table)


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def values(pairs: list[str] | None, text: bool = False) -> dict[str, Any]:
    """``["tau=0.9", "combine=self"]`` as a dictionary; values are read as YAML unless they are `text`."""
    from tutseg.files import yaml_of

    found = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InputError(f"option '{pair}' has no value", "write it as name=value")
        found[name] = value if text else yaml_of(f"option {name}", value)
    return found


@contextlib.contextmanager
def bar(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr with rate and time left; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    speed = TextColumn("{task.fields[rate]}")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, each: int = 1) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, rate="")
            task = progress.tasks[tasks[stage]]
            rate = f"{task.speed * each:.0f} {unit}/s" if task.speed else ""
            progress.update(tasks[stage], completed=done, total=total, rate=rate)

        yield report

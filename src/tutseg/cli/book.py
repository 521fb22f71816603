"""The book: executed and rendered, or its chapters alone."""

from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import Profile, app, example, values


@app.command(
    epilog=example("tutseg book", "tutseg book --only 01_dme_fd --fresh"),
    help="Execute the chapters that are stale, render the book, say where it is.",
)
def book(
    profile: Profile = "lab",
    only: Annotated[list[str] | None, typer.Option(help="Only this chapter; repeatable.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Execute fresh chapters too.")] = False,
) -> None:
    from tutseg.workflow.book import build

    build(profile, only or (), fresh)


@app.command(
    epilog=example("tutseg run 01_dme_fd --profile gpu", "tutseg run 01 01b -p PROFILE gpu"),
    help="Execute chapters with papermill, without rendering.",
)
def run(
    chapters: Annotated[list[str], typer.Argument(help="Names such as 01_dme_fd.")],
    profile: Profile = "lab",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "-p", metavar="NAME VALUE", help="A name of the notebook's cell of parameters, such as PROFILE; repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the executed notebooks.")] = None,
) -> None:
    from tutseg.workflow.notebooks import run as execute

    for path in execute(chapters, profile, values(parameters), out):
        print(path)

"""The labs: built from their sources, checked, and graded."""

from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import app, example

labs = typer.Typer(help="Ten labs for a class: build, check, grade.", no_args_is_help=True)
app.add_typer(labs, name="labs")

Names = Annotated[list[str] | None, typer.Argument(help="Labs, such as L3; all of them if not given.")]
Out = Annotated[Path | None, typer.Option(help="Folder of what is built; labs/ if not given.")]


@labs.command(
    "build",
    epilog=example("tutseg labs build", "tutseg labs build L1 --out class"),
    help="Write the students' notebooks, the solutions and the teacher's sheet from the sources.",
)
def build(
    names: Names = None,
    out: Out = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Run the solutions too, and keep the pictures of the labs' pages.")
    ] = False,
) -> None:
    from tutseg.labs.build import build as written
    from tutseg.labs.figures import draw
    from tutseg.labs.sources import labs as chosen

    for path in written(names, out):
        print(path)
    for lab in chosen(names) if figures else ():
        print(draw(lab))


@labs.command(
    "check",
    epilog=example("tutseg labs check"),
    help="Does each lab keep the rules, and is a student's notebook its solution without the blanks?",
)
def check(out: Out = None) -> None:
    from tutseg.labs.build import faults
    from tutseg.labs.sources import labs as chosen

    found = faults(out)
    print("\n".join(found) or f"{len(chosen())} labs: each student's notebook is its solution without the blanks.")
    if found:
        raise typer.Exit(1)

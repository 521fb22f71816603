"""The labs: built from their sources, checked, and graded."""

from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import Json, app, bar, example, show

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


@labs.command(
    "bundle",
    epilog=example("tutseg labs bundle", "tutseg labs bundle --out stick --runs"),
    help="Write a folder for a room without a network: the package, the students' notebooks, scripts that fetch and "
    "install what they need, and the trained runs.",
)
def bundle(
    out: Annotated[Path, typer.Option(help="Folder; it must not exist yet.")] = Path("labs/bundle"),
    runs: Annotated[bool, typer.Option("--runs", help="Run the solutions, and put their trainings in.")] = False,
) -> None:
    from tutseg.labs.bundle import bundle as bundled

    bundled(out, runs)


@labs.command(
    "grade",
    epilog=example("tutseg labs grade handed-in --out marks.csv", "tutseg labs grade handed-in --json"),
    help="Grade notebooks, or one folder a student: a CSV with a column a check. Each runs in a process of its own, "
    "without network, in a copy that is thrown away; it may be broken, half-run, renamed or hostile.",
)
def grade(
    folder: Annotated[Path, typer.Argument(help="What the class handed in.")],
    out: Annotated[Path | None, typer.Option(help="Write the CSV to this file.")] = None,
    seconds: Annotated[float, typer.Option(help="What one notebook may take.")] = 120,
    cell_seconds: Annotated[float, typer.Option(help="What one cell, or one check, may take.")] = 20,
    jobs: Annotated[int | None, typer.Option(help="Notebooks side by side; one a core if not given.")] = None,
    as_json: Json = False,
) -> None:
    import dataclasses
    import json

    from tutseg.files import atomic_write, csv_text
    from tutseg.labs.grade import grade as graded
    from tutseg.labs.sandbox import walled

    if not walled():
        typer.echo("tutseg: notice: without user namespaces Python alone keeps the notebooks in", err=True)
    with bar("notebooks") as report:
        marks = graded(folder, seconds, cell_seconds, jobs, lambda done, of: report("graded", done, of))
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in marks], indent=1))
        return
    text = csv_text([each.row() for each in marks])
    if out:
        atomic_write(out, text)
    print(out or text, end="\n" if out else "")


@labs.command(
    "simulate",
    epilog=example("tutseg labs simulate --out class", "tutseg labs simulate L1 --out class --json"),
    help="Write a class of thirty for each lab, from right to hostile, grade it in one run, and compare the marks.",
)
def simulate(
    names: Names = None,
    out: Annotated[Path, typer.Option(help="Folder for the class; it must not exist yet.")] = Path("class"),
    cell_seconds: Annotated[float, typer.Option(help="What one cell, or one check, may take.")] = 4,
    as_json: Json = False,
) -> None:
    from tutseg.labs.simulate import simulate as simulated

    with bar("notebooks") as report:
        rows = simulated(names, out, 8 * cell_seconds, cell_seconds, lambda done, of: report("graded", done, of))
    columns = {each: each for each in ("lab", "kind", "passed", "expected", "said", "seconds", "right")}
    show(rows, as_json, f"{sum(row['right'] for row in rows)} of {len(rows)} graded as they should be", columns)
    if not all(row["right"] for row in rows):
        raise typer.Exit(1)

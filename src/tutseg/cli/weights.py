"""Pretrained files: listed and checked."""

from typing import Annotated

import typer

from tutseg.cli.common import Json, app, example, show

weights_app = typer.Typer(no_args_is_help=True, help="Pretrained files: which are here, whether they are sound.")
app.add_typer(weights_app, name="weights")


@weights_app.command(
    "list",
    epilog=example("tutseg weights list --json"),
    help="Every pretrained file the book can use: for what, from where, its SHA-256, and what to do if it is missing.",
)
def weights_list(as_json: Json = False) -> None:
    from tutseg.nets import CARDS
    from tutseg.weights import weights_table

    rows = weights_table()
    for row in rows:
        users = [card.name for card in CARDS.values() if card.weights == row["name"]]
        row |= {"used_by": users if as_json else ", ".join(users) or "no net yet"}
        if not as_json:
            row["sha256"] = row["sha256"] or "not known here"
    columns = {"name": "name", "used_by": "used by", "origin": "from", "sha256": "SHA-256", "state": "state"}
    show(rows, as_json, "pretrained files", columns | {"remedy": "remedy"})


@weights_app.command(
    "check",
    epilog=example("tutseg weights check", "tutseg weights check efficientnet-lite0"),
    help="Hash and read the pretrained files that are here, or one of them; exit with 1 if one is damaged.",
)
def weights_check(
    name: Annotated[
        str | None, typer.Argument(help="A name that `tutseg weights list` prints; all without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    from tutseg.weights import CARDS, check, locate

    rows = []
    for each in [name] if name else [each for each in CARDS if locate(each)]:
        fault = check(each)
        rows.append({"name": each, "state": "damaged" if fault else "sound", "finding": str(fault or "")})
    show(rows, as_json, "pretrained files that are here", {"name": "name", "state": "state", "finding": "finding"})
    if any(row["state"] == "damaged" for row in rows):
        raise typer.Exit(1)

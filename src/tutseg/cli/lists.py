"""What there is: networks, methods, and the machine's state."""

import json
from typing import Annotated

import typer

from tutseg.cli.common import Json, app, example, show


@app.command(
    epilog=example("tutseg nets", "tutseg nets xboundformer"),
    help="The networks: parameters at the published size beside the published count.",
)
def nets(
    name: Annotated[str | None, typer.Argument(help="One network: its parts, and all that is known of it.")] = None,
    as_json: Json = False,
) -> None:
    from tutseg.nets import about, card_of, net_table

    if name is None:
        columns = {"name": "name", "millions": "M", "published": "published", "paper": "paper", "source": "source"}
        show(net_table(), as_json, "networks, and their parameters in millions", columns)
        return
    known = card_of(name).name
    row = next(row for row in net_table() if row["name"] == known)
    if as_json:
        show([row], True, name)
    else:
        print(about(name), "", sep="\n")
        for key, value in row.items():
            print(f"{key:10s} {'none' if value in (None, '') else value}")


@app.command(
    epilog=example("tutseg methods", "tutseg methods dme-fd"),
    help="The methods: how networks learn, and from which paper.",
)
def methods(
    name: Annotated[str | None, typer.Argument(help="One method: what it does, and its options.")] = None,
    as_json: Json = False,
) -> None:
    from tutseg.methods import describe, method_table

    if name is None:
        columns = {"name": "name", "kind": "kind", "paper": "paper", "summary": "in one line"}
        show(method_table(), as_json, "methods", columns)
    elif as_json:
        show([describe(name)], True, name)
    else:
        about = describe(name)
        print(about["about"], "", sep="\n")
        for key, option in about["options"].items():
            # As YAML, which is what -o reads.
            written = f"-o {key}={json.dumps(option['default']).strip(chr(34))}"
            print(f"{written:30s} {option['expected']}")


@app.command(epilog=example("tutseg doctor"), help="What is installed, which device there is, which data is here.")
def doctor(as_json: Json = False) -> None:
    from tutseg.workflow.doctor import examine

    rows = examine()
    show(rows, as_json, "doctor", {"state": "", "name": "what", "found": "found", "remedy": "remedy"})
    if any(row["state"] == "fault" for row in rows):
        raise typer.Exit(1)

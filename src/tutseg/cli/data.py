"""Data sets: listed, verified, shown, fetched, drawn."""

from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import Json, Overwrite, Root, app, bar, example, show, values

Options = Annotated[
    list[str] | None, typer.Option("-d", metavar="NAME=VALUE", help="Data option, such as labels=1, as for train.")
]

data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are here, whether they are sound, what they show.")
app.add_typer(data_app, name="data")


@data_app.command(
    "list", epilog=example("tutseg data list --json"), help="Which data sets are here, and where to get the others."
)
def data_list(root: Root = None, as_json: Json = False) -> None:
    from tutseg.data.cards import list_data

    rows = list_data(root)
    show(
        rows,
        as_json,
        "data sets",
        {
            "name": "name",
            "state": "state",
            "n": "images here",
            "official": "official",
            "licence": "licence",
            "get": "where to get it",
        },
    )


@data_app.command(
    "init",
    epilog=example("tutseg data init MY", "tutseg data init MY -d group='(P[0-9]+)_' --out look.png"),
    help="Look at a folder of your own pictures before anything is trained: how it is understood, what is left out, "
    "what is wrong, and a mosaic with the masks as contours. Nothing in it is changed.",
)
def data_init(
    folder: Annotated[Path, typer.Argument(metavar="MY", help="A folder of pictures, with masks for some or all.")],
    out: Annotated[
        Path | None, typer.Option(help="PNG for the mosaic; else MY-overview.png beside the folder.")
    ] = None,
    option: Options = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    import json

    from tutseg.data.made import check_free, save_made
    from tutseg.data.overview import beside, commands, look, rows, to_show
    from tutseg.report.pictures import mosaic

    out = out or Path(beside(folder, "overview.png"))
    check_free({out: "data init"}, overwrite=overwrite)
    options = values(option)
    with bar("pictures") as report:
        seen, source = look(folder, lambda done, total: report("read", done, total), **options)
    if source:
        check_free({out: "data init"}, source.files, overwrite)
        save_made(mosaic(source, to_show(source)), out, "data init")
        seen |= {"mosaic": str(out), "next": commands(folder, option or [], seen)}
    if as_json:
        print(json.dumps(seen, indent=1))
    else:
        show(rows(seen), False, str(folder), {"name": "", "value": "understood as"})
        print(*seen.get("next", ()), sep="\n")
    if any(finding["severity"] == "error" for finding in seen["findings"]):
        raise typer.Exit(1)


@data_app.command(
    "verify",
    epilog=example("tutseg data verify isic2018", "tutseg data verify folder --root MY -d labels=1,2"),
    help="Read every picture of a data set and report what is wrong.",
)
def data_verify(name: str, root: Root = None, option: Options = None, as_json: Json = False) -> None:
    from dataclasses import asdict

    from tutseg.data.verify import verify

    with bar("pictures") as report:
        findings = verify(name, root, lambda done, total: report("read", done, total), **values(option))
    rows = [{"name": name, **asdict(finding)} for finding in findings]
    show(rows, as_json, name, {"severity": "severity", "check": "check", "message": "finding"})
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


@data_app.command(
    "show",
    epilog=example("tutseg data show ph2 --out ph2.png"),
    help="A mosaic of a data set with its masks as contours.",
)
def data_show(
    name: str,
    out: Annotated[Path, typer.Option(help="PNG to write.")],
    root: Root = None,
    option: Options = None,
    n: Annotated[int, typer.Option(min=1, help="Pictures.")] = 24,
    overwrite: Overwrite = False,
) -> None:
    from tutseg.data import open_source
    from tutseg.data.made import check_free, save_made
    from tutseg.data.overview import evenly
    from tutseg.report.pictures import mosaic

    source = open_source(name, root, **values(option))
    check_free({out: "data show"}, getattr(source, "files", ()), overwrite)
    save_made(mosaic(source, evenly(range(len(source)), n)), out, "data show")
    print(out)


@data_app.command(
    "fetch",
    epilog=example("tutseg data fetch kvasir-seg --out ~/data"),
    help="Download a data set whose files are open; resumes, and checks what arrived.",
)
def data_fetch(
    name: str,
    out: Annotated[Path, typer.Option(help="Folder for the files; archives are left for you to unpack.")],
) -> None:
    from tutseg.data.fetch import fetch

    with bar("bytes") as report:
        files = fetch(name, out, lambda file, done, of: report(file.name, done, of or done))
    for path in files:
        print(path)


@data_app.command(
    "synth",
    epilog=example("tutseg data synth --n 16 --out drawn"),
    help="Draw lesions: images/ and masks/ as any folder data set.",
)
def data_synth(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    n: Annotated[int, typer.Option(min=1, help="Pictures.")] = 16,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Another seed gives other pictures.")] = 0,
    option: Annotated[list[str] | None, typer.Option("-d", metavar="NAME=VALUE", help="Such as clinic=a.")] = None,
    style: Annotated[str, typer.Option(help="synth or synth-wild.")] = "synth",
    overwrite: Overwrite = False,
) -> None:
    from PIL import Image

    from tutseg.data import DRAWN, open_source
    from tutseg.data.made import check_free, save_made
    from tutseg.errors import unknown
    from tutseg.files import canonical_json

    if style not in DRAWN:
        raise unknown("style", style, DRAWN)
    options = {"n": n, "size": size, "seed": seed, **values(option)}
    source = open_source(style, **options)
    maker = canonical_json(["data synth", {**options, "n": 0}])  # a picture does not depend on how many there are
    folders = [out / "images", out / "masks"]
    check_free({folder / f"{name}.png": maker for folder in folders for name in source.ids}, overwrite=overwrite)
    with bar("pictures") as report:
        for done, sample in enumerate(source, 1):
            for folder, pixels in zip(folders, (sample.image, sample.mask * 255), strict=True):
                save_made(Image.fromarray(pixels), folder / f"{sample.id}.png", maker)
            report("draw", done, len(source))
    print(f"{len(source)} pictures in {out}")

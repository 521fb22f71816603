"""The command line. Heavy imports stay inside commands, so that help and lists answer at once."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from tutseg.errors import InputError, unknown

app = typer.Typer(
    name="tutseg",
    help="Five papers on segmenting lesions with little labelled data, running. `tutseg COMMAND --help` has examples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are here, whether they are sound, what they show.")
app.add_typer(data_app, name="data")
weights_app = typer.Typer(no_args_is_help=True, help="Pretrained files: which are here, whether they are sound.")
app.add_typer(weights_app, name="weights")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set, or of all; else $TUTSEG_DATA.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Profile = Annotated[str, typer.Option(help="lab (2 CPU cores), gpu (one GPU) or paper (the paper's protocol).")]
Pairs = Annotated[list[str] | None, typer.Option("-o", "--option", metavar="NAME=VALUE", help="Method option.")]


def _example(*lines: str) -> str:
    return "\n\n".join(["**Example**", *(f"`{line}`" for line in lines)])


def _show(rows: list[dict[str, Any]], as_json: bool, title: str, columns: dict[str, str] | None = None) -> None:
    """A list of objects as JSON, or as a table of `columns` (key -> heading)."""
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    columns = columns or {key: key for key in rows[0]} if rows else {}
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[key] is None else _text(row[key]) for key in columns))
    Console().print(table)


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _values(pairs: list[str] | None, text: bool = False) -> dict[str, Any]:
    """``["tau=0.9", "combine=self"]`` as a dictionary; values are read as YAML unless they are `text`."""
    import yaml

    found = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InputError(f"option '{pair}' has no value", "write it as name=value")
        found[name] = value if text else yaml.safe_load(value)
    return found


@contextlib.contextmanager
def _bar(unit: str) -> Iterator[Callable[[str, int, int], None]]:
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


@app.command(
    epilog=_example("tutseg book", "tutseg book --only 01_dme_fd --fresh"),
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
    epilog=_example("tutseg run 01_dme_fd --profile gpu", "tutseg run 01_dme_fd -p SEEDS '[0, 1]'"),
    help="Execute chapters with papermill, without rendering.",
)
def run(
    chapters: Annotated[list[str], typer.Argument(help="Names such as 01_dme_fd.")],
    profile: Profile = "lab",
    parameters: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME VALUE", help="A notebook parameter; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the executed notebooks.")] = None,
) -> None:
    from tutseg.workflow.notebooks import run as execute

    for path in execute(chapters, profile, _values(parameters), out):
        print(path)


def _trial_command(run: Callable[..., None]) -> Callable[..., None]:
    """`run` with an option for every field of a trial, as the field describes itself; `fields` gets those given."""
    import inspect
    from typing import get_origin

    from tutseg.training.trial import Trial, flag_of

    parameters = []
    for name, field in Trial.model_fields.items():
        pairs = get_origin(field.annotation) is dict
        kind = list[str] | None if pairs else field.annotation
        kind = str if get_origin(kind) is Literal else kind
        if name == "method":
            option = typer.Argument(help=field.description)
        elif pairs:
            option = typer.Option(flag_of(name), metavar="NAME=VALUE", help=field.description)
        else:
            option = typer.Option(flag_of(name), help=field.description)
        default = inspect.Parameter.empty if name == "method" else None if pairs else field.default
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        )
    own = [each for each in inspect.signature(run).parameters.values() if each.name != "fields"]
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

    def command(**given: Any) -> None:
        fields = {}
        for name, field in Trial.model_fields.items():
            value = given.pop(name)
            fields[name] = _values(value, name == "inputs") if get_origin(field.annotation) is dict else value
        run(fields, **given)

    command.__signature__ = inspect.Signature([*parameters, *own])
    command.__annotations__ = {each.name: each.annotation for each in (*parameters, *own)}
    command.__name__ = run.__name__
    return command


@app.command(
    epilog=_example(
        "tutseg train dme-fd --data synth --labelled 0.05 --net unet-s --size 64 --steps 200",
        "tutseg train dme-fd --data isic2018 --root data --labelled 59 -o tau=0.9 -o combine=cross",
        "tutseg train k-means --data ph2 --size 96 -o k=2",
    ),
    help="Train a method on one split (or segment every picture by a one-image method), score it, and write a run "
    "folder. Interrupted: goes on.",
)
@_trial_command
def train(
    fields: dict[str, Any],
    root: Root = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Run folder; else runs/<trial id>.")] = None,
    as_json: Json = False,
) -> None:
    from tutseg.training.run import run_trial
    from tutseg.training.spec import check
    from tutseg.training.tasks import task_of
    from tutseg.training.trial import make_trial

    trial = make_trial(**fields)
    check(trial)
    folder = out or trial.folder
    with _bar("images") as report:
        streams = {"train": trial.batch * 2, "read": 1, "score": 1}
        result = run_trial(
            trial, str(root) if root else None, device, folder, lambda *state: report(*state, streams[state[0]])
        )
    if as_json:
        print(json.dumps(result, indent=1))
        return
    view, scores = next(iter(result["scores"].items()))
    best = task_of(trial.method).best
    told, over = scores[best]["per_image"], f"{trial.method} on {trial.data}: {best.capitalize()}"
    print(f"{over} {told['mean']:.4f} (sd {told['std']:.4f} over n = {told['n']} test images, {view})")
    print(", ".join(f"{n} {part}" for part, n in result["n"].items()))
    print(folder)


@app.command(
    epilog=_example("tutseg predict runs/1a2b3c4d5e6f7a8b pictures/ --out masks --overlay"),
    help="Write a mask (PNG, 0 or 255, the picture's own size) for each picture.",
)
def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    overlay: Annotated[bool, typer.Option("--overlay", help="Also write the picture with the mask's contour.")] = False,
    view: Annotated[str | None, typer.Option(help="Which network, such as branch2 or mean.")] = None,
    device: Device = "auto",
) -> None:
    from tutseg.report.pictures import with_contour
    from tutseg.training.fit import make_fabric
    from tutseg.training.predict import predict_folder
    from tutseg.training.run import load_run

    method, trial = load_run(run)
    if view is not None and view not in method.views:
        raise InputError(f"method {trial.method} has no view '{view}'", f"choose one of {', '.join(method.views)}")
    method = make_fabric(device, trial.precision).to_device(method)
    with _bar("pictures") as report:
        written = predict_folder(
            method,
            trial.size,
            pictures,
            out,
            with_contour if overlay else None,
            view,
            lambda done, total: report("predict", done, total),
        )
    print(f"{len(written)} masks in {out}")


@app.command(
    epilog=_example(
        "tutseg segment otsu pictures/ --out masks",
        "tutseg segment s3-net lesion.jpg --out masks -o reading=code --rule contrast",
    ),
    help="Segment pictures one by one with a method that needs no training; a mask (PNG, 0 or 255) for each.",
)
def segment(
    method: Annotated[str, typer.Argument(help="A one-image method that `tutseg methods` lists.")],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    option: Pairs = None,
    rule: Annotated[str, typer.Option(help="Which cluster is the lesion: darkest, central or contrast.")] = "darkest",
    size: Annotated[int, typer.Option(min=32, help="Pictures are squashed to this height and width.")] = 256,
    device: Device = "auto",
) -> None:
    import numpy as np
    from PIL import Image

    from tutseg.data.folders import read_image
    from tutseg.data.loader import shrink
    from tutseg.methods import CARDS, build_method
    from tutseg.methods.one_image.clusters import RULES, choose
    from tutseg.report.pictures import save_png
    from tutseg.training.fit import make_fabric
    from tutseg.training.predict import pictures_in

    if method in CARDS and CARDS[method].kind != "one-image":
        raise InputError(f"method {method} needs training", "use `tutseg train` and `tutseg predict`")
    if rule not in (label_free := [each for each in RULES if each != "oracle"]):
        raise unknown("rule", rule, label_free)
    segmenter = build_method(method, **_values(option))
    fabric = make_fabric(device, "32-true")
    paths = pictures_in(pictures)
    with _bar("pictures") as report:
        for done, path in enumerate(paths, 1):
            picture = read_image(path)
            image = fabric.to_device(shrink(picture, size)[None].float() / 255)
            mask = choose(segmenter.segment(image), image, rule)[0, 0].cpu().numpy().astype(np.uint8) * 255
            whole = Image.fromarray(mask).resize(picture.shape[1::-1], Image.Resampling.NEAREST)
            save_png(whole, out / f"{path.stem}.png")
            report("segment", done, len(paths))
    print(f"{len(paths)} masks in {out}")


@app.command(
    epilog=_example("tutseg score masks/ truth/", "tutseg score masks/ truth/ --json"),
    help="Every score of predicted against true masks, under every averaging; files are paired by stem.",
)
def score(
    predicted: Annotated[Path, typer.Argument(help="Folder of predicted masks.")],
    truth: Annotated[Path, typer.Argument(help="Folder of true masks.")],
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a pooled batch.")] = 5,
    as_json: Json = False,
) -> None:
    from tutseg.data.folders import list_images, pair_by_stem, read_mask
    from tutseg.metrics import score as scores_of

    pairs = pair_by_stem(list_images(predicted), list_images(truth))
    predictions = (read_mask(path) for _, path, _ in pairs)
    truths = (read_mask(path) for _, _, path in pairs)
    table = scores_of(predictions, truths, [stem for stem, _, _ in pairs], batch)
    if as_json:
        print(json.dumps(table, indent=1))
        return
    rows = [
        {"score": name} | {way: f"{cell['mean']:.4f} ± {cell['std']:.4f}" for way, cell in ways.items()}
        for name, ways in table.items()
    ]
    columns = {
        "score": "score",
        "per_image": f"per image (n = {len(pairs)})",
        "batch": f"batches of {batch} pooled",
        "pooled": "all pixels pooled",
    }
    _show([{**dict.fromkeys(columns, "-"), **row} for row in rows], False, "mean ± standard deviation", columns)


@data_app.command(
    "list", epilog=_example("tutseg data list --json"), help="Which data sets are here, and where to get the others."
)
def data_list(root: Root = None, as_json: Json = False) -> None:
    from tutseg.data.cards import list_data

    rows = list_data(root)
    _show(
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
    "verify",
    epilog=_example("tutseg data verify isic2018"),
    help="Read every picture of a data set and report what is wrong.",
)
def data_verify(name: str, root: Root = None, as_json: Json = False) -> None:
    from dataclasses import asdict

    from tutseg.data.verify import verify

    with _bar("pictures") as report:
        findings = verify(name, root, lambda done, total: report("read", done, total))
    rows = [{"name": name, **asdict(finding)} for finding in findings]
    _show(rows, as_json, name, {"severity": "severity", "check": "check", "message": "finding"})
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


@data_app.command(
    "show",
    epilog=_example("tutseg data show ph2 --out ph2.png"),
    help="A mosaic of a data set with its masks as contours.",
)
def data_show(
    name: str,
    out: Annotated[Path, typer.Option(help="PNG to write.")],
    root: Root = None,
    n: Annotated[int, typer.Option(min=1, help="Pictures.")] = 24,
) -> None:
    from tutseg.data import open_source
    from tutseg.report.pictures import mosaic, save_png

    save_png(mosaic(open_source(name, root), n), out)
    print(out)


@data_app.command(
    "fetch",
    epilog=_example("tutseg data fetch kvasir-seg --out ~/data"),
    help="Download a data set whose files are open; resumes, and checks what arrived.",
)
def data_fetch(
    name: str,
    out: Annotated[Path, typer.Option(help="Folder for the files; archives are left for you to unpack.")],
) -> None:
    from tutseg.data.fetch import fetch

    with _bar("bytes") as report:
        files = fetch(name, out, lambda file, done, of: report(file.name, done, of or done))
    for path in files:
        print(path)


@data_app.command(
    "synth",
    epilog=_example("tutseg data synth --n 16 --out drawn"),
    help="Draw lesions: images/ and masks/ as any folder data set.",
)
def data_synth(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    n: Annotated[int, typer.Option(min=1, help="Pictures.")] = 16,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Another seed gives other pictures.")] = 0,
    option: Annotated[list[str] | None, typer.Option("-d", metavar="NAME=VALUE", help="Such as clinic=a.")] = None,
    style: Annotated[str, typer.Option(help="synth or synth-wild.")] = "synth",
) -> None:
    from PIL import Image

    from tutseg.data import open_source
    from tutseg.report.pictures import save_png

    source = open_source(style, n=n, size=size, seed=seed, **_values(option))
    with _bar("pictures") as report:
        for done, sample in enumerate(source, 1):
            save_png(Image.fromarray(sample.image), out / "images" / f"{sample.id}.png")
            save_png(Image.fromarray(sample.mask * 255), out / "masks" / f"{sample.id}.png")
            report("draw", done, n)
    print(f"{n} pictures in {out}")


@weights_app.command(
    "list",
    epilog=_example("tutseg weights list --json"),
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
    _show(rows, as_json, "pretrained files", columns | {"remedy": "remedy"})


@weights_app.command(
    "check",
    epilog=_example("tutseg weights check", "tutseg weights check efficientnet-lite0"),
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
    _show(rows, as_json, "pretrained files that are here", {"name": "name", "state": "state", "finding": "finding"})
    if any(row["state"] == "damaged" for row in rows):
        raise typer.Exit(1)


@app.command(
    epilog=_example("tutseg nets --json"),
    help="The networks: parameters at the published size beside the published count.",
)
def nets(as_json: Json = False) -> None:
    from tutseg.nets import net_table

    columns = {
        "name": "name",
        "millions": "M parameters",
        "published": "published",
        "size": "at px",
        "stride": "stride",
        "gives": "gives",
        "paper": "paper",
        "source": "source",
        "weights": "pretrained",
    }
    _show(net_table(), as_json, "networks", columns)


@app.command(
    epilog=_example("tutseg methods", "tutseg methods dme-fd"),
    help="The methods: how networks learn, and from which paper.",
)
def methods(
    name: Annotated[str | None, typer.Argument(help="One method: what it does, and its options.")] = None,
    as_json: Json = False,
) -> None:
    from tutseg.methods import describe, method_table

    if name is None:
        columns = {"name": "name", "kind": "kind", "paper": "paper", "summary": "in one line"}
        _show(method_table(), as_json, "methods", columns)
    elif as_json:
        _show([describe(name)], True, name)
    else:
        about = describe(name)
        print(about["about"], "", sep="\n")
        for key, option in about["options"].items():
            # As YAML, which is what -o reads.
            written = f"-o {key}={json.dumps(option['default']).strip(chr(34))}"
            print(f"{written:30s} {option['expected']}")


@app.command(epilog=_example("tutseg doctor"), help="What is installed, which device there is, which data is here.")
def doctor(as_json: Json = False) -> None:
    from tutseg.workflow.doctor import examine

    rows = examine()
    _show(rows, as_json, "doctor", {"state": "", "name": "what", "found": "found", "remedy": "remedy"})
    if any(row["state"] == "fault" for row in rows):
        raise typer.Exit(1)


@app.command(
    epilog=_example(
        "tutseg grid experiments/dme-fd/isic2018-96.yaml --status",
        "tutseg grid SPEC.yaml --jobs 4",
        "tutseg grid SPEC.yaml --shard 0/4",
        "tutseg grid SPEC.yaml --executor snakemake --jobs 4 --gpus 1",
        "tutseg grid SPEC.yaml --executor snakemake --profile slurm --jobs 50 --gpus 8",
    ),
    help="Run the trials of a spec that are not done yet; a killed grid goes on where it stopped.",
)
def grid(
    spec: Annotated[Path, typer.Argument(help="YAML that lists trials.")],
    scale: Annotated[str, typer.Option(help="One of the spec's scales, such as lab, gpu or paper.")] = "",
    root: Root = None,
    device: Device = "auto",
    executor: Annotated[str, typer.Option(help="serial (this machine), or snakemake (a cluster).")] = "serial",
    profile: Annotated[str, typer.Option(help="Of Snakemake: slurm, or a folder with config.yaml.")] = "",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trials at once; else $TUTSEG_JOBS, or one a core, or one on a GPU.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that they share, one a trial (snakemake).")] = 0,
    retries: Annotated[int, typer.Option(min=0, help="Further attempts at a trial that fails.")] = 1,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what is done and how long the rest takes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the trials that would run.")] = False,
    shard: Annotated[str, typer.Option(help="k/n: every n-th trial from the k-th, for n processes (serial).")] = "0/1",
    only: Annotated[str, typer.Option(metavar="ID", help="Only this trial.")] = "",
    collect: Annotated[
        Path | None, typer.Option(help="Write what finished trials measured below this folder, as results/ has it.")
    ] = None,
    contours: Annotated[
        Path | None, typer.Option(help="Draw what finished trials predict into this PNG; it shows the pictures.")
    ] = None,
    as_json: Json = False,
) -> None:
    from tutseg.training.display import Display, duration
    from tutseg.training.evidence import write_evidence
    from tutseg.training.side_by_side import processes
    from tutseg.training.spec import only as only_one
    from tutseg.training.spec import read_spec
    from tutseg.workflow import grid as work

    trials = read_spec(spec, scale)
    trials = only_one(trials, only) if only else trials
    folder = str(root) if root else None
    if executor not in ("serial", "snakemake"):
        raise InputError(f"--executor {executor} is unknown", "choose serial or snakemake")
    if collect:
        print(write_evidence(trials.named, collect / trials.evidence, trials.keep, trials.maps))
    if contours:
        from tutseg.files import atomic_write
        from tutseg.report.trained import contour_sheet

        runs = work.finished_runs(trials)
        if not runs:
            raise InputError(f"no trial of {trials.name} is finished", "run the grid first")
        atomic_write(contours, lambda file: contour_sheet(runs, root=folder).savefig(file, format="png"))
        print(contours)
    if collect or contours:
        return
    k, _, n = shard.partition("/")
    if not (k.isdigit() and n.isdigit() and int(k) < int(n)):
        raise InputError(f"--shard {shard} is no share", "write k/n with 0 <= k < n, such as 0/4")
    if dry_run:
        rows = [{"name": t.id, "state": s, "command": t.command} for t, s, _ in work.states(trials) if s != "done"]
        _show(rows, as_json, f"{trials.name}: {len(rows)} of {len(trials.trials)} trials would run")
        if executor == "snakemake":
            work.run_snakemake(trials, spec, folder, device, jobs or 1, gpus, retries, profile, dry_run=True)
        return
    jobs = jobs or max(1, processes(device) // int(n))
    failed = []
    if executor == "snakemake" and not status:
        failed = work.run_snakemake(trials, spec, folder, device, jobs, gpus, retries, profile)
    elif not status:
        show = lambda calls: Display(calls, jobs, "trials")
        failed = work.run_serial(trials, folder, device, (int(k), int(n)), retries, jobs, show)
    left = work.forecast(trials, jobs)
    shown = left
    if not as_json:
        unknown_yet = "unknown: no trial is finished yet"
        shown = left | {
            key: unknown_yet if left[key] is None else duration(left[key]) for key in ("seconds_spent", "seconds_left")
        }
    columns = {key: key for key in left} | {"seconds_spent": "time spent", "seconds_left": "time left, about"}
    if status or not only:  # a job of Snakemake speaks of its failure alone
        _show([shown], as_json, trials.name, columns)
    errors = {row["name"]: row["error"] for row in work.failures(trials)}
    for trial in failed if not status else [t for t in trials.trials if t.id in errors]:
        print(f"failed: {trial.id}: {errors.get(trial.id, 'killed')} ({trial.command})", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)


@app.command(
    "table",
    epilog=_example("tutseg table dme-fd 1", "tutseg table s3-net 2 --json"),
    help="A paper's printed table with ours in each cell: a number, not yet, or cannot and why.",
)
def table_(
    paper: Annotated[str, typer.Argument(help="dme-fd, sam-kd, dale, ssgnet or s3-net.")],
    number: Annotated[int, typer.Argument(help="The table's number in the paper.")],
    as_json: Json = False,
) -> None:
    from tutseg.report.paper_table import paper_table

    shown = paper_table(paper, number)
    if as_json:
        _show(shown.as_rows(), True, shown.title)
        return
    print(shown.title)
    for block in shown.blocks:
        rows = [
            {"row": label}
            | {
                metric: "\n".join(shown.lines(entry)) if entry else ""
                for metric, entry in zip(block.metrics, line, strict=True)
            }
            for label, line in block.lines
        ]
        _show(rows, False, block.heading, {"row": "paper / ours", **{metric: metric for metric in block.metrics}})
    print(*shown.notes(), sep="\n")


@app.command(
    epilog=_example("tutseg claims", "tutseg claims dme-fd --json"),
    help="The papers' claims put to the test: reproduced, not reproduced, inconclusive, or not attempted and why.",
)
def claims(
    paper: Annotated[str | None, typer.Argument(help="One paper; all without it.")] = None, as_json: Json = False
) -> None:
    from tutseg.papers.ledger import counts, verdicts

    decided = verdicts(paper)
    if as_json:
        _show([item.as_dict() for item in decided], True, "claims")
        return
    rows = [
        {"name": item.claim.id, "sentence": f"{item.claim.sentence} ({item.claim.place})", **_effects(item)}
        for item in decided
    ]
    columns = {
        "name": "claim",
        "sentence": "what is claimed",
        "paper": "paper",
        "ours": "ours",
        "verdict": "verdict",
    }
    _show(rows, False, "effects in points of the score (distances: pixels)", columns)
    print(f"{len(decided)} claims: " + ", ".join(f"{n} {word}" for word, n in counts(decided).items()))


def _effects(item: Any) -> dict[str, str]:
    """A claim's effects and verdict in words."""
    from tutseg.papers.ledger import points

    verdict, ours = item.verdict, ""
    if verdict.effect is not None:
        low, high = points(item, verdict.low), points(item, verdict.high)
        ours = f"{points(item, verdict.effect)} ({low} to {high}), n = {verdict.seeds} × {verdict.n_images}"
    told = f"{verdict.verdict}: {verdict.why}"
    return {"paper": points(item, item.paper_effect), "ours": ours, "verdict": told}


@app.command(
    epilog=_example("tutseg audit", "tutseg audit ssgnet", "tutseg audit my_results.csv --check", "tutseg audit --x"),
    help="Numbers that cannot, or can hardly, stand together: in the papers, or in any results table you bring.",
)
def audit(
    what: Annotated[str | None, typer.Argument(metavar="[PAPER | FILE.csv]", help="All papers without it.")] = None,
    x: Annotated[bool, typer.Option("--x", help="What becomes of the suspicions X-01, X-02, ...")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if something is impossible.")] = False,
    as_json: Json = False,
) -> None:
    from tutseg.audit.examine import SEVERITIES, audit_csv

    if x:
        from tutseg.papers.contradictions import reconcile

        rows = [{"name": row["x"], **row} for row in reconcile() if what in (None, row["paper"])]
        columns = {"name": "", "paper": "paper", "statement": "suspicion", "verdict": "verdict", "why": "why"}
        _show(rows, as_json, "suspicions", columns)
        return
    table = what is not None and bool(Path(what).suffix)  # no paper has a name with a suffix
    if not table:
        from tutseg.papers.contradictions import audit_all, audit_paper
        from tutseg.papers.tables import papers

        table = what is not None and what not in papers() and Path(what).exists()
        if not table and what not in (None, *papers()):
            raise unknown("paper or file", what, papers())
    findings = audit_csv(what) if table else audit_all() if what is None else audit_paper(what)
    if as_json:
        _show([{"name": finding.id, **finding.as_dict()} for finding in findings], True, "audit")
    else:
        for finding in findings:
            place = what if table else f"{finding.paper}, table {finding.table}"
            print(f"{finding.severity}: {place}: {finding.message}")
            print(f"    {finding.rule}. Assumes that {finding.assumption}.")
            print("    Could be innocent: " + "; or ".join(finding.innocent) + ".")
        number = {word: sum(finding.severity == word for finding in findings) for word in SEVERITIES}
        print(", ".join(f"{n} {word}" for word, n in number.items()))
    if check and any(finding.severity == "impossible" for finding in findings):
        raise typer.Exit(1)


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

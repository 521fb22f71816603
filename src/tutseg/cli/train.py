"""Methods at work: training, and masks for pictures."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tutseg.cli.common import Device, Json, Overwrite, Root, app, bar, example, values
from tutseg.errors import InputError, unknown

Pairs = Annotated[list[str] | None, typer.Option("-o", "--option", metavar="NAME=VALUE", help="Method option.")]


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
        default = None if pairs or name == "labelled" else field.default  # which labelled share, make_trial knows
        default = inspect.Parameter.empty if name == "method" else default
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        )
    own = [each for each in inspect.signature(run).parameters.values() if each.name != "fields"]
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

    def command(**given: Any) -> None:
        fields = {}
        for name, field in Trial.model_fields.items():
            value = given.pop(name)
            fields[name] = values(value, name == "inputs") if get_origin(field.annotation) is dict else value
        run({name: value for name, value in fields.items() if (name, value) != ("labelled", None)}, **given)

    command.__signature__ = inspect.Signature([*parameters, *own])
    command.__annotations__ = {each.name: each.annotation for each in (*parameters, *own)}
    command.__name__ = run.__name__
    return command


@app.command(
    epilog=example(
        "tutseg train dme-fd --data synth --labelled 0.05 --net unet-s --size 64 --steps 200",
        "tutseg train dme-fd --data isic2018 --root data --labelled 59 -o tau=0.9 -o combine=cross",
        "tutseg train dme-fd --data folder --root MY --test MY_TEST --net lite0-unet --pretrained",
        "tutseg train dale --data synth --labelled 1 --net unet-s --size 64 -o patch=8 -o bins=32 --noise warp=0.03",
        "tutseg train k-means --data ph2 --size 96 -o k=2",
        "tutseg train stylegan3-t --data synth -d n=1200 --net stylegan3-s --size 64 --steps 313 --evaluations 5",
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
    from tutseg.methods import method_class
    from tutseg.training.run import run_trial
    from tutseg.training.spec import check
    from tutseg.training.tasks import task_of
    from tutseg.training.trial import make_trial

    trial = make_trial(**fields)
    check(trial)
    folder = out or trial.folder
    with bar("images") as report:
        each = {"train": trial.batch * len(method_class(trial.method).streams)} if task_of(trial.method).trains else {}
        result = run_trial(
            trial, str(root) if root else None, device, folder, lambda *state: report(*state, each.get(state[0], 1))
        )
    if as_json:
        print(json.dumps(result, indent=1))
        return
    view, scores = next(iter(result["scores"].items()))
    best = task_of(trial.method).best
    said = "trained, not scored"
    if scores:
        told = scores[best]["per_image"]
        said = f"{best.capitalize()} {told['mean']:.4f} (sd {told['std']:.4f} over n = {told['n']} test images, {view})"
    print(f"{trial.method} on {trial.data}: {said}")
    if empty := scores.get("assd", {}).get("per_image", {}).get("both_empty"):
        print(f"{empty} test images have an empty truth and an empty prediction, which scores as perfect")
    print(", ".join(f"{n} {part.replace('_', ' ')}" for part, n in result["n"].items()))
    print(folder)


@app.command(
    epilog=example(
        "tutseg predict runs/1a2b3c4d5e6f7a8b pictures/ --out masks --overlay",
        "tutseg predict runs/1a2b3c4d5e6f7a8b MY --rest --out masks",
    ),
    help="Write a mask (PNG, 0 or 255, the picture's own size) for each picture.",
)
def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    rest: Annotated[
        bool, typer.Option("--rest", help="Only pictures without a mask, of folders as `tutseg data init` reads them.")
    ] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also write the picture with the mask's contour.")] = False,
    view: Annotated[str | None, typer.Option(help="Which network, such as branch2 or mean.")] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    from tutseg.data.read_folder import without_masks
    from tutseg.report.pictures import with_contour
    from tutseg.training.fit import make_fabric
    from tutseg.training.predict import probability_map, write_masks
    from tutseg.training.run import load_run
    from tutseg.training.start import hash_of
    from tutseg.training.tasks import task_of

    method, trial = load_run(run)
    if (task := task_of(trial.method).name) != "segment":
        raise InputError(f"{run} holds a network to {task}, which makes no masks", "give the run of a method that does")
    if view is not None and view not in method.views:
        raise InputError(f"method {trial.method} has no view '{view}'", f"choose one of {', '.join(method.views)}")
    method = make_fabric(device, trial.precision).to_device(method)
    names = {path: name for place in pictures for path, name in without_masks(place).items()} if rest else {}
    with bar("pictures") as report:
        done = write_masks(
            list(names) or pictures,
            out,
            lambda image: probability_map(method, image, trial.size, view) >= 0.5,
            ["predict", hash_of(run / "weights.safetensors"), view or method.views[0]],
            with_contour if overlay else None,
            overwrite,
            lambda *state: report("predict", *state),
            names,
        )
    _tell_masks(*done, out)


def _tell_masks(written: list[Path], failed: list[InputError], out: Path) -> None:
    """How many masks there are, and which pictures have none; of one picture alone its error is the command's."""
    if failed and len(written) + len(failed) == 1:
        raise failed[0]
    print(f"{len(written)} masks in {out}")
    if failed:
        for error in failed:
            print(f"failed: {error}", file=sys.stderr)
        print(f"tutseg: {len(failed)} of {len(written) + len(failed)} pictures have no mask", file=sys.stderr)
        raise typer.Exit(1)


@app.command(
    epilog=example("tutseg generate runs/1a2b3c4d5e6f7a8b --n 100 --seed 0 --out drawn"),
    help="Draw pictures (PNG) with a trained generator, numbered from 00000. Interrupted: goes on.",
)
def generate(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a method that draws, such as stylegan3-t.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    n: Annotated[int, typer.Option("--n", min=1, max=1_000_000, help="How many.")] = 100,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Another seed, other pictures.")] = 0,
    psi: Annotated[
        float, typer.Option(min=0, max=1, help="Truncation: below 1 nearer to the typical picture, and less varied.")
    ] = 1.0,
    overwrite: Overwrite = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    from tutseg.training.drawn import write_drawn
    from tutseg.training.fit import make_fabric
    from tutseg.training.run import load_run
    from tutseg.training.start import hash_of
    from tutseg.training.tasks import task_of

    method, trial = load_run(run)
    if (task := task_of(trial.method).name) != "generate":
        raise InputError(f"{run} holds a network to {task}, which draws nothing", "give the run of a generator")
    method = make_fabric(device, trial.precision).to_device(method)
    maker = f"generate {hash_of(run / 'weights.safetensors')}"
    with bar("pictures") as report:
        made = write_drawn(method, maker, out, n, seed, psi, overwrite, lambda *state: report("draw", *state))
    if as_json:
        print(json.dumps({"out": str(out), "n": len(made), "seed": seed, "psi": psi, "size": trial.size}))
    else:
        print(f"{len(made)} pictures of {trial.size} pixels in {out}")


@app.command(
    epilog=example(
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
    size: Annotated[int, typer.Option(min=32, max=4096, help="Pictures are squashed to this height and width.")] = 256,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    import numpy as np
    from PIL import Image

    from tutseg.data.loader import shrink
    from tutseg.methods import CARDS, build_method
    from tutseg.methods.one_image.clusters import RULES, choose
    from tutseg.training.fit import make_fabric
    from tutseg.training.predict import write_masks

    if method in CARDS and CARDS[method].kind != "one-image":
        raise InputError(f"method {method} needs training", "use `tutseg train` and `tutseg predict`")
    if rule not in (label_free := [each for each in RULES if each != "oracle"]):
        raise unknown("rule", rule, label_free)
    options = values(option)
    segmenter = build_method(method, **options)
    fabric = make_fabric(device, "32-true")

    def mask_of(picture: np.ndarray) -> np.ndarray:
        image = fabric.to_device(shrink(picture, size)[None].float() / 255)
        mask = choose(segmenter.segment(image), image, rule)[0, 0].cpu().numpy() > 0
        return np.asarray(Image.fromarray(mask).resize(picture.shape[1::-1], Image.Resampling.NEAREST))

    with bar("pictures") as report:
        maker = ["segment", method, options, rule, size]
        done = write_masks(pictures, out, mask_of, maker, None, overwrite, lambda *state: report("segment", *state))
    _tell_masks(*done, out)

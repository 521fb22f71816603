"""Scores of masks, and of doubts about labels."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import Json, app, bar, example, show
from tutseg.errors import InputError, printable


@app.command(
    epilog=example(
        "tutseg score masks/ truth/",
        "tutseg score masks/ truth/ --labels 1,2",
        "tutseg score masks/ truth/ --json",
        "tutseg score --noise runs/1a2b3c4d5e6f7a8b",
        "tutseg score my_doubts.npz --noise runs/1a2b3c4d5e6f7a8b",
    ),
    help="Every score of predictions against truths, under every averaging. Files are paired by name, whatever they "
    "end in; one without a partner is listed and makes the exit code 1; overlays are left out. With --noise: how well "
    "wrong labels were found in a run with label noise, by the run itself or by maps of yours.",
)
def score(
    predicted: Annotated[
        Path | None, typer.Argument(help="Folder of predicted masks; with --noise, maps: ids and (N, S, S), .npz.")
    ] = None,
    truth: Annotated[Path | None, typer.Argument(help="Folder of true masks.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a pooled batch.")] = 5,
    labels: Annotated[
        str | None, typer.Option(help="Which values are foreground in label maps, such as 1,2; else all but 0.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Score the pairs there are; exit code 0.")
    ] = False,
    noise: Annotated[Path | None, typer.Option(help="Run folder of a training with --noise.")] = None,
    as_json: Json = False,
) -> None:
    if noise is not None:
        if truth is not None:
            raise InputError(f"--noise has the truth, {truth} is too much", "give maps alone, or nothing")
        _score_noise(noise, predicted, as_json)
    elif predicted is None or truth is None:
        raise InputError(
            "two folders are needed, of predictions and of truths", "or --noise RUN; see `tutseg score --help`"
        )
    else:
        _score_masks(predicted, truth, batch, labels, allow_missing, as_json)


def _score_masks(
    predicted: Path, truth: Path, batch: int, labels: str | None, allow_missing: bool, as_json: bool
) -> None:
    """The scores of two folders; exit code 1 if files without a partner are not allowed."""
    import warnings

    from tutseg.data.masks import MaskReader, parse_labels
    from tutseg.data.scoring import match
    from tutseg.metrics import empties, per_image, table_from_counts

    found, named = match(predicted, truth), parse_labels(labels)
    readers = [MaskReader(named, what) for what in ("prediction", "truth")]
    with bar("pairs") as report:

        def masks(side: int) -> Iterator:
            for done, pair in enumerate(found.pairs, 1):
                yield readers[side].read(pair[1 + side])
                report("score", done, len(found.pairs))

        columns = per_image(masks(0), masks(1), [name for name, *_ in found.pairs])
    readers[1].check_labels(str(truth))
    try:
        readers[0].check_labels(str(predicted))
    except InputError as error:  # a network may find none
        warnings.warn(error.what, stacklevel=1)
    table, empty = table_from_counts(columns, batch), empties(columns)
    unpaired = {"prediction": found.predictions, "truth": found.truths}
    if as_json:
        scored = {
            "pairs": len(found.pairs),
            "both_empty": empty["both"],
            "empty_predictions": empty["prediction"],
            "empty_truths": empty["truth"],
            "predictions_without_truth": [path.name for path in found.predictions],
            "truths_without_prediction": [path.name for path in found.truths],
            "overlays_left_out": [path.name for path in found.overlays],
        }
        print(json.dumps({"scored": scored, **table}, indent=1))
    else:
        _show_scores(table, batch)
        print(
            f"pairs: {len(found.pairs)}; both empty, which scores as perfect: {empty['both']}; "
            f"empty predictions: {empty['prediction']}, empty truths: {empty['truth']}"
        )
        if found.overlays:
            print(f"{len(found.overlays)} overlays left out ({printable(found.overlays[0].name)})")
    for one, other in (("prediction", "truth"), ("truth", "prediction")):
        for path in unpaired[one]:
            print(f"{one} without {other}: {printable(str(path))}", file=sys.stderr)
    if any(unpaired.values()) and not allow_missing:
        counts = " and ".join(f"{len(paths)} {one}s" for one, paths in unpaired.items() if paths)
        print(f"tutseg: {counts} not scored: give their partners, or say --allow-missing", file=sys.stderr)
        raise typer.Exit(1)


def _show_scores(table: dict[str, dict[str, dict[str, float]]], batch: int) -> None:
    """Every score under every averaging, a score a row."""
    rows = [
        {"score": name} | {way: f"{cell['mean']:.4f} ± {cell['std']:.4f}" for way, cell in ways.items()}
        for name, ways in table.items()
    ]
    columns = {
        "score": "score",
        "per_image": f"per image (n = {table['dice']['per_image']['n']})",
        "batch": f"batches of {batch} pooled",
        "pooled": "all pixels pooled",
    }
    show([{**dict.fromkeys(columns, "-"), **row} for row in rows], False, "mean ± standard deviation", columns)


def _score_noise(run: Path, maps: Path | None, as_json: bool) -> None:
    """What a run's doubts, or those of a file, are worth."""
    from tutseg.training.doubts import REGIONS, score_maps, scores_of_run

    rows = scores_of_run(run) if maps is None else score_maps(maps, run)
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    shown = [
        row
        | {
            "region": REGIONS[row["region"]],
            "auc": "-" if row["auc"] is None else f"{row['auc']:.3f}",
            "wrong": f"{row['wrong']} of {row['pixels']}",
        }
        for row in rows
    ]
    columns = {name: name for name in ("step", "doubt", "region", "label") if name in rows[0]}
    columns |= {"auc": "AUC", "wrong": "wrong labels"}
    show(shown, False, "AUC of wrong against right labels: 1 finds all, .5 is chance", columns)

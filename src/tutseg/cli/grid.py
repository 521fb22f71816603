"""Many trials: run, forecast, and what came out of them."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from tutseg.cli.common import Device, Json, Overwrite, Root, app, example, show
from tutseg.errors import InputError


@app.command(
    epilog=example(
        "tutseg grid experiments/dme-fd/isic2018-96.yaml --status",
        "tutseg grid SPEC.yaml --jobs 4",
        "tutseg grid SPEC.yaml --shard 0/4",
        "tutseg grid SPEC.yaml --minutes 12",
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
    retries: Annotated[int, typer.Option(min=0, max=100, help="Further attempts at a trial that fails.")] = 1,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what is done and how long the rest takes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the trials that would run.")] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stop after so long; every training saves its state (serial).")
    ] = None,
    shard: Annotated[str, typer.Option(help="k/n: every n-th trial from the k-th, for n processes (serial).")] = "0/1",
    only: Annotated[str, typer.Option(metavar="ID", help="Only this trial.")] = "",
    collect: Annotated[
        Path | None, typer.Option(help="Write what finished trials measured below this folder, as results/ has it.")
    ] = None,
    contours: Annotated[
        Path | None, typer.Option(help="Draw what finished trials predict into this PNG; it shows the pictures.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    from tutseg.training.display import Display, duration
    from tutseg.training.evidence import write_evidence
    from tutseg.training.side_by_side import processes
    from tutseg.training.spec import only as only_one
    from tutseg.training.spec import read_spec
    from tutseg.workflow import grid as work

    whole = read_spec(spec, scale)
    trials = only_one(whole, only) if only else whole
    folder = str(root) if root else None
    if executor not in ("serial", "snakemake"):
        raise InputError(f"--executor {executor} is unknown", "choose serial or snakemake")
    if minutes and executor != "serial":
        raise InputError("--minutes is for this machine alone", "leave out --executor, or end the cluster's jobs there")
    if collect:
        print(write_evidence(whole.named, collect / whole.evidence, whole.keep, whole.maps))
    if contours:
        from PIL import Image

        from tutseg.data.made import check_free, save_made
        from tutseg.report.trained import contour_sheet

        check_free({contours: "grid --contours"}, overwrite=overwrite)
        runs = work.finished_runs(trials)
        if not runs:
            raise InputError(f"no trial of {trials.name} is finished", "run the grid first")
        sheet = io.BytesIO()
        contour_sheet(runs, root=folder).savefig(sheet, format="png")
        save_made(Image.open(sheet), contours, "grid --contours")
        print(contours)
    if collect or contours:
        return
    k, _, n = shard.partition("/")
    if not (k.isdecimal() and n.isdecimal() and int(k) < int(n)):
        raise InputError(f"--shard {shard} is no share", "write k/n with 0 <= k < n, such as 0/4")
    if dry_run:
        work.check_runnable(trials)
        rows = [
            {"name": t.id, "state": s, "command": t.command_at(folder)}
            for t, s, _ in work.states(trials)
            if s != "done"
        ]
        show(rows, as_json, f"{trials.name}: {len(rows)} of {len(trials.trials)} trials would run")
        if executor == "snakemake":
            work.run_snakemake(trials, spec, folder, device, jobs or 1, gpus, retries, profile, dry_run=True)
        return
    jobs = jobs or max(1, processes(device) // int(n))
    failed = None
    if executor == "snakemake" and not status:
        failed = work.run_snakemake(trials, spec, folder, device, jobs, gpus, retries, profile)
    elif not status:
        display = lambda calls: Display(calls, jobs, "trials")
        with work.within(minutes):
            failed = work.run_serial(trials, folder, device, (int(k), int(n)), retries, jobs, display)
    left = work.forecast(trials, jobs)
    shown = left
    if not as_json:
        unknown_yet = "unknown: no trial is finished yet"
        shown = left | {
            key: unknown_yet if left[key] is None else duration(left[key]) for key in ("seconds_spent", "seconds_left")
        }
    columns = {key: key for key in left} | {"seconds_spent": "time spent", "seconds_left": "time left, about"}
    if status or not only:  # a job of Snakemake speaks of its failure alone
        show([shown], as_json, trials.name, columns)
    errors = {row["name"]: row["error"] for row in work.failures(trials)}
    for trial in [t for t in trials.trials if t.id in errors] if failed is None else failed:
        print(f"failed: {trial.id}: {errors.get(trial.id, 'killed')} ({trial.command_at(folder)})", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)

"""Grids: what a spec lists, what runs, what a kill leaves behind, and the same through Snakemake and SLURM."""

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import slurm_stub
import yaml

from tutseg.errors import InputError
from tutseg.files import alone, held
from tutseg.nets import CARDS as NETS
from tutseg.training.evidence import write_evidence
from tutseg.training.spec import Spec, only, read_spec, scales_of
from tutseg.training.trial import make_trial
from tutseg.workflow import grid
from tutseg.workflow.grid import failures, forecast, run_serial, states

TINY = {"data": "synth", "net": "unet-s", "size": 32, "steps": 1, "batch": 2, "labelled": 0.3}
DRAWN = {"n": 30, "size": 32}
BROKEN = {"n": 2, "size": 32}  # too few to split, which only the trial itself finds out


def write(folder: Path, **spec) -> Path:
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({"name": "tiny", "about": "a test"} | spec))
    return path


def tiny(folder: Path, trials: int, broken: int = 0) -> Path:
    """A spec of so many trials of one step, and some whose pictures cannot be split."""
    also = [{"defaults": {"data_options": BROKEN}, "grid": {"seed": list(range(broken))}}] if broken else []
    defaults = TINY | {"method": "supervised", "data_options": DRAWN}
    return write(folder, defaults=defaults, grid={"seed": list(range(trials))}, also=also)


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """A folder of runs for each test."""
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def tutseg(*words: str, **options) -> subprocess.Popen:
    call = [sys.executable, "-c", "from tutseg.cli import main; main()", *map(str, words)]
    return subprocess.Popen(
        call, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def starts(runs: Path, trial: str) -> list[float]:
    return [json.loads(line)["at"] for line in (runs / trial / "attempts.jsonl").read_text().splitlines()]


def fake(trial, seconds=2.0, **fields) -> dict:
    """A result.json as `run_trial` writes it, with the scores of two pictures."""
    cell = {"mean": 0.5, "std": 0.1, "n": 2}
    return {
        "id": trial.id,
        "trial": trial.model_dump(),
        "n": {"labelled": 1, "unlabelled": 1, "validation": 1, "test": 2},
        "scores": {"net": {"dice": {"per_image": cell, "batch": cell}}},
        "selection": {"last": {"step": 1, "view": "net", "dice_per_image": 0.5, "dice_batch": 0.5}},
        "seconds": {"train": seconds, "score": 0.0},
        "provenance": {"command": trial.command, "data": "d0", "code": "c0", **fields},
    }


def collect(spec: Spec, out: Path) -> Path:
    return write_evidence(spec.named, out / spec.evidence, spec.keep)


def finish(trial, runs: Path, **fields) -> None:
    (runs / trial.id).mkdir(parents=True, exist_ok=True)
    (runs / trial.id / "result.json").write_text(json.dumps(fake(trial, **fields)))
    (runs / trial.id / "per_image.csv").write_text("id,view,dice\na,net,0.4\nb,net,0.6\n")


# -------------------------------------------------------------------------------------------------------- the spec


def test_a_spec_is_every_combination_of_every_block_over_the_defaults(tmp_path):
    path = write(
        tmp_path,
        paper="sam-kd",
        defaults=TINY,
        grid={"method": ["supervised", "cps"], "labelled": [0.1, 0.2, 0.4], "seed": [0, 1]},
        also=[{"defaults": {"method": "dme-fd", "size": 64}, "grid": {"options": [{"tau": 0.5}, {"tau": 0.7}]}}],
    )
    spec = read_spec(path)
    trials = spec.trials
    assert len(trials) == 2 * 3 * 2 + 2 and len({t.id for t in trials}) == 14
    assert Counter(t.labelled for t in trials) == {0.1: 4, 0.2: 4, 0.4: 4, 0.3: 2}
    assert [t.options for t in trials[-2:]] == [{"tau": 0.5}, {"tau": 0.7}]
    assert {(t.method, t.size) for t in trials} == {("supervised", 32), ("cps", 32), ("dme-fd", 64)}
    assert spec.evidence == Path("sam-kd/tiny")


def test_no_trial_runs_if_one_has_a_net_that_lacks_what_its_method_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(NETS, "bare", replace(NETS["unet-s"], name="bare", gives=()))
    path = write(tmp_path, defaults=TINY | {"net": "bare"}, grid={"method": ["supervised", "cct"]})
    spec = read_spec(path)
    for run in (lambda: run_serial(spec, attempt=None), lambda: grid.run_snakemake(spec, path)):
        with pytest.raises(InputError, match=r"method cct wants encode of its net, which bare does not give: .*unet-s"):
            run()


def test_a_trial_listed_twice_is_run_once(tmp_path):
    also = [{"defaults": {"method": "cps"}, "grid": {"seed": [1, 2]}}]
    path = write(tmp_path, defaults=TINY, grid={"method": ["cps"], "seed": [0, 1, 1]}, also=also)
    assert [t.seed for t in read_spec(path).trials] == [0, 1, 2]


def test_a_scale_goes_over_the_defaults_and_under_a_block(tmp_path):
    path = write(
        tmp_path,
        defaults=TINY | {"method": "cps", "steps": 5},
        also=[{"grid": {"seed": [0]}}, {"defaults": {"batch": 3}, "grid": {"seed": [1]}}],
        scales={"lab": {"steps": 2, "batch": 2}, "gpu": {"steps": 9}},
    )
    lab = read_spec(path, "lab")
    assert [(t.steps, t.batch) for t in lab.trials] == [(2, 2), (2, 3)]
    assert lab.name.endswith("-lab") and [t.steps for t in read_spec(path, "gpu").trials] == [9, 9]
    for scale in ("", "lap"):
        with pytest.raises(InputError, match="lab"):
            read_spec(path, scale)


def test_the_parent_of_a_trial_of_no_steps_is_that_trial_but_for_what_it_says(tmp_path):
    defaults = TINY | {"method": "cps", "lr": 0.003, "data_options": DRAWN, "steps": 0, "test_data": "ph2"}
    path = write(tmp_path, defaults=defaults | {"inputs": {"start": {"steps": 4, "test_data": "isic2018"}}},
                 grid={"seed": [5, 6]})  # fmt: skip
    spec = read_spec(path)
    for parent, child in zip(spec.trials[::2], spec.trials[1::2], strict=True):
        assert child.inputs == {"start": parent.id} and spec.parents[child.id] == (parent,)
        assert parent.given | {"inputs": child.inputs} == child.given | {"steps": 4, "test_data": "isic2018"}
    assert [trial.seed for trial in spec.trials] == [5, 5, 6, 6]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"gird": {"seed": [0]}}, "did you mean grid"),
        ({"also": [{"default": {}}]}, "did you mean defaults"),
        ({"grid": {"stepz": [3]}}, "did you mean steps"),
        ({"grid": {"method": ["cps"], "options": [{"net": "unet"}]}}, "in a spec as net beside options"),
        ({"grid": {"method": ["suprvised"]}}, "did you mean supervised"),
        ({"defaults": {"method": "cps", "net": "unets"}, "grid": {"seed": [0]}}, "did you mean unet"),
        ({"defaults": {"method": "cps", "noise": {"kind": "grown"}}, "grid": {"seed": [0]}}, "did you mean grow"),
        ({"defaults": {"method": "cps"}, "grid": {"seed": 3}}, "write a list"),
        ({"grid": {"method": "cps"}}, "write a list"),
        ({"defaults": {"method": "cps"}}, "lists no trial"),
        ({"grid": {"method": ["cps"], "labelled": [1.5]}}, "labelled"),
    ],
)
def test_a_wrong_spec_is_one_line_that_names_the_fault(tmp_path, spec, said):
    with pytest.raises(InputError, match=said) as caught:
        read_spec(write(tmp_path, **spec))
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path):
    (tmp_path / "broken.yaml").write_text("name: [")
    (tmp_path / "list.yaml").write_text("- 1")
    for name, said in (("absent.yaml", "cannot read"), ("broken.yaml", "not YAML"), ("list.yaml", "no spec")):
        with pytest.raises(InputError, match=said):
            read_spec(tmp_path / name)


ROOT = Path(__file__).resolve().parents[1]
SPECS = sorted((ROOT / "experiments").glob("*/*.yaml"))
DME_FD = ROOT / "experiments" / "dme-fd"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_spec_of_the_project_can_be_read_at_every_scale(path):
    for scale in scales_of(path) or [""]:
        spec = read_spec(path, scale)
        assert spec.trials and spec.paper == path.parent.name
        assert spec.name == "-".join(filter(None, (path.stem, scale)))


@pytest.mark.parametrize(
    ("scale", "counted"), [("lab", "table-4-lab"), ("gpu", "isic2018-96-rivals"), ("paper", (118, 2955 - 118))]
)
def test_epoch_matched_steps_are_the_others_times_labelled_over_unlabelled(scale, counted):
    if isinstance(counted, str):  # of a trial that was run on the same data at 4 %
        with open(ROOT / "results" / "dme-fd" / counted / "trials.csv", newline="") as file:
            row = next(
                row for row in csv.DictReader(file) if row["method"] == "supervised" and row["labelled"] == "0.04"
            )
        counted = int(row["n_labelled"]), int(row["n_unlabelled"])
    labelled, unlabelled = counted
    (alone,) = {trial.steps for trial in read_spec(DME_FD / "epochs-matched.yaml", scale).trials}
    (beside,) = {trial.steps for trial in read_spec(DME_FD / "table-4.yaml", scale).trials}
    assert alone == pytest.approx(beside * labelled / unlabelled, rel=0.01)
    for trial in read_spec(DME_FD / "epochs-matched.yaml", scale).trials:
        assert trial.options == {"matched": "epochs"}


def test_all_specs_of_the_project_are_seen():
    assert len(SPECS) >= 18 and {path.parent.name for path in SPECS} >= {"dme-fd", "s3-net", "drawn"}


def test_a_scale_can_name_rows_shrink_methods_and_replace_a_grid(tmp_path):
    also = [
        {"name": "a", "defaults": {"method": "k-means"}, "grid": {"seed": [0, 1]}},
        {"name": "k={options[k]}", "defaults": {"method": "k-means"}, "grid": {"options": [{"k": 2}, {"k": 3}]}},
        {"name": "c", "defaults": {"method": "otsu"}, "grid": {"seed": [0, 1]}},
    ]
    scale = {"size": 64, "only": ["a", "k={options[k]}"], "rows": {"a": {"pictures": 3}}, "grid": {"seed": [7]}}
    path = write(tmp_path, also=also, scales={"lab": scale | {"options_of": {"k-means": {"iterations": 5}}}})
    spec = read_spec(path, "lab")
    assert [(spec.rows[t.id], t.seed, t.pictures) for t in spec.trials] == [
        ("a", 7, 3),
        ("k=2", 0, None),
        ("k=3", 0, None),
    ]
    assert all(t.options["iterations"] == 5 and t.size == 64 for t in spec.trials)


def test_what_means_nothing_to_a_method_is_refused(tmp_path):
    with pytest.raises(InputError, match="labelled means nothing to otsu"):
        read_spec(write(tmp_path, defaults={"method": "otsu", "labelled": 0.1}, grid={"seed": [0]}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: 2026-01-01\ngrid: {method: [cps]}", "put it in quotes"),
        ("grid: {method: [cps]}\nalso: {defaults: {seed: 1}}", "also is .* it must be a list"),
        ("grid: {method: [cps]}\ndefaults: [1]", "defaults is .* it must be a mapping"),
    ],
)
def test_a_field_of_another_type_is_one_line(tmp_path, text, said):
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_spec(tmp_path / "spec.yaml")


# ------------------------------------------------------------------------------------------------ state and forecast


def test_time_left_follows_from_what_was_measured(tmp_path, runs):
    grids = {"steps": [10, 20, 40], "seed": [0, 1]}
    spec = read_spec(write(tmp_path, defaults=TINY | {"method": "cps"}, grid=grids))
    before = forecast(spec)
    assert before["seconds_left"] is None and before["missing"] == 6 and json.loads(json.dumps(before)) == before
    for trial in spec.trials:
        if trial.steps == 10:
            finish(trial, runs, seconds=3.0)
    after = forecast(spec)
    assert (after["done"], after["missing"], after["seconds_spent"]) == (2, 4, 6.0)
    assert after["seconds_left"] == pytest.approx(2 * 6.0 + 2 * 12.0)
    assert forecast(spec, at_once=4)["seconds_left"] == pytest.approx(36 / 4)


def test_a_trial_of_no_steps_has_no_rate(tmp_path, runs):
    fields = TINY | {"method": "cps", "steps": 0, "inputs": {"start": {"steps": 4}}}
    spec = read_spec(write(tmp_path, defaults=fields, grid={"seed": [0, 1]}))
    for trial, seconds in zip(spec.trials, (8.0, 50.0), strict=False):
        finish(trial, runs, seconds=seconds)
    assert forecast(spec)["seconds_left"] == 8.0  # of the other parent; the second trial's fifty are not of a training


def test_the_rate_of_a_method_is_its_own(tmp_path, runs):
    spec = read_spec(write(tmp_path, defaults=TINY, grid={"method": ["cps", "supervised"], "seed": [0, 1]}))
    for trial in spec.trials[::2]:
        finish(trial, runs, seconds=5.0 if trial.method == "cps" else 1.0)
    assert forecast(spec)["seconds_left"] == pytest.approx(6.0)


def test_states_tell_done_failed_started_and_missing(tmp_path, runs):
    spec = read_spec(tiny(tmp_path, 4))
    finish(spec.trials[0], runs)
    for trial, name in ((spec.trials[1], "failed.json"), (spec.trials[2], "state.pt")):
        (runs / trial.id).mkdir(parents=True)
        (runs / trial.id / name).write_text('{"error": "no luck"}')
    assert [state for _, state, _ in states(spec)] == ["done", "failed", "started", "missing"]
    assert [row["error"] for row in failures(spec)] == ["no luck"]
    assert failures(spec)[0]["command"].startswith("tutseg train supervised")
    (runs / spec.trials[0].id / "result.json").write_text('{"id": "cut o')
    assert next(states(spec))[1] == "missing"  # a damaged result is run again


# ---------------------------------------------------------------------------------------------------------- running


def test_failures_are_tried_again_and_the_rest_goes_on(tmp_path):
    spec = read_spec(tiny(tmp_path, 5))
    calls = Counter()

    def attempt(trial, root, device, report):
        calls[trial.seed] += 1
        return trial.seed != 2 and (trial.seed != 3 or calls[3] > 1)

    failed = run_serial(spec, retries=2, attempt=attempt)
    assert [t.seed for t in failed] == [2]
    assert calls == {0: 1, 1: 1, 2: 3, 3: 2, 4: 1}


def test_shards_share_the_trials_and_the_cheapest_come_first(tmp_path, runs):
    spec = read_spec(write(tmp_path, defaults=TINY | {"method": "cps"}, grid={"steps": [9, 3, 6], "seed": [0, 1, 2]}))
    taken = []
    for k in range(4):
        run_serial(spec, shard=(k, 4), attempt=lambda trial, *_: taken.append(trial) or True)
    assert Counter(t.id for t in taken) == dict.fromkeys((t.id for t in spec.trials), 1)
    order = []
    finish(spec.trials[3], runs)
    run_serial(spec, attempt=lambda trial, *_: order.append(trial.steps) or True)
    assert order == sorted(order) and len(order) == 8


def chain(tmp_path) -> Spec:
    """Two seeds of a trial whose parent has a parent of its own."""
    first = {"method": "supervised", "steps": 9}
    second = {"method": "supervised", "steps": 6, "inputs": {"start": first}}
    defaults = TINY | {"method": "cps", "steps": 3, "inputs": {"start": second}, "data_options": DRAWN}
    return read_spec(write(tmp_path, defaults=defaults, grid={"seed": [0, 1]}))


def test_what_a_trial_is_made_from_is_listed_and_run_first(tmp_path, runs):
    spec = chain(tmp_path)
    first, second, child = spec.trials[:3]
    assert [t.inputs.get("start") for t in spec.trials[:3]] == [None, first.id, second.id]
    assert [(t.seed, t.net, t.steps) for t in (first, second, child)] == [(0, "unet-s", n) for n in (9, 6, 3)]
    for chosen in (spec, only(spec, child.id)):
        order = []
        run_serial(chosen, attempt=lambda trial, *_, order=order: order.append(trial.id) or True)
        assert [name for name in order if name in (first.id, second.id, child.id)][:3] == [
            first.id,
            second.id,
            child.id,
        ]


def test_a_chain_runs_and_every_parent_is_pinned(tmp_path, runs):
    spec = only(chain(tmp_path), chain(tmp_path).trials[2].id)
    assert run_serial(spec, device="cpu") == []
    first, second, child = (json.loads((runs / t.id / "result.json").read_text()) for t in chain(tmp_path).trials[:3])
    assert second["provenance"]["input start"] == first["weights"][:16]
    assert child["provenance"]["input start"] == second["weights"][:16]


def test_two_processes_on_one_trial_run_it_once(tmp_path, runs, monkeypatch):
    """The second waits for the first and finds it done."""
    trial = read_spec(tiny(tmp_path, 1)).trials[0]
    ran = []

    def run_trial(trial, root, device, report):
        ran.append(trial)
        time.sleep(0.5)
        finish(trial, runs)

    monkeypatch.setattr("tutseg.training.run.run_trial", run_trial)
    child = os.fork()
    if not child:
        os._exit(0 if grid._attempt(trial, None, "cpu", lambda *_: None) else 1)
    while not (runs / trial.id / "attempts.jsonl").exists():
        time.sleep(0.01)
    assert grid._attempt(trial, None, "cpu", lambda *_: None)
    assert os.waitpid(child, 0)[1] == 0
    assert ran == [] and len(starts(runs, trial.id)) == 1


def test_what_another_process_runs_is_left_for_last(tmp_path, runs):
    spec = read_spec(tiny(tmp_path, 3))
    order = []
    with alone(runs / spec.trials[0].id):
        run_serial(spec, attempt=lambda trial, *_: order.append(trial.id) or True)
    assert order == [trial.id for trial in (*spec.trials[1:], spec.trials[0])]


def test_a_killed_process_lets_go_by_itself(tmp_path):
    folder = tmp_path / "run"
    assert not held(folder) and not folder.exists()
    code = "import sys, time; from pathlib import Path; from tutseg.files import alone; lock = alone(Path(sys.argv[1]))"
    code += "; lock.acquire(); print(flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert held(folder) and held(folder)
    holder.kill()
    holder.communicate()
    assert not held(folder)
    with alone(folder):  # nor does another thing of this process take it for free
        assert held(folder)


def measured(folder: Path) -> tuple[list[dict[str, str]], str]:
    """A collected table without what a clock decides."""
    rows = list(csv.DictReader(io.StringIO((folder / "trials.csv").read_text())))
    return [{k: v for k, v in row.items() if not k.startswith("seconds_") and k != "date"} for row in rows], (
        folder / "per_image.csv"
    ).read_text()


def slow_pair(folder: Path) -> Path:
    """A spec of two trials that take seconds, and leave snapshots as they go."""
    fixed = TINY | {"method": "supervised", "steps": 120, "evaluations": 12, "data_options": DRAWN}
    return write(folder, defaults=fixed, grid={"seed": [0, 1]})


def wait_for_training(process: subprocess.Popen, run: Path) -> None:
    """Until a trial is somewhere between its first step and its last."""
    while not list(run.glob("snapshots/0*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the trials of `slow_pair` measure when nothing happens to them, one after another in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTSEG_RUNS", str(folder / "runs"))
        spec = read_spec(slow_pair(folder))
        assert run_serial(spec, device="cpu") == []
        return measured(collect(spec, folder / "out")), [kept(folder / "runs" / t.id) for t in spec.trials]


def kept(run: Path) -> list[bytes]:
    return [(run / name).read_bytes() for name in ("weights.safetensors", "log.csv", "per_image.csv")]


@pytest.mark.slow
def test_a_killed_process_costs_its_own_trial_alone(tmp_path, runs, undisturbed):
    path = slow_pair(tmp_path)
    trials = read_spec(path).trials
    process = tutseg("grid", path, "--device", "cpu", "--jobs", "2")
    wait_for_training(process, runs / trials[0].id)
    (line,) = (runs / trials[0].id / "attempts.jsonl").read_text().splitlines()
    os.kill(json.loads(line)["pid"], signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert f"failed: {trials[0].id}: its process was killed by SIGKILL (out of memory?)" in errors
    assert [state for _, state, _ in states(read_spec(path))] == ["failed", "done"]
    assert run_serial(read_spec(path), device="cpu") == []
    assert measured(collect(read_spec(path), tmp_path / "out")) == undisturbed[0]
    assert [kept(runs / trial.id) for trial in trials] == undisturbed[1]


@pytest.mark.slow
def test_ctrl_c_saves_every_trial_that_runs(tmp_path, runs, undisturbed):
    path = slow_pair(tmp_path)
    trials = read_spec(path).trials
    process = tutseg("grid", path, "--device", "cpu", "--jobs", "2")
    wait_for_training(process, runs / trials[0].id)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors == "tutseg: stopped with 0 of 2 done: the same command goes on there\n"
    assert next(states(read_spec(path)))[1] == "started"
    assert run_serial(read_spec(path), device="cpu") == []
    assert [kept(runs / trial.id) for trial in trials] == undisturbed[1]


def test_when_the_time_is_up_a_training_is_saved_and_none_begins(tmp_path, runs, undisturbed):
    spec, begun = read_spec(slow_pair(tmp_path)), []

    def attempt(trial, root, device, report):
        begun.append(trial)
        ring = lambda stage, done, total: (stage, done) == ("train", 7) and signal.raise_signal(signal.SIGALRM)
        return grid._attempt(trial, root, device, ring)

    with grid.within(60):
        run_serial(spec, device="cpu", attempt=attempt)
    assert begun == [spec.trials[0]]
    assert [state for _, state, _ in states(spec)] == ["started", "missing"]
    assert run_serial(spec, device="cpu") == []
    assert [kept(runs / trial.id) for trial in spec.trials] == undisturbed[1]


def test_the_clock_rings_by_itself_even_where_ctrl_c_is_ignored_and_is_quiet_afterwards():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start = time.monotonic()
        with grid.within(0.002):
            time.sleep(30)
        assert time.monotonic() - start < 10
        with grid.within(None), grid.within(60):
            pass
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(KeyboardInterrupt), grid.within(60):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_the_list_for_a_gpu_ends_in_time_goes_on_and_comes_to_its_end(tmp_path, runs):
    grid_of = {"seed": [0, 1], "method": ["supervised", "dme-fd"]}
    path = write(tmp_path, paper="dme-fd", defaults=TINY | {"data_options": DRAWN, "steps": 2000}, grid=grid_of)
    tool = Path(__file__).parents[1] / "tools" / "gpu_first.py"
    line = [sys.executable, tool, "--spec", path, "--out", tmp_path / "out", "--device", "cpu"]
    assert subprocess.run([*line, "0.01"], check=False).returncode == 0  # nothing begun, nothing to collect
    start = time.monotonic()
    assert subprocess.run([*line, "0.2"], check=False).returncode == 0
    assert time.monotonic() - start < 90
    done = [state for _, state, _ in states(read_spec(path))]
    assert "done" not in done[1:] and done[3] == "missing"
    short = write(tmp_path, paper="dme-fd", defaults=TINY | {"data_options": DRAWN}, grid=grid_of)
    assert subprocess.run([*line, "9"], check=False).returncode == 0
    assert [state for _, state, _ in states(read_spec(short))] == ["done"] * 4
    rows = (tmp_path / "out" / "dme-fd" / "tiny" / "trials.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 1 + 2 * 3  # DME-FD is scored by branch and as an ensemble
    assert json.loads((tmp_path / "out" / "dme-fd" / "tiny" / "step.json").read_text())["net"] == "unet-s"


@pytest.mark.slow
def test_sixty_trials_killed_three_times_end_with_the_same_table(tmp_path, runs, monkeypatch):
    path = tiny(tmp_path, 60, broken=1)
    spec = read_spec(path)
    chance = random.Random(0)
    cut = 0
    for kill_after in (5, 20, 40):
        process = tutseg("grid", path, "--device", "cpu", "--jobs", "2")
        while sum(1 for _ in runs.glob("*/result.json")) < kill_after:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done = {p.parent.name for p in runs.glob("*/result.json")}
        assert kill_after <= len(done) < 60
        cut += sum(p.parent.name not in done for p in runs.glob("*/attempts.jsonl"))
    process = tutseg("grid", path, "--device", "cpu", "--jobs", "2", "--json")
    out, errors = process.communicate()
    broken = spec.trials[-1]
    assert process.returncode == 1
    assert f"failed: {broken.id}: 2 groups cannot be split" in errors
    assert {k: v for k, v in json.loads(out)[0].items() if k in grid.STATES} == {
        "done": 60, "failed": 1, "started": 0, "missing": 0,
    }  # fmt: skip

    tries = {trial.id: starts(runs, trial.id) for trial in spec.trials}
    ended = {trial.id: (runs / trial.id / "result.json").stat().st_mtime for trial in spec.trials[:-1]}
    assert all(start < ended[name] for name in ended for start in tries[name])
    # a kill costs the two trials it met, and nothing else is begun twice
    assert sum(len(tries[name]) for name in ended) - 60 <= cut <= 6

    whole = measured(collect(spec, tmp_path / "killed"))
    assert len(whole[0]) == 60
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "straight"))
    # every fourth trial, run here without a break, gives the very same numbers
    straight = Spec(spec.name, spec.paper, "", spec.trials[:60:4])
    assert run_serial(straight, device="cpu") == []
    again = measured(collect(straight, tmp_path / "again"))
    chosen = [trial.id for trial in straight.trials]
    assert again[0] == [row for row in whole[0] if row["id"] in chosen]
    of = lambda text: {row["trial"]: row for row in csv.DictReader(io.StringIO(text))}
    assert of(again[1]) == {name: row for name, row in of(whole[1]).items() if name in chosen}


def test_collecting_takes_two_clinics_for_two_data_sets(tmp_path, runs):
    clinics = [{**DRAWN, "clinic": clinic} for clinic in ("a", "b")]
    spec = read_spec(write(tmp_path, defaults=TINY | {"method": "supervised"}, grid={"data_options": clinics}))
    for trial, fingerprint in zip(spec.trials, ("d0", "d1"), strict=True):
        finish(trial, runs, data=fingerprint)
    with open(collect(spec, tmp_path / "out") / "trials.csv", newline="") as file:
        assert [row["fingerprint"] for row in csv.DictReader(file)] == ["d0", "d1"]


def test_collecting_keeps_what_another_machine_ran(tmp_path, runs, monkeypatch):
    spec = read_spec(tiny(tmp_path, 3))
    for trial in spec.trials[:2]:
        finish(trial, runs, data="d0")
    files = ("trials.csv", "per_image.csv")
    before = {file: (collect(spec, tmp_path / "out") / file).read_text() for file in files}
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="no trial of tiny is finished"):
        collect(spec, tmp_path / "out")
    finish(spec.trials[2], tmp_path / "elsewhere", data="d0")
    folder = collect(spec, tmp_path / "out")
    for file in files:
        text = (folder / file).read_text()
        assert text.startswith(before[file]) and len(text) > len(before[file])
    finish(spec.trials[2], tmp_path / "elsewhere", data="d1")
    with pytest.raises(InputError, match="different versions"):
        collect(spec, tmp_path / "out")


def test_collecting_refuses_nothing_and_mixed_data(tmp_path, runs):
    spec = read_spec(tiny(tmp_path, 2))
    with pytest.raises(InputError, match="no trial of tiny is finished"):
        collect(spec, tmp_path / "out")
    finish(spec.trials[0], runs)
    folder = collect(spec, tmp_path / "out")
    told = (folder / "per_image.csv").read_text()
    assert told == f"trial,view,score,a,b\n{spec.trials[0].id},net,dice,0.4000,0.6000\n"
    (row,) = csv.DictReader(io.StringIO((folder / "trials.csv").read_text()))
    assert (row["fingerprint"], row["method"], row["net"]) == ("d0", "supervised", "unet-s")
    finish(spec.trials[1], runs, data="d1")
    with pytest.raises(InputError, match="different versions of synth"):
        collect(spec, tmp_path / "out")


def test_collecting_refuses_mixed_test_data(tmp_path, runs):
    defaults = TINY | {"method": "supervised", "test_data": "ph2"}
    spec = read_spec(write(tmp_path, defaults=defaults, grid={"seed": [0, 1]}))
    finish(spec.trials[0], runs, tested="t0")
    finish(spec.trials[1], runs, tested="t0")
    rows = csv.DictReader(io.StringIO((collect(spec, tmp_path / "out") / "trials.csv").read_text()))
    assert [(row["fingerprint"], row["tested"]) for row in rows] == [("d0", "t0")] * 2
    finish(spec.trials[1], runs, tested="t1")
    with pytest.raises(InputError, match="different versions of ph2"):
        collect(spec, tmp_path / "out")


# --------------------------------------------------------------------------------------------- Snakemake and SLURM


def test_a_dry_run_names_every_target_and_runs_nothing(tmp_path, runs):
    path = tiny(tmp_path, 3)
    finish(read_spec(path).trials[0], runs)
    process = tutseg("grid", path, "--executor", "snakemake", "--gpus", "1", "--dry-run", "--json")
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    rows = json.loads(out)
    assert [row["name"] for row in rows] == [trial.id for trial in read_spec(path).trials[1:]]
    config = json.loads((runs / ".grid" / "tiny.json").read_text())
    assert config["ids"] == [row["name"] for row in rows] and config["gpu"] == 1
    assert "trial        2" in errors
    assert not list(runs.glob("*/attempts.jsonl"))


def test_what_snakemake_cannot_do_is_said_in_one_line(tmp_path, runs, monkeypatch):
    path = tiny(tmp_path, 1)
    with pytest.raises(InputError, match="use slurm, or a folder"):
        grid.run_snakemake(read_spec(path), path, profile="nowhere")
    monkeypatch.setattr(grid.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"extra \[grid\]"):
        grid.run_snakemake(read_spec(path), path)


@pytest.mark.slow
def test_snakemake_runs_the_trials_and_reports_the_failed_one(tmp_path, runs):
    path = tiny(tmp_path, 3, broken=1)
    process = tutseg("grid", path, "--executor", "snakemake", "--jobs", "2", "--device", "cpu", "--json")
    out, errors = process.communicate()
    assert process.returncode == 1
    assert (json.loads(out)[0]["done"], json.loads(out)[0]["failed"]) == (3, 1)
    broken = read_spec(path).trials[-1].id
    assert errors.splitlines()[-1].startswith(f"failed: {broken}: 2 groups cannot be split")
    assert [len(starts(runs, t.id)) for t in read_spec(path).trials] == [1, 1, 1, 2]
    again = tutseg("grid", tiny(tmp_path, 3), "--executor", "snakemake", "--device", "cpu")
    assert again.wait() == 0
    assert [len(starts(runs, t.id)) for t in read_spec(path).trials] == [1, 1, 1]


@pytest.mark.slow
def test_slurm_gets_a_job_a_trial(tmp_path, runs):
    """The plugin against stubs that run jobs here; the profile is the package's, polled faster."""
    stub = slurm_stub.install(tmp_path / "slurm")
    profile = tmp_path / "cluster"
    shutil.copytree(grid.HERE / "slurm", profile)
    with open(profile / "config.yaml", "a") as file:
        file.write("slurm-init-seconds-before-status-checks: 2\nseconds-between-status-checks: 2\n")
    path = tiny(tmp_path, 2, broken=1)
    process = tutseg(
        "grid", path, "--executor", "snakemake", "--profile", profile, "--jobs", "2", "--gpus", "2", "--retries", "0",
        "--device", "cpu", "--json", env=os.environ | {"PATH": f"{stub}:{os.environ['PATH']}"},
    )  # fmt: skip
    out, errors = process.communicate()
    assert process.returncode == 1, errors
    assert (json.loads(out)[0]["done"], json.loads(out)[0]["failed"]) == (2, 1), errors
    jobs = [job.read_text() for job in (stub / "jobs").glob("*/words")]
    assert len(jobs) == 3
    assert all("gpu" in words and "16000" in words for words in jobs)
    assert {make_trial(**json.loads((runs / t.id / "config.json").read_text())).id
            for t in read_spec(path).trials[:2]} == {t.id for t in read_spec(path).trials[:2]}  # fmt: skip

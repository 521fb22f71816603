"""A chapter's trials: the same bits and the same lines of output however many run side by side."""

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tutseg.errors import InputError
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

TINY = {
    "method": "cps",
    "net": "unet-s",
    "size": 32,
    "batch": 2,
    "labelled": 0.3,
    "data_options": {"n": 30, "size": 32},
}
TRIALS = [make_trial(**TINY, steps=8), make_trial(**TINY, steps=2, seed=1)]  # the second is finished first


def outcome(runs) -> list:
    """All that a trial measures, without what a clock decides, and its weights bit for bit."""
    kept = []
    for run in runs:
        result = json.loads((run.folder / "result.json").read_text())
        assert result == run.result
        files = [(run.folder / name).read_bytes() for name in ("weights.safetensors", "log.csv", "per_image.csv")]
        kept.append((result["id"], result["weights"], result["scores"], result["provenance"]["device"], files))
    return kept


ON_ONE_CORE = """
    import os, pickle, sys
    from pathlib import Path
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    from tutseg.training.chapter import run_trials
    from tutseg.training.side_by_side import processes
    assert processes("cpu") == 1
    run_trials(pickle.loads(bytes.fromhex(sys.argv[1])), Path("core"), device="cpu")
"""


def test_a_trial_that_is_not_tested_says_so(tmp_path, capsys):
    run_trials([make_trial(**TINY, steps=1, test="none")], tmp_path, device="cpu", jobs=1)
    assert "not tested" in capsys.readouterr().out


def test_a_trial_runs_after_those_that_it_is_made_from(tmp_path, monkeypatch):
    """In the chapter's own folder, and again if their code has changed: nothing is read from the user's runs."""
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "none"))
    fields = TINY | {"method": "supervised"}
    parent = make_trial(**fields, steps=1, seed=1)
    child = make_trial(**fields, steps=2, inputs={"start": parent.id})
    codes = {1: "a", 0: "b"}
    monkeypatch.setattr("tutseg.training.chapter.stamp_of", lambda trial: codes[trial.seed])
    first, second = run_trials([parent, child], tmp_path, device="cpu", jobs=1)
    assert second.result["provenance"]["input start"] == first.result["weights"][:16]
    codes[1] = "c"
    again = run_trials([parent, child], tmp_path, device="cpu", jobs=1)
    assert again[0].folder != first.folder and again[1].folder != second.folder
    with pytest.raises(InputError, match="is not finished in"):
        run_trials([make_trial(**fields, steps=1, inputs={"start": "0" * 16})], tmp_path, device="cpu", jobs=1)


@pytest.mark.slow
def test_results_do_not_depend_on_jobs_or_cores(tmp_path, capsys):
    two = run_trials(TRIALS, tmp_path / "two", device="cpu", jobs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:19] for line in lines] == ["cps          seed 0", "cps          seed 1"]
    one = run_trials(TRIALS, tmp_path / "one", device="cpu", jobs=1)
    assert outcome(two) == outcome(one)
    assert one[0].result["provenance"]["device"] == "cpu (1 threads)"
    given = [sys.executable, "-c", textwrap.dedent(ON_ONE_CORE), pickle.dumps(TRIALS).hex()]
    clean = {name: value for name, value in os.environ.items() if name not in ("TUTSEG_JOBS", "OMP_NUM_THREADS")}
    subprocess.run(given, cwd=tmp_path, env=clean, check=True, stdout=subprocess.DEVNULL)
    core = run_trials(TRIALS, tmp_path / "core", device="cpu", jobs=2)  # finished: nothing is started
    assert outcome(core) == outcome(one)
    capsys.readouterr()
    run_trials([*TRIALS[::-1], TRIALS[0]], tmp_path / "two", device="cpu")
    again = capsys.readouterr().out.splitlines()
    assert [line[13:19] for line in again] == ["seed 1", "seed 0", "seed 0"]


def test_the_first_error_is_raised_when_all_others_are_done(tmp_path, capsys):
    torn = [make_trial(**TINY | {"data_options": {"n": 30, "size": size}}, steps=2) for size in (31, 30)]
    with pytest.raises(InputError, match="size 31 is too small"):
        run_trials([torn[0], TRIALS[1], torn[1]], tmp_path, device="cpu", jobs=2)
    assert capsys.readouterr().out.count("\n") == 1
    assert [path.parent.name for path in Path(tmp_path).rglob("result.json")] == [TRIALS[1].id]

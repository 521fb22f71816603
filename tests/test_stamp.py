"""A stamp covers what a thing reaches, no more: what is registered beside it makes nothing stale."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tutseg.code import REGISTRIES, reach
from tutseg.methods import CARDS
from tutseg.training.stamp import stamp_of
from tutseg.training.trial import Trial, make_trial
from tutseg.weights.cards import CARDS as WEIGHTS
from tutseg.workflow.freshness import inputs

ROOT = Path(__file__).resolve().parents[1]
TRIALS = {name: make_trial(method=name) for name in CARDS} | {"other net": make_trial(method="cps", net="unet-s")}


@pytest.fixture
def project(tmp_path) -> Path:
    """The sources, notebooks and papers of this project, to be changed."""
    for name in ("src", "notebooks", "data", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return tmp_path


def stamps(project: Path) -> dict[str, str]:
    """Every trial's stamp with the sources as they are in `project` now."""
    stamp_of.__globals__["_stamp"].cache_clear()
    return {name: stamp_of(trial, project / "src/tutseg") for name, trial in TRIALS.items()}


def pages(project: Path, read: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    """Every chapter's inputs, as if its kernel had read some files."""
    return {page.stem: inputs(page, "lab", read=read) for page in sorted((project / "notebooks").glob("*.ipynb"))}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_what_is_registered_beside_them_makes_no_trial_and_no_page_stale(project):
    package = project / "src/tutseg"
    read = ("data/papers/dme-fd/paper.yaml", *(f"src/tutseg/{name}" for name in REGISTRIES))
    before = stamps(project), pages(project, read)
    for name in REGISTRIES:
        append(package / name, "\nDUMMY = 1\n")
    for folder in ("methods/co_training", "methods/one_image", "nets", "data", "losses_of_dummy"):
        (package / folder).mkdir(exist_ok=True)
        (package / folder / "dummy.py").write_text("from tutseg.losses import bce\n")
    shutil.copytree(project / "data/papers/dale", project / "data/papers/dummy")
    (project / "experiments/dummy").mkdir()
    assert (stamps(project), pages(project, read)) == before


def test_one_line_of_a_loss_makes_exactly_its_users_stale(project):
    before, package = stamps(project), project / "src/tutseg"
    stale = lambda: {name for name, stamp in stamps(project).items() if stamp != before[name]}
    append(package / "methods/co_training/ccvc.py", "\n# a line\n")
    assert stale() == {"ccvc", "dme-fd"}  # DME-FD can take CCVC's loss
    append(package / "methods/one_image/s3_net.py", "\n# a line\n")
    assert stale() == {"ccvc", "dme-fd", "s3-net"}
    append(package / "losses.py", "\n# a line\n")
    taught = {name for name, trial in TRIALS.items() if CARDS[trial.method].kind in ("semi-supervised", "noisy-label")}
    assert stale() == taught | {"s3-net"}


def test_a_net_and_a_reader_count_for_their_own_trials_alone(project):
    before, package = stamps(project), project / "src/tutseg"
    append(package / "nets/unet.py", "\n# a line\n")
    now = stamps(project)
    assert {name for name in now if now[name] != before[name]} == {"other net"}
    ours, theirs = (make_trial(method="cps", data=data) for data in ("ph2", "kvasir-seg"))
    one, other = (stamp_of(trial, package) for trial in (ours, theirs))
    append(package / "data/read_endoscopy.py", "\n# a line\n")
    stamps(project)  # forgets
    assert stamp_of(ours, package) == one and stamp_of(theirs, package) != other


def test_a_page_is_stale_by_the_entry_that_it_uses(project, monkeypatch):
    before = pages(project)
    monkeypatch.setitem(CARDS, "cps", CARDS["supervised"])
    now = pages(project)
    assert {page for page in now if now[page] != before[page]} == {
        page for page in now if "entry cps" in before[page]
    } and "entry cps" in before["01_dme_fd"]


def test_a_pretrained_file_counts_where_it_is_used(monkeypatch):
    card = WEIGHTS["efficientnet-lite0"]
    trials = {start: make_trial(method="cps", net="lite0-unet", pretrained=start) for start in (True, False)}
    before = {start: stamp_of(trial) for start, trial in trials.items()}
    monkeypatch.setitem(WEIGHTS, card.name, replace(card, sha256="0" * 64))
    stamp_of.__globals__["_stamp"].cache_clear()
    assert stamp_of(trials[True]) != before[True] and stamp_of(trials[False]) == before[False]


@pytest.mark.slow
def test_reach_is_what_python_loads(tmp_path):
    """An independent truth: the modules that a process has after it ran the imports."""
    modules = ["tutseg.training.segment", "tutseg.methods.co_training.dme_fd", "tutseg.nets.unet"]
    code = f"import importlib, json, sys; [importlib.import_module(m) for m in {modules}]\n"
    code += "print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'tutseg']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    package = Path(stamp_of.__code__.co_filename).parents[1]
    loaded = {str(Path(file).relative_to(package)) for file in json.loads(done.stdout.splitlines()[-1])}
    assert loaded - set(REGISTRIES) <= {str(file.relative_to(package)) for file in reach(modules)}


def test_a_chapter_that_audits_a_paper_reads_no_list_of_papers(tmp_path):
    log = tmp_path / "log"
    code = """
from tutseg.reads import watch_reads
watch_reads()
from tutseg.papers.contradictions import audit_paper
from tutseg.papers.verdicts import verdicts
assert audit_paper("dme-fd") and verdicts("dme-fd")
"""
    told = {"TUTSEG_ROOT": str(ROOT), "TUTSEG_READ_LOG": str(log)}
    subprocess.run([sys.executable, "-c", code], env=os.environ | told, check=True)
    read = set(log.read_text().splitlines())
    assert "data/papers/dme-fd/claims.yaml" in read and "data/papers/" not in read


def test_the_trial_that_a_stamp_is_of_decides_it():
    plain: Trial = TRIALS["cps"]
    assert stamp_of(plain) == stamp_of(make_trial(method="cps", seed=3, steps=9))
    assert stamp_of(plain) != stamp_of(make_trial(method="cps", net="unet"))
    assert stamp_of(plain) != stamp_of(make_trial(method="cps", data="isic2018"))

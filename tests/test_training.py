"""Training is a pure function of the trial: whatever interrupts it, the same bits come out; no test picture gets in."""

import csv
import dataclasses
import hashlib
import inspect
import json
import math
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import drawn_pictures, labeller_file, net_for, options_for, register_tiny, sam_file
from PIL import Image

from tutseg.data.loader import Pictures, step_indices
from tutseg.errors import InputError, Stopped
from tutseg.files import file_hash, weights_folder
from tutseg.methods import CARDS, build_method, method_class
from tutseg.methods.base import STREAMS, Method
from tutseg.training import fit as loop
from tutseg.training.checkpoint import load_weights, read_weights
from tutseg.training.evaluate import choose_weights, foreground, means_of, truth_of
from tutseg.training.fit import TrainingSet, fit, learning_rate, make_fabric, snapshot_path, snapshot_steps
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run, finished, load_run, run_trial
from tutseg.training.start import build_for, inputs_of
from tutseg.training.trial import Trial, make_trial
from tutseg.weights.cards import CARDS as WEIGHTS

TRAINED = sorted(name for name, card in CARDS.items() if card.kind in ("semi-supervised", "noisy-label"))
SYNTH = {"n": 30, "size": 32}  # one split of it: 5 % of 22 training pictures is one labelled picture, 10 % are two


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    register_tiny(monkeypatch)
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))


def training_set(labelled: int = 3, unlabelled: int = 5) -> TrainingSet:
    return TrainingSet(drawn_pictures(labelled, 1), drawn_pictures(unlabelled, 2))


def trial_of(method: str = "dme-fd", **fields) -> Trial:
    given = {
        "method": method,
        "net": net_for(method),
        "size": 32,
        "steps": 6,
        "batch": 2,
        "options": options_for(method),
    }
    roles = method_class(method).roles
    if roles:
        files = {"sam": sam_file, "labeller": labeller_file}
        given["inputs"] = {role: file_hash(files[role](weights_folder())) for role in roles}
    return make_trial(**given | fields)


def trained(trial: Trial, folder, train: TrainingSet | None = None, on_step=lambda step, steps: None) -> Method:
    torch.use_deterministic_algorithms(True)
    method = build_for(trial)
    fit(method, train or training_set(), trial, folder, make_fabric("cpu", trial.precision), on_step)
    return method


def assert_same_weights(one: Method, other: Method) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Copies, because what safetensors reads is the file itself, mapped into memory."""
    return {name: tensor.clone() for name, tensor in read_weights(folder / "weights.safetensors")[0].items()}


def assert_same_run(one: Path, other: Path) -> None:
    """Equal weights bit for bit, equal log and table byte for byte, equal scores."""
    weights = [weights_of(folder) for folder in (one, other)]
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    for name in ("config.json", "log.csv", "per_image.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, other)]
    for key in ("id", "trial", "n", "scores", "selection"):
        assert results[0][key] == results[1][key]


def rows_of(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# ---- interruptions ---------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_goes_on_where_it_was_stopped(name, tmp_path, monkeypatch):
    trial = trial_of(name, steps=4)
    whole = trained(trial, tmp_path / "whole")
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0)

    def stop(step: int, steps: int) -> None:
        if step == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        trained(trial, tmp_path / "parts", on_step=stop)
    assert_same_weights(whole, trained(trial, tmp_path / "parts"))
    assert (tmp_path / "parts/log.csv").read_bytes() == (tmp_path / "whole/log.csv").read_bytes()


# A process of its own, which forks one child an attempt; a child kills itself without warning at the n-th time it is
# about to write something, with the write undone, half done or just done.
ATTEMPTS = """
    import json, os, signal, sys
    from pathlib import Path
    import torch
    import torch._dynamo  # an optimiser's first step would, for seconds, in each child
    from tutseg.methods import method_class
    from tutseg.nets import unet
    from tutseg.training import fit
    from tutseg.training.pictures import pictures_of
    from tutseg.training.run import environment, run_trial
    from tutseg.training.stamp import stamp_of
    from tutseg.training.trial import make_trial

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def attempt(trial, folder, save_every, moment, count):
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        torch.set_num_threads(1)
        fit.SAVE_EVERY_S = save_every
        left = [count]
        def counted(call):
            def wrapped(*args):
                left[0] -= 1
                if left[0] == 0 and moment == "before":
                    die()
                if left[0] == 0 and moment == "within":  # half of the temporary file is on the disk
                    os.truncate(args[0], os.fstat(args[0]).st_size // 2)
                    die()
                result = call(*args)
                if left[0] == 0:
                    die()
                return result
            return wrapped
        if moment == "within":
            os.fsync = counted(os.fsync)
        else:
            os.replace = counted(os.replace)
        run_trial(trial, None, "cpu", folder)
        os._exit(0)

    trial = make_trial(**json.loads(sys.argv[1]))
    method_class(trial.method), environment(), stamp_of(trial)  # what is imported and read here, no child does again
    pictures_of(trial.data, None, trial.size, trial.data_options)
    whole, parts = Path("whole"), Path("parts")
    print(attempt(trial, whole, 1000.0, "before", 0))
    for save_every, moment, count in json.loads(sys.argv[2]):
        status = attempt(trial, parts, save_every, moment, count)
        print(status, (parts / "result.json").exists(), (parts / "state.pt").exists())
    print(attempt(trial, parts, 1000.0, "before", 0))
"""


@pytest.mark.slow
def test_kill_9_at_any_write_changes_no_bit(tmp_path):
    trial = {"method": "dme-fd", "net": "unet-s", "size": 32, "steps": 6, "batch": 2, "labelled": 0.1, "evaluations": 2}
    kills = [  # 1: config.json; then state.pt and log.csv by turns; snapshots after steps 3 and 6
        (0.0, "within", 2),
        (0.0, "after", 2),
        (0.0, "before", 5),
        (1000.0, "before", 6),
    ]
    given = [json.dumps({**trial, "data_options": SYNTH}), json.dumps(kills)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ATTEMPTS), *given], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, *attempts, last = done.stdout.splitlines()
    assert first == last == "0"
    assert [line.split()[:2] for line in attempts] == [[str(int(signal.SIGKILL)), "False"]] * len(kills), attempts
    assert attempts[0].endswith("False") and attempts[1].endswith("True")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert len(rows_of(tmp_path / "parts/log.csv")) == 6


def test_ctrl_c_saves_and_says_so_in_one_line(tutseg, tmp_path, monkeypatch):
    options = {"net": "tiny", "size": 32, "steps": 5, "batch": 2, "labelled": 0.1, "out": "run"}
    words = ["train", "cps", *(word for name, value in options.items() for word in (f"--{name}", value))]
    words += [word for name, value in SYNTH.items() for word in ("-d", f"{name}={value}")]
    make_batch = loop.make_batch

    def interrupted(train, trial, method, step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        return make_batch(train, trial, method, step)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(loop, "make_batch", interrupted)
    said = tutseg(*words)
    assert said.code == 2 and said.err.count("\n") == 1 and "stopped after step 3 of 5" in said.err
    assert signal.getsignal(signal.SIGINT) == before
    assert (tmp_path / "run/state.pt").exists() and not (tmp_path / "run/result.json").exists()
    assert len(rows_of(tmp_path / "run/log.csv")) == 3
    monkeypatch.setattr(loop, "make_batch", make_batch)
    assert tutseg(*words).code == 0
    words[words.index("run")] = "undisturbed"
    assert tutseg(*words).code == 0
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


# ---- the same again --------------------------------------------------------------------------------------------------


def test_same_seed_same_bits_other_seed_other_bits(tmp_path):
    torch.manual_seed(123)  # what was drawn before must not matter
    one = trained(trial_of(), tmp_path / "one")
    torch.manual_seed(456)
    assert_same_weights(one, trained(trial_of(), tmp_path / "two"))
    other = trained(trial_of(seed=1), tmp_path / "three")
    assert not torch.equal(one.branch1.head.weight, other.branch1.head.weight)


def test_a_batch_is_a_function_of_trial_and_step():
    trial, train = trial_of(), training_set()
    method = build_for(trial)

    def batch_at(step: int):
        torch.manual_seed(step)
        return loop.make_batch(train, trial, method, step)

    first = batch_at(4)
    batch_at(5)
    again = batch_at(4)
    views = [
        (b["labelled"].image, b["labelled"].mask, b["unlabelled"].image, *b["unlabelled"].strong)
        for b in (first, again)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*views, strict=True))


def test_batches_take_the_labelled_and_unlabelled_pictures_of_their_step():
    """Undo the flips: every picture of the batch is the one that `step_indices` names, with its mask."""
    trial, train = trial_of(batch=3), training_set(4, 7)
    method, ways = build_for(trial), ((), (1,), (2,), (1, 2))
    seen = {"labelled": set(), "unlabelled": set()}
    for step in range(6):
        torch.manual_seed(step)
        batch = loop.make_batch(train, trial, method, step)
        image, mask = train.labelled.floats(step_indices(4, 3, step, trial.seed))
        hidden, _ = train.unlabelled.floats(step_indices(7, 3, step, trial.seed + 1))
        for i in range(3):
            (flip,) = [axes for axes in ways if torch.equal(image[i].flip(axes), batch["labelled"].image[i])]
            assert torch.equal(mask[i].flip(flip), batch["labelled"].mask[i])
            (other,) = [axes for axes in ways if torch.equal(hidden[i].flip(axes), batch["unlabelled"].image[i])]
            seen["labelled"].add(flip)
            seen["unlabelled"].add(other)
            correlation = torch.corrcoef(
                torch.stack([batch["unlabelled"].image[i].flatten(), batch["unlabelled"].strong[0][i].flatten()])
            )[0, 1]
            assert correlation > 0.5  # the strong view is flipped as the weak one
    assert seen == {"labelled": set(ways), "unlabelled": set(ways)}


# ---- what training may see -------------------------------------------------------------------------------------------


def test_fit_has_no_way_in_for_test_pictures():
    assert list(inspect.signature(fit).parameters) == ["method", "train", "trial", "folder", "fabric", "on_step"]
    assert tuple(field.name for field in dataclasses.fields(TrainingSet)) == STREAMS


@pytest.mark.parametrize("name", TRAINED)
def test_masks_of_unlabelled_pictures_teach_nothing(name, tmp_path):
    """Noise in their place trains the same weights, because the training set lets go of them before `fit`."""
    hidden = drawn_pictures(5, 2)
    noise = torch.randint(0, 2, hidden.masks.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, other = (
        TrainingSet(drawn_pictures(3, 1), dataclasses.replace(hidden, masks=masks, truth=masks, labels=labels))
        for masks, labels in ((hidden.masks, None), (noise, torch.zeros(5, dtype=torch.long)))
    )
    for train in (first, other):
        assert train.unlabelled.masks is train.unlabelled.truth is train.unlabelled.labels is None
        assert train.labelled.truth is None and train.labelled.masks is not None
    assert hidden.masks is not None  # what the caller holds is left alone
    trial = trial_of(name, steps=2)
    assert_same_weights(trained(trial, tmp_path / "a", first), trained(trial, tmp_path / "b", other))


def test_labelled_masks_do_teach(tmp_path):
    train = training_set()
    inverted = dataclasses.replace(train.labelled, masks=1 - train.labelled.masks)
    first = trained(trial_of(steps=2), tmp_path / "a", train)
    other = trained(trial_of(steps=2), tmp_path / "b", TrainingSet(inverted, train.unlabelled))
    assert not torch.equal(first.branch1.head.weight, other.branch1.head.weight)


def test_test_pictures_change_scores_only(tmp_path, monkeypatch):
    """Other test pictures, same training part: the trained weights are the same bits."""
    trial = make_trial(method="cps", net="tiny", size=32, steps=2, batch=2, labelled=0.1, data_options=SYNTH)
    elsewhere = trial.model_copy(update={"test_data": "synth", "test_options": {"n": 3, "size": 32, "seed": 9}})
    results = [run_trial(t, None, "cpu", tmp_path / t.id) for t in (trial, elsewhere)]
    weights = [weights_of(tmp_path / t.id) for t in (trial, elsewhere)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert results[1]["n"]["test"] == 3 and results[0]["n"]["test"] == 6
    assert results[0]["scores"] != results[1]["scores"]


@pytest.mark.parametrize("name", ["supervised", "dme-fd"])
def test_a_trial_of_no_steps_scores_its_parent_elsewhere(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path))
    clinic = {"n": 3, "size": 32, "seed": 9}
    fields = {"net": "tiny", "size": 32, "steps": 2, "batch": 2, "labelled": 0.1, "data_options": SYNTH}
    parent = make_trial(method=name, **fields)
    there = make_trial(method=name, **fields, test_data="synth", test_options=clinic)
    child = make_trial(**{**there.given, "steps": 0, "seed": 7, "inputs": {"start": parent.id}})
    here, whole, scored = (run_trial(each, None, "cpu") for each in (parent, there, child))
    weights = [weights_of(each.folder) for each in (parent, child)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert scored["scores"] == whole["scores"] != here["scores"]
    assert scored["n"]["test"] == 3 and scored["selection"]["last"]["step"] == 0
    seen = pictures_of("synth", None, 32, clinic).fingerprint()[:16]
    assert scored["provenance"]["tested"] == seen and "tested" not in here["provenance"]
    assert not rows_of(child.folder / "log.csv") and Run(child.folder, scored).log() == {}
    with pytest.raises(InputError, match="trains nothing"):
        make_trial(method=name, steps=0)


def test_pictures_of_training_are_not_tested_on_under_another_name(tmp_path, write_pictures):
    """A twin in other colours and another format, of an unlabelled picture, is refused; strangers are not."""
    here, apart = write_pictures(tmp_path / "here"), write_pictures(tmp_path / "apart", count=3, seed=9)
    twins = write_pictures(tmp_path / "twins", count=3, seed=9)
    Image.open(here / "images/p04.jpg").point(lambda value: int(0.9 * value)).save(twins / "images/renamed.png")
    Image.open(here / "masks/p04.png").save(twins / "masks/renamed.png")

    def run(tested: Path, **more) -> dict:
        fields = {"method": "supervised", "net": "tiny", "size": 32, "steps": 1, "batch": 1, "data": "folder"}
        trial = make_trial(**fields, labelled=0.3, test=str(tested), **more)
        return run_trial(trial, str(here), "cpu", tmp_path / trial.id)

    assert run(apart)["n"]["test"] == 3
    with pytest.raises(InputError, match=r"1 of the 4 test pictures .* renamed \(p04 of folder\)"):
        run(twins)
    assert run(twins, protocol="paper")["n"]["test"] == 4


# ---- log, schedules --------------------------------------------------------------------------------------------------


def test_log_has_every_term_and_weight_of_every_step(tmp_path):
    trial = trial_of(steps=5)
    method = trained(trial, tmp_path)
    rows = rows_of(tmp_path / "log.csv")
    assert [int(row["step"]) for row in rows] == list(range(5))
    terms = ["sup1", "sup2", "cps1", "cps2", "dme1", "dme2", "fdl"]
    assert list(rows[0]) == ["step", *terms, "w_alpha", "w_beta"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    for step, row in enumerate(rows):  # DME-FD Eq. 9: alpha ramps up over the training, beta falls to 10^-4
        assert float(row["w_alpha"]) == pytest.approx(math.exp(-5 * (1 - (step + 1) / 5) ** 2))
        assert float(row["w_beta"]) == pytest.approx(10 ** (-4 * step / 5))
    assert method.branch1 is not method.branch2


def test_logged_terms_are_those_of_the_step(tmp_path):
    """The first row, computed by hand from the same seed and fresh weights."""
    trial = trial_of("cps", steps=1)
    trained(trial, tmp_path)
    method = build_for(trial).train()
    torch.manual_seed(trial.seed * 1_000_003)
    terms = method.losses(loop.make_batch(training_set(), trial, method, 0), loop.Progress(0, 1, 3))
    row = rows_of(tmp_path / "log.csv")[0]
    expected = {name: term.item() for name, term in terms.items()}
    assert {name: float(row[name]) for name in terms} == pytest.approx(expected, rel=1e-5)


def test_cosine_is_torchs_cosine():
    trial = trial_of(steps=40, lr=0.3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=trial.lr)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    for step in range(40):
        assert trial.lr * learning_rate("cosine", step / 40) == pytest.approx(torchs.get_last_lr()[0])
        optimizer.step()
        torchs.step()


def test_step_halves_after_50_of_80_epochs():
    factors = [learning_rate("step", step / 800) for step in range(800)]
    assert factors == [1.0] * 500 + [0.5] * 300


def test_one_cycle_rises_in_a_line_and_falls_in_a_cosine():
    factors = [learning_rate("one-cycle", step / 200) for step in range(200)]
    assert factors[0] == 0.04 and factors[15] == pytest.approx(0.52) and factors[30] == max(factors) == 1.0
    assert factors[30:] == pytest.approx([learning_rate("cosine", step / 170) for step in range(170)])


def test_the_schedule_reaches_the_optimiser(tmp_path, monkeypatch):
    seen = []
    update = Method.update

    def spy(self, batch, progress, step):
        seen.append(step.optimizers["decoder"].param_groups[0]["lr"])
        return update(self, batch, progress, step)

    monkeypatch.setattr(Method, "update", spy)
    trained(trial_of("supervised", steps=4, lr=0.2), tmp_path)
    assert seen == pytest.approx([0.1 * (1 + math.cos(math.pi * k / 4)) for k in range(4)])


@pytest.mark.parametrize(("steps", "evaluations"), [(6, 1), (6, 3), (7, 3), (2, 5)])
def test_snapshots_are_evenly_spaced_and_end_with_the_last_step(steps, evaluations):
    kept = snapshot_steps(trial_of(steps=steps, evaluations=evaluations))
    assert kept[-1] == steps and kept[0] > 0 and len(kept) == min(steps, evaluations)
    assert max(np.diff([0, *kept])) <= math.ceil(steps / len(kept))


def test_a_loss_that_is_not_finite_stops_with_its_name(tmp_path, monkeypatch):
    cls = type(build_method("supervised", net="tiny", size=32))
    monkeypatch.setattr(cls, "losses", lambda self, batch, progress: {"sup": next(self.parameters()).sum() * math.nan})
    with pytest.raises(InputError, match=r"loss term sup is not finite at step 0.*lower --lr"):
        trained(trial_of("supervised"), tmp_path)
    assert not (tmp_path / "state.pt").exists()


def test_nothing_to_learn_from_is_an_input_error(tmp_path):
    none = drawn_pictures(2, 1).take([])
    with pytest.raises(InputError, match="no labelled picture"):
        trained(trial_of(), tmp_path, TrainingSet(none, drawn_pictures(2, 2)))
    with pytest.raises(InputError, match="no unlabelled picture"):
        trained(trial_of(), tmp_path, TrainingSet(drawn_pictures(2, 1), none))
    trained(trial_of("supervised", steps=1), tmp_path, TrainingSet(drawn_pictures(2, 1), none))


# ---- run folders -----------------------------------------------------------------------------------------------------


def small(**fields) -> Trial:
    return trial_of("supervised", **{"steps": 2, "labelled": 0.1, "data_options": SYNTH, **fields})


def test_a_run_is_done_when_its_result_is_there(tmp_path):
    trial = small()
    result = run_trial(trial, None, "cpu", tmp_path / "run")
    folder = tmp_path / "run"
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "log.csv", "per_image.csv", "result.json", "weights.safetensors"}
    assert result == json.loads((folder / "result.json").read_text()) == finished(folder, trial)
    assert result["id"] == trial.id and result["trial"] == trial.model_dump()
    wanted = "command seed data split device date tutseg python torch commit code lock"
    assert set(result["provenance"]) == set(wanted.split())

    weights = weights_of(folder)
    (folder / "weights.safetensors").write_bytes(b"touched")
    assert run_trial(trial, None, "cpu", folder) == result  # taken as done: nothing is trained again
    assert (folder / "weights.safetensors").read_bytes() == b"touched"
    for damage in ("", '{"id": ', '{"id": "another"}'):  # not a result of this trial: done again
        (folder / "result.json").write_text(damage)
        again = run_trial(trial, None, "cpu", folder)
        assert all(torch.equal(weights[name], tensor) for name, tensor in weights_of(folder).items())
        assert again["scores"] == result["scores"]
    with pytest.raises(InputError, match=r"holds another trial.*--out"):
        run_trial(small(seed=1), None, "cpu", folder)


def test_a_run_begun_before_trials_had_a_field_goes_on(tmp_path):
    trial, config = small(), tmp_path / "run" / "config.json"
    result = run_trial(trial, None, "cpu", config.parent)
    older = json.loads(config.read_text())
    del older["only"]
    config.write_text(json.dumps(older))
    (config.parent / "result.json").unlink()
    assert run_trial(trial, None, "cpu", config.parent)["scores"] == result["scores"]
    del older["seed"]
    config.write_text(json.dumps(older))
    with pytest.raises(InputError, match="holds another trial"):
        run_trial(small(seed=1), None, "cpu", config.parent)


def test_the_result_is_written_last(tmp_path, monkeypatch):
    from tutseg.training import learn
    from tutseg.training import run as runs

    written = []
    atomic_write = runs.atomic_write
    monkeypatch.setattr(runs, "atomic_write", lambda path, data: (written.append(path.name), atomic_write(path, data)))
    save = learn.save_weights
    monkeypatch.setattr(learn, "save_weights", lambda path, *rest: (written.append(path.name), save(path, *rest)))
    run_trial(small(), None, "cpu", tmp_path / "run")
    assert written == ["config.json", "weights.safetensors", "per_image.csv", "result.json"]


def test_nested_labelled_subsets_reach_training(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("tutseg.training.learn.fit", lambda method, train, *rest: seen.append(train) or 1 / 0)
    for labelled in (0.05, 0.1, 0.5, 1.0):
        with pytest.raises(ZeroDivisionError):
            run_trial(small(labelled=labelled), None, "cpu", tmp_path / str(labelled))
    parts = [(set(train.labelled.ids), set(train.unlabelled.ids)) for train in seen]
    for (few, rest), (more, less) in pairwise(parts):
        assert few < more and few | rest == more | less
    assert [len(few) for few, _ in parts] == [1, 2, 11, 22] and not parts[-1][1]


def test_a_pilot_scores_the_validation_part_and_no_test_picture(tmp_path):
    trial = small(scored="validation", labelled=0.5)
    result = run_trial(trial, None, "cpu", tmp_path)
    pictures = pictures_of("synth", None, 32, trial.data_options)
    split = split_of(trial, pictures)
    with open(tmp_path / "per_image.csv", newline="") as file:
        scored = {row["id"] for row in csv.DictReader(file)}
    assert scored == {pictures.ids[i] for i in split.validation} and result["n"]["test"] == len(scored)
    assert not scored & {pictures.ids[i] for i in split.test}


def test_a_loaded_run_predicts_what_was_scored(tmp_path):
    trial = trial_of("cps", steps=3, labelled=0.5, data_options=SYNTH)
    result = run_trial(trial, None, "cpu", tmp_path)
    method, loaded = load_run(tmp_path)
    assert loaded == trial and not method.training
    pictures = pictures_of("synth", None, 32, SYNTH)
    test = pictures.take(split_of(trial, pictures).test)
    for view in method.views:
        prediction = foreground(method, test, view, make_fabric("cpu", "32-true")).ravel()
        both = (prediction & truth_of(test).ravel()).sum()
        dice = 2 * both / (prediction.sum() + truth_of(test).sum())
        assert result["scores"][view]["dice"]["pooled"]["mean"] == pytest.approx(dice)


@pytest.fixture
def first(tmp_path, monkeypatch) -> Trial:
    """A finished trial in the folder of runs."""
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path))
    run_trial(small(), None, "cpu")
    return small()


def test_start_copies_the_trained_net_into_every_branch(first):
    tensors, about = read_weights(first.folder / "weights.safetensors")
    assert about["method"] == "supervised"
    method = build_for(trial_of("cps", inputs={"start": first.id}))
    for branch in (method.branch1, method.branch2):
        assert all(torch.equal(tensors[f"net.{name}"], tensor) for name, tensor in branch.state_dict().items())
    with pytest.raises(InputError, match="no network of this trial has the shape"):
        build_for(trial_of("cps", net="unet-s", inputs={"start": first.id}))


def test_a_parent_is_pinned_and_unchanged_or_refused(first, tmp_path, monkeypatch):
    for unpinned in ("first", str(first.folder), first.id.upper()):
        with pytest.raises(InputError, match="pin it"):
            trial_of("cps", inputs={"start": unpinned})
    with pytest.raises(InputError, match="is not finished in"):
        build_for(trial_of("cps", inputs={"start": "0" * 16}))
    weights = first.folder / "weights.safetensors"
    content = weights.read_bytes()
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(first.folder))
    pinned = hashlib.sha256(content).hexdigest()
    assert inputs_of(trial_of("cps", inputs={"start": pinned})) == {"start": weights}
    card = WEIGHTS["efficientnet-lite0"]
    assert inputs_of(trial_of("cps", inputs={"start": card.sha256}))["start"].name in card.file
    with pytest.raises(InputError, match=r"no file below .* has SHA-256 .*: download .*/sam_vit_b"):
        build_for(trial_of("cps", inputs={"start": WEIGHTS["sam-b"].sha256}))
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="has changed since trial"):
        build_for(trial_of("cps", inputs={"start": first.id}))
    with pytest.raises(InputError, match=r"no file below .* has SHA-256"):
        build_for(trial_of("cps", inputs={"start": pinned}))


def test_an_id_follows_from_what_is_not_at_its_default(monkeypatch):
    plain, fields, before = trial_of(), trial_of().model_dump(), trial_of().id
    assert make_trial(**fields).id == plain.id and trial_of(lr=0.001).id == plain.id
    assert trial_of(options={"alpha_max": 1}).id == trial_of(options={"alpha_max": 1.0}).id != plain.id

    class Wider(Trial):
        neutral: str = ""

    assert Wider(**fields).id == plain.id and Wider(**fields, neutral="x").id != plain.id
    monkeypatch.setattr("tutseg.training.trial.SCHEMA", 99)
    assert trial_of().id != before


def test_ways_of_choosing_weights(tmp_path):
    """Three kept states of known masks: all black, all white, half white; each way picks its own."""

    class Painter(Method):
        views = ("left", "all")

        def __init__(self) -> None:
            super().__init__()
            self.level = torch.nn.Parameter(torch.zeros(1))

        def predict(self, images, view=None):
            p = self.level.expand(len(images), 1, *images.shape[2:]).clone()
            if view == "left":
                p[..., images.shape[3] // 2 :] = 0
            return p

    trial = trial_of(steps=3, evaluations=3)
    method = Painter()
    for step, level in ((1, 0.2), (2, 0.9), (3, 0.1)):
        torch.nn.init.constant_(method.level, level)
        loop.save_weights(snapshot_path(tmp_path, step), method, {})

    def painted(left_half: bool, count: int = 5) -> Pictures:
        masks = torch.ones(count, 1, 8, 8, dtype=torch.uint8)
        if left_half:
            masks[..., 4:] = 0
        ids = tuple(str(i) for i in range(count))
        return Pictures(torch.zeros(count, 3, 8, 8, dtype=torch.uint8), ids, ids, "painted", truth=masks)

    fabric = make_fabric("cpu", "32-true")

    def measure(method: Method, pictures: Pictures, view: str) -> dict[str, float]:
        return means_of(foreground(method, pictures, view, fabric), truth_of(pictures), "dice")

    chosen = choose_weights(method, trial, tmp_path, painted(True), painted(False), measure)
    assert chosen["last"] == {
        "step": 3, "view": "left", "dice_per_image": 0, "dice_batch": 0, "on_validation": 0,
    }  # fmt: skip
    assert chosen["validation"] == {
        "step": 2,
        "view": "left",
        "dice_per_image": pytest.approx(2 / 3),
        "dice_batch": pytest.approx(2 / 3),
        "on_validation": 1,
    }
    assert chosen["test"] == {"step": 2, "view": "all", "dice_per_image": 1, "dice_batch": 1, "on_validation": 1}
    none = painted(True).take([])
    chosen = choose_weights(method, trial, tmp_path, none, painted(False), measure)
    assert set(chosen) == {"last", "test"} and "on_validation" not in chosen["last"]


def test_equal_weights_are_equal_files(tmp_path):
    method, about = (
        build_method("supervised", net="tiny", size=32),
        {"trial": "t", "net": "tiny", "method": "supervised"},
    )
    for number in range(8):
        loop.save_weights(tmp_path / str(number), method, about)
    assert len({(tmp_path / str(number)).read_bytes() for number in range(8)}) == 1
    assert read_weights(tmp_path / "0")[1] == about


def test_weights_of_another_net_are_refused(tmp_path):
    loop.save_weights(tmp_path / "w.safetensors", build_method("supervised", net="tiny", size=32), {})
    with pytest.raises(InputError, match="another network"):
        load_weights(tmp_path / "w.safetensors", build_method("supervised", net="unet-s", size=32))


def test_the_id_follows_from_the_fields_alone():
    trial = trial_of(options={"tau": 0.9, "combine": "self"})
    assert trial.id == trial_of(options={"combine": "self", "tau": 0.9}).id
    assert trial.id != trial_of(options={"combine": "self", "tau": 0.95}).id
    assert len({trial_of(seed=s).id for s in range(5)}) == 5
    assert isinstance(Stopped("x"), InputError)

"""Which labels a network holds to be wrong: areas against pairs counted one by one, files against what they hold."""

import json

import numpy as np
import pytest
import torch
from drawn import drawn_pictures, register_tiny
from typer.testing import CliRunner

from tutseg.cli import app
from tutseg.data.noise import with_noise
from tutseg.errors import InputError
from tutseg.methods import build_method
from tutseg.training.doubts import doubts_of, score_doubt, score_maps, scores_of_run, surroundings
from tutseg.training.evidence import write_evidence
from tutseg.training.fit import make_fabric
from tutseg.training.run import run_trial
from tutseg.training.trial import make_trial


def test_areas_against_pairs():
    rng = np.random.default_rng(0)
    masks = np.zeros((2, 16, 16), bool)
    masks[:, :, 5:] = True
    changed, doubt = rng.random(masks.shape) < 0.3, rng.integers(0, 9, masks.shape) / 9.0
    near = np.zeros_like(masks)
    near[:, :, :8] = True
    assert np.array_equal(surroundings(masks), near)
    rows = {(row["region"], row["label"]): row for row in score_doubt(doubt, masks, changed)}
    for region, inside in (("picture", np.ones_like(masks)), ("outline", near)):
        for label in (False, True):
            wrong, right = (doubt[inside & (masks == label) & (changed == c)] for c in (True, False))
            won = (wrong[:, None] > right).mean() + (wrong[:, None] == right).mean() / 2
            row = rows[region, "lesion" if label else "background"]
            assert row["auc"] == pytest.approx(won)
            assert (row["wrong"], row["pixels"]) == (len(wrong), len(wrong) + len(right))
    assert all(row["auc"] is None for row in score_doubt(doubt, masks, np.zeros_like(masks)))


def test_surroundings_of_a_size_that_squares_do_not_fill():
    masks = np.zeros((1, 13, 11), bool)
    assert not surroundings(masks).any()
    masks[0, 12, 10] = True
    near = surroundings(masks)
    assert near.shape == masks.shape and near[0, 8:, 8:].all() and near.sum() == 5 * 3


def test_a_methods_own_doubt_is_the_mean_over_its_batches_and_moves_nothing(monkeypatch):
    register_tiny(monkeypatch)
    torch.manual_seed(0)
    method = build_method("dale", net="tiny", size=32, patch=8)
    pictures, _ = with_noise(drawn_pictures(6, 0), {"kind": "shrink", "rate": 0.1})
    trial = make_trial(method="dale", net="tiny", size=32, batch=6, lr=0.01, options={"patch": 8})
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    found = doubts_of(method, pictures, trial, make_fabric("cpu", "32-true"), passes=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    images, masks = pictures.floats(torch.arange(6))
    own = method.train().doubts(images, masks, 0.01)["omega"][:, 0].numpy()  # all pictures are in each batch
    np.testing.assert_allclose(found["omega"], own, atol=1e-4 * np.abs(own).max())
    p = method.eval().predict(images)[:, 0].detach().numpy()
    y = masks[:, 0].numpy()
    np.testing.assert_allclose(found["loss"], -(y * np.log(p) + (1 - y) * np.log(1 - p)), rtol=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run with label noise, in its folder of runs."""
    runs = tmp_path_factory.mktemp("runs")
    drawn = {"data": "synth", "data_options": {"n": 20, "size": 32}, "labelled": 6}
    net = {"net": "unet-s", "size": 32, "batch": 6, "options": {"patch": 8, "bins": 32}}
    trial = make_trial(method="dale", steps=4, evaluations=2, noise={"flip": 0.5}, **drawn, **net)
    run_trial(trial, None, "cpu", runs / trial.id)
    return runs / trial.id, trial


def test_a_run_with_noise_tells_what_it_doubts_after_every_kept_step(run, monkeypatch):
    folder, trial = run
    rows = scores_of_run(folder)
    assert {row["step"] for row in rows} == {2, 4} and {row["doubt"] for row in rows} == {"loss", "omega"}
    assert len(rows) == 2 * 2 * 2 * 2 and all(0 <= row["auc"] <= 1 for row in rows)
    last = [{key: value for key, value in row.items() if key != "step"} for row in rows if row["step"] == 4]
    for row, again in zip(last, score_maps(folder / "doubts.npz", folder), strict=True):
        assert row | {"auc": 0} == again | {"auc": 0} and row["auc"] == pytest.approx(again["auc"], abs=1e-4)
    with np.load(folder / "noise.npz") as noise:
        perfect = {"ids": noise["ids"][::-1], "mine": noise["changed"][::-1].astype(float)}
    np.savez(folder / "mine.npz", **perfect)
    assert all(row["auc"] == 1 for row in score_maps(folder / "mine.npz", folder))
    monkeypatch.setenv("TUTSEG_RUNS", str(folder.parent))
    evidence = write_evidence([("", trial)], folder / "evidence")
    first = (evidence / "doubts.csv").read_text().splitlines()
    assert first[0] == "trial,step,doubt,region,label,auc,wrong,pixels" and len(first) == 17
    assert first[1].startswith(f"{trial.id},2,loss,picture,lesion,")


def test_the_command_shows_and_scores(run):
    folder, _ = run
    shown = CliRunner().invoke(app, ["score", "--noise", str(folder)], standalone_mode=False)
    assert shown.exit_code == 0 and "omega" in shown.output and "wrong labels" in shown.output
    maps = str(folder / "doubts.npz")
    asked = CliRunner().invoke(app, ["score", maps, "--noise", str(folder), "--json"], standalone_mode=False)
    assert json.loads(asked.output) == score_maps(folder / "doubts.npz", folder)


def test_what_cannot_be_scored_is_named(run, tmp_path):
    folder, _ = run
    with np.load(folder / "noise.npz") as noise:
        ids, changed = noise["ids"], noise["changed"]
    for arrays, says in (
        ({"ids": ids[1:], "mine": changed[1:]}, f"has no map of {ids[0]}"),
        ({"ids": ids, "mine": changed[:, ::2]}, "mine is of 16 x 32 pixels: give maps of 32 x 32"),
        ({"ids": ids, "mine": changed[1:]}, r"mine is \(.*: give a map of each of its"),
        ({"mine": changed}, "has no ids"),
        ({"ids": np.array("a"), "mine": changed}, "has no ids"),
        ({"ids": ids, "mine": changed.astype(str)}, "mine holds no numbers"),
        ({"ids": ids, "mine": np.full(changed.shape, np.nan)}, "mine has values that are not finite"),
    ):
        np.savez(tmp_path / "maps.npz", **arrays)
        with pytest.raises(InputError, match=says):
            score_maps(tmp_path / "maps.npz", folder)
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "cut.npz").write_bytes((folder / "noise.npz").read_bytes()[:200])
    np.save(tmp_path / "one.npy", changed)
    for maps, place, says in (
        *((tmp_path / name, folder, "is no file of maps") for name in ("empty.npz", "cut.npz", "one.npy")),
        (tmp_path / "text.npz", folder, "is no file of maps"),
        (tmp_path / "none.npz", folder, "does not exist"),
        (folder / "doubts.npz", tmp_path, "has no noise.npz: give the folder of a run with label noise"),
    ):
        with pytest.raises(InputError, match=says):
            score_maps(maps, place)
    for words in (["score"], ["score", "a"], ["score", "a", "b", "--noise", str(folder)]):
        assert isinstance(CliRunner().invoke(app, words, standalone_mode=False).exception, InputError)

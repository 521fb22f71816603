"""Student and teacher over a training: the similarity against its definition, SAM's side as it was at each step."""

import numpy as np
import pytest
import torch
from drawn import drawn_pictures, register_tiny, sam_file

from tutseg.files import file_hash
from tutseg.training.agreement import at_step, feature_cosine, gram_cosine, outputs_of, seen_positions
from tutseg.training.run import Run, run_trial
from tutseg.training.trial import make_trial


def test_the_cosine_is_that_of_the_centred_gram_matrices():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20, 5)), rng.normal(2, 1, (20, 3))
    centre = np.eye(20) - 1 / 20
    left, right = (centre @ each @ each.T @ centre for each in (a, b))
    expected = (left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum())
    assert 0 < expected < 1 and gram_cosine(a, b) == pytest.approx(expected)
    turn = np.linalg.qr(rng.normal(0, 1, (5, 5)))[0]
    assert gram_cosine(a, 3 * a @ turn + 7) == pytest.approx(1)
    assert gram_cosine(a, np.ones((20, 3))) == 0


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """Four steps of SAM-KD with small networks, weights kept after every second one."""
    register_tiny(monkeypatch)
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))
    trial = make_trial(
        method="sam-kd", net="tiny-sdf", inputs={"sam": file_hash(sam_file(tmp_path / "weights"))},
        options={"sam": "tiny-sam"}, size=32, steps=4, batch=2, labelled=2, evaluations=2, lr=0.05,
        data_options={"n": 30, "size": 32},
    )  # fmt: skip
    return Run(tmp_path / "run", run_trial(trial, None, "cpu", tmp_path / "run", keep_snapshots=True))


def test_sam_and_student_are_those_of_each_step(run):
    pictures = drawn_pictures(4, seed=0)
    images, _ = pictures.floats(torch.arange(4))
    last = run.method()
    method = at_step(run, 4)
    with torch.no_grad():
        assert torch.equal(method.predict(images), last.predict(images))
        assert not torch.equal(at_step(run, 2).predict(images), last.predict(images))
        assert not torch.equal(method.see(images), method.sam.embed(images))
        assert torch.equal(at_step(run, 0).see(images), method.sam.embed(images))  # adapters begin as nothing
    said = outputs_of(method, pictures)
    assert np.allclose(1 / (1 + np.exp(-said["main"])), last.predict(images)[:, 0].detach().numpy(), atol=1e-6)
    assert said["sam"].shape == said["sdf"].shape == (4, 32, 32) and np.abs(said["sdf"]).max() <= 1


def test_the_cosine_is_followed_over_the_kept_steps(run):
    pictures = drawn_pictures(4, seed=0)
    sees = {"plain": lambda method, x: method.sam.embed(x), "adapted": lambda method, x: method.see(x)}
    found = feature_cosine(run, pictures, sees)
    plain, adapted = found["plain"], found["adapted"]
    assert found["step"].tolist() == [0, 2, 4]
    assert plain[0] == pytest.approx(adapted[0]) and plain[2] != adapted[2]
    z, lesion = seen_positions(lambda method, x: method.see(x), at_step(run, 4), pictures)
    assert len(z) == len(lesion) and 0 <= lesion.min() < lesion.max() <= 1

"""Whether Segment Anything teaches or echoes: each number against one counted by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import drawn_pictures, register_tiny, sam_file

from tutseg.errors import InputError
from tutseg.files import canonical_json, file_hash, json_of
from tutseg.methods import build_method
from tutseg.nets import Output
from tutseg.report.echo import echo_figure, echo_table, moments, moved_figure, of_training, of_truth
from tutseg.training import echo
from tutseg.training.echo import SHARES, Echo, echoes, hear, make_echoes, read_echoes
from tutseg.training.run import Run, run_trial
from tutseg.training.trial import make_trial


def made(seed: int, step: int, moved: float | None, prompt: np.ndarray, answer: np.ndarray) -> Echo:
    ids = tuple(f"p{i}" for i in range(len(prompt)))
    return Echo("synth", "synth", seed, step, moved, ids, prompt, answer, prompt / 2, {"command": "tutseg train"})


@pytest.fixture
def found() -> list[Echo]:
    """Two seeds whose answers are 0.3 + 0.6 prompt after 10 steps and echoes after 20; then the truth."""
    prompts = [np.linspace(0.2, 0.8, 7), np.linspace(0.4, 1.0, 7)]
    said = [made(seed, 20, None, prompt, prompt) for seed, prompt in enumerate(prompts)]
    said += [made(seed, 10, None, prompt, 0.3 + 0.6 * prompt) for seed, prompt in enumerate(prompts)]
    said += [
        made(seed, 20, share, np.full(7, 1 - 2 * share), np.full(7, 0.9)) for share in (0.1, 0.0) for seed in (0, 1)
    ]
    return said


def test_a_line_and_a_gain_tell_a_teacher_from_an_echo(found):
    early, late = of_training(found)
    assert (early.step, late.step) == (10, 20) and early.prompt.shape == (2, 7)
    assert early.line() == pytest.approx((0.6, 0.3)) and late.line() == pytest.approx((1, 0))
    assert early.slopes() == pytest.approx([0.6, 0.6])
    assert early.gain().value == pytest.approx(0.3 - 0.4 * (0.5 + 0.7) / 2)
    assert late.gain().value == 0 and late.gain("plain").value == pytest.approx(-0.3)
    assert [moment.moved for moment in of_truth(found)] == [0.0, 0.1]
    assert [moment.name for moment in moments(found)] == [
        "after 10 steps", "after 20 steps", "truth, moved by 0 %", "truth, moved by 10 %",
    ]  # fmt: skip


def test_table_and_figures_say_the_numbers(found):
    rows = {row[0]: row for row in echo_table(found).rows}
    assert rows["after 10 steps"][1:4] == ("60.0", "66.0", "30.0") and rows["after 10 steps"][5:7] == (
        "0.60 (0.60 to 0.60)",
        "30.0",
    )
    assert rows["after 20 steps"][4].startswith("+0.0") and rows["after 20 steps"][7] == "2 × 7"
    assert rows["truth, moved by 10 %"][1:3] == ("80.0", "90.0") and rows["truth, moved by 0 %"][5:7] == ("–", "–")
    alt = echo_figure(found).alt
    assert "after 10 steps" in alt and "slope 0.60, intercept 0.30" in alt and "7 pictures and 2 seeds" in alt
    assert "moved by 10 %: the prompt 80.0, SAM as adapted 90.0" in moved_figure(found).alt
    blank = [made(2, 10, None, np.zeros(7), np.linspace(0, 1, 7))]
    assert echo_table(found + blank).rows[0][5] == "0.60 (0.60 to 0.60)"  # a seed that asks with nothing has no slope
    assert echo_table(blank).rows[0][5:7] == ("–", "–")
    one_seed = [each for each in found if each.seed == 0]
    assert echo_table(one_seed).rows[0][5] == "0.60" and "1 seed," in echo_figure(one_seed).alt


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    register_tiny(monkeypatch)
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))
    return sam_file(tmp_path / "weights")


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def test_prompt_and_answers_are_those_of_one_picture_at_a_time(file):
    torch.manual_seed(0)
    method = build_method("sam-kd", {"sam": file}, net="tiny-sdf", size=32, sam="tiny-sam", prompt="mask").eval()
    pictures = drawn_pictures(5, 1)
    red = iter((pictures.images[:, :1] / 255 - 0.5).split(2))
    said = hear(method, pictures, lambda truth: Output(next(red), {"sdf": truth}), batch=2)
    with torch.inference_mode():
        for i in range(5):
            image = pictures.images[i : i + 1].float() / 255
            truth, prompt = pictures.truth[i, 0].numpy() > 0, image[:, :1] - 0.5
            tokens = method.psi(method.see(image))
            answer = method.sam.decode(method.see(image), mask_logits=prompt, tokens=tokens)
            plain = method.sam(image, mask_logits=prompt)
            for dices, logits in zip(said, (prompt, answer.logits, plain.logits), strict=True):
                assert dices[i] == pytest.approx(dice(logits[0, 0].numpy() >= 0, truth), abs=1e-6)


def test_a_spec_is_asked_at_its_snapshots_and_by_the_truth(file, tmp_path, monkeypatch):
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(echo, "experiments", lambda: tmp_path)
    monkeypatch.setattr(echo, "results_of", lambda spec: tmp_path / "results" / spec.evidence)
    fields = {"net": "tiny-sdf", "size": 32, "batch": 2, "labelled": 2, "data_options": {"n": 30, "size": 32}}
    fields |= {"method": "sam-kd", "inputs": {"sam": file_hash(file)}, "steps": 30, "evaluations": 2, "lr": 0.01}
    spec = tmp_path / "sam-kd/tiny.yaml"
    spec.parent.mkdir()
    spec.write_text(canonical_json({"defaults": fields, "grid": {"options": [{"sam": "tiny-sam"}]}}))
    path = make_echoes("tiny")
    assert path == tmp_path / "results/sam-kd/echo/tiny.csv"
    again = read_echoes(path)

    (folder,) = (tmp_path / "runs").glob("*/")
    run = Run(folder, json_of(folder / "result.json"))
    found = echoes(run)
    assert [(each.step, each.moved) for each in found] == [
        (0, None), (15, None), (30, None), *((30, share) for share in SHARES)
    ]  # fmt: skip
    assert found[0].ids == tuple(run.per_image()[0])
    assert np.any(found[0].prompt != found[1].prompt) and np.any(found[1].prompt != found[2].prompt)
    truths = found[3:]
    assert np.all(truths[0].prompt == 1) and np.all(np.diff([each.prompt.mean() for each in truths]) < 0)
    assert [(a.step, a.moved, a.ids, a.origin) for a in again] == [(a.step, a.moved, a.ids, a.origin) for a in found]
    for one, other in zip(found, again, strict=True):
        assert other.answer == pytest.approx(one.answer, abs=1e-4)

    few = echoes(run, pictures=2)
    assert few[2].ids == found[2].ids[:2] and few[2].answer == pytest.approx(found[2].answer[:2])
    shutil.rmtree(folder / "snapshots")
    with pytest.raises(InputError, match="kept no snapshots"):
        echoes(run)


def test_a_run_without_a_mask_prompt_is_refused(file, tmp_path):
    fields = {"size": 32, "batch": 2, "steps": 1, "labelled": 2, "data_options": {"n": 30, "size": 32}}
    trial = make_trial(method="supervised", net="tiny", **fields)
    run = Run(tmp_path / "run", run_trial(trial, None, "cpu", tmp_path / "run", keep_snapshots=True))
    with pytest.raises(InputError, match="no mask prompt"):
        echoes(run)

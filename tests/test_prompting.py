"""Teaching a net what prompts mean: the prompts that a mask gives, what is minimised, and how answers are scored."""

import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.synth import Synth
from tutseg.errors import InputError
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.methods.distillation import prompting
from tutseg.methods.distillation.common import box_of
from tutseg.nets import Output, build
from tutseg.report.promptable import promptability
from tutseg.training.evidence import write_evidence
from tutseg.training.fit import make_fabric
from tutseg.training.prompt import ask, siblings
from tutseg.training.run import load_run, run_trial
from tutseg.training.trial import make_trial

SIZE = 32
SCENES = {"kind": "scenes", "n": 24, "size": SIZE, "without": ["alone"]}


@pytest.fixture(scope="module")
def masks() -> Tensor:
    """Targets of drawn scenes, ``(40, 1, 64, 64)``."""
    drawn = Synth(40, size=64, kind="scenes")
    return torch.from_numpy(np.stack([sample.mask for sample in drawn])[:, None]).float()


def dice(a: Tensor, b: Tensor) -> Tensor:
    return 2 * (a * b).sum((1, 2, 3)) / (a.sum((1, 2, 3)) + b.sum((1, 2, 3)))


def test_a_rough_mask_is_near_the_true_one_and_far_from_it(masks):
    logits = prompting.rough(masks, np.random.default_rng(0))
    assert logits.shape == masks.shape and logits.min() == -8 and logits.max() == 8
    near = dice((logits > 0).float(), masks)
    assert 0.7 < near.mean() < 0.9 and near.min() > 0.4 and near.max() < 1
    again, other = (prompting.rough(masks, np.random.default_rng(seed)) for seed in (0, 1))
    assert torch.equal(logits, again) and not torch.equal(logits, other)
    hard = ((logits.abs() == 8).float().mean((1, 2, 3)) > 0.9).float().mean()
    assert 0.1 < hard < 0.9  # from hard masks to a haze


@pytest.mark.parametrize(("down", "across"), [(0, 0), (3, 0), (0, -2), (-4, 5)])
def test_a_mask_moves_and_what_leaves_the_picture_is_lost(masks, down, across):
    mask = masks[0, 0].numpy() > 0
    mask[0, 0] = mask[-1, -1] = True
    expected = ndimage.shift(mask.astype(float), (down, across), order=0) > 0.5
    np.testing.assert_array_equal(prompting.moved(mask, down, across), expected)


def test_a_careless_box_is_a_tenth_off(masks):
    torch.manual_seed(0)
    box = torch.tensor([[0.3, 0.4, 0.7, 0.6]]).expand(4000, -1)
    off = prompting.loose(box, 64) - box
    torch.testing.assert_close(off.std(0), torch.tensor([0.04, 0.02, 0.04, 0.02]), rtol=0.05, atol=0)
    assert off.mean(0).abs().max() < 0.003
    thin = prompting.loose(torch.tensor([[0.99, 0.0, 1.0, 0.01]]).expand(500, -1), 64)
    assert thin.min() >= 0 and thin.max() <= 1 and (thin[:, 2:] - thin[:, :2]).min() >= 1 / 64 - 1e-6


def test_the_deepest_pixel_by_brute_force(masks):
    for mask in masks[:6]:
        x, y, on = prompting.deepest(mask[None])[0, 0].tolist()
        row, column = int(y * 64), int(x * 64)
        inside, outside = (mask[0] > 0).nonzero().float(), (mask[0] == 0).nonzero().float()
        reach = torch.cdist(inside, outside).amin(1)
        assert on == 1 and mask[0, row, column] == 1
        assert torch.cdist(torch.tensor([[row, column]]).float(), outside).min() == reach.max()


def test_a_correction_is_a_click_on_what_was_wrong(masks):
    torch.manual_seed(0)
    answer = prompting.rough(masks, np.random.default_rng(0))
    answer[0] = 2 * masks[0] - 1  # nothing wrong: anywhere
    wrong = (answer > 0) != (masks > 0)
    for _ in range(5):
        for i, (x, y, on) in enumerate(prompting.correction(answer, masks)[:, 0].tolist()):
            at = i, 0, int(y * 64), int(x * 64)
            assert on == masks[at] and (wrong[at] or not wrong[i].any())


def test_the_loss_by_loops(masks):
    torch.manual_seed(0)
    heads = {"masks": torch.randn(3, 4, 16, 16), "iou": torch.rand(3, 4)}
    out, truth = Output(heads["masks"][:, :1], heads), masks[:3]
    for lone_click in (False, True):
        found = prompting.answer_losses(out, truth, lone_click)
        for i in range(3):
            each = []
            for k in (1, 2, 3) if lone_click else (0,):
                z = F.interpolate(heads["masks"][i : i + 1, k : k + 1], (64, 64), mode="bilinear")[0, 0]
                y, p = truth[i, 0], torch.sigmoid(z)
                right, weight = torch.where(y > 0, p, 1 - p), torch.where(y > 0, 0.25, 0.75)
                focal = 20 * (-weight * (1 - right) ** 2 * right.log()).mean()
                overlap = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
                iou = ((p > 0.5) & (y > 0)).sum() / ((p > 0.5) | (y > 0)).sum()
                each.append((focal, overlap, (heads["iou"][i, k] - iou) ** 2))
            best = min(each, key=lambda terms: float(terms[0] + terms[1]))
            assert found["focal"][i].item() == pytest.approx(best[0].item(), rel=1e-4)
            assert found["dice"][i].item() == pytest.approx(best[1].item(), rel=1e-4)
            assert found["iou"][i].item() == pytest.approx(np.mean([float(terms[2]) for terms in each]), rel=1e-4)


def test_every_kind_of_prompt_teaches_and_an_empty_mask_does_not(masks):
    torch.manual_seed(0)
    method = build_method("prompted", net="sam-s", size=64)
    image, asked, embed = torch.rand(7, 3, 64, 64), [], method.net.embed
    decode = method.net.decode
    method.net.decode = lambda embedding, **told: asked.append((len(embedding), set(told))) or decode(embedding, **told)
    method.net.embed = lambda images: asked.append(len(images)) or embed(images)
    mask = masks[:7].clone()
    mask[4] = 0
    terms = method.losses({"labelled": Views(image, mask)}, Progress(0, 10, 1))
    one_each = [(2, {"boxes"}), (2, {"points"}), (2, {"mask_logits"})]
    assert asked == [6, *one_each, (6, {"points", "mask_logits"})]
    sum(terms.values()).backward()
    idle = {name for name, p in method.named_parameters() if p.grad is None}
    assert set(terms) == {"focal", "dice", "iou"} and idle <= {"net.prompt_encoder.no_mask_embed.weight"}


def test_a_batch_without_a_lesion_teaches_nothing(masks):
    method = build_method("prompted", net="sam-s", size=96)
    views = Views(torch.rand(2, 3, 96, 96), torch.zeros(2, 1, 96, 96))
    terms = method.losses({"labelled": views}, Progress(0, 10, 1))
    sum(terms.values()).backward()
    assert terms.keys() == {"focal", "dice", "iou"} and all(
        p.grad is None or not p.grad.any() for p in method.parameters()
    )


def test_asks_by_the_truth_and_scores_both_targets(tmp_path, monkeypatch):
    trial = make_trial(
        method="prompted", net="sam-s", size=SIZE, steps=2, batch=3, labelled=1.0, data_options=SCENES, seed=1
    )
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path))
    result = run_trial(trial, None, "cpu")
    assert list(result["scores"]) == ["box", "click", "mask", "rough"]
    method, _ = load_run(trial.folder)
    pictures = load_pictures(Synth(**SCENES | {"style": "synth"}), SIZE)
    with open(trial.folder / "per_image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    test = pictures.take(sorted({pictures.ids.index(row["id"]) for row in rows}))
    beside = siblings(test)
    for view in ("box", "mask", "rough"):
        answer, prompts = ask(method, test, "mask" if view == "rough" else view, make_fabric("cpu", "32-true"))
        said = torch.from_numpy(prompts if view == "rough" else answer)[:, None].float()
        own = {row["id"]: row for row in rows if row["view"] == view}
        for i, name in enumerate(test.ids):
            for column, truth in (("dice", test.truth[i]), ("other", test.truth[beside[i]])):
                expected = dice(said[i : i + 1], truth[None].float()).nan_to_num(1.0).item()
                assert float(own[name][column]) == pytest.approx(expected, abs=1e-6)
        means = result["scores"][view]["other"]["per_image"]
        assert means["n"] == len(test)
        assert means["mean"] == pytest.approx(np.mean([float(row["other"]) for row in own.values()]), abs=1e-5)
    assert result["scores"]["rough"]["dice"]["per_image"]["mean"] > 0.6
    folder = tmp_path / "results" / "toy" / "teacher"
    keep = {"": ["dice", "other"], "click": ["dice"], "mask": ["dice", "other"], "rough": ["dice"]}
    write_evidence([("", trial)], folder, keep)
    box, click, mask, rough = promptability(folder).rows
    of = {
        (view, score): np.mean([float(row[score]) for row in rows if row["view"] == view])
        for view in result["scores"]
        for score in ("dice", "other")
    }
    assert box[:4] == ("synth", "the smallest box", f"{100 * of['box', 'dice']:.1f}", f"{100 * of['box', 'other']:.1f}")
    assert box[4].startswith(f"{100 * (of['box', 'dice'] - of['box', 'other']):+.1f} [") and box[5] == "–"
    assert click[3:6] == ("–", "–", "–") and rough[3:6] == ("–", "–", "–")
    assert mask[5].startswith(f"{100 * (of['mask', 'dice'] - of['rough', 'dice']):+.1f} [")
    assert box[6] == str(len(test))


def test_siblings_are_the_same_picture_with_another_mask():
    images = torch.zeros(5, 3, 4, 4, dtype=torch.uint8)
    images[2] = 7
    pictures = Pictures(images, tuple("abcde"), ("x", "x", "x", "y", "z"), "toy")
    assert siblings(pictures) == [1, 0, None, None, None]


def test_a_net_without_prompts_is_refused():
    with pytest.raises(
        InputError, match="method prompted wants prompt and masks and iou of its net, which unet-s does"
    ):
        build_method("prompted", net="unet-s", size=64)


def test_the_books_own_teacher_answers_for_the_lesion_that_is_meant():
    """On scenes that it has not seen; its evidence has more of them, and PH2."""
    scenes = Synth(24, size=96, kind="scenes", seed=9, style="synth-wild", without=["alone"])
    net = build("sam-s", 96, pretrained=True).eval()
    images = torch.stack([torch.tensor(sample.image).permute(2, 0, 1) / 255 for sample in scenes])
    masks = torch.stack([torch.tensor(sample.mask)[None] for sample in scenes]).float()
    with torch.inference_mode():
        answer = (net.decode(net.embed(images), boxes=box_of(masks)).logits > 0).float()
    meant = dice(answer, masks)
    other = dice(answer, masks.view(12, 2, 1, 96, 96).flip(1).reshape(24, 1, 96, 96))
    assert meant.mean() > 0.8 and other.mean() < 0.05

"""The task "classify": a small network learns the classes of generated ultrasound, and is scored by hand."""

import json
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys import register_toys

from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.training import classify
from tutseg.training.fit import TrainingSet, make_fabric
from tutseg.training.learn import Parts
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import load_run, run_trial
from tutseg.training.trial import Trial, make_trial


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    register_toys(monkeypatch)


@pytest.fixture
def ultrasound(tmp_path):
    """The folder of a BreastMNIST of 60 drawn pictures of 28 px: a small smooth dark disc, or a large ragged one."""
    rng, arrays = np.random.default_rng(0), {}
    y, x = np.mgrid[:28, :28]
    for part, count in (("train", 40), ("val", 8), ("test", 12)):
        labels = np.arange(count) % 2  # 0: malignant, ragged
        pictures = []
        for label in labels:
            angle = np.arctan2(y - 14, x - 14 + rng.uniform(-2, 2))
            ragged = (1 - label) * 0.4 * np.sin(7 * angle + rng.uniform(0, 6))
            disc = np.hypot(y - 14, x - 14) < rng.uniform(4, 6) * (2 - label) * (1 + ragged)
            shade = rng.normal(0, 25, (4, 4)).repeat(7, 0).repeat(7, 1)
            pictures.append(np.where(disc, 50, 160) + shade + rng.normal(0, 12, (28, 28)))
        arrays |= {f"{part}_images": np.clip(pictures, 0, 255).astype(np.uint8), f"{part}_labels": labels}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data/breastmnist.npz", **arrays)
    return str(tmp_path / "data")


def trial_of(**fields) -> Trial:
    given = {"method": "classifier", "net": "glance", "data": "breastmnist", "size": 28, "labelled": 1.0}
    return make_trial(**given | {"steps": 60, "batch": 8, "lr": 0.02} | fields)


def test_a_classifier_learns_and_is_scored_by_accuracy_and_macro_f1(ultrasound, tmp_path):
    trial = trial_of(evaluations=2)
    result = run_trial(trial, ultrasound, "cpu", tmp_path / "run")
    pictures = pictures_of("breastmnist", ultrasound, 28, {})
    test = pictures.take(split_of(trial, pictures).test)
    method, loaded = load_run(tmp_path / "run")
    with torch.inference_mode():
        found = method.predict(test.images.float() / 255).argmax(1).tolist()
    truth = test.labels.tolist()
    right = [guess == label for guess, label in zip(found, truth, strict=True)]
    assert loaded == trial and result["n"]["test"] == len(test) == len(right) >= 8
    accuracy = result["scores"]["net"]["accuracy"]["per_image"]
    assert accuracy["mean"] == pytest.approx(sum(right) / len(right)) and accuracy["n"] == len(right)
    assert accuracy["mean"] > 0.8
    each = []
    for kind in (0, 1):  # F1 = 2 TP / (2 TP + FP + FN)
        tp = sum(g == t == kind for g, t in zip(found, truth, strict=True))
        each.append(Fraction(2 * tp, found.count(kind) + truth.count(kind)))
    f1 = result["scores"]["net"]["f1"]["macro"]
    assert f1["mean"] == pytest.approx(float(sum(each) / 2)) and f1["n"] == 2
    assert set(result["selection"]) == {"last", "validation", "test"}
    assert result["selection"]["last"] == {"step": 60, "view": "net", "accuracy_per_image": accuracy["mean"]}
    rows = (tmp_path / "run/per_image.csv").read_text().splitlines()
    assert rows[0] == "id,view,label,predicted,accuracy" and len(rows) == 1 + len(test)
    log = (tmp_path / "run/log.csv").read_text().splitlines()
    assert log[0] == "step,ce" and json.loads((tmp_path / "run/result.json").read_text()) == result


def test_a_classifier_makes_no_masks(ultrasound, tmp_path, tutseg, write_pictures):
    run_trial(trial_of(steps=1), ultrasound, "cpu", tmp_path / "run")
    said = tutseg("predict", tmp_path / "run", write_pictures(tmp_path / "here") / "images", "--out", tmp_path / "out")
    assert (
        said.code == 2 and said.err.count("\n") == 1 and "run holds a network to classify, which makes no" in said.err
    )
    assert not (tmp_path / "out").exists()


def test_a_class_that_is_neither_there_nor_predicted_is_left_out_of_f1():
    class Fixed(torch.nn.Module):
        views, classes = ("net",), 4

        def predict(self, images, view):
            return torch.eye(4)[[0, 0, 1, 2]]

    pictures = Pictures(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), tuple("abcd"), tuple("abcd"), "x")
    pictures = replace(pictures, labels=torch.tensor([0, 1, 1, 1]), classes=("k", "l", "m", "n"))
    scores, rows = classify.score(Fixed(), pictures, make_fabric("cpu", "32-true"))
    assert scores["net"]["accuracy"]["per_image"]["mean"] == 0.5
    # k: TP 1, FP 1 -> 2/3; l: TP 1, FN 2 -> 1/2; m: FP 1 -> 0; n is nowhere
    assert scores["net"]["f1"]["macro"]["mean"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    told = [(row["label"], row["predicted"], row["accuracy"]) for row in rows]
    assert told == [(0, 0, 1), (1, 0, 0), (1, 1, 1), (1, 2, 0)]


def test_classes_that_do_not_go_together_are_named(ultrasound, tmp_path, write_pictures):
    here = str(write_pictures(tmp_path / "here"))
    for fields, root, says in (
        ({"options": {"classes": 3}}, ultrasound, "tells 3 classes apart, breastmnist has 2: give -o classes=2"),
        ({"data": "folder"}, here, "data folder has no labels"),
        ({"net": "two-heads"}, ultrasound, "classifier wants classify of its net, which two-heads does not give"),
    ):
        with pytest.raises(InputError, match=says):
            run_trial(trial_of(**fields), root, "cpu", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_that_do_not_go_together_are_named():
    def part(classes: tuple[str, ...], *labels: int) -> Pictures:
        ids = tuple(f"p{i}" for i in range(len(labels)))
        images = torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8)
        return Pictures(images, ids, ids, "-".join(classes), labels=torch.tensor(labels), classes=classes)

    def parts(train: Pictures, test: Pictures) -> Parts:
        return Parts(TrainingSet(train), train, test, {}, {})

    method, two = SimpleNamespace(classes=2), part(("a", "b"), 0, 1)
    classify.check(method, parts(two, two))
    with pytest.raises(InputError, match="p1 has no class, but others have"):
        classify.check(method, parts(two, part(("a", "b"), 0, -1)))
    with pytest.raises(InputError, match="classes differ: a-b has a, b; a-c has a, c"):
        classify.check(method, parts(two, part(("a", "c"), 0, 1)))

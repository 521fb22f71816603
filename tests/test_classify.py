"""The task "classify": a small network learns the classes of generated ultrasound, and is scored by hand."""

import json
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import classification_report
from test_generate import Mean
from toys import register_toys

from tutseg import nets
from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.methods import CARDS
from tutseg.methods.cards import MethodCard
from tutseg.metrics import by_picture, class_scores, confusion_of
from tutseg.nets.lite0_features import features_of
from tutseg.papers.cells import entries
from tutseg.report import classified
from tutseg.training import classify, learn
from tutseg.training.evidence import read_spec_evidence, write_evidence
from tutseg.training.fit import TrainingSet, fit, make_fabric
from tutseg.training.learn import Parts
from tutseg.training.pictures import pictures_of, shown_to, split_of
from tutseg.training.run import load_run, run_trial
from tutseg.training.trial import Trial, make_trial


@pytest.fixture(autouse=True)
def toys(monkeypatch, tmp_path):
    register_toys(monkeypatch)
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    card = MethodCard("mean", f"test_generate:{Mean.__name__}", "generative", "-", "of a test")
    monkeypatch.setitem(CARDS, "mean", card)
    cheap = lambda images: images.float().flatten(1)[:, ::97]  # how good what is drawn is, is not what is tested here
    monkeypatch.setattr("tutseg.training.generate.features_of", cheap)


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
    assert 0 <= result["selection"]["last"].pop("on_validation") <= 1
    assert result["selection"]["last"] == {"step": 60, "view": "net", "accuracy_per_image": accuracy["mean"]}
    rows = (tmp_path / "run/per_image.csv").read_text().splitlines()
    assert rows[0] == "id,view,label,predicted,accuracy" and len(rows) == 1 + len(test)
    log = (tmp_path / "run/log.csv").read_text().splitlines()
    assert log[0] == "step,ce" and json.loads((tmp_path / "run/result.json").read_text())["scores"] == result["scores"]


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
    with pytest.raises(InputError, match="data a has one class, a"):
        classify.check(method, parts(part(("a",), 0), part(("a",), 0)))
    with pytest.raises(InputError, match="class b of data a-b has none of the 2 labelled pictures"):
        classify.check(method, parts(part(("a", "b"), 0, 0), two))
    with pytest.raises(InputError, match="p1 has no class, but others have"):
        classify.check(method, parts(two, part(("a", "b"), 0, -1)))
    with pytest.raises(InputError, match="classes differ: a-b has a, b; a-c has a, c"):
        classify.check(method, parts(two, part(("a", "c"), 0, 1)))


def test_class_scores_and_what_each_picture_says_of_them():
    """Against scikit-learn; and against leaving out one picture after the other."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 40)
    found = np.where(draw.random(40) < 0.6, truth, draw.integers(0, 3, 40))
    classes, n = ("a", "b", "c"), 40
    scores = class_scores(confusion_of(truth, found, 3), classes)
    known = classification_report(truth, found, target_names=classes, output_dict=True)
    assert scores["accuracy"] == pytest.approx(known["accuracy"]) and scores["f1"] == known["macro avg"]["f1-score"]
    for name in classes:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{ours} of {name}"] == pytest.approx(known[name][theirs])
    assert by_picture(truth, found, classes, "accuracy") == pytest.approx((truth == found).astype(float))
    for score in ("f1", "precision of b"):
        values, others = by_picture(truth, found, classes, score), []
        for i in range(n):
            rest = np.arange(n) != i
            others.append(class_scores(confusion_of(truth[rest], found[rest], 3), classes)[score])
        assert values.mean() == pytest.approx(scores[score])
        assert values - values.mean() == pytest.approx(-(n - 1) * (np.array(others) - np.mean(others)))


def generators(root: str, pictures: int = 40, **fields) -> dict[str, str]:
    """A finished generator of each class, as the inputs of a trial."""
    inputs = {}
    for name in ("malignant", "normal or benign"):
        given = {"method": "mean", "net": "unet-s", "data": "breastmnist", "size": 28, "only": name}
        trial = make_trial(**given | {"steps": 3, "batch": 2, "pictures": pictures, "seed": len(inputs)} | fields)
        run_trial(trial, root, "cpu")
        inputs[f"generated-{name}"] = trial.id
    return inputs


def test_drawn_pictures_of_each_class_join_the_real_ones(ultrasound, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        learn, "fit", lambda method, train, *rest: seen.append(train.labelled) or fit(method, train, *rest)
    )
    inputs = generators(ultrasound)
    trial = trial_of(steps=2, options={"extra": 0.5}, inputs=inputs)
    result = run_trial(trial, ultrasound, "cpu", tmp_path / "run")
    (learned,) = seen
    drawn = [name.startswith(tuple(inputs.values())) for name in learned.ids]
    real = learned.take([i for i, known in enumerate(drawn) if not known])
    largest = max(real.counts())
    assert learned.counts() == [round(1.5 * largest)] * 2 and learned.masks is None
    assert result["n"]["trained_on"] == len(learned) == sum(drawn) + result["n"]["labelled"]
    for name, label, known in zip(learned.ids, learned.labels.tolist(), drawn, strict=True):
        if known:
            assert name.startswith(inputs[f"generated-{learned.classes[label]}"])
    test = result["scores"]["net"]
    assert sum(test[f"recall of {name}"]["per_image"]["n"] for name in learned.classes) == result["n"]["test"]
    assert result["provenance"]["drawn"]


def test_generators_that_do_not_serve_are_named(ultrasound, tmp_path):
    inputs = generators(ultrasound, pictures=5)
    swapped = dict(zip(inputs, reversed(inputs.values()), strict=True))
    leaky = generators(ultrasound, test="none")
    large = generators(ultrasound, size=32)
    for options, given, says in (
        ({"extra": 0.0}, {}, "extra is 0, and there is no generator: give --input generated-CLASS=ID"),
        ({}, inputs, "no option says how many generated pictures to add: give -o extra=0"),
        ({"extra": 1.0}, inputs, r"class malignant wants \d+ generated pictures, its generator has drawn 5"),
        ({"extra": 0.0}, swapped, "input generated-malignant: .* learned from class normal or benign"),
        ({"extra": 0.0}, {"generated-bening": inputs["generated-malignant"]}, "unknown class of a generator 'bening'"),
        ({"extra": 0.0}, {"generated": inputs["generated-malignant"]}, "unknown input of method classifier"),
        ({"extra": 0.0}, large, "has drawn pictures of 32 pixels, the trial's are of 28"),
        ({"extra": 0.0}, leaky, r"\d+ of the \d+ test pictures were shown to the generator"),
    ):
        with pytest.raises(InputError, match=says):
            run_trial(trial_of(options=options, inputs=given, steps=1), ultrasound, "cpu", tmp_path / "run")
        assert not (tmp_path / "run").exists()
    run_trial(trial_of(options={"extra": 0.0, "leaky": True}, inputs=leaky, steps=1), ultrasound, "cpu")
    with pytest.raises(InputError, match="unknown class of data breastmnist 'benign'"):
        generators(ultrasound, only="benign")
    with pytest.raises(InputError, match="of class malignant to learn from, fewer than a batch of 64"):
        generators(ultrasound, batch=64)


def test_a_generator_of_a_class_sees_that_class_alone(ultrasound):
    trial = make_trial(method="mean", net="unet-s", data="breastmnist", size=28, only="malignant", pictures=2, steps=1)
    seen, unseen = shown_to(trial, ultrasound)
    whole = pictures_of("breastmnist", ultrasound, 28, {})
    test = {whole.ids[i] for i in split_of(trial_of(), whole).test}
    kinds = {whole.classes[label] for label in (*seen.labels.tolist(), *unseen.labels.tolist())}
    assert kinds == {"malignant"} and not test & {*seen.ids} and test & {*unseen.ids}


@pytest.mark.parametrize("name", ["resnet50", "lite0-classifier"])
def test_what_a_network_of_classes_gives(name):
    torch.manual_seed(0)
    net, x = nets.build(name, 32, classes=3).eval(), torch.rand(2, 3, 32, 32)
    out = net(x, features=True)
    assert out.logits.shape == (2, 3) and torch.equal(net(x).logits, out.logits) and net(x).features == ()
    assert out.bottleneck.shape[0] == 2
    for p in net.parameters():  # some batch norms begin at nothing
        torch.nn.init.normal_(p, std=0.1)
    net(x).logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_small_classifier_begins_with_imagenet_s_weights():
    net, pixels = nets.build("lite0-classifier", 128, pretrained=True, classes=3).eval(), torch.arange(3 * 128**2)
    image = (pixels % 251).view(1, 3, 128, 128).byte()
    maps = net(image.float() / 255, features=True).bottleneck
    torch.testing.assert_close(maps.mean((2, 3)), features_of(image))


def test_settings_beside_the_paper_s_and_what_choosing_by_the_test_part_adds(ultrasound, tmp_path):
    """Two settings of two seeds, from runs to evidence, tables and the paper's cells."""
    fields = {"Original": {}, "Balanced Train": {"options": {"extra": 0.0}, "inputs": generators(ultrasound)}}
    named = []
    for name, given in fields.items():
        for seed in (0, 1):
            trial = trial_of(steps=10, evaluations=2, seed=seed, **given)
            run_trial(trial, ultrasound, "cpu")
            named.append((f"breastmnist, {name}", trial))
    folder = write_evidence(named, tmp_path / "results/ssgnet/mine", {"": ["accuracy", "label", "predicted"]})
    items = read_spec_evidence(folder)
    groups = {group.name: group for group in classified.settings_of(folder, "breastmnist", "recall of malignant")}
    assert list(groups) == list(fields)
    for group in groups.values():
        for item, values in zip(group.trials, group.values, strict=True):
            known = item.default
            assert values.mean() == pytest.approx(known.means["recall of malignant"]["per_image"], abs=1e-5)
            others = values[np.array(list(known.images["label"].values())) == 1]  # which say nothing of this class
            assert others == pytest.approx(values.mean())
    for table in (classified.setting_table, classified.class_table):
        shown = table(folder, "breastmnist")
        assert {row[0] for row in shown.rows} == {*fields} and "not yet" not in repr(shown)
        assert "not yet" in repr(table(tmp_path, "breastmnist"))
    assert "81.0 | " in classified.setting_table(folder, "breastmnist").rows[0][1]
    benign = next(row for row in classified.class_table(folder, "breastmnist").rows if row[0] == "Original")
    assert benign[1] == "malignant (printed as benign)" and benign[3].startswith("38.0 | ")

    accuracy = {(item.name, item.trial.seed): item.default.means["accuracy"]["per_image"] for item in items}
    validated = {(item.name, item.trial.seed): float(item.extra["last_on_validation"]) for item in items}
    each = []
    for seed in (0, 1):
        mine = [key for key in accuracy if key[1] == seed]
        each.append(max(accuracy[key] for key in mine) - accuracy[max(mine, key=validated.get)])
    leak = classified.setting_leak(folder, "breastmnist")
    assert leak.value == pytest.approx(np.mean(each), abs=1e-5) and leak.low <= leak.value <= leak.high
    stopped = [
        float(item.extra["test_accuracy_per_image"]) - float(item.extra["validation_accuracy_per_image"])
        for item in items
    ]
    assert classified.stopping_leak(folder, "breastmnist").value == pytest.approx(np.mean(stopped))
    (gain,) = classified.gains(folder, "breastmnist")
    assert (gain.one, gain.other) == ("Balanced Train", "Original")

    found = {
        (e.cell.row, e.cell.setting.get("class"), e.cell.metric): e.ours
        for number in (3, 4)
        for e in entries("ssgnet", number, items)
        if e.cell.setting["data"] == "breastmnist" and e.state == "ours"
    }
    assert {row for row, *_ in found} == {"ResNet50", "Original", "Balanced Train"}
    recall = [item.default.means["recall of malignant"]["per_image"] for item in items if "Original" in item.name]
    assert found["Original", "benign", "recall"].value == pytest.approx(100 * np.mean(recall))
    macro = [item.default.means["f1"]["macro"] for item in items if "Original" in item.name]
    ours = found["ResNet50", None, "macro_f1"]
    assert ours.value == pytest.approx(100 * np.mean(macro)) and ours.low < ours.value < ours.high

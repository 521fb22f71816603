"""The task "classify": train on one part of a data set, score classes on another.

A method of the kind "classifier" has `classes`, how many there are (an option, since it is built without the data). Its
losses read labels, and its `predict` gives each picture's class probabilities ``(B, classes)``.
"""

from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.methods.base import Method
from tutseg.metrics import class_scores, confusion_of
from tutseg.training.learn import Parts, learn
from tutseg.training.tasks import Job, Outcome


def run(job: Job) -> Outcome:
    """Train, choose among the kept weights by accuracy, score every view on the test part."""

    def measure(method: Method, pictures: Pictures, view: str) -> dict[str, float]:
        return {"accuracy_per_image": float((decide(method, pictures, view, job.fabric) == labels_of(pictures)).mean())}

    return learn(job, ("labels",), measure, lambda method, test: score(method, test, job.fabric), check)


def check(method: Method, parts: Parts) -> None:
    """Whether every picture has a class, all parts have the same, and there is something to learn of each."""
    labelled, test = parts.train.labelled, parts.test
    for part in (labelled, parts.validation, test):
        bare = (part.labels < 0).nonzero().flatten().tolist()
        if bare:
            raise InputError(f"{part.ids[bare[0]]} has no class, but others have", "choose data whose pictures all do")
    if test.classes != labelled.classes:
        told = f"{labelled.name} has {', '.join(labelled.classes)}; {test.name} has {', '.join(test.classes)}"
        raise InputError(f"classes differ: {told}", "test on data with the same classes")
    if len(labelled.classes) < 2:
        raise InputError(
            f"data {labelled.name} has one class, {', '.join(labelled.classes)}", "choose data with two or more"
        )
    if method.classes != len(labelled.classes):
        raise InputError(
            f"the method tells {method.classes} classes apart, {labelled.name} has {len(labelled.classes)}",
            f"give -o classes={len(labelled.classes)}",
        )
    for name, count in zip(labelled.classes, labelled.counts(), strict=True):
        if not count:
            raise InputError(
                f"class {name} of data {labelled.name} has none of the {len(labelled)} labelled pictures",
                "give a larger --labelled",
            )


@torch.inference_mode()
def decide(method: Method, pictures: Pictures, view: str, fabric: Fabric, batch: int = 64) -> np.ndarray:
    """The most probable class of each picture by `view`, ``(N,)``."""
    method.eval()
    found = []
    for at in torch.arange(len(pictures)).split(batch):
        images, _ = pictures.floats(at)
        with fabric.autocast():
            found.append(method.predict(images.to(fabric.device), view).argmax(1).cpu().numpy())
    return np.concatenate(found)


def labels_of(pictures: Pictures) -> np.ndarray:
    """The true classes ``(N,)``."""
    return pictures.need("labels").labels.cpu().numpy()


def score(method: Method, test: Pictures, fabric: Fabric) -> tuple[dict[str, dict], list[dict[str, Any]]]:
    """Scores of every view (`tutseg.metrics.class_scores`), and the rows they come from.

    Accuracy is the mean over pictures. F1 is macro-averaged: its ``std`` and ``n`` are over classes. A class's recall
    is a mean over its pictures, its precision over those that were told to be of it.
    """
    truth, classes, scores, rows = labels_of(test), test.classes, {}, []
    for view in method.views:
        found = decide(method, test, view, fabric)
        confusion = confusion_of(truth, found, len(classes))
        values = class_scores(confusion, classes)
        there, told = confusion.sum(1), confusion.sum(0)
        f1 = np.array([values[f"f1 of {name}"] for name in classes])[there + told > 0]
        scores[view] = {"accuracy": {"per_image": share(values["accuracy"], len(truth))}}
        scores[view]["f1"] = {"macro": {"mean": values["f1"], "std": float(f1.std()), "n": len(f1)}}
        for k, name in enumerate(classes):
            for kind, n in (("precision", int(told[k])), ("recall", int(there[k]))):
                scores[view][f"{kind} of {name}"] = {"per_image": share(values[f"{kind} of {name}"], n)}
            scores[view][f"f1 of {name}"] = {"pooled": {"mean": values[f"f1 of {name}"], "std": 0.0, "n": 1}}
        rows += [
            {"id": name, "view": view, "label": int(label), "predicted": int(guess), "accuracy": float(label == guess)}
            for name, label, guess in zip(test.ids, truth, found, strict=True)
        ]
    return scores, rows


def share(value: float, n: int) -> dict[str, float]:
    """A share of n pictures, with the standard deviation of right and wrong."""
    return {"mean": value, "std": (value * (1 - value)) ** 0.5, "n": n}

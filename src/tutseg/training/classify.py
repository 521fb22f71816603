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
from tutseg.training.learn import Parts, learn
from tutseg.training.tasks import Job, Outcome


def run(job: Job) -> Outcome:
    """Train, choose among the kept weights by accuracy, score every view on the test part."""

    def measure(method: Method, pictures: Pictures, view: str) -> dict[str, float]:
        return {"accuracy_per_image": float((decide(method, pictures, view, job.fabric) == labels_of(pictures)).mean())}

    return learn(job, ("labels",), measure, lambda method, test: score(method, test, job.fabric), check)


def check(method: Method, parts: Parts) -> None:
    """Whether every picture has a class, and method, training and test part the same classes."""
    labelled, test = parts.train.labelled, parts.test
    for part in (labelled, parts.validation, test):
        bare = (part.labels < 0).nonzero().flatten().tolist()
        if bare:
            raise InputError(f"{part.ids[bare[0]]} has no class, but others have", "choose data whose pictures all do")
    if test.classes != labelled.classes:
        told = f"{labelled.name} has {', '.join(labelled.classes)}; {test.name} has {', '.join(test.classes)}"
        raise InputError(f"classes differ: {told}", "test on data with the same classes")
    if method.classes != len(labelled.classes):
        raise InputError(
            f"the method tells {method.classes} classes apart, {labelled.name} has {len(labelled.classes)}",
            f"give -o classes={len(labelled.classes)}",
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
    """Accuracy and macro-F1 of every view, and the rows they come from.

    Accuracy is the mean over pictures. F1 is macro-averaged: the mean over the classes, a class that is neither there
    nor predicted left out; its ``std`` and ``n`` are over classes too.
    """
    from sklearn.metrics import f1_score  # loads for a second, and no other task has use for it

    truth, scores, rows = labels_of(test), {}, []
    for view in method.views:
        found = decide(method, test, view, fabric)
        right = (found == truth).astype(float)
        f1 = f1_score(truth, found, labels=np.union1d(truth, found), average=None, zero_division=0.0)
        scores[view] = {
            name: {averaging: {"mean": float(each.mean()), "std": float(each.std()), "n": len(each)}}
            for name, averaging, each in (("accuracy", "per_image", right), ("f1", "macro", f1))
        }
        rows += [
            {"id": name, "view": view, "label": int(label), "predicted": int(guess), "accuracy": float(label == guess)}
            for name, label, guess in zip(test.ids, truth, found, strict=True)
        ]
    return scores, rows

"""What the tasks share that train a network and score it: reading the parts, training, choosing among kept weights.

Each picture is seen only by whom it is meant for: `fit` gets the training set and nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tutseg.data.loader import Pictures
from tutseg.data.noise import with_noise
from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.methods import method_class
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights, save_weights
from tutseg.training.doubts import NOISE, record_doubts
from tutseg.training.drawn import drawn_for, generator_of
from tutseg.training.evaluate import Measure, choose_weights
from tutseg.training.fit import LeakingSet, TrainingSet, fit, snapshot_path
from tutseg.training.pictures import check_apart, check_unseen, fingerprint_of, pictures_of, split_of, test_source
from tutseg.training.start import build_for
from tutseg.training.tasks import Job, Outcome, task_of


@dataclass
class Parts:
    """A trial's pictures, parted, on the device of the job.

    Parameters
    ----------
    train : TrainingSet
        What training may see.
    validation, test : Pictures
        For choosing among kept weights, and for scoring.
    n : dict
        Part -> number of pictures.
    origin : dict
        Fingerprints of what was read.
    noise : dict
        Of a trial with label noise: ``ids`` of the labelled pictures, their ``masks`` ``(N, S, S)`` as training sees
        them, and ``changed``, which pixels of these are wrong.
    """

    train: TrainingSet
    validation: Pictures
    test: Pictures
    n: dict[str, int]
    origin: dict[str, str]
    noise: dict[str, np.ndarray] = field(default_factory=dict)


def read_parts(job: Job, *columns: str) -> Parts:
    """Read a trial's data and part it; all but the unlabelled pictures must have these columns."""
    trial, device = job.trial, job.fabric.device
    pictures = pictures_of(trial.data, job.root, trial.size, trial.data_options)
    split = split_of(trial, pictures)
    labelled, validation, test = (
        pictures.take(part).need(*columns)
        for part in (split.labelled, split.validation, split.test if trial.scored == "test" else split.validation)
    )
    origin = {"data": fingerprint_of(pictures)}
    if elsewhere := test_source(trial, job.root):
        test = pictures_of(*elsewhere, trial.size, trial.test_options).outlined().need(*columns)
        origin["tested"] = fingerprint_of(test)
        if trial.protocol == "honest":
            check_apart(pictures, split, test)
    noise, drawn = {}, None
    if "masks" in columns and not labelled.masks.any():
        raise InputError(
            f"the masks of all {len(labelled)} labelled pictures of data {trial.data} are empty at {trial.size} pixels",
            "label pictures with foreground, name the labels that are foreground, or give --labelled more",
        )
    if trial.noise:
        labelled, changed = with_noise(labelled, trial.noise)
        noise = {"ids": np.array(labelled.ids), "masks": labelled.masks[:, 0].numpy() > 0, "changed": changed}
    leaks = any(trial.options.get(name) for name in method_class(trial.method).leaks)
    if files := {role: file for role, file in job.inputs.items() if role.startswith("generated")}:
        drawn = drawn_for(files, trial.size, labelled.classes).to(device)
        origin["drawn"] = drawn.fingerprint()[:16]
        for file in files.values() if not leaks else ():
            check_unseen(generator_of(file), job.root, trial, test)
    training_set = LeakingSet if leaks else TrainingSet
    train = training_set(labelled.to(device), pictures.take(split.unlabelled).to(device), generated=drawn)
    n = {part: len(getattr(split, part)) for part in ("labelled", "unlabelled", "validation")} | {"test": len(test)}
    if pictures.masked and (kin := len(pictures) - sum(map(len, vars(split).values()))):
        n["kin_left_out"] = kin  # without masks, and of a group that is held out
    origin["split"] = split.fingerprint(pictures.ids)[:16]
    return Parts(train, validation.to(device), test.to(device), n, origin, noise)


def learn(
    job: Job,
    columns: tuple[str, ...],
    measure: Measure,
    score: Callable[[Method, Pictures], tuple[dict[str, dict], list[dict[str, Any]]]],
    check: Callable[[Method, Parts], None] = lambda method, parts: None,
) -> Outcome:
    """Train, choose among the kept weights, score every view on the test part, if there is one.

    Parameters
    ----------
    job : Job
        The trial, its folder, its device.
    columns : tuple of str
        What its pictures must have, of `tutseg.data.loader.COLUMNS`.
    measure : callable
        See `choose_weights`.
    score : callable
        Method and test part to the scores and rows of an `Outcome`.
    check : callable
        Called before training; raises an InputError where method and pictures do not go together.
    """
    trial, folder, report = job.trial, job.folder, job.report
    report("read", 0, 1)
    parts = read_parts(job, *columns)
    report("read", 1, 1)
    method = build_for(trial, job.inputs)
    check(method, parts)
    train = method.prepare(parts.train, parts.validation.without("truth"))
    if train is not parts.train:
        parts.n["trained_on"] = len(train.labelled)
    job.begin(parts.origin)
    if parts.noise:  # kept for scoring: training sees the noisy masks alone
        atomic_write(folder / NOISE, lambda file: np.savez_compressed(file, **parts.noise))
    trained = fit(method, train, trial, folder, job.fabric, lambda done, total: report("train", done, total))

    started = time.perf_counter()
    report("score", 0, 2)
    selection, scores, rows = {}, {view: {} for view in method.views}, []
    if len(parts.test):
        selection = choose_weights(method, trial, folder, parts.validation, parts.test, measure)
    if parts.noise and task_of(trial.method).name == "segment":
        record_doubts(method, trial, folder, parts.train.labelled, parts.noise["changed"], job.fabric)
    load_weights(snapshot_path(folder, trial.steps), method)
    report("score", 1, 2)
    if len(parts.test):
        scores, rows = score(method, parts.test)
    save_weights(folder / "weights.safetensors", method, {"trial": trial.id, "net": trial.net, "method": trial.method})
    seconds = {"train": trained, "score": time.perf_counter() - started}
    return Outcome(parts.n, scores, rows, seconds, parts.origin, selection)

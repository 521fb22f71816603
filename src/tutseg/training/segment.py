"""The task "segment": train on one part of a data set, score masks on another."""

import time

import numpy as np

from tutseg.data.noise import with_noise
from tutseg.files import atomic_write
from tutseg.training.checkpoint import load_weights, save_weights
from tutseg.training.evaluate import choose_weights, score_views
from tutseg.training.fit import TrainingSet, fit, snapshot_path
from tutseg.training.generate import generated_pictures
from tutseg.training.pictures import fingerprint_of, pictures_of, split_of
from tutseg.training.start import build_for
from tutseg.training.tasks import Job, Outcome, task_of

NOISE = "noise.npz"  # in a run folder: which pixels of the labelled pictures' masks are wrong, and their ids


def run(job: Job) -> Outcome:
    """Train, choose among the kept weights, score every view on the test part."""
    trial, fabric, report = job.trial, job.fabric, job.report
    report("read", 0, 1)
    pictures = pictures_of(trial.data, job.root, trial.size, trial.data_options).need("masks", "truth")
    split = split_of(trial, pictures)
    test = pictures.take(split.test if trial.scored == "test" else split.validation)
    origin = {"data": fingerprint_of(pictures)}
    if trial.test_data:
        test = pictures_of(trial.test_data, job.root, trial.size, trial.test_options).need("truth")
        origin["tested"] = fingerprint_of(test)
    validation = pictures.take(split.validation).to(fabric.device)
    labelled, changed, drawn = pictures.take(split.labelled), None, None
    if trial.noise:
        labelled, changed = with_noise(labelled, trial.noise)
    if "generated" in job.inputs:
        drawn = generated_pictures(job.inputs["generated"].parent).to(fabric.device)
        origin["drawn"] = drawn.fingerprint()[:16]
    unlabelled = pictures.take(split.unlabelled).to(fabric.device)
    train = TrainingSet(labelled.to(fabric.device), unlabelled, generated=drawn)
    report("read", 1, 1)
    method = build_for(trial, job.inputs)
    job.begin()
    if changed is not None:  # kept for scoring: training sees the noisy masks alone
        atomic_write(job.folder / NOISE, lambda file: np.savez_compressed(file, ids=labelled.ids, changed=changed))
    trained = fit(method, train, trial, job.folder, fabric, lambda done, total: report("train", done, total))

    started = time.perf_counter()
    report("score", 0, 2)
    test = test.to(fabric.device)
    best = task_of(trial.method).best
    selection = choose_weights(method, trial, job.folder, validation, test, fabric, best)
    load_weights(snapshot_path(job.folder, trial.steps), method)
    report("score", 1, 2)
    scores, rows = score_views(method, test, fabric)
    about = {"trial": trial.id, "net": trial.net, "method": trial.method}
    save_weights(job.folder / "weights.safetensors", method, about)
    return Outcome(
        {part: len(getattr(split, part)) for part in ("labelled", "unlabelled", "validation")} | {"test": len(test)},
        scores,
        rows,
        {"train": trained, "score": time.perf_counter() - started},
        origin | {"split": split.fingerprint(pictures.ids)[:16]},
        selection,
    )

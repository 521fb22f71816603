"""The task "prompt": train a promptable net on one part of a data set, and ask it for the masks of another.

The truth of a test picture tells the net which thing is meant (`Prompted.answer`), and is then what the answer is
compared with. A view is a kind of prompt; the view "rough" is the mask prompt itself, which a net must better. Where a
picture has several targets (drawn scenes), the score "other" is the Dice with the target that was *not* meant.
"""

from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from tutseg import metrics
from tutseg.data.loader import Pictures
from tutseg.methods.base import Method
from tutseg.training.evaluate import OFFICIAL_BATCH, means_of, truth_of
from tutseg.training.learn import learn
from tutseg.training.tasks import Job, Outcome, task_of

SEED = 16  # of the rough masks


def run(job: Job) -> Outcome:
    """Train, choose among the kept weights, ask with every kind of prompt for the test part."""
    best = task_of(job.trial.method).best

    def measure(method: Method, pictures: Pictures, view: str) -> dict[str, float]:
        return means_of(ask(method, pictures, view, job.fabric)[0], truth_of(pictures), best)

    return learn(job, ("masks", "truth"), measure, lambda method, test: score(method, test, job.fabric))


@torch.inference_mode()
def ask(method: Method, pictures: Pictures, view: str, fabric: Fabric, batch: int = 64) -> tuple[np.ndarray, ...]:
    """Boolean masks ``(N, S, S)``: what the net answers, and the mask prompts that it got (none: empty)."""
    method.eval()
    found, rng, truth = [], np.random.default_rng(SEED), pictures.need("truth").truth.float()
    for at in torch.arange(len(pictures)).split(batch):
        images, _ = pictures.floats(at)
        with fabric.autocast():
            both = method.answer(images.to(fabric.device), truth[at.to(truth.device)].to(fabric.device), view, rng)
        found.append([(probability >= 0.5)[:, 0].cpu().numpy() for probability in both])
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def siblings(pictures: Pictures) -> list[int | None]:
    """For each picture another of its group that is the same picture, hence with another target; None without one."""
    members: dict[str, list[int]] = {}
    for i, group in enumerate(pictures.groups):
        members.setdefault(group, []).append(i)

    def of(i: int) -> int | None:
        others = (j for j in members[pictures.groups[i]] if j != i)
        return next((j for j in others if torch.equal(pictures.images[i], pictures.images[j])), None)

    return [of(i) for i in range(len(pictures))]


def score(method: Method, test: Pictures, fabric: Fabric) -> tuple[dict[str, dict], list[dict[str, Any]]]:
    """Scores of the answers to every kind of prompt and of the mask prompt itself, and the rows they come from."""
    truth, beside = truth_of(test), siblings(test)
    paired = [i for i, j in enumerate(beside) if j is not None]
    answers = {}
    for view in method.views:
        answers[view], prompts = ask(method, test, view, fabric)
        if view == "mask":
            answers["rough"] = prompts
    scores, rows = {}, []
    for view, answer in answers.items():
        each = metrics.per_image(answer, truth)
        scores[view] = metrics.table_from_counts(each, batch=OFFICIAL_BATCH)
        columns = {name: values.tolist() for name, values in each.items()}
        own = [{name: values[i] for name, values in columns.items()} for i in range(len(test))]
        if paired:
            other = metrics.per_image(answer[paired], truth[[beside[i] for i in paired]])["dice"]
            scores[view]["other"] = {
                "per_image": {"mean": float(other.mean()), "std": float(other.std()), "n": len(other)}
            }
            for i, value in zip(paired, other.tolist(), strict=True):
                own[i]["other"] = value
        rows += [{"id": name, "view": view, **row} for name, row in zip(test.ids, own, strict=True)]
    return scores, rows

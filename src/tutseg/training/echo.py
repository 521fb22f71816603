"""Is Segment Anything a teacher or an echo? The Dice of its answers beside that of the prompts that it got.

SAM-KD asks SAM with what its main network believes, and teaches the network what SAM answers. Where the answers are no
better than the prompts, the network is taught what it knows already. Two questions to a trained run, by picture:

- **Over training**: before it and whenever weights were kept, what the main network asks and SAM answers.
- **How wrong may a prompt be?** The finished SAM is asked with the truth, and with the truth moved aside.

Each is asked of SAM as it was adapted, and of SAM as its file has it, which gets the mask prompt alone.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tutseg import metrics
from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.files import atomic_write, csv_text
from tutseg.losses import signed_distance
from tutseg.methods.distillation.prompting import SURE, moved
from tutseg.methods.distillation.sam_kd import SAMKD, fuse
from tutseg.nets import Output
from tutseg.training.agreement import at_step
from tutseg.training.evaluate import truth_of
from tutseg.training.fit import snapshot_path, snapshot_steps
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run, run_trial
from tutseg.training.spec import experiments, read_spec, results_of

SHARES = (0.0, 0.02, 0.04, 0.08, 0.16)
WAYS_SEED = 16  # of the ways that the truth is moved
SAID = ("prompt", "answer", "plain")
ABOUT = ("data", "tested", "seed", "step", "moved", "said")  # the first columns of a file; the others are pictures
ORIGIN = ("command", "code", "commit", "device", "date")


@dataclass(frozen=True)
class Echo:
    """What one run's SAM made of its prompts at one moment.

    Parameters
    ----------
    data, tested : str
        What it was trained on, and on what it was asked.
    seed, step : int
        Of the run; steps done by then.
    moved : float or None
        None: the main network asked. Otherwise the truth did, moved aside by this share of the picture's side.
    ids : tuple of str
        The pictures.
    prompt, answer, plain : numpy.ndarray
        Dice ``(n,)`` with the truth of the fused mask prompt, of the adapted SAM's answer to it and to its learned
        tokens, and of the answer of SAM as its file has it to the mask prompt alone.
    origin : dict
        Where it came from.
    """

    data: str
    tested: str
    seed: int
    step: int
    moved: float | None
    ids: tuple[str, ...]
    prompt: np.ndarray
    answer: np.ndarray
    plain: np.ndarray
    origin: dict[str, str]


def echoes(run: Run, root: str | None = None, test_data: str = "", pictures: int | None = None) -> list[Echo]:
    """Both questions, asked of a run of SAM-KD.

    Parameters
    ----------
    run : Run
        With snapshots (`run_trials` keeps them with ``keep_snapshots``).
    root : str or None
        Where the data is; None: ``$TUTSEG_DATA``.
    test_data : str
        Ask on this data set instead of the run's test fold.
    pictures : int or None
        Only the first so many.

    Raises
    ------
    InputError
        The run is no SAM-KD, uses no mask prompt, or its snapshots were not kept.
    """
    trial = run.trial
    method = at_step(run, 0)
    if not isinstance(method, SAMKD) or method.prompt == "none":
        raise InputError(f"run {trial.id} gives Segment Anything no mask prompt", "take one of sam-kd with a prompt")
    kept = [step for step in snapshot_steps(trial) if snapshot_path(run.folder, step).exists()]
    if not kept:
        raise InputError(f"run {trial.id} kept no snapshots", "train it with keep_snapshots")
    if test_data:
        shown = pictures_of(test_data, root, trial.size, {}).outlined()
    else:
        whole = pictures_of(trial.data, root, trial.size, trial.data_options)
        shown = whole.take(split_of(trial, whole).test)
    shown = shown.take(range(min(pictures or len(shown), len(shown))))
    origin = {name: str(run.result["provenance"].get(name, "")) for name in ORIGIN} | {"command": trial.command}

    found = []
    for step in (0, *kept):
        method = at_step(run, step)
        for share in (None, *SHARES) if step == kept[-1] else (None,):
            said = hear(method, shown, None if share is None else truth_moved(share))
            found.append(
                Echo(trial.data, test_data or trial.data, trial.seed, step, share, tuple(shown.ids), *said, origin)
            )
    return found


@torch.inference_mode()
def hear(
    method: SAMKD, pictures: Pictures, believed: Callable[[Tensor], Output] | None = None, batch: int = 32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dice ``(n,)`` of prompt, answer and plain answer (see `Echo`).

    Parameters
    ----------
    method : SAMKD
        With the networks that it borrows.
    pictures : Pictures
        With truth.
    believed : callable, optional
        From the truth ``(B, 1, H, W)`` in {0, 1} to what the prompt is fused of, in place of the main network's output.
    """
    said: list[list[np.ndarray]] = [[], [], []]
    for at in torch.arange(len(pictures)).split(batch):
        images, _ = pictures.floats(at)
        out = believed(pictures.truth[at].float()) if believed else method.net(images)
        prompt = fuse(out.logits, out.heads["sdf"], method.k, method.prompt)
        answers = prompt, method.ask(method.see(images), out), method.sam(images, mask_logits=prompt).logits
        for masks, logits in zip(said, answers, strict=True):
            masks.append((logits >= 0)[:, 0].cpu().numpy())
    truth = truth_of(pictures)
    return tuple(metrics.per_image(np.concatenate(masks), truth)["dice"] for masks in said)


def truth_moved(share: float) -> Callable[[Tensor], Output]:
    """The truth, each mask moved by a share of the picture's side, the way drawn anew for each, as two sure heads."""
    rng = np.random.default_rng(WAYS_SEED)

    def believed(truth: Tensor) -> Output:
        way = 2 * np.pi * rng.random(len(truth))
        far = share * truth.shape[-1]
        steps = np.rint(far * np.stack([np.sin(way), np.cos(way)], 1)).astype(int)
        aside = [moved(mask, *step) for mask, step in zip(truth[:, 0].numpy(), steps, strict=True)]
        mask = torch.from_numpy(np.stack(aside))[:, None]
        return Output(SURE * (2 * mask - 1), {"sdf": signed_distance(mask)})

    return believed


def make_echoes(name: str, scale: str = "", test_data: str = "", root: str | None = None) -> Path:
    """Train what is missing of a spec's SAM-KD, and write its echoes to ``results/sam-kd/echo/``.

    Parameters
    ----------
    name, scale : str
        Of the spec ``experiments/sam-kd/<name>.yaml``.
    test_data, root
        See `echoes`.

    Raises
    ------
    InputError
        A trial was trained without keeping snapshots.
    """
    spec = read_spec(experiments() / f"sam-kd/{name}.yaml", scale)
    trials = [trial for trial in spec.trials if trial.method == "sam-kd"]
    runs = [Run(trial.folder, run_trial(trial, root, keep_snapshots=True)) for trial in trials]
    path = results_of(spec).parent / "echo" / f"{'-'.join(filter(None, (spec.name, test_data)))}.csv"
    write_echoes([each for run in runs for each in echoes(run, root, test_data)], path)
    return path


def write_echoes(found: Sequence[Echo], path: Path) -> None:
    """Write echoes of one set of test pictures as CSV: a row a moment and thing said, a column a picture."""
    rows = []
    for each in found:
        about = {"data": each.data, "tested": each.tested, "seed": each.seed, "step": each.step}
        about |= {"moved": "" if each.moved is None else f"{each.moved:g}"}
        for said in SAID:
            scores = {name: f"{dice:.4f}" for name, dice in zip(each.ids, getattr(each, said), strict=True)}
            rows.append({**about, "said": said, **each.origin, **scores})
    atomic_write(path, csv_text(rows))


def read_echoes(path: Path) -> list[Echo]:
    """What `write_echoes` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for three in zip(*[iter(rows)] * len(SAID), strict=True):
        first = three[0]
        ids = tuple(name for name in first if name not in (*ABOUT, *ORIGIN))
        scores = [np.array([float(row[name]) for name in ids]) for row in three]
        share = float(first["moved"]) if first["moved"] else None
        origin = {name: first[name] for name in ORIGIN}
        about = first["data"], first["tested"], int(first["seed"]), int(first["step"])
        found.append(Echo(*about, share, ids, *scores, origin))
    return found

"""The training loop: read it from top to bottom, nothing is hidden.

Every random draw of step k follows from (seed, k) alone: the batch, the augmentation, dropout. There is no generator
state to save, and a training killed at any step continues bit for bit from its last saved state.
"""

import contextlib
import csv
import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import torch
from lightning.fabric import Fabric
from torch import Tensor

from tutseg.data.augment import strong, weak
from tutseg.data.loader import Pictures, step_indices
from tutseg.errors import InputError, Stopped, unknown
from tutseg.files import atomic_write
from tutseg.methods.base import STREAMS, Batch, Method, Progress, Views
from tutseg.methods.step import Stepper
from tutseg.training.checkpoint import load_state, save_state, save_weights
from tutseg.training.cores import keep_memory, threads
from tutseg.training.trial import Trial

SAVE_EVERY_S = 30.0
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
SCHEDULES = get_args(Trial.model_fields["schedule"].annotation)
RISE = 0.15  # share of the steps over which "one-cycle" raises the learning rate


@dataclass
class TrainingSet:
    """What training may see; there is no test part.

    What scoring needs is taken away here: the truth of all pictures, masks and labels of the unlabelled ones.
    """

    labelled: Pictures
    unlabelled: Pictures | None = None
    clean: Pictures | None = None
    generated: Pictures | None = None

    hidden: ClassVar = ("masks", "truth", "labels")  # of the unlabelled pictures

    def __post_init__(self) -> None:
        for stream in STREAMS:
            if (part := getattr(self, stream)) is not None:
                setattr(self, stream, part.without(*(self.hidden if stream == "unlabelled" else ("truth",))))


class LeakingSet(TrainingSet):
    """What training must not see but some published code lets it: masks of unlabelled pictures (`Method.leaks`)."""

    hidden: ClassVar = ("truth", "labels")


def make_fabric(device: str, precision: str) -> Fabric:
    """Fabric on "auto", "cpu" or "cuda".

    On a CPU the number of threads does not follow that of the cores, because sums over pixels depend on it in their
    last bits: it is one, or what ``OMP_NUM_THREADS`` says, and a result names the threads it was made with.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device '{device}'", "choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is usable here", "use --device cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(threads())
        keep_memory()
    return Fabric(accelerator=device, devices=1, precision=precision)


def learning_rate(schedule: str, fraction: float) -> float:
    """Factor on the learning rate, in [0, 1], when `fraction` of the training is done."""
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return 0.5 ** int(fraction * 80 / 50)
    if schedule == "one-cycle" and fraction < RISE:
        return 0.04 + 0.96 * fraction / RISE
    if schedule == "one-cycle":
        fraction = (fraction - RISE) / (1 - RISE)
    return 0.5 * (1 + math.cos(math.pi * fraction))


def settings_of(method: Method, trial: Trial) -> dict[str, dict[str, Any]]:
    """For each parameter group of the method: optimizer, lr, weight_decay, schedule, and what else the trial gives it.

    Raises
    ------
    InputError
        The trial names a group that the method has not, an optimiser or a schedule that is not known.
    """
    own = {"optimizer": "adamw", "lr": trial.lr, "weight_decay": trial.weight_decay, "schedule": trial.schedule}
    names = list(method.groups())
    for name in trial.groups:
        if name not in names:
            raise unknown(f"parameter group of method {trial.method}", name, names)
    said = {field: value for field, value in own.items() if field in trial.given}
    settings = {name: own | method.settings.get(name, {}) | said | trial.groups.get(name, {}) for name in names}
    for given in settings.values():
        for field, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if given[field] not in known:
                raise unknown(field, str(given[field]), known)
    return settings


def make_optimizers(method: Method, settings: dict[str, dict[str, Any]]) -> dict[str, torch.optim.Optimizer]:
    """The optimiser of each parameter group; an InputError names what it does not take."""
    optimizers = {}
    for name, parameters in method.groups().items():
        options = {key: value for key, value in settings[name].items() if key not in ("optimizer", "schedule")}
        try:
            optimizers[name] = OPTIMIZERS[settings[name]["optimizer"]](parameters, **options)
        except (TypeError, ValueError) as error:
            raise InputError(f"parameter group {name}: {error}", "see torch.optim for what it takes") from error
    return optimizers


def make_batch(train: TrainingSet, trial: Trial, method: Method, step: int) -> Batch:
    """The batch of one step, augmented on the device; a function of (trial, step)."""
    wanted = {stream: (stream, method.streams.get(stream)) for stream in STREAMS}
    wanted["partners"] = ("unlabelled", method.partners)
    batch = {}
    # In this order, whatever the method's: the draws follow it.
    for place, (name, (stream, views)) in enumerate(wanted.items()):
        if views is not None:
            part = getattr(train, stream)
            at = step_indices(len(part), trial.batch, step, trial.seed + place)
            image, mask = weak(*part.floats(at))
            if stream == "labelled" and trial.augment == "strong":
                image = strong(image)
            label = None if part.labels is None else part.labels[at.to(part.labels.device)]
            batch[name] = Views(image, mask, label, [strong(image) for _ in range(views)])
    return batch


def steps_per_epoch(train: TrainingSet, trial: Trial, method: Method) -> int:
    """Steps in one pass over the pictures that set the pace: unlabelled ones where the method uses them."""
    n = len(train.unlabelled if "unlabelled" in method.streams else train.labelled)
    return max(1, math.ceil(n / trial.batch))


def snapshot_steps(trial: Trial) -> list[int]:
    """Steps after which weights are kept; the last is always among them."""
    kept = {round(trial.steps * (k + 1) / trial.evaluations) for k in range(trial.evaluations)}
    return sorted(kept - {0}) or [0]


def snapshot_path(folder: Path, step: int) -> Path:
    """Where the weights after `step` steps are kept."""
    return folder / "snapshots" / f"{step:06d}.safetensors"


def fit(
    method: Method,
    train: TrainingSet,
    trial: Trial,
    folder: Path,
    fabric: Fabric,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> float:
    """Train `method`, or go on where an interrupted training stopped.

    Parameters
    ----------
    method : Method
        Freshly built; trained in place.
    train : TrainingSet
        On the device of `fabric`.
    trial : Trial
        Steps, batch, learning rate, seed.
    folder : Path
        Gets ``state.pt`` while training, ``log.csv`` (every loss term and weight of every step) and
        ``snapshots/*.safetensors``.
    fabric : Fabric
        Device and precision.
    on_step : callable
        Called with (steps done, steps in all).

    Returns
    -------
    float
        Seconds of training, those before an interruption included.

    Raises
    ------
    InputError
        A loss that is not finite, a disk that is full, or Ctrl-C (after the state was saved).
    """
    for stream in method.streams:
        if not getattr(train, stream):
            remedy = (
                "give a smaller --labelled, or add pictures without masks" if stream == "unlabelled" else "label more"
            )
            raise InputError(f"method {trial.method} got no {stream} picture", remedy)
    fabric.to_device(method).to(memory_format=torch.channels_last).train()  # convolutions run faster, same result
    settings = settings_of(method, trial)
    optimizers = make_optimizers(method, settings)
    take_step = Stepper(optimizers, fabric.backward)
    epoch = steps_per_epoch(train, trial, method)
    state_path, done, seconds, rows = folder / "state.pt", 0, 0.0, []
    if state_path.exists():
        done, seconds, rows = _restore(state_path, method, optimizers, fabric.device)

    pending: list[tuple[int, dict[str, Tensor], dict[str, float]]] = []

    def settle() -> None:
        """Fetch the pending loss terms from the device, and stop at one that is not finite."""
        for step, terms, weights in pending:
            row = {"step": step, **{k: float(v) for k, v in terms.items()}, **{f"w_{k}": v for k, v in weights.items()}}
            bad = [name for name in terms if not math.isfinite(row[name])]
            if bad:
                raise InputError(f"loss term {bad[0]} is not finite at step {step}", "lower --lr")
            rows.append(row)
        pending.clear()

    def keep(step: int) -> None:
        settle()
        save_state(
            state_path,
            {
                "method": method.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers.values()],
                "step": step,
                "seconds": seconds + time.perf_counter() - started,
                "rows": rows,
            },
        )
        _write_log(folder / "log.csv", rows)

    started = saved_at = time.perf_counter()
    with _stop_on_interrupt() as interrupted:
        for step in range(done, trial.steps):
            fabric.seed_everything((trial.seed * 1_000_003 + step) % 2**32, verbose=False)  # all that it takes
            progress = Progress(step, trial.steps, epoch)
            for name, optimizer in optimizers.items():
                factor = learning_rate(settings[name]["schedule"], progress.fraction)
                optimizer.param_groups[0]["lr"] = settings[name]["lr"] * factor
            with fabric.autocast():
                terms = method.update(make_batch(train, trial, method, step), progress, take_step)
            pending.append((step, terms, method.weights(progress)))
            if step + 1 in snapshot_steps(trial):
                save_weights(snapshot_path(folder, step + 1), method, {"trial": trial.id, "step": str(step + 1)})
            if interrupted():
                keep(step + 1)
                raise Stopped(f"stopped after step {step + 1} of {trial.steps}", "the same command goes on there")
            if time.perf_counter() - saved_at > SAVE_EVERY_S:
                keep(step + 1)
                saved_at = time.perf_counter()
            elif len(pending) >= 50:
                settle()
            on_step(step + 1, trial.steps)
    if not trial.steps:
        save_weights(snapshot_path(folder, 0), method, {"trial": trial.id, "step": "0"})
    settle()
    _write_log(folder / "log.csv", rows)
    return seconds + time.perf_counter() - started


def _restore(
    path: Path, method: Method, optimizers: dict[str, torch.optim.Optimizer], device: torch.device
) -> tuple[int, float, list[dict[str, float]]]:
    """Put a saved state back; returns the steps done, the seconds they took and their log."""
    state = load_state(path, device)
    try:
        method.load_state_dict(state["method"])
        for optimizer, saved in zip(optimizers.values(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return state["step"], state["seconds"], state["rows"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} belongs to another training", "delete it; the trial then starts anew") from error


def _write_log(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue())


@contextlib.contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question asked between steps, so that no half-done step is ever saved."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)

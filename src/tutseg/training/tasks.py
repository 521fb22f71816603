"""The tasks: what a trial of a method does, by the method's kind.

A task is a module with ``run(job) -> Outcome``; `tutseg.training.run.run_trial` does around it what all trials share
(folder, provenance, result). The test pictures stay inside ``run``: whatever trains gets the other parts alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.errors import unknown
from tutseg.methods import CARDS

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from tutseg.training.trial import Trial

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Task:
    """What the kind of a method means.

    Parameters
    ----------
    name : str
        "segment", "one-image", ...
    module : str
        Has ``run(job)``.
    best : str
        The score that chooses among kept weights, and that committed evidence keeps of every picture by default.
    trains : bool
        Whether a network outlives the run: then the trial's net, steps and labelled share mean something.
    """

    name: str
    module: str
    best: str
    trains: bool


TASKS = {
    "semi-supervised": Task("segment", "tutseg.training.segment", "dice", True),
    "noisy-label": Task("segment", "tutseg.training.segment", "dice", True),
    "classifier": Task("classify", "tutseg.training.classify", "accuracy", True),
    "promptable": Task("prompt", "tutseg.training.prompt", "dice", True),
    "generative": Task("generate", "tutseg.training.generate", "nearest", True),
    "one-image": Task("one-image", "tutseg.training.one_image", "dice", False),
}


def task_of(method: str) -> Task:
    """The task of a method that ``tutseg methods`` lists; `InputError` for another name."""
    if method not in CARDS:
        raise unknown("method", method, CARDS)
    return TASKS[CARDS[method].kind]


@dataclass(frozen=True)
class Job:
    """A trial about to be run.

    Parameters
    ----------
    trial : Trial
        What to run.
    folder : Path
        Its run folder, where an interrupted run has left its state.
    root : str or None
        Where the data set is; None: ``$TUTSEG_DATA``.
    fabric : Fabric
        Device and precision.
    inputs : dict
        Role -> the weights file that the trial pins.
    report : callable
        Called with (stage, done, total), stage one of "read", "train", "score".
    begin : callable
        To be called with the fingerprints of what was read, when it is known to be sound: the run folder begins to
        exist, or is known to be of the same data.
    """

    trial: "Trial"
    folder: Path
    root: str | None
    fabric: "Fabric"
    inputs: dict[str, Path]
    report: Report
    begin: Callable[[dict[str, str]], None]


@dataclass(frozen=True)
class Outcome:
    """What a run measured.

    Parameters
    ----------
    n : dict
        Part -> number of pictures.
    scores : dict
        view -> score -> averaging -> ``mean``, ``std``, ``n``; the default view first.
    rows : list of dict
        One a picture and view: ``id``, ``view`` and its numbers.
    seconds : dict
        Stage -> seconds.
    origin : dict
        Fingerprints of what was read.
    selection : dict
        Way of choosing among kept weights -> what it gives.
    """

    n: dict[str, int]
    scores: dict[str, dict[str, dict[str, dict[str, float]]]]
    rows: list[dict[str, Any]]
    seconds: dict[str, float]
    origin: dict[str, str]
    selection: dict[str, dict[str, Any]] = field(default_factory=dict)

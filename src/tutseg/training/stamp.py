"""The code that decides a trial's numbers, as one hash."""

from functools import lru_cache
from pathlib import Path

from tutseg.code import PACKAGE, reach, stamp
from tutseg.data import READERS
from tutseg.methods import CARDS as METHODS
from tutseg.nets import CARDS as NETS
from tutseg.training.tasks import task_of
from tutseg.training.trial import FOLD, NO_TEST, Trial
from tutseg.weights.cards import CARDS as WEIGHTS


@lru_cache(maxsize=64)
def _stamp(package: Path, method: str, net: str, pretrained: bool, *data: str) -> str:
    task, method_card = task_of(method), METHODS[method]
    nets = [NETS[net]] if task.trains else []
    readers = [READERS[name] for name in data if name in READERS]
    modules = ["tutseg.training.run", task.module, *(card.module for card in nets)]
    modules += [card.target.replace(":", ".") for card in (method_card, *readers)]
    modules += [] if len(readers) == len(data) else ["tutseg.data.synth", "tutseg.data.read_folder"]
    weights = [WEIGHTS[card.weights] for card in nets if pretrained and card.weights]
    return stamp(reach(modules, package), [method_card, *nets, *readers, *weights])


def stamp_of(trial: Trial, package: Path = PACKAGE) -> str:
    """Hash of the files that a trial's method, net, data sets, task and loop import, and of their registry entries.

    The card of a pretrained file counts where the trial starts from it.
    """
    own = "folder" if trial.test not in (FOLD, NO_TEST) else ""
    data = filter(None, (trial.data, trial.test_data, own))
    return _stamp(package, trial.method, trial.net, trial.pretrained, *data)

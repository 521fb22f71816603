"""A trial's method before the first step: freshly drawn weights, or those that the trial pins."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from lightning.fabric import seed_everything

from tutseg.errors import InputError, unknown
from tutseg.files import file_hash, json_of, runs_folder, weights_folder
from tutseg.methods import build_method, method_class
from tutseg.methods.base import Method
from tutseg.training.checkpoint import read_weights
from tutseg.training.drawn import OF_CLASS
from tutseg.training.trial import Trial
from tutseg.weights import find, locate
from tutseg.weights.cards import CARDS


@lru_cache(maxsize=32)
def _hash(path: Path, _mtime_ns: int) -> str:
    return file_hash(path)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, computed again only if it has changed."""
    return _hash(path, path.stat().st_mtime_ns)


def inputs_of(trial: Trial, places: Mapping[str, Path] = {}) -> dict[str, Path]:
    """The weights file behind each of a trial's `inputs`.

    Parameters
    ----------
    trial : Trial
        The child.
    places : mapping
        Id -> run folder of those parents that are not in `runs_folder`.

    Raises
    ------
    InputError
        A parent is not finished here, its weights are no longer those it was trained to, or neither a pretrained file
        (`tutseg.weights`) nor one below ``$TUTSEG_WEIGHTS`` has the pinned hash.
    """
    return {role: _pinned(role, name, places.get(name, runs_folder() / name)) for role, name in trial.inputs.items()}


def _pinned(role: str, name: str, folder: Path) -> Path:
    if len(name) == 64:
        known = next((card for card in CARDS.values() if card.sha256 == name), None)
        if known and locate(known.name):
            return find(known.name)
        for path in sorted(weights_folder().rglob("*")):
            if path.is_file() and hash_of(path) == name:
                return path
        remedy = known.remedy if known else "set TUTSEG_WEIGHTS to its folder"
        raise InputError(f"input {role}: no file below {weights_folder()} has SHA-256 {name}", remedy)
    weights, result = folder / "weights.safetensors", json_of(folder / "result.json") or {}
    if result.get("id") != name or not weights.is_file():
        raise InputError(
            f"input {role}: trial {name} is not finished in {folder.parent}",
            "run it first (`tutseg grid` does so by itself), or set TUTSEG_RUNS",
        )
    if hash_of(weights) != result.get("weights"):
        raise InputError(f"input {role}: {weights} has changed since trial {name} was trained", "run that trial again")
    return weights


def build_for(trial: Trial, inputs: dict[str, Path] | None = None) -> Method:
    """The trial's method with weights drawn from the trial's seed, or with those of the trial it starts from."""
    inputs = inputs_of(trial) if inputs is None else inputs
    cls = method_class(trial.method)
    known = ("start", *cls.roles, *cls.reads, *(("generated",) if "generated" in cls.streams else ()))
    for role in inputs:
        if role not in known and not (f"{OF_CLASS}CLASS" in known and role.startswith(OF_CLASS)):
            raise unknown(f"input of method {trial.method}", role, known)
    seed_everything(trial.seed % 2**32, verbose=False)
    options = {"net": trial.net, "size": trial.size, "pretrained": trial.pretrained, **trial.options}
    method = build_method(trial.method, inputs if trial.steps else None, **options)
    if "start" in inputs:
        _start_from(method, inputs["start"])
    return method


def _start_from(method: Method, weights: Path) -> None:
    """Copy all networks of a finished run of the like, or its one network into each of `method` that has its shape."""
    tensors, _ = read_weights(weights)
    if {n: t.shape for n, t in tensors.items()} == {n: t.shape for n, t in method.state_dict().items()}:
        method.load_state_dict(tensors)
        return
    trained = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    shapes = {name: tensor.shape for name, tensor in trained.items()}
    own = [net for name, net in method.named_children() if name not in method.borrowed]
    twins = [m for m in own if {n: t.shape for n, t in m.state_dict().items()} == shapes]
    if not trained or not twins:
        raise InputError(
            f"input start: no network of this trial has the shape of {weights}", "start from a run of one net"
        )
    for net in twins:
        net.load_state_dict(trained)

"""Many trials from one file: a spec, read and expanded.

A spec is YAML, ``experiments/<paper>/<name>.yaml``::

    about: what the grid is for, and on what it was run
    defaults: {data: isic2018, net: mobilenet-unet, size: 96, steps: 300}
    grid: {method: [supervised, cps, dme-fd], labelled: [0.02, 0.04], seed: [0, 1, 2]}
    also:                       # further blocks, each over the defaults with a grid of its own
      - name: "{options[combine]}"    # what a table calls the row; fields of the trial in braces
        defaults: {method: dme-fd, labelled: 0.04}
        grid: {options: [{combine: intersect}, {combine: self}], seed: [0, 1, 2]}
      - defaults: {inputs: {start: {method: supervised, data: synth}}}  # a parent: it runs first
    scales:                     # optional sizes of the same trials, one to be chosen with --scale
      lab: {data: synth, net: unet-s, size: 64, steps: 200}
      gpu: {data: isic2018, net: swin-unet, size: 224, steps: 2000}
    keep: {"": [dice]}          # scores of single pictures that committed evidence keeps, by view; "": the default view
    maps: 3                     # one-image methods on drawn data: pictures whose cluster maps are kept too

Besides fields of the trials, a scale may have ``options_of`` (method -> options under the block's own), ``rows`` (block
name -> fields), ``only`` (names of the blocks that run) and ``grid`` (values in the place of the blocks' own).
A block with ``rounds: N`` is of chains, for methods with an input "labeller" (SSGNet): each of its trials stands for
N + 1, round 0 of supervised training with the same loss, then each round with the one before as its labeller. Its name
may say ``{round}``.

A parent's net, size and seed are its child's unless it says otherwise, and parents may have parents. A trial of no
steps is its parent tested elsewhere, so of such a one the parent has every field but those it says itself::

    defaults: {method: supervised, steps: 0, test_data: ph2, inputs: {start: {steps: 600, test_data: isic2018}}}
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tutseg import methods, nets
from tutseg.data import source_names
from tutseg.errors import InputError, unknown
from tutseg.files import project_root, yaml_of
from tutseg.training.evidence import RESULTS
from tutseg.training.tasks import task_of
from tutseg.training.trial import Trial, make_trial

FIELDS = {
    "name": str, "paper": str, "about": str, "defaults": dict, "grid": dict, "also": list, "scales": dict, "keep": dict,
    "maps": int,
}  # fmt: skip
SCALE_FIELDS = {"options_of": dict, "rows": dict, "only": list, "grid": dict}  # its others are fields of the trials
BLOCK_FIELDS = {"name": str, "rounds": int, "defaults": dict, "grid": dict}
INHERITED = ("net", "size", "seed")  # what a parent has from a child that is trained
NOT_TRAINED = ("labelled", "net", "steps", "batch", "fold", "protocol", "lr", "weight_decay", "schedule", "augment",
               "evaluations", "precision", "pretrained", "test", "test_data", "test_options", "scored", "noise",
               "groups")  # fmt: skip
SHARED = ("loss", "kappa")  # options that round 0 of a chain has in common with the others
OF_TASKS = {"change": ("one-image",), "pictures": ("one-image", "generate"), "only": ("generate",)}


@dataclass(frozen=True)
class Spec:
    """A named list of trials, each once, parents before their children.

    Parameters
    ----------
    name, paper, about, scale : str
        From the file; with a scale the name ends with it.
    trials : tuple of Trial
        In the order of the file.
    rows : dict
        Trial id -> what a table calls it; empty where the spec does not say.
    parents : dict
        Trial id -> the trials it is made from, those among `trials` or left out by `only`.
    keep, maps : dict, int
        See `tutseg.training.evidence.write_evidence`.
    """

    name: str
    paper: str
    about: str
    trials: tuple[Trial, ...]
    scale: str = ""
    rows: dict[str, str] = field(default_factory=dict)
    parents: dict[str, tuple[Trial, ...]] = field(default_factory=dict)
    keep: dict[str, list[str]] = field(default_factory=dict)
    maps: int = 0

    @property
    def evidence(self) -> Path:
        """Where its evidence is kept, below ``results/``."""
        return Path(self.paper, self.name)

    @property
    def named(self) -> list[tuple[str, Trial]]:
        """Row name and trial of each."""
        return [(self.rows.get(trial.id, ""), trial) for trial in self.trials]


def experiments() -> Path:
    """The project's folder of specs."""
    return (project_root() or Path()) / "experiments"


def spec_of(folder: Path) -> Spec | None:
    """The project's spec behind a folder of evidence ``results/<paper>/<name>``; None if there is none."""
    paper = experiments() / folder.parent.name
    for path in sorted(paper.glob("*.yaml")):
        if folder.name == path.stem:
            return read_spec(path)
        if folder.name.startswith(f"{path.stem}-") and folder.name[len(path.stem) + 1 :] in scales_of(path):
            return read_spec(path, folder.name[len(path.stem) + 1 :])
    return None


def scales_of(path: Path) -> list[str]:
    """Names of a spec's scales."""
    return list(_load(path).get("scales") or {})


def results_of(spec: Spec) -> Path:
    """The project's folder of evidence of a spec."""
    return (project_root() or Path()) / RESULTS / spec.evidence


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror})", "give a spec, such as those in experiments"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", "save it as UTF-8") from error
    spec = yaml_of(str(path), text)
    if not isinstance(spec, dict):
        raise InputError(f"{path} is no spec", "it needs at least `grid`, or `also` with blocks")
    _fields_fit(path, spec, FIELDS)
    for name in ("name", "paper"):
        if not re.fullmatch(r"[^/\\]*", spec.get(name, "")) or spec.get(name) in ("", ".", ".."):
            raise InputError(f"{path}: {name} is {spec[name]!r}", "it names a folder of results: give a plain word")
    for block in spec.get("also", []):
        _fields_fit(path, block, BLOCK_FIELDS)
    for scale in spec.get("scales", {}).values():
        scale = _mapping(path, scale)
        _fields_fit(path, {name: scale[name] for name in SCALE_FIELDS if name in scale}, SCALE_FIELDS)
    for view, scores in spec.get("keep", {}).items():
        if not isinstance(scores, list) or not all(isinstance(score, str) for score in scores):
            raise InputError(f"{path}: keep has {view!r}: {scores!r}", "it must be a list of scores")
    return spec


def _fields_fit(path: Path, block: Any, known: dict[str, type]) -> None:
    """Whether a part of a spec has known fields alone, each of its kind."""
    if not isinstance(block, dict):
        raise InputError(f"{path}: '{block}' is no block", f"a block has {' and '.join(known)}")
    for name, value in block.items():
        if name not in known:
            raise unknown(f"field in {path}", name, known)
        kind = known[name]
        if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 0)):
            raise InputError(f"{path}: {name} is {value!r}", f"it must be a {_KINDS[kind]}")


_KINDS = {str: "text (put it in quotes)", dict: "mapping", list: "list", int: "whole number from 0 on"}


def read_spec(path: Path, scale: str = "") -> Spec:
    """Read and expand a spec.

    Parameters
    ----------
    path : Path
        YAML.
    scale : str
        One of the spec's ``scales``, whose fields then go over its defaults; needed if it has any.

    Raises
    ------
    InputError
        Missing file, broken YAML, an unknown field, or a trial that cannot be.
    """
    spec = _load(path)
    scales = spec.get("scales", {})
    if scale not in (scales or [""]):
        raise unknown(f"scale of {path}", scale, scales or ["(none)"])
    sized = dict(_mapping(path, scales.get(scale)))
    smaller, by_row, kept, values = (sized.pop(name, None) for name in SCALE_FIELDS)
    shared = {**spec.get("defaults", {}), **sized}
    blocks = [{key: spec[key] for key in ("grid",) if key in spec}] if "grid" in spec else []
    trials: dict[str, Trial] = {}
    rows: dict[str, str] = {}
    parents: dict[str, tuple[Trial, ...]] = {}

    def add(fields: dict[str, Any]) -> Trial:
        fields = dict(fields)
        cut = _mapping(path, (smaller or {}).get(str(fields.get("method"))))
        fields["options"] = {**cut, **_mapping(path, fields.get("options"))}
        inherited = INHERITED if fields.get("steps") != 0 else fields.keys() - {"inputs"}
        own = {name: fields[name] for name in inherited if name in fields}
        before = {role: add({**own, **given}) if isinstance(given, dict) else given
                  for role, given in _mapping(path, fields.get("inputs")).items()}  # fmt: skip
        fields["inputs"] = {role: each.id if isinstance(each, Trial) else each for role, each in before.items()}
        trial = make_trial(**fields)
        check(trial)
        made = tuple(each for each in before.values() if isinstance(each, Trial))
        if made:
            parents[trial.id] = made
        return trials.setdefault(trial.id, trial)

    for block in blocks + spec.get("also", []):
        name = block.get("name", "")
        if kept is not None and name not in kept:
            continue
        fixed = {**shared, **_mapping(path, block.get("defaults")), **_mapping(path, (by_row or {}).get(name))}
        own = _mapping(path, block.get("grid"))
        _of_one_kind(path, own.get("method"))
        for point in _points(path, {**own, **{key: value for key, value in (values or {}).items() if key in own}}):
            for number, fields in enumerate(_chain(path, {**fixed, **point}, block.get("rounds", 0))):
                trial = add(fields)
                rows.setdefault(trial.id, _row(path, name, trial, number))
    if not trials:
        raise InputError(f"{path} lists no trial", "give it a `grid`, or `also` with blocks")
    name = "-".join(filter(None, (spec.get("name", path.stem), scale)))
    paper = spec.get("paper", path.resolve().parent.name)
    about = " ".join(spec.get("about", "").split())
    return Spec(
        name, paper, about, tuple(trials.values()), scale, rows, parents, spec.get("keep", {}), spec.get("maps", 0)
    )


def _chain(path: Path, fields: dict[str, Any], rounds: int) -> list[dict[str, Any]]:
    """Fields of the trials that a block's point stands for: itself, or round 0 and `rounds` that follow it."""
    if not rounds:
        return [fields]
    options = _mapping(path, fields.get("options"))
    inputs = _mapping(path, fields.get("inputs"))
    first = {"loss": "bce-dice"} | {name: options[name] for name in SHARED if name in options}
    chain = [fields | {"method": "supervised", "options": first, "inputs": {}}]
    for number in range(1, rounds + 1):
        chain.append(fields | {"options": {**options, "round": number}, "inputs": {**inputs, "labeller": chain[-1]}})
    return chain


def _row(path: Path, name: str, trial: Trial, number: int) -> str:
    try:
        return name.format(**trial.model_dump(), round=number)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: block name {name!r} does not fit its trials", "name fields they have") from error


def _mapping(path: Path, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{path}: {value!r} is no mapping of trial fields", "write {field: value}")
    return value or {}


def _of_one_kind(path: Path, names: Any) -> None:
    """Trained methods and those of one image are no rows of one table: they have other fields and other test parts."""
    known = [name for name in map(str, names) if name in methods.CARDS] if isinstance(names, list) else []
    alone = [name for name in known if not task_of(name).trains]
    if alone and len(alone) < len(known):
        raise InputError(
            f"{path}: method {alone[0]} segments one image, others of its block are trained",
            "give it a block of its own",
        )


def _points(path: Path, grid: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's values."""
    for name, values in _mapping(path, grid).items():
        if not isinstance(values, list):
            raise InputError(f"{path}: grid field {name} is {values!r}", f"write a list, such as [{values}]")
    for point in itertools.product(*grid.values()):
        yield dict(zip(grid, point, strict=True))


def check(trial: Trial) -> None:
    """A misspelt method or network should be met before the first trial, not after a night of them.

    Raises
    ------
    InputError
        Unknown method, net, data or label noise, or a field that means nothing to the method's task.
    """
    kinds = [("method", trial.method, methods.CARDS), ("net", trial.net, nets.CARDS)]
    kinds += [("data", name, source_names()) for name in (trial.data, trial.test_data) if name]
    for kind, name, known in kinds:
        if name not in known:
            raise unknown(kind, name, known)
    if trial.noise:
        from tutseg.data.noise import style_of  # scipy with it

        style_of(trial.noise)
    task = task_of(trial.method)
    idle = [name for name, tasks in OF_TASKS.items() if task.name not in tasks]
    for name in (*idle, *(() if task.trains else NOT_TRAINED)):
        if name in trial.given:
            raise InputError(
                f"trial field {name} means nothing to {trial.method}, a method of the task {task.name}",
                "leave it out, or take another of `tutseg methods`",
            )


def only(spec: Spec, name: str) -> Spec:
    """The spec with one trial left, by its id."""
    found = tuple(trial for trial in spec.trials if trial.id == name)
    if not found:
        raise InputError(f"no trial {name} in {spec.name}", "`tutseg grid SPEC --dry-run` lists the ids")
    return replace(spec, trials=found)

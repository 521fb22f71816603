"""A trial: everything that decides the numbers of one run, and the id that follows from it."""

import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tutseg.data import DRAWN
from tutseg.errors import InputError, unknown
from tutseg.files import canonical_json, json_of, runs_folder, sha256, yaml_of
from tutseg.methods.cards import CARDS

SCHEMA = 2
FOLD, NO_TEST = "fold", "none"
OF_ONE_IMAGE = ("seed", "steps", "lr")  # of each picture's own training, not the trial's


def _share_or_count(labelled: float) -> float:
    if labelled > 1 and (labelled < 2 or labelled % 1):
        raise ValueError("give a share in (0, 1], or a whole number of pictures from 2 on")
    return labelled


def _pinned(name: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{64}", name):
        raise ValueError("pin it: the id of a trial (16 digits), or the SHA-256 of a weights file (64 digits)")
    return name


def _kind_and_rate(noise: Any) -> Any:
    """``{warp: 0.03, seed: 1}`` as ``{kind: warp, rate: 0.03, seed: 1}``."""
    if not isinstance(noise, dict) or noise.keys() & {"kind", "rate"}:
        return noise
    kinds = noise.keys() - {"seed", "share"}
    if len(kinds) != 1:
        return noise
    (kind,) = kinds
    return {"kind": kind, "rate": noise[kind], **{name: noise[name] for name in noise if name != kind}}


def _field(default: Any, about: str, flag: str = "", **limits: Any) -> Any:
    """A field; `about` is its documentation and its help on the command line, `flag` only if it is not its name."""
    return Field(default, description=about, json_schema_extra={"flag": flag} if flag else None, **limits)


class Trial(BaseModel):
    """One run of a method, frozen; each field says what it is. An unknown field is an error.

    The id follows from the fields that are not at their default, so a new field whose default changes nothing leaves
    every id as it was. `SCHEMA` is raised when a default changes, since equal fields then mean another trial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(description="A name that `tutseg methods` lists.")
    data: str = _field("synth", "A name that `tutseg data list` prints.")
    labelled: Annotated[float, AfterValidator(_share_or_count)] = _field(
        0.02,
        "Share of the training part with masks, in (0, 1]; from 2 on their number. Of --data folder all, unless given.",
        gt=0,
    )
    net: str = _field("mobilenet-unet", "A name that `tutseg nets` lists.")
    size: int = _field(96, "Input height and width in pixels.", gt=0, le=4096)
    steps: int = _field(300, "Optimiser steps; 0 trains nothing: the network of input start is scored as it is.", ge=0)
    batch: int = _field(16, "Pictures a step from each stream.", gt=0, le=4096)
    fold: int = _field(0, "Test fold, 0 to 4.", ge=0, le=4)
    seed: int = _field(0, "Of labelled draw, initialisation and batches.", ge=0, le=2**63 - 1)
    protocol: Literal["honest", "paper", "without-kin", "with-kin", "with-itself"] = _field(
        "honest",
        "honest (folds by group, a validation part, nested labelled subsets), paper (DME-FD's counts), or, to see what "
        "a leak is worth, one test part without-kin, with-kin (others of its groups) or with-itself in training.",
    )
    lr: float = _field(1e-3, "Learning rate of AdamW.", gt=0, allow_inf_nan=False)
    weight_decay: float = _field(0.01, "Weight decay of AdamW.", ge=0, allow_inf_nan=False)
    schedule: Literal["cosine", "step", "one-cycle", "constant"] = _field(
        "cosine",
        "cosine to zero, step (DME-FD's: halved after 50 of 80 epochs), one-cycle (a linear rise over the first 15 % "
        "of the steps, then a cosine, which bears a higher --lr) or constant.",
    )
    augment: Literal["weak", "strong"] = _field("weak", "Labelled pictures: weak (flips) or strong (and colour).")
    evaluations: int = _field(1, "Evenly spaced points at which weights are kept to choose among.", gt=0, le=1000)
    precision: Literal["32-true", "bf16-mixed"] = _field("32-true", "32-true or bf16-mixed.")
    pretrained: bool = _field(False, "ImageNet weights for the encoder.")
    inputs: dict[str, Annotated[str, AfterValidator(_pinned)]] = _field(
        {},
        "What the trial is made from besides its data, pinned: ROLE=ID of a finished trial, or ROLE=SHA-256 of a "
        "weights file. Role start: every network starts from that trial's network, or all from its if they are alike.",
        "--input",
    )
    test: str = _field(
        FOLD,
        "fold (the test fold), none (train on all pictures, no score), or a folder of pictures and masks of your own, "
        "as --data folder reads it; then all of --data trains.",
    )
    test_data: str = _field("", "Test on this data set instead of the test fold.")
    scored: Literal["test", "validation"] = _field("test", "Which part is scored; validation in pilots, which choose.")
    noise: Annotated[dict[str, Any], BeforeValidator(_kind_and_rate)] = _field(
        {},
        "Label noise of the labelled part: KIND=RATE (grow, shrink, warp, flip, smooth, miss or drop), then perhaps "
        "seed=N and share=S, the part of its pictures that it befalls.",
    )
    groups: dict[str, dict[str, Any]] = _field(
        {}, "Optimiser settings of a parameter group of the method: NAME={lr: ..., schedule: ...}.", "--group"
    )
    change: dict[str, Any] = _field(
        {}, "One-image methods: what is done to every picture first: angle, scale, shear, hair."
    )
    pictures: int | None = _field(
        None,
        "One-image methods: only so many pictures, evenly spread over the data set. Generators: how many to draw.",
        gt=0,
    )
    only: str = _field("", "Generators: learn from the pictures of this class alone, by its name.")
    options: dict[str, Any] = _field({}, "Method option.", "-o")
    data_options: dict[str, Any] = _field({}, "Data option.", "-d")
    test_options: dict[str, Any] = _field({}, "Option of --test-data.", "-t")

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not at their default."""
        return self.model_dump(exclude_defaults=True)

    @property
    def id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of `SCHEMA` and the fields that are not at their default."""
        return sha256(canonical_json([SCHEMA, _same_numbers(self.given)]))[:16]

    @property
    def title(self) -> str:
        """What a display calls it."""
        return f"{self.method} {self.labelled:g} seed {self.seed}"

    @property
    def cost(self) -> float:
        """What it takes, for comparison with others of its method and net."""
        return self.steps * self.size**2

    @property
    def folder(self) -> Path:
        """Where the trial is kept unless told otherwise."""
        return runs_folder() / self.id

    @property
    def command(self) -> str:
        """The command line that repeats this trial."""
        words = ["tutseg", "train", self.method]
        for name, value in self.given.items():
            if isinstance(value, dict):
                written = _plain if name == "inputs" else _as_yaml
                words += [word for key, item in value.items() for word in (flag_of(name), f"{key}={written(item)}")]
            elif name != "method":
                words += [flag_of(name)] if value is True else [flag_of(name), _plain(value)]
        return shlex.join(words)

    def command_at(self, root: str | None) -> str:
        """The `command` with where the data is, which is no field of the trial: `root`, or ``$TUTSEG_DATA``."""
        root = root or os.environ.get("TUTSEG_DATA")
        if not root or {self.data, self.test_data} <= {*DRAWN, ""}:
            return self.command
        return shlex.join([*shlex.split(self.command), "--root", os.path.abspath(root)])


def result_in(folder: Path) -> dict[str, Any] | None:
    """The result of a run folder; None where there is none, or a damaged one."""
    result = json_of(folder / "result.json")
    try:
        sound = isinstance(result["id"], str) and isinstance(result["trial"], dict) and result["scores"].items()
        cells = [cell for scores in result["scores"].values() for ways in scores.values() for cell in ways.values()]
        numbers = [*result["seconds"].values(), *result["n"].values(), *(cell["mean"] for cell in cells)]
        sound = sound and all(isinstance(number, int | float) for number in numbers)
        sound = sound and isinstance(result["provenance"], dict) and isinstance(result["selection"], dict)
    except (TypeError, KeyError, AttributeError):
        return None
    return result if sound else None


def _same_numbers(value: Any) -> Any:
    """1.0 as 1 at every depth, since it is the same trial however somebody writes the number."""
    if isinstance(value, dict):
        return {key: _same_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_same_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def flag_of(field: str) -> str:
    """The command line's flag of a field: its name, unless the field has another."""
    return (Trial.model_fields[field].json_schema_extra or {}).get("flag") or f"--{field.replace('_', '-')}"


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and value > 1:
        value = int(value)
    return value if isinstance(value, str) else canonical_json(value)


def _as_yaml(value: Any) -> str:
    """A value as the command line reads it; a text that would be read as something else stands in quotes."""
    if isinstance(value, str):
        try:
            if yaml_of("", value) == value:
                return value
        except InputError:
            pass
        return canonical_json(value)
    return _plain(value)


def make_trial(**fields: Any) -> Trial:
    """A `Trial` from fields, with one-line errors; one on a folder of one's own learns from all masks unless told.

    Raises
    ------
    InputError
        An unknown field (with the nearest known ones), a value out of range, a field among the method's options,
        no steps from no start, or two ways of testing.
    """
    for name in fields:
        if name not in Trial.model_fields:
            raise unknown("trial field", name, Trial.model_fields)
    card = CARDS.get(str(fields.get("method")))
    one_image = card is not None and card.kind == "one-image"
    if fields.get("data") == "folder" and not one_image:
        fields = {"labelled": 1.0, **fields}
    try:
        trial = Trial(**fields)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"trial field {field} = {fault['input']!r}", fault["msg"]) from error
    own = ("method", *(OF_ONE_IMAGE if one_image else ()))
    for name in trial.options:
        if name in Trial.model_fields and name not in own:
            remedy = f"give it as {flag_of(name)}, in a spec as {name} beside options"
            raise InputError(f"{name} is no option of a method but a field of the trial", remedy)
    if trial.test != FOLD:
        for name in ("test_data", "scored", "fold"):
            if name in trial.given:
                raise InputError(f"{flag_of('test')} {trial.test} and {flag_of(name)} exclude each other", "give one")
    if not trial.steps and "start" not in trial.inputs:
        raise InputError(
            "a trial of 0 steps trains nothing", "name the trained network (input start), or give it steps"
        )
    return trial

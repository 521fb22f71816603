"""A trial: everything that decides the numbers of one training, and the id that follows from it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tutseg.errors import InputError, unknown
from tutseg.files import canonical_json, runs_folder, sha256


class Trial(BaseModel):
    """One training, frozen. An unknown field is an error.

    Parameters
    ----------
    method, net, data : str
        Names that ``tutseg methods``, ``nets`` and ``data list`` print.
    labelled : float
        Share of the training part whose masks may be used, in (0, 1].
    size : int
        Input height and width in pixels.
    steps, batch : int
        Optimiser steps; pictures a step from each of the labelled and the unlabelled stream.
    fold, seed : int
        Test fold (of 5), and the seed of split, initialisation and batches.
    protocol : {"honest", "paper"}
        "honest": folds by group, a validation part, nested labelled subsets. "paper": DME-FD's counts.
    lr, weight_decay, schedule
        AdamW; "cosine" to zero, "step": DME-FD's halving after 50 of 80 epochs, or "one-cycle": a cosine after a
        linear rise over the first 15 % of the steps, which allows a higher learning rate.
    augment : {"weak", "strong"}
        Views of the *labelled* pictures: flips (the paper), or flips and the strong colour changes.
    evaluations : int
        Evenly spaced points at which weights are kept for choosing among them (1: the last only).
    precision : {"32-true", "bf16-mixed"}
        Lightning Fabric's name.
    pretrained : bool
        ImageNet weights for the encoder.
    start : str
        Run folder, or id of a run below ``$TUTSEG_RUNS``, whose network every network starts from (empty: random).
    test_data : str
        Test on this data set as a whole instead of the test fold (empty: the fold).
    paper : str
        The paper whose table this belongs to.
    options, data_options, test_options : dict
        Passed to method, data set and test data set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    data: str = "synth"
    labelled: float = Field(0.02, gt=0, le=1)
    net: str = "mobilenet-unet"
    size: int = Field(96, gt=0)
    steps: int = Field(300, gt=0)
    batch: int = Field(16, gt=0)
    fold: int = Field(0, ge=0, le=4)
    seed: int = Field(0, ge=0)
    protocol: Literal["honest", "paper"] = "honest"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["cosine", "step", "one-cycle"] = "cosine"
    augment: Literal["weak", "strong"] = "weak"
    evaluations: int = Field(1, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    pretrained: bool = False
    start: str = ""
    test_data: str = ""
    paper: str = "dme-fd"
    options: dict[str, Any] = {}
    data_options: dict[str, Any] = {}
    test_options: dict[str, Any] = {}

    @property
    def id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return sha256(canonical_json(self.model_dump()))[:16]

    @property
    def folder(self) -> Path:
        """Where the trial is kept unless told otherwise."""
        return runs_folder() / self.id

    @property
    def command(self) -> str:
        """The command line that repeats this trial."""
        words = [f"tutseg train {self.method}"]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name == "method" or value == field.default:
                continue
            if isinstance(value, dict):
                flag = {"options": "-o", "data_options": "-d", "test_options": "-t"}[name]
                words += [f"{flag} {key}={_plain(item)}" for key, item in value.items()]
            else:
                words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {_plain(value)}"))
        return " ".join(words)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def make_trial(**fields: Any) -> Trial:
    """A `Trial` from fields, with one-line errors.

    Raises
    ------
    InputError
        An unknown field (with the nearest known ones) or a value out of range.
    """
    for name in fields:
        if name not in Trial.model_fields:
            raise unknown("trial field", name, Trial.model_fields)
    try:
        return Trial(**fields)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"trial field {field} = {fault['input']!r}", fault["msg"]) from error

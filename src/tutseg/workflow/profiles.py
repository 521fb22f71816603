"""Profiles: how large a chapter runs (``lab``, ``gpu``, ``paper``), with its hardware, minutes and expected score."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tutseg.errors import InputError, unknown
from tutseg.files import project_root

PROFILES = ("lab", "gpu", "paper")


class Profile(BaseModel):
    """One profile of one chapter, as ``notebooks/profiles/<chapter>.yaml`` states it.

    Parameters
    ----------
    hardware : str
        The machine that the minutes hold for.
    minutes : float
        Wall-clock minutes to expect on it, above 0.
    expect : str
        The score to expect, in words.
    settings : dict
        What the chapter's code reads: steps, sizes, seeds, data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hardware: str
    minutes: float
    expect: str
    settings: dict[str, Any]


def load_profile(chapter: str, name: str, folder: Path | None = None) -> Profile:
    """Read one profile of a chapter.

    Parameters
    ----------
    chapter : str
        The notebook's name without its ending, such as ``01_dme_fd``.
    name : str
        ``lab``, ``gpu`` or ``paper``.
    folder : Path, optional
        Where the profiles are; the checkout's ``notebooks/profiles`` if not given.

    Raises
    ------
    InputError
        The file is missing or malformed, or has no such profile.
    """
    path = (folder or project_root() / "notebooks" / "profiles") / f"{chapter}.yaml"
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    try:
        return Profile(**yaml.safe_load(path.read_text())[name])
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing", "every chapter has one, with its three profiles") from error
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: profile '{name}' is missing or malformed", "copy its form from another") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {name}.{field}: {first['msg']}", "see tutseg.workflow.profiles.Profile") from error

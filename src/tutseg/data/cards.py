"""Cards of the data sets: what each is, where to ask for it, what its folder looks like and what is wrong with it."""

import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tutseg.data import DRAWN, DRAWN_COUNT, find_root, open_source
from tutseg.data.readers import READERS
from tutseg.errors import InputError, unknown
from tutseg.files import knowledge


class Download(BaseModel):
    """A file that the publisher gives to anyone, without asking.

    Parameters
    ----------
    name : str
        File name to keep it under.
    url : str
        Where it is.
    hash : str or None
        ``md5:...`` or ``sha256:...`` where the publisher states one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    url: str
    hash: str | None = None


class Card(BaseModel):
    """One data set.

    Parameters
    ----------
    name, title, kind : str
        The name `open_source` knows; the full name; what the pictures are.
    citation : list of str
        What to cite.
    licence, ask : str
        On what terms, and the address where it is asked for or downloaded.
    tree : str
        The folder, as the official download unpacks.
    counts : dict of str to int
        Pictures of each official part.
    masks : bool
        Whether pictures have masks (else classes only).
    groups : str
        What a split keeps together, and how that is known.
    defects : list of str
        What is wrong with it, or with how it is used.
    downloads : list of Download
        Open files, for `tutseg.data.fetch`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    title: str
    kind: Literal["dermoscopy", "endoscopy", "CT", "X-ray", "ultrasound", "mammography", "drawn"]
    citation: list[str]
    licence: str
    ask: str
    tree: str
    counts: dict[str, int]
    masks: bool
    groups: str
    defects: list[str] = []
    downloads: list[Download] = []


@lru_cache
def load_cards() -> dict[str, Card]:
    """All cards by name, in the order of the registry, the drawn data first.

    Raises
    ------
    InputError
        A card has an unknown, missing or ill-typed field, or its file another name.
    """
    cards = {}
    for path in sorted((knowledge() / "cards").glob("*.yaml")):
        try:
            card = Card(**yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValidationError, yaml.YAMLError, TypeError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            raise InputError(f"card {path} is not valid ({'; '.join(lines[:3])})", "correct that field") from error
        if card.name != path.stem:
            raise InputError(f"card {path} names data {card.name}", f"call the file {card.name}.yaml")
        cards[card.name] = card
    order = [*DRAWN, *READERS]
    return dict(sorted(cards.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def card(name: str) -> Card:
    """The card of a data set.

    Raises
    ------
    InputError
        Unknown name.
    """
    cards = load_cards()
    if name not in cards:
        raise unknown("data", name, cards)
    return cards[name]


def list_data(root: str | Path | None = None) -> list[dict]:
    """What ``tutseg data list`` prints: every data set, and whether it is here.

    Parameters
    ----------
    root : path, optional
        The folder that holds the data sets; without it ``$TUTSEG_DATA``.

    Returns
    -------
    list of dict
        ``name, title, kind, state, n, official, root, licence, get``. `state` is ``drawn``, ``here``, ``missing`` or
        ``broken`` (then `get` says why); `n` counts the pictures that are here with the reader's default options,
        `official` those of all official parts.
    """
    root = root or os.environ.get("TUTSEG_DATA")
    if root and not Path(root).is_dir():
        warnings.warn(f"root {root} is no folder: nothing is here but what is drawn", stacklevel=2)
    rows = []
    for name, each in load_cards().items():
        official = sum(each.counts.values())
        row = {"name": name, "title": each.title, "kind": each.kind, "state": "missing", "n": 0, "official": official}
        row |= {"root": None, "licence": each.licence, "get": each.ask}
        if name in DRAWN:
            row |= {"state": "drawn", "n": DRAWN_COUNT}
        elif root and Path(root).is_dir():
            try:
                row["root"] = str(find_root(name, root, told=False))
            except InputError:
                pass  # missing: the row says where to get it
            else:
                try:
                    row |= {"state": "here", "n": len(open_source(name, row["root"]))}
                except InputError as error:
                    row |= {"state": "broken", "get": str(error)}
        rows.append(row)
    return rows

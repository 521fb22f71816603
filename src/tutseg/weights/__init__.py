"""Pretrained files: which the book can use, where each comes from, whether it is here, and reading it whole.

A file lies in an installed package, in the Hugging Face cache, in the folder that ``$TUTSEG_WEIGHTS`` names, or in the
book's own ``data/``. Its hash is compared before it is read, it is read without running code, and it is read whole or
not at all.
"""

import re
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown
from tutseg.files import file_hash, knowledge, weights_folder
from tutseg.weights.cards import CARDS, WeightsCard

if TYPE_CHECKING:
    from torch import Tensor, nn


def card_of(name: str) -> WeightsCard:
    """The card of a pretrained file; an unknown name is an `InputError`."""
    if name not in CARDS:
        raise unknown("pretrained file", name, CARDS)
    return CARDS[name]


def locate(name: str) -> Path | None:
    """Where a pretrained file is on this machine, or None; nothing is downloaded."""
    card, path = card_of(name), None
    if card.place == "package":
        package, _, inside = card.file.partition("/")
        if spec := find_spec(package):  # finds the folder without running the package
            path = Path(spec.submodule_search_locations[0], inside)
    elif card.place == "hub":
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(card.source, card.file)
        path = Path(cached) if isinstance(cached, str) else None
    else:
        path = (knowledge() if card.place == "book" else weights_folder()) / card.file
    return path if path and path.is_file() else None


def find(name: str) -> Path:
    """A pretrained file of the right size and hash; one on the Hub is downloaded where there is a network.

    Raises
    ------
    InputError
        Unknown name; not here and not to be had; or another file than the one that was published.
    """
    card = card_of(name)
    path = locate(name) or _obtain(card)
    if fault := _wrong_size(card, path) or _wrong_hash(card, path):
        raise InputError(f"{path} {fault}", card.repair)
    return path


def read(name: str) -> "dict[str, Tensor]":
    """Every tensor of a pretrained file, by the name it has in the file.

    Raises
    ------
    InputError
        As `find`; or the file holds code, anything but tensors, or another number of tensors than its card says.
    """
    card, path = card_of(name), find(name)
    tensors = tensors_of(path, card.repair)
    if card.tensors not in (None, len(tensors)):
        raise InputError(f"{path} holds {len(tensors)} tensors, not {card.tensors}", card.repair)
    return tensors


def check(name: str) -> InputError | None:
    """Hash and read a pretrained file that is here; what is wrong with it, or None.

    Raises
    ------
    InputError
        Unknown name, or the file is not here.
    """
    if locate(name) is None:
        raise _missing(card_of(name))
    try:
        read(name)
    except InputError as error:
        return error
    return None


def weights_table() -> list[dict[str, Any]]:
    """Every pretrained file for ``tutseg weights list``; the sizes of files are compared, not yet their hashes.

    Returns
    -------
    list of dict
        `name`, `content`, `origin`, `licence`, `sha256` (None: not known here), `state` ("here", "not here" or
        "damaged: ..."), `path` (empty: none) and `remedy` (empty: nothing to do).
    """
    rows = []
    for card in CARDS.values():
        path = locate(card.name)
        fault = _wrong_size(card, path) if path else None
        rows.append(
            {
                "name": card.name,
                "content": card.content,
                "origin": card.origin,
                "licence": card.licence,
                "sha256": card.sha256 or (path and _hub_hash(path)),
                "state": f"damaged: {fault}" if fault else "here" if path else "not here",
                "path": str(path or ""),
                "remedy": card.repair if fault else "" if path else card.remedy,
            }
        )
    return rows


def _wrong_size(card: WeightsCard, path: Path) -> str | None:
    size = path.stat().st_size
    return None if card.size in (None, size) else f"has {size:,} bytes, not {card.size:,}"


def _wrong_hash(card: WeightsCard, path: Path) -> str | None:
    expected = card.sha256 or _hub_hash(path)
    if expected is None:
        return None
    found = file_hash(path)
    return None if found == expected else f"is not the published file: its SHA-256 is {found}, not {expected}"


def _hub_hash(path: Path) -> str | None:
    """The SHA-256 that the Hub states: its cache keeps a large file under that name, and links to it."""
    name = path.resolve().name
    return name if re.fullmatch("[0-9a-f]{64}", name) else None


def _missing(card: WeightsCard) -> InputError:
    return InputError(f"the pretrained file {card.name} ({card.content}) is not here", card.remedy)


def _obtain(card: WeightsCard) -> Path:
    """Download from the Hub; what lies elsewhere is the user's to bring."""
    if card.place != "hub":
        raise _missing(card)
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    try:
        # asks once; the download alone would retry for a minute
        get_hf_file_metadata(hf_hub_url(card.source, card.file), timeout=10)
        return Path(hf_hub_download(card.source, card.file))
    except Exception as error:  # whatever the transport raises, the user's remedy is the same
        raise _missing(card) from error


def tensors_of(path: Path, repair: str = "fetch it again, or train again") -> "dict[str, Tensor]":
    """The tensors of a safetensors file, or of a pickle that holds nothing else.

    Raises
    ------
    InputError
        The file is damaged, holds code or anything but tensors; `repair` is what to do about it.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch suspects of a foreign file is said below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors and torch raise half a dozen types for a file that is not their own
        code = re.search(r"[Uu]nsupported (?:global: )?GLOBAL (\S+)", str(error))
        fault = f"holds code ({code[1]}), which was not run" if code else "is damaged, or no file of tensors"
        raise InputError(f"{path} {fault}", repair) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path} holds more than named tensors", repair)
    return dict(state)


def load_into(module: "nn.Module", tensors: "Mapping[str, Tensor]", origin: object, remedy: str) -> None:
    """Fill every tensor of `module` by its name: all of them, with nothing left over, or none.

    Parameters
    ----------
    origin : object
        Where the tensors come from, for the message.
    remedy : str
        What to do if they do not fit.
    """
    own = module.state_dict()
    wrong = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
    wrong += [name for name in tensors if name not in own]
    if wrong:
        some = f"{len(wrong)} of {len(own)} tensors do not fit, such as {wrong[0]}"
        raise InputError(f"{origin} belongs to another network ({some})", remedy)
    module.load_state_dict(tensors)

"""Masks for pictures of any size: nothing is written over, and one broken picture does not stop the others."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tutseg.data.decode import read_image
from tutseg.data.folders import list_images
from tutseg.data.loader import shrink
from tutseg.data.made import check_free, save_made
from tutseg.errors import InputError, as_input_error
from tutseg.files import canonical_json, sha256
from tutseg.methods.base import Method

LONGEST_NAME = 255  # bytes, on every file system of today


def pictures_in(places: Sequence[Path]) -> list[Path]:
    """The picture files that `places` (files or folders) name, in order, each once."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += list_images(place)
        elif place.is_file():
            found.append(place)
        else:
            raise InputError(f"{place} does not exist", "give a picture or a folder of pictures")
    return list({os.path.abspath(path): path for path in found}.values())


@torch.inference_mode()
def probability_map(method: Method, image: np.ndarray, size: int, view: str | None = None) -> np.ndarray:
    """Foreground probability ``(H, W)`` of a uint8 RGB picture ``(H, W, 3)``, at the picture's own size."""
    device = next(method.parameters()).device
    tensor = shrink(image, size)[None].float().to(device) / 255
    probability = method.predict(tensor, view).float()
    return interpolate(probability, image.shape[:2], mode="bilinear", align_corners=False)[0, 0].cpu().numpy()


def write_masks(
    places: Sequence[Path],
    out: Path,
    segment: Callable[[np.ndarray], np.ndarray],
    maker: object,
    overlay: Callable[[np.ndarray, np.ndarray], Image.Image] | None = None,
    overwrite: bool = False,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
    names: Mapping[Path, str] = {},
) -> tuple[list[Path], list[InputError]]:
    """Write ``<stem>.png`` (0 or 255, the picture's own size) for each picture that can be read.

    A mask that is there already is made again only if it is the same maker's, of the same picture; any other file is
    the user's, and nothing at all is written unless `overwrite` says so.

    Parameters
    ----------
    places : sequence of Path
        Pictures or folders of pictures.
    out : Path
        Where masks go; with `overlay` (image and mask to a picture) also ``<stem>_overlay.png``.
    segment : callable
        A uint8 RGB picture ``(H, W, 3)`` to its boolean mask ``(H, W)``.
    maker : object
        What decides the masks besides the pictures: anything that JSON can write.
    names : mapping of Path to str
        What a picture's mask is called, where that is not its stem: a path below `out`, without ending.

    Returns
    -------
    written : list of Path
        The masks.
    failed : list of InputError
        One a picture that could not be read, or not held in memory.

    Raises
    ------
    InputError
        No picture; two that would be written to one file; a file in the way.
    """
    paths = pictures_in(places)
    by = sha256(canonical_json(maker))
    ending = {"mask": ".png"} | ({"overlay": "_overlay.png"} if overlay else {})
    of: dict[Path, Path] = {}
    for path in paths:
        for target in (out / f"{names.get(path, path.stem)}{end}" for end in ending.values()):
            if target in of:
                raise InputError(f"{path} and {of[target]} would both be written as {target.name}", "rename one")
            if len(os.fsencode(target.name)) > LONGEST_NAME:
                raise InputError(f"the name {target.name} would be too long", f"rename {path}")
            of[target] = path
    makers = {target: f"{by} {sha256(os.fsencode(path.resolve()))}" for target, path in of.items()}
    check_free(makers, paths, overwrite)

    written, failed = [], []
    for done, path in enumerate(paths, 1):
        try:
            image = read_image(path)
        except InputError as error:
            failed.append(error)
        else:
            try:
                mask = segment(image)
            except (MemoryError, RuntimeError) as error:
                if not (known := as_input_error(error)):
                    raise
                failed.append(InputError(f"{path}: {known.what}", "crop or shrink it"))
            else:
                shown = {"mask": Image.fromarray(mask.astype(np.uint8) * 255)}
                if overlay:
                    shown["overlay"] = overlay(image, mask)
                for kind, picture in shown.items():
                    target = out / f"{names.get(path, path.stem)}{ending[kind]}"
                    save_made(picture, target, makers[target])
                written.append(out / f"{names.get(path, path.stem)}.png")
        on_picture(done, len(paths))
    return written, failed

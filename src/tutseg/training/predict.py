"""Masks for pictures of any size, from a trained method."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tutseg.data.decode import png_bytes, read_image
from tutseg.data.folders import list_images
from tutseg.data.loader import shrink
from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.methods.base import Method


def pictures_in(places: Sequence[Path]) -> list[Path]:
    """The picture files that `places` (files or folders) name, in order; two of one stem are an error."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += list_images(place)
        elif place.is_file():
            found.append(place)
        else:
            raise InputError(f"{place} does not exist", "give a picture or a folder of pictures")
    stems: dict[str, Path] = {}
    for path in found:
        if path.stem in stems:
            raise InputError(f"{path} and {stems[path.stem]} would both be written as {path.stem}.png", "rename one")
        stems[path.stem] = path
    return found


@torch.inference_mode()
def probability_map(method: Method, image: np.ndarray, size: int, view: str | None = None) -> np.ndarray:
    """Foreground probability ``(H, W)`` of a uint8 RGB picture ``(H, W, 3)``, at the picture's own size."""
    device = next(method.parameters()).device
    tensor = shrink(image, size)[None].float().to(device) / 255
    probability = method.predict(tensor, view).float()
    return interpolate(probability, image.shape[:2], mode="bilinear", align_corners=False)[0, 0].cpu().numpy()


def predict_folder(
    method: Method,
    size: int,
    places: Sequence[Path],
    out: Path,
    overlay: Callable[[np.ndarray, np.ndarray], Image.Image] | None = None,
    view: str | None = None,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write ``<stem>.png`` (0 or 255, the picture's own size) for each picture.

    Parameters
    ----------
    method, size
        A trained method and its input size, as `load_run` gives them.
    places : sequence of Path
        Pictures or folders of pictures.
    out : Path
        Where masks go; with `overlay` (image and mask to a picture) also ``<stem>_overlay.png``.
    """

    written = []
    paths = pictures_in(places)
    for done, path in enumerate(paths, 1):
        image = read_image(path)
        mask = probability_map(method, image, size, view) >= 0.5
        atomic_write(out / f"{path.stem}.png", png_bytes(Image.fromarray(mask.astype(np.uint8) * 255)))
        if overlay:
            atomic_write(out / f"{path.stem}_overlay.png", png_bytes(overlay(image, mask)))
        written.append(out / f"{path.stem}.png")
        on_picture(done, len(paths))
    return written

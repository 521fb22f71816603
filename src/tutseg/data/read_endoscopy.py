"""Readers of endoscopic data sets, in the folder layout of their official downloads."""

import re
from pathlib import Path

import numpy as np

from tutseg.data.folders import Item, PictureSource, list_images, pair_items
from tutseg.errors import InputError

FRAMES_PER_BLOCK = 25
# First frame of each of the 29 video sequences of CVC-ClinicDB (612 frames, numbered from 1).
CLINIC_STARTS = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)


def _number(id: str) -> int:
    """The last number in an id, for data sets whose frames are numbered."""
    digits = re.findall(r"\d+", id)
    return int(digits[-1]) if digits else 0


def _block(id: str) -> str:
    """Fixed blocks of frames, for videos whose cuts are not published."""
    return f"block-{(_number(id) - 1) // FRAMES_PER_BLOCK:03d}"


def kvasir_seg(root: Path) -> PictureSource:
    """Kvasir-SEG: 1000 colonoscopy pictures; masks are JPEG, thresholded at 127."""
    return PictureSource("kvasir-seg", root, pair_items(root / "images", root / "masks"), by_hash=True)


def clinic_sequence(id: str) -> str:
    """Video sequence of a CVC-ClinicDB frame, ``sequence-01`` to ``sequence-29``."""
    return f"sequence-{int(np.searchsorted(CLINIC_STARTS, _number(id), side='right')):02d}"


def cvc_clinicdb(root: Path) -> PictureSource:
    """CVC-ClinicDB: 612 frames of 29 video sequences (the groups), TIFF as downloaded or PNG."""
    items = pair_items(root / "Original", root / "Ground Truth", group=clinic_sequence)
    return PictureSource("cvc-clinicdb", root, items)


def cvc_colondb(root: Path) -> PictureSource:
    """CVC-ColonDB: 380 frames in the layout of the PraNet release; groups are blocks of 25 frames."""
    return PictureSource("cvc-colondb", root, pair_items(root / "images", root / "masks", group=_block))


def etis(root: Path) -> PictureSource:
    """ETIS-Larib: 196 frames, as downloaded (masks ``p1.tif``) or as in the PraNet release; blocks of 25 frames."""
    if (root / "images").is_dir():
        return PictureSource("etis", root, pair_items(root / "images", root / "masks", group=_block))
    masks = {path.stem.removeprefix("p"): path for path in list_images(root / "Ground Truth")}
    items = []
    for image in list_images(root / "ETIS-LaribPolypDB"):
        if image.stem not in masks:
            raise InputError(f"image {image} has no mask", f"add {root / 'Ground Truth' / f'p{image.name}'}")
        items.append(Item(image.stem, image, masks[image.stem], _block(image.stem)))
    return PictureSource("etis", root, items)


def endoscene(root: Path) -> PictureSource:
    """EndoScene's CVC-300 (60 test frames in the PraNet release; ``bbdd`` and ``gtpolyp`` in the original)."""
    images, masks = ("images", "masks") if (root / "images").is_dir() else ("bbdd", "gtpolyp")
    return PictureSource("endoscene", root, pair_items(root / images, root / masks, group=_block))

"""What a trial of the task "generate" has drawn, and drawing more."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tutseg.data.decode import read_array
from tutseg.data.loader import Pictures
from tutseg.data.made import check_free, is_made, save_made
from tutseg.errors import InputError, unknown
from tutseg.training.trial import Trial, make_trial, result_in

if TYPE_CHECKING:
    from tutseg.methods.base import Method

APART = 1_000_003  # between the first pictures of two seeds
OF_CLASS = "generated-"  # a trial's input, with the name of the class behind it


def generated_pictures(folder: Path, size: int | None = None) -> Pictures:
    """What a run of this task has drawn, without masks.

    Raises
    ------
    InputError
        The run has drawn nothing, a picture is damaged, or they are not of the `size` that is asked for.
    """
    paths = sorted((folder / "images").glob("*.png"))
    if not paths:
        raise InputError(f"{folder} has drawn no pictures", "pin a trial of a method that draws")
    images = torch.from_numpy(np.stack([read_array(path) for path in paths])).permute(0, 3, 1, 2).contiguous()
    if size not in (None, images.shape[-1]):
        raise InputError(
            f"{folder} has drawn pictures of {images.shape[-1]} pixels, the trial's are of {size}",
            f"pin a generator of --size {size}",
        )
    ids = tuple(f"{folder.name}-{path.stem}" for path in paths)
    return Pictures(images, ids, ids, f"drawn by {folder.name}")


def drawn_for(files: Mapping[str, Path], size: int, classes: Sequence[str] = ()) -> Pictures:
    """What the runs behind a trial's inputs have drawn: "generated", or of one class each "generated-CLASS".

    Parameters
    ----------
    files : mapping
        Input -> weights file in a run folder.
    size : int
        Height and width that are asked for.
    classes : sequence of str
        Those of the trial's data, which the labels count by.

    Raises
    ------
    InputError
        As `generated_pictures`; or a generator of another class, or of one that the data does not have.
    """
    if "generated" in files:
        return generated_pictures(files["generated"].parent, size)
    parts, labels = [], []
    for role, file in files.items():
        name, told = role.removeprefix(OF_CLASS), generator_of(file).only or "all"
        if name not in classes:
            raise unknown("class of a generator", name, classes)
        if told != name:
            raise InputError(f"input {role}: {file.parent} learned from class {told}", f"pin a trial of --only {name}")
        parts.append(generated_pictures(file.parent, size))
        labels += [classes.index(name)] * len(parts[-1])
    ids = tuple(name for part in parts for name in part.ids)
    name = "drawn by " + ", ".join(file.parent.name for file in files.values())
    images = torch.cat([part.images for part in parts])
    return Pictures(images, ids, ids, name, labels=torch.tensor(labels), classes=tuple(classes))


def generator_of(file: Path) -> Trial:
    """The trial behind a weights file in the folder of a finished run."""
    return make_trial(**result_in(file.parent)["trial"])


def drawn_picture(method: "Method", k: int, seed: int, psi: float = 1.0) -> Image.Image:
    """Picture number `k` of a seed, a function of the weights and of both."""
    with torch.inference_mode():
        return as_image(method.sample(k + seed * APART, psi))


def as_image(image: Tensor) -> Image.Image:
    """``(3, S, S)`` in [0, 1] as a picture."""
    return Image.fromarray((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def sheet(method: "Method", side: int = 6) -> Image.Image:
    """The first ``side^2`` pictures of seed 0, in rows."""
    with torch.inference_mode():
        pictures = torch.stack([method.sample(k).cpu() for k in range(side**2)])
    rows = pictures.unflatten(0, (side, side)).permute(2, 0, 3, 1, 4)
    return as_image(rows.reshape(3, side * pictures.shape[2], side * pictures.shape[3]))


def write_drawn(
    method: "Method",
    maker: str,
    out: Path,
    n: int,
    seed: int,
    psi: float,
    overwrite: bool,
    on_picture: Callable[[int, int], None],
) -> list[Path]:
    """Draw pictures ``00000.png``, ... into a folder of the user's; those that are there already are kept.

    A picture is written whole or not at all, and under a mark of who drew it, so that the same command goes on where
    it was stopped, and no other file is ever written over.

    Parameters
    ----------
    method : Method
        Of the kind "generative", in evaluation mode.
    maker : str
        What decides the pictures besides their numbers.
    out : Path
        Where they go.
    n, seed, psi
        How many, of which seed, how far truncated.
    overwrite : bool
        See `check_free`.
    on_picture : callable
        Called with (done, total).

    Raises
    ------
    InputError
        A file is in the way, or a folder of more pictures than were asked for.
    """
    digits = max(5, len(str(n - 1)))
    paths = {out / f"{k:0{digits}d}.png": f"{maker} {seed} {psi} {k}" for k in range(n)}
    others = sorted(set(out.glob("*.png")) - set(paths)) if out.is_dir() else []
    if others:
        raise InputError(f"{others[0]} is there already, and not one of the {n}", "choose another --out")
    check_free(paths, overwrite=overwrite)
    for k, (path, mark) in enumerate(paths.items()):
        on_picture(k, n)
        if not is_made(path, mark):
            save_made(drawn_picture(method, k, seed, psi), path, mark)
    on_picture(n, n)
    return list(paths)

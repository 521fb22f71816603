"""One mask from a file."""

import warnings
from pathlib import Path

import numpy as np

from tutseg.data.decode import read_array
from tutseg.errors import InputError


class GreyMaskWarning(UserWarning):
    """A mask has values besides its background and foreground, and was thresholded at 127."""


class SizeMismatchError(InputError):
    """A mask has another size than its picture."""


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask, uint8 in {0, 1}, ``(H, W)``.

    A mask of two values is binary whatever the larger one is (0/1, 0/255). One with more is thresholded at 127; that
    is normal for JPEG masks (Kvasir-SEG) and worth a `GreyMaskWarning` for all others.

    Parameters
    ----------
    size : (H, W), optional
        The size it must have.

    Raises
    ------
    InputError
        As `read_array`; `SizeMismatchError` if the size is another.
    """
    mask, grey = binary(path, size)
    if grey:
        warnings.warn(f"mask {path} has grey values: thresholded at 127", GreyMaskWarning, stacklevel=2)
    return mask


def binary(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, bool]:
    """A mask, and whether it has grey values that are worth a notice."""
    array = read_array(path)
    if array.ndim == 3:
        array = array[..., :3].max(axis=2)
    if size is not None and array.shape != tuple(size):
        raise SizeMismatchError(
            f"mask {path} is {array.shape[1]}x{array.shape[0]}, its picture {size[1]}x{size[0]}",
            "give both the same width and height",
        )
    mask = (array > 0).view(np.uint8)
    if np.array_equal(mask * array.max(), array):
        return mask, False
    return (array > 127).astype(np.uint8), path.suffix.lower() not in (".jpg", ".jpeg")

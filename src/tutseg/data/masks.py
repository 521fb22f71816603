"""What a mask says: which of its pixels are foreground.

A file states it in one of these ways, and one that states it in none is refused:

- Two values, one of them 0: the other is foreground, whatever it is (0/1, 0/255, one bit).
- Whole numbers up to 127: labels. Foreground are those that the user names, else all but 0, with a notice.
- Grey up to 255 or 65535: the soft edge of a mask. Foreground is what lies above the middle, with a notice unless the
  file is a JPEG, whose compression makes greys. Broad areas of some middle grey are no edge: such a mask is refused
  until the user names the values that are foreground.
- Fractions from 0 to 1: probabilities. Foreground is 0.5 and more, with a notice.
- An alpha channel over one colour: the alpha is the mask.
- A palette of colours whose first is black: places in it are labels. Otherwise one colour on black, and its shades are
  greys. Several colours are refused, and so is a photograph.
"""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion

from tutseg.data.decode import Decoded, Refused, decode, orientation_of
from tutseg.errors import InputError

LABEL_MAX = 127  # whole numbers up to here are labels, beyond they are greys
FEW = 32  # with more different values than this, a mask is grey, or a photograph
SHADE, SHADE_LOSSY = 32 / 255, 64 / 255  # of the brightest: a pixel farther from any shade of it has another colour
NEAR, SOME = 1 / 32, 1 / 3  # in a mask, at least some of the pixels are this near (of its range) to its extreme values


class MaskNotice(UserWarning):
    """How a mask was read, where it could be read otherwise."""


class GreyMaskWarning(MaskNotice):
    """A mask has values between background and foreground, and was thresholded at their middle."""


class LabelMaskWarning(MaskNotice):
    """A mask holds labels, and all but 0 were taken for foreground."""


class SizeMismatchError(InputError):
    """A mask has another size than its picture."""


@dataclass(frozen=True)
class Reading:
    """How a mask was read.

    Parameters
    ----------
    mask : numpy.ndarray
        Boolean ``(H, W)``.
    labels : tuple of int
        Those besides 0 that it holds, where it may be a label map.
    named : bool or None
        Whether it holds one that the user named; None where it is no label map.
    notice : type of MaskNotice or None
        Of what kind the notice is that it deserves.
    how : str
        The notice.
    """

    mask: np.ndarray
    labels: tuple[int, ...] = ()
    named: bool | None = None
    notice: type[MaskNotice] | None = None
    how: str = ""


# ---- files -----------------------------------------------------------------------------------------------------------


def read_mask(path: Path, size: tuple[int, int] | None = None, labels: Collection[int] = ()) -> np.ndarray:
    """A mask, uint8 in {0, 1}, ``(H, W)``; a `MaskNotice` where it could be read otherwise.

    Parameters
    ----------
    size : (H, W), optional
        The size it must have.
    labels : collection of int
        Which labels are foreground, where the mask holds labels.

    Raises
    ------
    InputError
        As `tutseg.data.decode.decode`, or the mask does not say what is foreground; `SizeMismatchError` if the size is
        another.
    """
    return MaskReader(labels).read(path, size)


class MaskReader:
    """Reads the masks of one data set or folder, with one notice of a kind.

    Parameters
    ----------
    labels : collection of int
        Which labels are foreground; none: all but 0.
    what : str
        What messages call a mask.
    """

    def __init__(self, labels: Collection[int] = (), what: str = "mask") -> None:
        self.labels, self.what = tuple(labels), what
        self.notices: dict[Path, MaskNotice] = {}  # what every mask read so far deserved
        self._seen: set[int] = set()
        self._named: set[bool] = set()
        self._first: dict[type, Path] = {}

    def read(self, path: Path, size: tuple[int, int] | None = None, picture: Path | None = None) -> np.ndarray:
        """A mask, uint8 in {0, 1}, ``(H, W)``; `picture` is the file that is of `size`."""
        decoded = decode(path)
        height, width = decoded.values.shape[:2]
        if size is not None and (height, width) != tuple(size):
            turned = " as its EXIF orientation turns it" if picture and orientation_of(picture) != 1 else ""
            raise SizeMismatchError(
                f"{self.what} {path} is {width}x{height}, its picture {size[1]}x{size[0]}{turned}",
                "give both the same width and height",
            )
        try:
            reading = interpret(one_channel(decoded), decoded.lossy, self.labels)
        except Refused as refused:
            raise InputError(f"{self.what} {path} {refused.what}", refused.remedy) from refused
        self._seen.update(reading.labels)
        if reading.named is not None:
            self._named.add(reading.named)
        elif reading.notice or len(self._seen) > 1:  # several labels, if only one in each mask
            self._notify(path, reading)
        return reading.mask.astype(np.uint8)

    def _notify(self, path: Path, reading: Reading) -> None:
        how = reading.how or f"is one of several with the labels {_listed(self._seen)}: all but 0 are foreground"
        kind = reading.notice or LabelMaskWarning
        self.notices[path] = kind(f"{self.what} {path} {how}; others beside it are read alike without notice")
        if self._first.setdefault(kind, path) == path:
            warnings.warn(self.notices[path], stacklevel=3)

    def check_labels(self, where: str) -> None:
        """Refuse labels that none of the label maps read so far holds: every mask would be empty.

        Raises
        ------
        InputError
            Naming `where` the masks are and the labels that are there.
        """
        if self._named == {False}:
            raise InputError(
                f"no {self.what} of {where} holds the label {_listed(self.labels)}",
                f"name some of those that are there: {_listed(self._seen) or 'none'}",
            )


def parse_labels(value: object) -> tuple[int, ...]:
    """Labels as a user writes them, ``2``, ``"1,2"`` or ``[1, 2]``; nothing: none are named.

    Raises
    ------
    InputError
        They are no whole numbers from 0 to 65535.
    """
    parts = value if isinstance(value, list | tuple) else [] if value is None else str(value).split(",")
    try:
        labels = tuple(int(str(part)) for part in parts)
    except ValueError:
        labels = (-1,)
    if not all(0 <= label <= 65535 for label in labels):
        raise InputError(f"labels {value!r} are not whole numbers from 0 to 65535", "write them as 1,2")
    return labels


def _listed(values: Collection[int]) -> str:
    values = sorted(values)
    return ", ".join(map(str, values if len(values) <= 6 else [*values[:4], "...", values[-1]]))


# ---- pixels ----------------------------------------------------------------------------------------------------------


def one_channel(decoded: Decoded) -> np.ndarray:
    """The one number of each pixel that says what it is, ``(H, W)``.

    Raises
    ------
    Refused
        It has several colours.
    """
    values, alpha = decoded.values, decoded.alpha
    if decoded.places is not None:
        return decoded.places
    if alpha is not None and alpha.min() != alpha.max():
        shown = values[alpha > 0]
        if (shown == shown[0]).all():
            return alpha
        values = np.where((alpha > 0).reshape(*alpha.shape, *(1,) * (values.ndim - 2)), values, 0)
    if values.ndim == 2:
        return values
    if (values[..., :1] == values[..., 1:]).all():
        return values[..., 0]
    used = values.any(axis=(0, 1))
    return values[..., used.argmax()] if used.sum() == 1 else _shades(values, decoded.lossy)


def _shades(values: np.ndarray, lossy: bool) -> np.ndarray:
    """How bright each pixel is, 0 to 255, where all are shades of one colour."""
    colours = values.astype(np.float32)
    bright = colours.max(axis=2)
    top = bright.max()
    brightest = colours.reshape(-1, 3)[bright.argmax()]
    other = (
        np.abs(colours - brightest * (bright / top)[..., None]).max(axis=2) > (SHADE_LOSSY if lossy else SHADE) * top
    )
    if lossy:
        other = binary_erosion(other, np.ones((5, 5)))  # compression blurs colours at edges
    if other.any():
        raise Refused(
            "has several colours, or is a photograph",
            "save it in black and white, or with one whole number for each class and name those that are foreground",
        )
    return np.round(255 * bright / top).astype(np.uint8)


def interpret(flat: np.ndarray, lossy: bool = False, labels: Collection[int] = ()) -> Reading:
    """Which pixels of a mask are foreground, by the rules of this module.

    Parameters
    ----------
    flat : numpy.ndarray
        ``(H, W)``, boolean, whole numbers or floats, all of them finite.
    lossy : bool
        Its file is compressed in a way that changes pixels.
    labels : collection of int
        The labels that the user named.

    Raises
    ------
    Refused
        The mask does not say which.
    """
    if flat.dtype == bool:
        flat = flat.astype(np.uint8) * 255
    if flat.dtype.kind == "f":
        if (flat % 1).any():
            return _probabilities(flat)
        flat = flat.astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    mask = flat > 0
    two = low >= 0 and np.array_equal(mask * flat.dtype.type(high), flat)
    if not two and (low < 0 or high > 65535):
        raise Refused(f"has values from {low} to {high}", "save it as 0 and 255, or with labels up to 127")
    values = {low, high} if two else {int(value) for value in np.flatnonzero(np.bincount(flat.ravel().astype(np.intp)))}
    whole = tuple(values - {0}) if high <= LABEL_MAX else ()
    if lossy and not two and whole:
        raise Refused(f"is a JPEG with values up to {high}, where labels are blurred", "save labels as PNG")
    named = not values.isdisjoint(labels)
    if (
        labels
        and not lossy
        and (high <= LABEL_MAX or (len(values) <= FEW and (named or not values <= {0, 255, 65535})))
    ):
        return Reading(np.isin(flat, labels), whole or tuple(values - {0}), named)
    if two:
        return Reading(mask, whole)
    if len(values) > FEW and _is_photograph(flat, low, high):
        raise Refused("looks like a photograph: few of its pixels are black or white", "give a mask in its place")
    if not whole and low > high // 4:
        raise Refused(f"has values from {low} to {high}, none of them black", "give a mask, or name labels")
    if whole:
        how = f"holds the labels {_listed(values)}: all but 0 are foreground (name those that are with labels)"
        return Reading(mask, whole, notice=LabelMaskWarning, how=how)
    full = 255 if high <= 255 else 65535
    if high <= full // 2:
        raise Refused(
            f"has {len(values)} values up to {high}",
            "name those that are foreground with labels, or save it as 0 and 255",
        )
    if not lossy and len(values) <= FEW and (areas := _middle_areas(flat, values)):
        raise Refused(
            f"has areas of the values {_listed({low, *areas, high})}", "name those that are foreground with labels"
        )
    how = f"has grey values: thresholded at {full // 2}"
    return Reading(flat > full // 2, notice=None if lossy else GreyMaskWarning, how=how)


def _probabilities(flat: np.ndarray) -> Reading:
    if flat.min() < 0 or flat.max() > 1:
        raise Refused(
            f"has fractions from {flat.min():.4g} to {flat.max():.4g}",
            "save probabilities from 0 to 1, or threshold it",
        )
    return Reading(flat >= 0.5, notice=GreyMaskWarning, how="has values between 0 and 1: thresholded at 0.5")


def _is_photograph(flat: np.ndarray, low: int, high: int) -> bool:
    near = (high - low) * NEAR
    return np.count_nonzero((flat <= low + near) | (flat >= high - near)) < SOME * flat.size


def _middle_areas(flat: np.ndarray, values: set[int]) -> set[int]:
    """Values between background and foreground that fill a square of 3x3 pixels somewhere: no edge is so broad.

    Values next to an extreme are what compression left of it, unless the high extreme stands alone (label maps that
    mark what to ignore by 255).
    """
    low, high = min(values), max(values)
    eighth = high / 8
    middle = {value for value in values if eighth < value < high - eighth}
    if not any(eighth < value < high for value in values):
        middle = values - {low, high}
    inner = flat[1:-1, 1:-1]
    same = np.ones(inner.shape, bool)
    for row in range(3):
        for column in range(3):
            same &= inner == flat[row : row + inner.shape[0], column : column + inner.shape[1]]
    return middle & {int(value) for value in np.unique(inner[same])}

"""A sentence about a picture, from its outlines: what a network guided by text (LanGuide) is told of drawn pictures.

Like the texts that were written for MosMedData+ it says how many lesions there are, how large and where. That is
knowledge of the answer: a score of a network that was told is not comparable with one of a network that was not.
"""

import numpy as np
from scipy import ndimage

NUMBERS = ("no", "one", "two", "three", "four", "five")
SIZES = ((0.05, "small"), (0.2, "medium"), (1.0, "large"))  # by the share of the picture
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def caption(mask: np.ndarray, noun: str = "lesion") -> str:
    """Number, size and place: "one large lesion, upper left"; of several the largest is described.

    Parameters
    ----------
    mask : ndarray
        ``(H, W)``, above 0 on a lesion; pixels that touch by an edge or a corner are one lesion.
    noun : str
        What is to be seen.
    """
    parts, n = ndimage.label(np.asarray(mask) > 0, structure=np.ones((3, 3)))
    if n == 0:
        return f"no {noun}"
    area = np.bincount(parts.ravel())[1:]
    largest = parts == area.argmax() + 1
    share = largest.mean()
    size = next(word for bound, word in SIZES if share <= bound)
    row, column = ((np.nonzero(largest)[axis].mean() + 0.5) / mask.shape[axis] for axis in (0, 1))
    place = f"{ROWS[int(3 * row)]} {COLUMNS[int(3 * column)]}"
    if n == 1:
        return f"one {size} {noun}, {place}"
    return f"{NUMBERS[n] if n < len(NUMBERS) else 'many'} {noun}s, the largest {size}, {place}"

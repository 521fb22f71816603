"""One picture from a file, and into one."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tutseg.errors import InputError

# No format packs more than a thousand bytes into one, so that a file of this size fits in memory whatever it claims.
HARMLESS_BYTES = 2**17


def read_array(path: Path) -> np.ndarray:
    """A picture's array as stored: TIFF through tifffile, JPEG and PNG through imagecodecs, all else through Pillow.

    Raises
    ------
    InputError
        The file is missing, empty, truncated or no picture.
    """
    data = _bytes_of(path)
    if not data:
        raise InputError(f"{path} is empty (0 bytes)", "fetch it again, or remove it together with its pair")
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            return np.squeeze(tifffile.imread(io.BytesIO(data)))
        if len(data) > HARMLESS_BYTES:
            Image.open(io.BytesIO(data))  # refuses decompression bombs
        if (array := _decoded(data)) is not None:
            return array
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in ("1", "L", "I", "I;16", "F", "RGB"):
                picture = picture.convert("RGB")
            return np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large ({error})", "crop or shrink it") from error
    except Exception as error:  # each decoder has exceptions of its own; all mean the same to the user
        raise InputError(
            f"{path} is truncated or not a picture ({error})", "fetch it again, or remove it together with its pair"
        ) from error


def _bytes_of(path: Path) -> bytes:
    """The file's content, in few system calls: each one hands Python's lock to another thread that reads."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "correct the path") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "correct the path or its permissions") from error


def _decoded(data: bytes) -> np.ndarray | None:
    """An 8-bit grey or RGB picture by imagecodecs: Pillow's pixels to the bit, and faster. None: leave it to Pillow."""
    import imagecodecs

    # libjpeg fills up a truncated picture with grey and only warns; Pillow refuses it.
    whole_jpeg = data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")
    if not whole_jpeg and not data.startswith(b"\x89PNG"):
        return None
    try:
        array = imagecodecs.jpeg8_decode(data) if whole_jpeg else imagecodecs.png_decode(data)
    except RuntimeError:
        return None  # Pillow says better what is wrong
    grey_or_rgb = array.ndim == 2 or array.shape[2] == 3
    return array if grey_or_rgb and array.dtype == np.uint8 else None


def to_uint8(array: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Map values to 0..255: `window` (low, high) clips to it; without, only what is not uint8 is stretched."""
    if array.dtype == np.uint8 and window is None:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    values = array.astype(np.float32)
    low, high = window if window else (float(values.min()), float(values.max()))
    return np.round(255 * np.clip((values - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)


def as_rgb(array: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` of a grey ``(H, W)`` or colour picture; a fourth channel is dropped."""
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else np.ascontiguousarray(array[..., :3])


def read_image(path: Path, window: tuple[float, float] | None = None) -> np.ndarray:
    """An RGB picture, uint8 ``(H, W, 3)``; grey ones are repeated over the channels.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF or WebP.
    window : (low, high), optional
        Values mapped to 0 and 255, for CT slices in Hounsfield units.

    Raises
    ------
    InputError
        As `read_array`.
    """
    return as_rgb(to_uint8(read_array(path), window))


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as PNG, for `tutseg.files.atomic_write`."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

"""One picture from a file, as a viewer shows it; and one into a file.

What a file is, its first bytes say, whatever it is called. A picture is turned as its EXIF orientation says. A file
that holds several pictures is refused, since nobody can know which of them was meant.
"""

import io
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from tutseg.errors import InputError

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

# No format packs more than a thousand bytes into one, so that a file of this size fits in memory whatever it claims.
HARMLESS_BYTES = 2**17
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000", "AVIF")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXIF_MARKS = (b"Exif\0", b"eXIf", b"type exif", b"Orientation")
ORIENTATION = 0x0112
QUIET = logging.NullHandler()

# First bytes of files that people take for pictures.
KINDS = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"NRRD", "an NRRD volume"),
    (b"ObjectType", "a MetaImage volume"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a pointer of Git LFS"),
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
)


class Refused(Exception):
    """A file that can be read, but does not say one thing; becomes an `InputError` that names it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(what)

    def of(self, path: Path) -> InputError:
        """The error about the file at `path`."""
        return InputError(f"{path} {self.what}", self.remedy)


@dataclass(frozen=True)
class Decoded:
    """The pixels of a file.

    Parameters
    ----------
    values : numpy.ndarray
        Grey ``(H, W)`` or RGB ``(H, W, 3)``, in the file's own type and range; grey of two or four bits as 0..255.
    alpha : numpy.ndarray or None
        ``(H, W)``, of the type of `values`.
    places : numpy.ndarray or None
        ``(H, W)``: places in a palette of colours whose first one is black or transparent, as label maps are saved.
    lossy : bool
        Compressed in a way that changes pixels.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    places: np.ndarray | None = None
    lossy: bool = False

    def turned(self, orientation: int) -> "Decoded":
        """The same, turned as an EXIF orientation (1 to 8) says; any other number means nothing."""
        if orientation not in range(2, 9):
            return self
        parts = (self.values, self.alpha, self.places)
        return Decoded(*(part if part is None else _turned(part, orientation) for part in parts), self.lossy)


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


# ---- reading ---------------------------------------------------------------------------------------------------------


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
        As `decode`.
    """
    return as_rgb(to_uint8(decode(path).values, window))


def read_array(path: Path) -> np.ndarray:
    """A picture's values as `decode` finds them, ``(H, W)`` or ``(H, W, 3)``."""
    return decode(path).values


def decode(path: Path) -> Decoded:
    """The pixels of a file: TIFF through tifffile, JPEG and PNG through imagecodecs, all else through Pillow.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, too large, no picture, several pictures, or holds values that are not
        numbers.
    """
    data = _bytes_of(path)
    if not data:
        raise InputError(f"{path} is empty (0 bytes)", "fetch it again, or remove it together with its pair")
    try:
        decoded = _decoded(data)
    except Refused as refused:
        raise refused.of(path) from refused
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InputError(f"{path} is too large ({error})", "crop or shrink it") from error
    except Exception as error:  # each decoder has exceptions of its own; all mean the same to the user
        if kind := kind_of(data):
            raise InputError(
                f"{path} is {kind}, not a picture that can be read", "export it as PNG or TIFF, or fetch it again"
            ) from error
        why = "of no known format" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
        raise InputError(
            f"{path} is truncated or not a picture ({why})",
            "fetch it again, or remove it together with its pair",
        ) from error
    if decoded.values.dtype.kind == "f" and not np.isfinite(decoded.values).all():
        raise InputError(
            f"{path} holds values that are not numbers (NaN or infinite)", "replace them and save it again"
        )
    return decoded


def orientation_of(path: Path) -> int:
    """The EXIF orientation by which a picture is turned when it is read; 1 where it has none."""
    data = _bytes_of(path)
    if data.startswith(TIFF):
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _tiff_orientation(_tiff_page(file))
    return _orientation(data)


def kind_of(data: bytes) -> str | None:
    """What a file without a picture is, by its first bytes: "a DICOM file"; None where they say nothing."""
    if data[128:132] == b"DICM" or data[:4] in (b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x02\0\0\0"):
        return "a DICOM file"
    head = data[:512]
    if data.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(data[:65536], 512)
        except zlib.error:
            head = b""
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return "a NIfTI volume"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIC picture"
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((kind for magic, kind in KINDS if start[: len(magic)].lower() == magic.lower()), None)


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


def _decoded(data: bytes) -> Decoded:
    if data[128:132] == b"DICM":  # its first 128 bytes may be those of a TIFF
        raise ValueError("DICOM")
    if data.startswith(TIFF):
        return _from_tiff(data)
    if len(data) > HARMLESS_BYTES:
        Image.open(io.BytesIO(data), formats=FORMATS)  # refuses decompression bombs
    if data.startswith(b"\xff\xd8\xff") and (bits := _jpeg_bits(data)) > 8:
        raise Refused(f"is a {bits}-bit JPEG, which few programs read", "export it as PNG or TIFF of 8 or 16 bits")
    if (array := _fast(data)) is not None:
        return Decoded(array, lossy=data.startswith(b"\xff\xd8\xff")).turned(_orientation(data))
    return _from_pillow(data)


def _jpeg_bits(data: bytes) -> int:
    """Bits of a JPEG's samples: the first byte of its frame header."""
    at = 2
    while at + 4 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 8


def _orientation(data: bytes) -> int:
    if not any(mark in data for mark in EXIF_MARKS):  # most pictures: not worth a second decoder
        return 1
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return _exif_orientation(picture)


def _exif_orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged notes about a picture; viewers ignore them too
        return 1


def _fast(data: bytes) -> np.ndarray | None:
    """An 8-bit grey or RGB picture by imagecodecs: Pillow's pixels to the bit, and faster. None: leave it to Pillow."""
    import imagecodecs

    # libjpeg fills up a truncated picture with grey and only warns; Pillow refuses it.
    whole_jpeg = data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")
    still_png = data.startswith(b"\x89PNG") and b"acTL" not in data[: data.find(b"IDAT")]
    if not whole_jpeg and not (still_png and data[25] != 3):  # 3: colours are places in a palette
        return None
    try:
        array = imagecodecs.jpeg8_decode(data) if whole_jpeg else imagecodecs.png_decode(data)
    except RuntimeError:
        return None  # Pillow says better what is wrong
    grey_or_rgb = array.ndim == 2 or array.shape[2] == 3
    return array if grey_or_rgb and array.dtype == np.uint8 else None


def _from_pillow(data: bytes) -> Decoded:
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # a camera's second picture is a preview of its first
            raise Refused(f"holds {frames} pictures", "save the one that is meant as a file of its own")
        orientation, lossy = _exif_orientation(picture), picture.format in LOSSY
        places = None
        has_alpha = picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or (
            picture.mode == "P" and "transparency" in picture.info
        )
        if picture.mode == "P":
            at = np.asarray(picture)
            colours = np.asarray(picture.convert("RGBA" if has_alpha else "RGB"))
            clear = has_alpha and (at == 0).any() and not colours[at == 0, 3].any()
            if (clear or picture.getpalette()[:3] == [0, 0, 0]) and not _is_grey(colours):
                places = at
        if has_alpha:
            rgba = np.asarray(picture.convert("RGBA"))
            return Decoded(rgba[..., :3], rgba[..., 3], places, lossy).turned(orientation)
        if picture.mode not in ("1", "L", "I", "I;16", "F", "RGB"):
            picture = picture.convert("RGB")
        return Decoded(np.asarray(picture), None, places, lossy).turned(orientation)


def _is_grey(colours: np.ndarray) -> bool:
    return bool((colours[..., :1] == colours[..., 1:3]).all())


# ---- TIFF ------------------------------------------------------------------------------------------------------------


def _tiff_page(file: "TiffFile") -> "TiffPage":
    """The one picture of a TIFF; small copies and transparency masks beside it do not count."""
    pages = [page for page in file.pages if not page.subfiletype & 0b101] or list(file.pages)
    page = pages[0]
    planes = max([page.shaped[1], *(series.size // max(page.size, 1) for series in file.series)])
    if len(pages) > 1 or planes > 1:
        raise Refused(
            f"is a TIFF of {max(len(pages), planes)} pages", "save the page that is meant as a file of its own"
        )
    return page


def _tiff_orientation(page: "TiffPage") -> int:
    tag = page.tags.get(ORIENTATION)
    return tag.value if tag else 1


def _from_tiff(data: bytes) -> Decoded:
    import tifffile

    logging.getLogger("tifffile").addHandler(QUIET)  # what it complains about becomes one line, or is of no harm
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = _tiff_page(file)
        limit = 2 * Image.MAX_IMAGE_PIXELS  # Pillow's, for all other formats
        if max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength) > limit:
            raise Image.DecompressionBombError(f"{page.imagewidth}x{page.imagelength} pixels, the limit is {limit}")
        if any(at + n > len(data) for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise ValueError("its data end before the picture does")
        array = page.asarray(squeeze=False)[:, 0]  # (planes, H, W, samples)
    array = np.moveaxis(array, 0, -1).reshape(*array.shape[1:3], -1)
    kind = page.photometric
    jpeg = "JPEG" in page.compression.name
    photometric = tifffile.PHOTOMETRIC
    colours = {
        photometric.MINISWHITE: 1,
        photometric.MINISBLACK: 1,
        photometric.RGB: 3,
        photometric.PALETTE: 1,
        photometric.MASK: 1,
        photometric.SEPARATED: 4,
        photometric.YCBCR: 3,
    }.get(kind, 0)
    if array.shape[2] not in (colours, colours + 1) or array.dtype.kind not in "buif":
        raise Refused(
            f"is a TIFF of {array.shape[2]} channels of kind {getattr(kind, 'name', kind)} ({array.dtype})",
            "save it as grey or RGB",
        )
    alpha = array[..., colours] if array.shape[2] > colours else None
    values = array[..., :colours]
    places = None
    if kind == photometric.PALETTE:
        table = page.colormap.T
        table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
        at = values[..., 0].astype(np.intp)
        values = table[at]
        if not table[0].any() and not _is_grey(values):
            places = at
    elif kind in (photometric.SEPARATED, photometric.YCBCR) and not (jpeg and kind == photometric.YCBCR):
        mode = "CMYK" if kind == photometric.SEPARATED else "YCbCr"
        if values.dtype != np.uint8:
            raise Refused(f"is a TIFF of {mode} colours of {8 * values.dtype.itemsize} bits", "save it as RGB")
        values = np.asarray(Image.frombytes(mode, values.shape[1::-1], values.tobytes()).convert("RGB"))
    elif colours == 1:
        values = _grey(values[..., 0], page.bitspersample, kind == photometric.MINISWHITE)
    return Decoded(values, alpha, places, jpeg or "WEBP" in page.compression.name).turned(_tiff_orientation(page))


def _grey(values: np.ndarray, bits: int, white_is_zero: bool) -> np.ndarray:
    """Grey values where more is lighter; those of fewer than eight bits as 0..255."""
    if values.dtype == bool:
        return ~values if white_is_zero else values
    if white_is_zero:
        if values.dtype.kind != "u":
            raise Refused(f"is a TIFF whose white is 0, of type {values.dtype}", "save it with black as 0")
        values = (2**bits - 1 - values).astype(values.dtype)
    return values * np.uint8(255 // (2**bits - 1)) if bits < 8 else values


# ---- arrays ----------------------------------------------------------------------------------------------------------


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


def png_bytes(picture: Image.Image, text: PngInfo | None = None) -> bytes:
    """A picture as PNG, for `tutseg.files.atomic_write`; `text` goes along with it."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, pnginfo=text)
    return buffer.getvalue()

"""What a file shows, whatever kind of file it is: against Pillow, against the array that was written, or refused."""

import gzip
import io
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from tutseg.data.decode import read_image
from tutseg.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (13, 20), np.uint8)
RGB = RNG.integers(0, 256, (13, 20, 3), np.uint8)


def grey3(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., None], 3, axis=2)


def refused(path) -> str:
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(path) in str(error.value) and error.value.remedy and "\n" not in str(error.value)
    return str(error.value)


# ---- TIFF ------------------------------------------------------------------------------------------------------------

STORED = {
    "RGB": (RGB, {"photometric": "rgb"}, RGB),
    "planar": (RGB.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}, RGB),
    "tiles": (np.tile(RGB, (4, 4, 1)), {"photometric": "rgb", "tile": (16, 16)}, np.tile(RGB, (4, 4, 1))),
    "compressed": (RGB, {"photometric": "rgb", "compression": "lzw"}, RGB),
    "BigTIFF": (RGB, {"photometric": "rgb", "bigtiff": True}, RGB),
    "alpha": (np.dstack([RGB, GREY]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, RGB),
    "white is 0": (GREY, {"photometric": "miniswhite"}, grey3(255 - GREY)),
    "white is 0, one bit": (GREY > 99, {"photometric": "miniswhite"}, grey3(np.uint8(255) * (GREY <= 99))),
    "four bits": (GREY >> 4, {"bitspersample": 4}, grey3((GREY >> 4) * 17)),
    "16 bits": (np.where(GREY.max() == GREY, 65535, GREY * np.uint16(257)) * (GREY.min() < GREY), {}, None),
    "big endian": (RGB, {"photometric": "rgb", "byteorder": ">"}, RGB),
    "one row": (RGB[:1], {"photometric": "rgb"}, RGB[:1]),
    "one column": (GREY[:, :1], {"photometric": "minisblack"}, grey3(GREY[:, :1])),
    "one pixel": (RGB[:1, :1], {"photometric": "rgb"}, RGB[:1, :1]),
}


@pytest.mark.parametrize("kind", STORED)
def test_a_tiff_shows_what_was_stored(kind, tmp_path):
    array, options, shown = STORED[kind]
    if shown is None:  # 16 bits are stretched from the darkest to the lightest pixel
        shown = grey3(np.round(255.0 * array / array.max()).astype(np.uint8))
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), shown)


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")


@pytest.mark.parametrize(("mode", "compression"), [*product(MODES, (None, "tiff_lzw")), ("1", "group4")])
def test_a_tiff_shows_what_pillow_shows(mode, compression, tmp_path):
    picture = Image.fromarray(RGB).convert("RGBA").convert(mode)
    picture.save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.asarray(picture.convert("RGB")))


def test_a_small_copy_beside_the_picture_does_not_count(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(RGB, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), RGB)


@pytest.mark.parametrize(
    ("array", "options", "told"),
    [
        (np.stack([RGB, RGB]), {"photometric": "rgb"}, "2 pages"),
        (np.stack([GREY] * 5), {"photometric": "minisblack"}, "5 pages"),
        (np.stack([GREY] * 5), {"imagej": True}, "5 pages"),
        (np.zeros((16, 16, 16), np.uint8), {"volumetric": True, "tile": (16, 16, 16)}, "16 pages"),
        (np.zeros((8, 9, 7), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "7 channels"),
        (np.where(GREY > 9, GREY, np.nan).astype(np.float32), {}, "not numbers"),
        (np.where(GREY > 9, 1, np.inf).astype(np.float32), {}, "not numbers"),
        (GREY.astype(np.complex64), {}, "complex"),
        (RGB, {"photometric": "cielab"}, "CIELAB"),
        (GREY.astype(np.float32), {"photometric": "miniswhite"}, "white is 0"),
    ],
)
def test_a_tiff_that_is_not_one_picture_is_refused(array, options, told, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    assert told in refused(tmp_path / "a.tif")


def test_a_cut_tiff_is_refused_and_nothing_else_is_printed(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "a.tif", np.tile(RGB, (9, 9, 1)), photometric="rgb", rowsperstrip=8)
    whole = (tmp_path / "a.tif").read_bytes()
    for share in np.linspace(0.01, 0.99, 12):
        (tmp_path / "a.tif").write_bytes(whole[: int(share * len(whole))])
        assert "truncated" in refused(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["tif", "png", "bmp", "webp", "jpg"])
def test_size_has_one_limit_for_every_format(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tutseg.data.decode.HARMLESS_BYTES", 0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10 * 10)
    Image.new("RGB", (20, 10)).save(tmp_path / f"fits.{kind}")
    Image.new("RGB", (21, 10)).save(tmp_path / f"large.{kind}")
    assert "too large" in refused(tmp_path / f"large.{kind}")
    if kind == "tif":  # Pillow has a warning of its own between its limit and twice of it
        assert read_image(tmp_path / f"fits.{kind}").shape == (10, 20, 3)


# ---- EXIF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_a_picture_is_turned_as_it_says(kind, orientation, tmp_path):
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "tif":
        tifffile.imwrite(path, RGB, photometric="rgb", extratags=[(0x0112, "H", 1, orientation, True)])
        stored = Image.fromarray(RGB)
        stored.info["exif"] = exif.tobytes()
    else:
        Image.fromarray(RGB).save(path, exif=exif)
        stored = Image.open(path)
    np.testing.assert_array_equal(read_image(path), np.asarray(ImageOps.exif_transpose(stored)))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_reason_to_lose_a_picture(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


# ---- what is no picture ----------------------------------------------------------------------------------------------


def nifti() -> bytes:
    import nibabel

    return nibabel.Nifti1Image(np.zeros((9, 9, 3), np.int16), np.eye(4)).to_bytes()


def jpeg_of_12_bits() -> bytes:
    """Only the headers: nobody decodes it."""
    plain = io.BytesIO()
    Image.fromarray(GREY).save(plain, "JPEG")
    data = bytearray(plain.getvalue())
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: bytes(128) + b"DICM" + bytes(999), "DICOM"),
        (lambda: b"II*\0" + bytes(124) + b"DICM" + bytes(999), "DICOM"),
        (lambda: b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + bytes(999), "DICOM"),
        (nifti, "NIfTI"),
        (lambda: gzip.compress(nifti()), "NIfTI"),
        (jpeg_of_12_bits, "12-bit JPEG"),
        (lambda: b"\n<!DOCTYPE html><p>", "HTML"),
        (lambda: b"PK\x03\x04" + bytes(99), "zip"),
        (lambda: b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
        (lambda: b"hello", "not a picture (of no known format)"),
    ],
)
def test_other_files_are_named_for_what_they_are(content, told, ending, tmp_path):
    (tmp_path / f"a.{ending}").write_bytes(content())
    assert told in refused(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_moving_pictures_are_refused(kind, tmp_path):
    frames = [Image.fromarray(np.roll(RGB, shift, 0)) for shift in range(3)]
    frames[0].save(tmp_path / "a.png", kind, save_all=True, append_images=frames[1:])
    assert "3 pictures" in refused(tmp_path / "a.png")


def test_an_ending_that_lies_changes_nothing(tmp_path):
    for kind, ending in (("PNG", "tif"), ("BMP", "png"), ("TIFF", "jpg")):
        Image.fromarray(RGB).save(tmp_path / f"a.{ending}", kind)
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{ending}"), RGB)

"""Which pixels of a mask are foreground: every way of saying it against the mask that was meant, or a refusal."""

import json
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from tutseg.data import open_source
from tutseg.data.masks import GreyMaskWarning, LabelMaskWarning, MaskNotice, MaskReader, parse_labels, read_mask
from tutseg.errors import InputError

Y, X = np.mgrid[:40, :50]
TRUTH = (Y - 20) ** 2 + (X - 24) ** 2 < 130
OTHER = (Y - 8) ** 2 + (X - 42) ** 2 < 30  # touches the first nowhere
LABELS = (TRUTH + 2 * OTHER).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(-12, 12, TRUTH.shape)


def coloured(**colours) -> np.ndarray:
    drawn = np.zeros((*TRUTH.shape, 3), np.uint8)
    drawn[:] = colours.get("ground", (0, 0, 0))
    drawn[TRUTH], drawn[OTHER] = colours["truth"], colours["other"]
    return drawn


def palette(array: np.ndarray, *colours: tuple[int, int, int], clear: int | None = None) -> Image.Image:
    picture = Image.fromarray(array)
    picture.putpalette([value for colour in colours for value in colour])
    if clear is not None:
        picture.info["transparency"] = clear
    return picture


def alpha(colour: tuple[int, ...], mask: np.ndarray, under: tuple[int, ...] | None = None) -> np.ndarray:
    drawn = np.zeros((*mask.shape, 4), np.uint8)
    drawn[..., :3] = colour
    drawn[~mask, :3] = colour if under is None else under
    drawn[..., 3] = mask * 255
    return drawn


def save(path, content, **options):
    if isinstance(content, np.ndarray):
        if path.suffix == ".tif":
            tifffile.imwrite(path, content, **options)
            return path
        content = Image.fromarray(content)
    content.save(path, **options)
    return path


SILENT = {
    "0 and 1": ("png", TRUTH.astype(np.uint8)),
    "0 and 255": ("png", TRUTH * np.uint8(255)),
    "0 and 7": ("png", TRUTH * np.uint8(7)),
    "one bit": ("png", TRUTH),
    "one bit BMP": ("bmp", TRUTH),
    "16 bits": ("png", TRUTH * np.uint16(65535)),
    "signed": ("tif", TRUTH.astype(np.int32)),
    "float 0 and 1": ("tif", TRUTH.astype(np.float32)),
    "float 0 and 255": ("tif", TRUTH * np.float64(255)),
    "white is 0": ("tif", ~TRUTH * np.uint8(255), {"photometric": "miniswhite"}),
    "grey in three channels": ("png", np.repeat((TRUTH * np.uint8(255))[..., None], 3, 2)),
    "red on black": ("png", coloured(truth=(255, 0, 0), other=(0, 0, 0))),
    "dark red on black, JPEG": ("jpg", coloured(truth=(160, 20, 20), other=(0, 0, 0))),
    "JPEG": ("jpg", TRUTH * np.uint8(255)),
    "palette of black and white": ("png", palette(TRUTH.astype(np.uint8), (0, 0, 0), (255, 255, 255))),
    "palette of white and black": ("png", palette((~TRUTH).astype(np.uint8), (255, 255, 255), (0, 0, 0))),
    "palette of black and red": ("png", palette(TRUTH.astype(np.uint8), (0, 0, 0), (128, 0, 0))),
    "palette of red and black": ("png", palette((~TRUTH).astype(np.uint8), (128, 0, 0), (0, 0, 0))),
    "palette, TIFF": ("tif", palette(TRUTH.astype(np.uint8), (0, 0, 0), (200, 0, 0))),
    "clear ground": ("png", palette(TRUTH.astype(np.uint8), (255, 255, 255), (200, 0, 0), clear=0)),
    "alpha over black": ("png", alpha((0, 0, 0), TRUTH)),
    "alpha over white": ("png", alpha((255, 255, 255), TRUTH)),
    "black that shows, white that does not": ("png", alpha((0, 0, 0), TRUTH, under=(255, 255, 255))),
    "alpha, TIFF": ("tif", alpha((9, 9, 9), TRUTH), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "grey with alpha": ("png", np.dstack([TRUTH * np.uint8(255), np.full(TRUTH.shape, 255, np.uint8)])),
    "alpha 0 throughout": ("png", np.dstack([np.repeat(TRUTH[..., None] * np.uint8(255), 3, 2), TRUTH * np.uint8(0)])),
}  # fmt: skip


def written(tmp_path, case) -> object:
    kind, content, *options = case
    return save(tmp_path / f"m.{kind}", content, **(options[0] if options else {}))


@pytest.mark.parametrize("case", SILENT)
def test_two_values_are_a_mask_without_a_word(case, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mask = read_mask(written(tmp_path, SILENT[case]))
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1}
    wrong = np.mean(mask != TRUTH)
    assert wrong == 0 if "JPEG" not in case else wrong < 0.01


NOTICED = {
    "labels in one of three channels": ("png", np.dstack([LABELS, LABELS * 0, LABELS * 0]), LabelMaskWarning, "0, 1, 2", TRUTH | OTHER),  # noqa: E501
    "labels": ("png", LABELS, LabelMaskWarning, "0, 1, 2", TRUTH | OTHER),
    "labels from 1": ("png", LABELS + np.uint8(1), LabelMaskWarning, "1, 2, 3", np.ones_like(TRUTH)),
    "float labels": ("tif", LABELS.astype(np.float32), LabelMaskWarning, "0, 1, 2", TRUTH | OTHER),
    "16-bit labels": ("png", LABELS.astype(np.uint16), LabelMaskWarning, "0, 1, 2", TRUTH | OTHER),
    "palette of labels": ("png", palette(LABELS, (0, 0, 0), (128, 0, 0), (0, 128, 0)), LabelMaskWarning, "0, 1, 2", TRUTH | OTHER),  # noqa: E501
    "blurred": ("png", np.uint8(gaussian_filter(TRUTH * 255.0, 2)), GreyMaskWarning, "127", gaussian_filter(TRUTH * 255.0, 2) >= 128),  # noqa: E501
    "blurred, 16 bits": ("png", np.uint16(gaussian_filter(TRUTH * 65535.0, 1)), GreyMaskWarning, "32767", gaussian_filter(TRUTH * 65535.0, 1) >= 32768),  # noqa: E501
    "probabilities": ("tif", gaussian_filter(TRUTH * 1.0, 2).astype(np.float32), GreyMaskWarning, "0.5", gaussian_filter(TRUTH * 1.0, 2).astype(np.float32) >= 0.5),  # noqa: E501
    "remains of a JPEG": ("png", np.uint8(np.clip(TRUTH * 255 + NOISE, 0, 255)), GreyMaskWarning, "127", TRUTH),
    "10 and 250": ("png", np.where(TRUTH, 250, 10).astype(np.uint8), GreyMaskWarning, "127", TRUTH),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTICED)
def test_what_could_be_read_otherwise_is_read_with_a_notice(case, tmp_path):
    kind, content, notice, told, meant = NOTICED[case]
    path = save(tmp_path / f"m.{kind}", content)
    with pytest.warns(notice, match=told) as caught:
        mask = read_mask(path)
    assert len(caught) == 1 and str(path) in str(caught[0].message)
    np.testing.assert_array_equal(mask, meant)


PHOTO = np.clip(np.stack([190 - 90 * gaussian_filter(TRUTH * 1.0, 3) + NOISE] * 3, 2) * (1, 0.8, 0.7), 0, 255)
TWO_TONES = np.where(TRUTH[..., None], (90, 72, 63), (200, 160, 140)).astype(np.uint8)
REFUSED = {
    "three colours": ("png", coloured(truth=(255, 0, 0), other=(0, 255, 0)), "several colours"),
    "three colours, JPEG": ("jpg", coloured(truth=(255, 0, 0), other=(0, 255, 0)), "several colours"),
    "red on white": ("png", coloured(ground=(255, 255, 255), truth=(255, 0, 0), other=(255, 255, 255)), "several col"),
    "palette of colours without black": ("png", palette(LABELS, (0, 0, 200), (128, 0, 0), (0, 128, 0)), "several col"),
    "photograph": ("png", PHOTO.astype(np.uint8), "photograph"),
    "photograph, JPEG": ("jpg", PHOTO.astype(np.uint8), "photograph"),
    "grey photograph": ("png", PHOTO[..., 0].astype(np.uint8), "photograph"),
    "photograph of two tones, JPEG": ("jpg", TWO_TONES, "photograph|none of them black"),
    "128 and 255": ("png", np.where(TRUTH, 128, 255).astype(np.uint8), "none of them black"),
    "dark photograph": ("png", (PHOTO[..., 0] / 2).astype(np.uint8), "photograph"),
    "three greys": ("png", np.choose(LABELS, (0, 255, 128)).astype(np.uint8), "0, 128, 255"),
    "255 to be ignored": ("png", np.choose(LABELS, (0, 1, 255)).astype(np.uint8), "0, 1, 255"),
    "labels in a JPEG": ("jpg", LABELS * np.uint8(30), "JPEG"),
    "NaN": ("tif", np.where(TRUTH, 1, np.nan).astype(np.float32), "not numbers"),
    "fractions beyond 1": ("tif", gaussian_filter(TRUTH * 9.0, 2).astype(np.float32), "fractions"),
    "negative": ("tif", LABELS.astype(np.int16) - 1, "-1"),
    "12 bits of grey": ("png", np.uint16(gaussian_filter(TRUTH * 4095.0, 2)), "up to 4"),
    "two pages": ("tif", np.stack([LABELS, LABELS]), "2 pages"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mask_that_says_nothing_is_refused(case, tmp_path):
    kind, content, told = REFUSED[case]
    path = save(tmp_path / f"m.{kind}", content)
    with pytest.raises(InputError, match=told) as error:
        read_mask(path)
    assert str(path) in error.value.what and error.value.remedy and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "labels", "meant"),
    [
        (LABELS, (1,), TRUTH),
        (LABELS, (2,), OTHER),
        (LABELS, (1, 2), TRUTH | OTHER),
        (LABELS, (0,), ~(TRUTH | OTHER)),
        (TRUTH.astype(np.uint8), (2,), np.zeros_like(TRUTH)),  # only label 1 in this one
        (TRUTH * np.uint8(255), (2,), TRUTH),  # no label map: it says what is foreground
        (TRUTH * np.uint8(255), (0,), ~TRUTH),
        (np.choose(LABELS, (0, 255, 128)).astype(np.uint8), (128,), OTHER),
        (np.choose(LABELS, (0, 1, 255)).astype(np.uint8), (1,), TRUTH),
        (np.choose(LABELS, (0, 1, 255)).astype(np.uint8), (2,), np.zeros_like(TRUTH)),  # class 2 is not in this one
        (TRUTH * np.uint8(150), (2,), np.zeros_like(TRUTH)),
        (palette(LABELS, (0, 0, 0), (128, 0, 0), (0, 128, 0)), (2,), OTHER),
    ],
)
def test_named_labels_are_the_foreground(content, labels, meant, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mask = read_mask(save(tmp_path / "m.png", content), labels=labels)
    np.testing.assert_array_equal(mask, meant)


def test_the_noise_of_a_jpeg_is_no_label(tmp_path):
    Image.fromarray(TRUTH.astype(np.uint8) * 255).save(tmp_path / "m.jpg", quality=98)
    for labels in ((), (1,), (255,)):
        np.testing.assert_array_equal(read_mask(tmp_path / "m.jpg", labels=labels), TRUTH)


def test_a_folder_gives_one_notice_of_a_kind(tmp_path):
    reader = MaskReader()
    paths = [save(tmp_path / f"{n}.png", mask) for n, mask in enumerate((LABELS, LABELS, NOTICED["blurred"][1]))]
    with pytest.warns(MaskNotice) as caught:
        [reader.read(path) for path in paths]
    assert [type(each.message) for each in caught] == [LabelMaskWarning, GreyMaskWarning]
    assert list(reader.notices) == paths


def test_several_labels_are_noticed_if_each_mask_has_one(tmp_path):
    reader = MaskReader()
    reader.read(save(tmp_path / "a.png", TRUTH.astype(np.uint8)))
    with pytest.warns(LabelMaskWarning, match="1, 2"):
        reader.read(save(tmp_path / "b.png", OTHER * np.uint8(2)))


def test_labels_that_are_nowhere_are_refused(tmp_path):
    reader = MaskReader((3,))
    reader.read(save(tmp_path / "a.png", LABELS))
    with pytest.raises(InputError, match=r"no mask of truth holds the label 3.* 1, 2"):
        reader.check_labels("truth")
    reader.read(save(tmp_path / "b.png", LABELS + np.uint8(1)))
    reader.check_labels("truth")


@pytest.mark.parametrize(("given", "read"), [(None, ()), (2, (2,)), ("1,2", (1, 2)), ([3], (3,)), ("1, 2", (1, 2))])
def test_labels_are_read_as_people_write_them(given, read):
    assert parse_labels(given) == read


@pytest.mark.parametrize("given", ["a", "1,,2", -1, 70000, 1.5, True, [[1]], "", {"a": 1}])
def test_other_labels_are_refused(given):
    with pytest.raises(InputError, match="whole numbers"):
        parse_labels(given)


def test_a_folder_takes_labels(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(coloured(truth=(90, 50, 40), other=(9, 9, 9), ground=(200, 180, 170))).save(
        tmp_path / "images/a.png"
    )
    save(tmp_path / "masks/a.png", LABELS)
    assert np.array_equal(open_source("folder", tmp_path, labels=2).read(0)[1], OTHER)
    assert np.array_equal(open_source("folder", tmp_path, labels="1,2").read(0)[1], TRUTH | OTHER)


@pytest.fixture
def label_folder(tmp_path):
    """Six pictures with label masks, foreground along no border."""
    for name in ("images", "masks"):
        (tmp_path / "here" / name).mkdir(parents=True)
    for n in range(6):
        Image.fromarray(np.roll(PHOTO.astype(np.uint8), n, axis=n % 2)).save(tmp_path / f"here/images/{n:02d}.png")
        save(tmp_path / f"here/masks/{n:02d}.png", LABELS)
    return tmp_path / "here"


def findings(tutseg, *options: str) -> dict[str, str]:
    rows = json.loads(tutseg("data", "verify", "folder", "--root", "here", "--json", *options).out)
    return {row["check"]: row["severity"] for row in rows}


def test_verify_warns_of_labels_and_of_inverted_masks(tutseg, label_folder):
    assert findings(tutseg)["label mask"] == "warning"
    assert findings(tutseg, "-d", "labels=2")["label mask"] == "ok"
    assert findings(tutseg, "-d", "labels=7")["label mask"] == "error"
    assert findings(tutseg)["inverted mask"] == "ok"
    for path in (label_folder / "masks").iterdir():
        save(path, ~TRUTH)
    assert findings(tutseg)["inverted mask"] == "warning"
    for path in sorted((label_folder / "masks").iterdir())[:2]:
        save(path, TRUTH)
    assert findings(tutseg)["inverted mask"] == "ok"  # not nearly all


def test_a_mask_that_does_not_fit_the_turned_picture_is_refused_with_the_sizes(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(coloured(truth=(90, 50, 40), other=(9, 9, 9))).save(tmp_path / "images/a.jpg", exif=exif)
    save(tmp_path / "masks/a.png", TRUTH)
    with pytest.raises(InputError, match=r"a\.png is 50x40, its picture 40x50 as its EXIF orientation turns it"):
        open_source("folder", tmp_path).read(0)
    save(tmp_path / "masks/a.png", np.rot90(TRUTH, -1))  # as shown
    image, mask = open_source("folder", tmp_path).read(0)
    assert image[mask == 1].mean() > image[mask == 0].mean() + 30

"""One's own pictures: every layout is read as it is meant, or refused; few masks train with many pictures."""

import json
import os
import re
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.data.read_folder import understand
from tutseg.data.splits import make_split, split_pictures
from tutseg.errors import InputError
from tutseg.report.shell import shell


@pytest.fixture(autouse=True)
def no_notice():
    """A notice that a test does not await is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def tree(root: Path, *names: str) -> Path:
    """Files below a folder: little pictures in black and white, each its own, and texts; a slash ends a folder."""
    for at, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif path.suffix in (".png", ".jpg", ".bmp"):
            noise = np.random.default_rng(at).integers(0, 256, (24, 32), np.uint8)
            Image.fromarray((noise > 127) * np.uint8(255)).save(path)
        else:
            path.write_text("no picture")
    return root


def found(root: Path, **options) -> dict[str, str | None]:
    """Id -> its mask's path below the folder."""
    items = understand(root, **options).items
    return {item.id: item.mask and str(item.mask.relative_to(root)) for item in items}


LAYOUTS = {
    "images and masks": (
        ["images/a.jpg", "images/b.png", "masks/a.png"],
        {"a": "masks/a.png", "b": None},
    ),
    "other names of the two": (
        ["Imgs/a.jpg", "Imgs/b.jpg", "Ground Truth/a_segmentation.png"],
        {"a": "Ground Truth/a_segmentation.png", "b": None},
    ),
    "side by side": (
        ["a.jpg", "a_mask.png", "b.jpg", "c-gt.png", "c.bmp", "d_seg.bmp", "d.png"],
        {"a": "a_mask.png", "b": None, "c": "c-gt.png", "d": "d_seg.bmp"},
    ),
    "a picture whose name ends like a mask's": (
        ["skin_lesion.jpg", "skin_lesion_mask.png", "b.jpg"],
        {"skin_lesion": "skin_lesion_mask.png", "b": None},
    ),
    "masks in a folder beside the pictures": (["a.jpg", "b.jpg", "masks/a.png"], {"a": "masks/a.png", "b": None}),
    "masks by suffix in images": (
        ["images/a.jpg", "images/a_mask.png", "images/b_lesion.jpg"],
        {"a": "images/a_mask.png", "b_lesion": None},
    ),
    "labelled and unlabelled": (
        ["labelled/images/a.jpg", "labelled/masks/a.png", "unlabelled/b.jpg", "unlabelled/x/c.jpg"],
        {"a": "labelled/masks/a.png", "b": None, "x/c": None},
    ),
    "labeled, side by side": (
        ["labeled/a.jpg", "labeled/a_mask.png", "unlabeled/images/b.jpg"],
        {"a": "labeled/a_mask.png", "b": None},
    ),
    "pairs, and unlabelled beside them": (
        ["images/a.jpg", "masks/a.png", "unlabelled/b.jpg"],
        {"a": "masks/a.png", "b": None},
    ),
    "sub-folders in both": (
        ["images/p1/a.jpg", "images/p2/a.jpg", "masks/p1/a.png"],
        {"p1/a": "masks/p1/a.png", "p2/a": None},
    ),
    "both in each sub-folder": (
        ["p1/images/a.jpg", "p1/masks/a_mask.png", "p2/images/a.jpg", "p2/masks/"],
        {"p1/a": "p1/masks/a_mask.png", "p2/a": None},
    ),
    "side by side in sub-folders": (
        ["p1/a.jpg", "p1/a_mask.png", "p2/deep/a.jpg"],
        {"p1/a": "p1/a_mask.png", "p2/deep/a": None},
    ),
    "flat masks": (["images/p1/a.jpg", "images/p2/b.jpg", "masks/a.png"], {"p1/a": "masks/a.png", "p2/b": None}),
    "nested masks": (["images/a.jpg", "images/b.jpg", "masks/done/a.png"], {"a": "masks/done/a.png", "b": None}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_as_it_is_meant(layout, tmp_path):
    files, pairs = LAYOUTS[layout]
    assert found(tree(tmp_path, *files)) == pairs
    source = open_source("folder", tmp_path)
    assert {sample.id: sample.mask is not None for sample in source} == {id: bool(mask) for id, mask in pairs.items()}
    assert dict(zip(source.ids, source.masked, strict=True)) == {id: bool(mask) for id, mask in pairs.items()}


TABLES = {
    "comma": "image,mask\nx/1.jpg,m/1.png\nx/2.jpg,\n",
    "semicolon, other names, blank lines": "Image Path;Mask_Path;age\n\nx/1.jpg;m/1.png;40\n;;\nx/2.jpg;none;\n",
    "tab, backslashes": "filename\tsegmentation\nx\\1.jpg\tm\\1.png\nx\\2.jpg\tNA\n",
    "columns in another order": "patient,mask,picture\n7,m/1.png,x/1.jpg\n8,-,x/2.jpg\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_pairs_what_names_do_not(text, code, tmp_path):
    tree(tmp_path, "x/1.jpg", "x/2.jpg", "x/3.jpg", "m/1.png")
    (tmp_path / "pairs.csv").write_text(text, encoding=code)
    (tmp_path / "ages.csv").write_text("image,age\nx/1.jpg,40\n")
    assert found(tmp_path) == {"x/1": "m/1.png", "x/2": None}
    understood = understand(tmp_path)
    assert understood.left_out["pictures that pairs.csv does not name"] == ("x/3.jpg",)
    assert understood.layout == "the table pairs.csv"
    if "patient" in text:
        assert [item.group for item in understood.items] == ["7", "8"]


@pytest.mark.parametrize(
    ("files", "what", "remedy"),
    [
        (["images/a.jpg", "masks/a.png", "masks/a_mask.png"], "a.jpg has two masks", "keep one"),
        (["images/a.jpg", "masks/a.png", "gt/a.png"], "a.jpg has two masks", "keep one"),
        (["images/a.jpg", "masks/left/a.png", "masks/right/a.png"], "a.jpg has two masks", "join them"),
        (["images/a.jpg", "images/a_gt.png", "masks/a.png"], "a.jpg has two masks", "keep one"),
        (["a.jpg", "a_mask.png", "a_mask_1.png"], "a.jpg has two masks", "join them"),
        (["images/p1/a.jpg", "images/p2/a.jpg", "masks/a.png"], "masks/a.png fits", "put it into a sub-folder"),
        (["a.jpg", "a.png", "b.jpg", "b_mask.png"], "have the same stem", "a_mask.png"),
        (["labelled/a.jpg", "labelled/a_mask.png", "labelled/b.jpg", "unlabelled/c.jpg"], "labelled/b.jpg", "move"),
        (["labelled/a.jpg", "labelled/a_mask.png", "unlabelled/a.jpg"], "have the same name", "keep one"),
        (["train/images/a.jpg", "train/masks/a.png", "test/images/b.jpg"], "is parted into train/", "--test"),
        (["images/p1/a.jpg", "masks/p2/a.png"], "none of 1 pictures", "a_mask.png"),
        (["a.jpg", "b.jpg"], "none of 2 pictures", "a_mask.png"),
        (["images/a.jpg"], "has images/ but no masks/", "put the masks into"),
        (["a_mask.png"], "holds masks only", "beside them"),
        (["masks/a.png"], "holds masks only", "into images/"),
        (["images/a.gif", "images/b.dcm", "masks/a.png"], "holds masks only", "beside them"),
        (["images/a.gif", "images/b.gif", "masks/"], "holds no pictures (2 files that end in .gif)", "end in .png"),
        ([], "holds no pictures", "end in .png"),
    ],
)  # fmt: skip
def test_what_can_be_meant_in_two_ways_is_one_line(files, what, remedy, tmp_path):
    with pytest.raises(InputError) as error:
        understand(tree(tmp_path, *files))
    assert what in error.value.what and remedy in error.value.remedy and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,mask\nx/1.jpg,m/1.png\nx/9.jpg,\n", "line 3: x/9.jpg does not exist"),
        ("image,mask\n\nx/1.jpg,m/2.png\n", "line 3: m/2.png does not exist"),
        ("image,mask\n,m/1.png\n", "line 2 names no picture"),
        ("image,mask\nx/1.jpg,m/1.png\nx/1.jpg,\n", "line 3 names x/1.jpg again, after line 2"),
        ("image,mask\nx/1.jpg,notes.txt\n", "notes.txt is no picture that is read here"),
        ("image,mask\nx/1.jpg,\n", "names no mask"),
        ('image,mask\n"x/1.jpg,m/1.png\n', "is not a CSV table"),
    ],
)
def test_a_table_that_is_wrong_names_the_line(text, says, tmp_path):
    tree(tmp_path, "x/1.jpg", "x/2.jpg", "m/1.png", "notes.txt")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=re.escape(says)) as error:
        understand(tmp_path)
    assert "pairs.csv" in error.value.what and error.value.remedy


def test_two_tables_are_not_guessed_from(tmp_path):
    tree(tmp_path, "a.jpg", "a_mask.png")
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("image,mask\na.jpg,a_mask.png\n")
    with pytest.raises(InputError, match=r"one\.csv and .*two\.csv both pair"):
        understand(tmp_path)


@pytest.mark.parametrize(
    "text", [b"ImageId,EncodedPixels\na," + b"1 2 " * 40_000, b'an "open, quote', b"\x00\xff\x80\x01"]
)
def test_a_file_that_is_no_table_of_pictures_and_masks_is_let_be(text, tmp_path):
    tree(tmp_path, "images/a.jpg", "masks/a.png")
    (tmp_path / "else.csv").write_bytes(text)
    assert len(understand(tmp_path).items) == 1


def test_what_is_left_out_is_counted_and_said(tmp_path):
    tree(tmp_path, "images/a.jpg", "images/b.gif", "images/sub/c.dcm", "images/.hidden.png", "images/a_superpixels.png",
         "masks/a.png", "masks/lost.png", "preview.png", "old/d.jpg", "notes.txt")  # fmt: skip
    understood = understand(tmp_path)
    assert understood.left_out == {
        "files that end in .gif": ("images/b.gif",),
        "files that end in .dcm": ("images/sub/c.dcm",),
        "files that end in .txt": ("notes.txt",),
        "superpixel maps of ISIC": ("images/a_superpixels.png",),
        "masks without a picture": ("masks/lost.png",),
        "pictures outside images/ and masks/": ("old/d.jpg", "preview.png"),
    }
    with pytest.warns(UserWarning, match=r"1 files that end in \.gif \(images/b\.gif\)") as told:
        open_source("folder", tmp_path)
    assert len(told) == 1 and "masks without a picture (masks/lost.png)" in str(told[0].message)
    assert "notes.txt" not in str(told[0].message)


def test_masks_among_unlabelled_pictures_are_not_read(tmp_path):
    tree(tmp_path, "labelled/a.jpg", "labelled/a_mask.png", "unlabelled/b.jpg", "unlabelled/b_mask.png", "c.jpg")
    understood = understand(tmp_path)
    assert {item.id: bool(item.mask) for item in understood.items} == {"a": True, "b": False}
    assert understood.left_out == {
        "pictures outside labelled/": ("c.jpg",), "masks in unlabelled/": ("unlabelled/b_mask.png",),
    }  # fmt: skip


def test_names_that_occur_twice_and_masks_found_by_name_are_noted(tmp_path):
    tree(tmp_path, "images/p1/a.jpg", "images/p2/a.jpg", "images/p2/b.jpg", "masks/b.png")
    notes = understand(tmp_path).notes
    assert notes == (
        "1 masks lie in another sub-folder than their picture: paired by name",
        "1 names occur in several sub-folders: told apart by the sub-folder",
    )


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    tree(tmp_path, "elsewhere/a.jpg", "my/masks/a.png")
    os.symlink(tmp_path / "elsewhere", tmp_path / "my/images")
    os.symlink(tmp_path / "my", tmp_path / "elsewhere/back")
    os.symlink(tmp_path / "my/masks", tmp_path / "my/masks/again")
    assert found(tmp_path / "my") == {"a": "masks/a.png"}


def test_a_name_that_is_not_utf8_has_an_id_that_is(tmp_path):
    tree(tmp_path, "images/a.jpg", "masks/a.png")
    os.rename(os.fsencode(tmp_path / "images/a.jpg"), os.fsencode(tmp_path / "images/a") + b"\xe9.jpg")
    os.rename(os.fsencode(tmp_path / "masks/a.png"), os.fsencode(tmp_path / "masks/a") + b"\xe9.png")
    (item,) = understand(tmp_path).items
    assert item.id == "a\\xe9" and item.mask is not None


# ---- groups ----------------------------------------------------------------------------------------------------------


def groups_of(root: Path, **options) -> dict[str, str]:
    source = open_source("folder", root, **options)
    return dict(zip(source.ids, source.groups, strict=True))


def test_five_sub_folders_are_groups_and_fewer_are_not(tmp_path):
    names = [f"p{i}/{name}" for i in range(5) for name in "ab"]
    tree(tmp_path, *(f"images/{name}.jpg" for name in names), "masks/p0/a.png")
    assert groups_of(tmp_path) == {name: f"{name[:3]}a" for name in names}
    for path in (tmp_path / "images/p4").iterdir():
        path.unlink()
    assert groups_of(tmp_path) == {name: name for name in names[:8]}
    assert groups_of(tmp_path, group="folder") == {name: f"{name[:3]}a" for name in names[:8]}


def test_classes_above_patients_are_not_taken_for_groups(tmp_path):
    names = [f"{kind}/p{i}/{name}" for kind in ("benign", "malignant") for i in range(3) for name in "ab"]
    tree(tmp_path, *(f"{name}.jpg" for name in names), "benign/p0/a_mask.png")
    assert len(set(groups_of(tmp_path).values())) == 6
    assert len(set(groups_of(tmp_path, group="picture").values())) == 12


def test_groups_from_names(tmp_path):
    tree(tmp_path, "P1_left.jpg", "P1_right.jpg", "P2_left.jpg", "P2_left_mask.png")
    expected = {"P1_left": "P1_left", "P1_right": "P1_left", "P2_left": "P2_left"}
    assert groups_of(tmp_path, group="(P[0-9]+)_") == groups_of(tmp_path, group="^P.") == expected
    for pattern in ("(Q.)", "(P", 3):
        with pytest.raises(InputError, match="option group"):
            understand(tmp_path, group=pattern)


def test_near_copies_join_their_groups(tmp_path):
    tree(tmp_path, "P1_a.jpg", "P1_b.jpg", "P2_a.jpg", "P3_a.jpg", "P3_a_mask.png")
    Image.open(tmp_path / "P1_b.jpg").save(tmp_path / "P2_copy.jpg")
    named = groups_of(tmp_path, group="(P[0-9]+)_")
    assert named == {name: "P3_a" if name == "P3_a" else "P1_a" for name in named} and len(named) == 5


# ---- who learns from what --------------------------------------------------------------------------------------------


class Known:
    """Ids and groups of pictures of which the first `n` have masks."""

    def __init__(self, ids: list[str], groups: list[str], n: int) -> None:
        self.ids, self.groups = ids, groups
        self.masked = [i < n for i in range(len(ids))]


def test_only_pictures_with_masks_are_labelled_validated_and_tested():
    ids = [f"{i:03d}" for i in range(120)]
    groups = [f"{i % 40}" for i in range(120)]  # each of the first 30 has two kin without a mask
    source = Known(ids, groups, 30)
    alone = make_split(ids[:30], groups[:30], 1.0, fold=2, seed=1)
    split = split_pictures(source, 1.0, fold=2, seed=1)
    assert (split.labelled, split.validation, split.test) == (alone.labelled, alone.validation, alone.test)
    held = {groups[i] for i in split.validation + split.test}
    assert split.unlabelled == tuple(i for i in range(30, 120) if groups[i] not in held)
    half = split_pictures(source, 0.5, fold=2, seed=1)
    assert set(half.labelled) < set(split.labelled) and half.test == split.test
    assert set(half.unlabelled) == set(split.unlabelled) | (set(split.labelled) - set(half.labelled))


def test_without_a_test_part_all_train():
    ids = [f"{i:03d}" for i in range(50)]
    split = split_pictures(Known(ids, ids, 20), 1.0, test=False)
    assert split.labelled == tuple(range(20)) and split.unlabelled == tuple(range(20, 50))
    assert not split.validation and not split.test
    few = split_pictures(Known(ids, ids, 20), 5, test=False, seed=3)
    assert len(few.labelled) == 5 and max(few.labelled) < 20 and len(few.unlabelled) == 45


def test_where_all_have_masks_nothing_changes():
    ids = [f"{i:03d}" for i in range(50)]
    assert split_pictures(Known(ids, ids, 50), 0.2, seed=4) == make_split(ids, ids, 0.2, seed=4)


# ---- the walk --------------------------------------------------------------------------------------------------------

SMALL = ("--net", "unet-s", "--size", 32, "--steps", 2, "--batch", 2, "--device", "cpu")


@pytest.fixture
def mine(write_pictures, tmp_path) -> Path:
    """Twenty pictures, the first ten with masks, and a test folder of four."""
    write_pictures(tmp_path / "mine", 20)
    for i in range(10, 20):
        (tmp_path / f"mine/masks/p{i}.png").unlink()
    write_pictures(tmp_path / "tested", 4, seed=9)
    return tmp_path / "mine"


def trained(said) -> tuple[dict, Path]:
    assert said.code == 0 and not said.err, said.err
    folder = Path(said.out.splitlines()[-1])
    return json.loads((folder / "result.json").read_text()), folder


def test_few_masks_train_with_many_pictures(tutseg, mine):
    result, _ = trained(tutseg("train", "cps", "--data", "folder", "--root", mine, *SMALL))
    assert result["n"] == {"labelled": 7, "unlabelled": 10, "validation": 1, "test": 2}
    assert result["trial"]["labelled"] == 1 and "--labelled 1" in result["provenance"]["command"]
    result, _ = trained(tutseg("train", "cps", "--data", "folder", "--root", mine, "--labelled", 3, *SMALL))
    assert result["n"] == {"labelled": 3, "unlabelled": 14, "validation": 1, "test": 2}


def test_a_test_folder_is_tested_and_all_else_trains(tutseg, mine):
    (mine.parent / "tested/masks/p03.png").unlink()
    words = ("train", "cps", "--data", "folder", "--root", mine, "--test", "tested", *SMALL)
    result, folder = trained(tutseg(*words))
    assert result["n"] == {"labelled": 10, "unlabelled": 10, "validation": 0, "test": 3}
    ids = {line.split(",")[0] for line in (folder / "per_image.csv").read_text().splitlines()[1:]}
    assert ids == {"p00", "p01", "p02"} and "--test tested" in result["provenance"]["command"]
    tested = load_pictures(open_source("folder", mine.parent / "tested"), 32).outlined()
    assert result["provenance"]["tested"] == tested.fingerprint()[:16]


def test_all_may_train_and_nothing_is_scored(tutseg, mine):
    words = ("train", "cps", "--data", "folder", "--root", mine, "--test", "none", *SMALL)
    said = tutseg(*words)
    assert "trained, not scored" in said.out
    result, folder = trained(said)
    assert result["n"] == {"labelled": 10, "unlabelled": 10, "validation": 0, "test": 0}
    assert not any(result["scores"].values()) and result["selection"] == {}
    assert tutseg("predict", folder, mine / "images", "--out", "masks").code == 0
    assert len(list(Path("masks").iterdir())) == 20


def test_a_method_that_trains_nothing_scores_what_has_masks(tutseg, mine):
    result, _ = trained(tutseg("train", "otsu", "--data", "folder", "--root", mine, "--size", 32))
    assert result["n"] == {"test": 10}


@pytest.mark.parametrize("more", [("--test-data", "synth"), ("--scored", "validation"), ("--fold", 1)])
def test_two_ways_of_testing_exclude_each_other(tutseg, mine, more):
    said = tutseg("train", "cps", "--data", "folder", "--root", mine, "--test", "tested", *more, *SMALL)
    assert said.code == 2 and f"--test tested and {more[0]} exclude each other" in said.err


def test_without_pictures_to_learn_from_the_remedy_is_named(tutseg, mine):
    said = tutseg("train", "cps", "--data", "folder", "--root", "tested", "--test", "none", *SMALL)
    assert (
        said.code == 2
        and "method cps got no unlabelled picture: give a smaller --labelled, or add pictures" in said.err
    )


# ---- a look before anything is trained -------------------------------------------------------------------------------


def every_file(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_init_says_what_it_understood(tutseg, mine, tmp_path):
    (mine / "images/x.gif").write_text("no picture")
    (mine / "masks/lost.png").write_bytes((mine / "masks/p00.png").read_bytes())
    before = every_file(mine)
    said = tutseg("data", "init", "mine", "--json")
    assert said.code == 0 and not said.err
    seen = json.loads(said.out)
    assert (seen["pictures"], seen["with_mask"], seen["without_mask"], seen["groups"]) == (20, 10, 10, 20)
    assert seen["layout"] == "images/ and masks/" and seen["sizes"] == {"48x40": 20} and seen["findings"] == []
    assert seen["left_out"] == {
        "files that end in .gif": ["images/x.gif"], "masks without a picture": ["masks/lost.png"],
    }  # fmt: skip
    assert seen["mosaic"] == "mine-overview.png" and Image.open("mine-overview.png").size == (6 * 192, 3 * 192)
    assert seen["next"][0] == "tutseg train dme-fd --data folder --root mine"
    text = tutseg("data", "init", "mine").out  # again: its own mosaic is in nobody's way
    for words in ("10 with a mask, 10 without", "48x40 (20)", "images/x.gif", "masks/lost.png"):
        assert words in text
    assert every_file(mine) == before


def test_the_mosaic_is_written_beside_the_folder_and_over_nothing(tutseg, mine, monkeypatch):
    monkeypatch.chdir(mine)
    assert "--out ../mine-predicted" in tutseg("data", "init", ".").out
    monkeypatch.chdir(mine)
    assert (mine.parent / "mine-overview.png").exists()
    (mine.parent / "mine-overview.png").write_text("mine")
    said = tutseg("data", "init", mine)
    assert said.code == 2 and "mine-overview.png is there already" in said.err
    assert (mine.parent / "mine-overview.png").read_text() == "mine"
    assert "look.png" in tutseg("data", "init", mine, "--out", "look.png").out
    picture = next((mine / "images").iterdir())
    before = picture.read_bytes()
    for command in (("init", mine), ("show", "folder", "--root", mine)):
        said = tutseg("data", *command, "--out", picture, "--overwrite")
        assert said.code == 2 and "is one of the pictures" in said.err and picture.read_bytes() == before


def test_init_gives_commands_that_can_run(tutseg, mine):
    for i in range(10, 20):
        (mine / f"images/p{i}.jpg").unlink()
    next_ = lambda *words: json.loads(tutseg("data", "init", *words, "--json").out)["next"]
    assert next_("mine")[0] == "tutseg train supervised --data folder --root mine"  # nothing for dme-fd to learn from
    assert next_("mine")[1] == "tutseg predict runs/ID PICTURES --out mine-predicted"
    for i in range(3, 10):
        (mine / f"masks/p0{i}.png").unlink()
    assert next_("mine") == [
        "tutseg train dme-fd --data folder --root mine --test none",
        "tutseg predict runs/ID mine --rest --out mine-predicted",
    ]
    trained(tutseg(*next_("mine")[0].split()[1:], "--size", 32, "--steps", 1, "--net", "unet-s"))


def test_masks_that_are_all_empty_are_a_warning(tutseg, mine):
    for path in (mine / "masks").iterdir():
        Image.new("L", (48, 40)).save(path)
    (found,) = json.loads(tutseg("data", "init", "mine", "--json").out)["findings"]
    assert (found["severity"], found["message"]) == ("warning", "10 of 10 masks are empty")


def test_the_mosaic_shows_outlines(tutseg, mine):
    tutseg("data", "init", "mine")
    sheet = np.asarray(Image.open("mine-overview.png"))
    green = (sheet == (0, 255, 120)).all(2)
    drawn = [green[y : y + 192, x : x + 192].any() for y in (0, 192, 384) for x in range(0, 1152, 192)]
    assert drawn == [True] * 10 + [False] * 8  # p00 to p09 have masks; of the ten without, eight are shown


def test_init_names_what_is_broken_and_shows_the_others(tutseg, mine):
    path = mine / "images/p03.jpg"
    path.write_bytes(path.read_bytes()[:300])
    Image.new("L", (9, 7)).save(mine / "masks/p04.png")
    said = tutseg("data", "init", "mine", "--json")
    seen = json.loads(said.out)
    assert said.code == 1 and [each["ids"] for each in seen["findings"]] == [["p03"], ["p04"]]
    assert seen["pictures"] == 20 and seen["groups"] == 18 and Path("mine-overview.png").exists()


def test_init_tells_that_few_masks_cannot_be_split(tutseg, mine):
    for i in range(4, 10):
        (mine / f"masks/p{i:02d}.png").unlink()
    (note,) = json.loads(tutseg("data", "init", "mine", "--json").out)["notes"]
    assert note.startswith("4 groups have masks") and "--test FOLDER or none" in note
    said = tutseg("train", "cps", "--data", "folder", "--root", mine, *SMALL)
    assert said.code == 2 and "4 groups cannot be split into 5 folds" in said.err and "test on" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("mine", "-d", "grupp=a"), "did you mean group"),
        (("mine", "-d", "group=(x"), "no regular expression"),
        (("mine/masks",), "none of 10 pictures in mine/masks has a mask"),
    ],
)
def test_init_of_what_it_cannot_understand_is_one_line(tutseg, mine, words, says):
    said = tutseg("data", "init", *words)
    assert said.code == 2 and says in said.err and said.err.count("\n") == 1 and not said.out


def test_the_rest_is_predicted_in_one_line(tutseg, mine):
    _, run = trained(tutseg("train", "supervised", "--data", "folder", "--root", mine, "--test", "none", *SMALL))
    said = tutseg("predict", run, mine, "--rest", "--out", "rest", "--overlay")
    assert said.code == 0 and said.out.strip() == "10 masks in rest"
    assert {path.name for path in Path("rest").iterdir()} == {
        f"p{i}{end}" for i in range(10, 20) for end in (".png", "_overlay.png")
    }
    (mine / "images/again").mkdir()
    (mine / "images/p11.jpg").rename(mine / "images/again/p12.jpg")
    assert tutseg("predict", run, mine, "--rest", "--out", "nested").code == 0
    assert {str(path) for path in Path("nested").rglob("*1[12].png")} == {"nested/p12.png", "nested/again/p12.png"}
    said = tutseg("predict", run, mine.parent / "tested", "--rest", "--out", "rest")
    assert said.code == 2 and "every picture in" in said.err and "--rest" in said.err


def test_a_page_shows_a_command_and_what_it_says_without_colours(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a kernel does
    shell("tutseg nets")
    said = capsys.readouterr().out
    assert said.startswith("$ tutseg nets\nnetworks") and "unet-s" in said and "\x1b" not in said
    with pytest.raises(subprocess.CalledProcessError):
        shell("tutseg trian")
    assert "did you mean" in capsys.readouterr().out.lower()

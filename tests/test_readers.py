"""Readers against trees whose every pixel the test knows, and against the real sets where they are."""

import csv
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tutseg.data import open_source, source_names
from tutseg.data.decode import read_image, to_uint8
from tutseg.data.folders import list_images, pair_by_stem
from tutseg.data.masks import GreyMaskWarning, read_mask
from tutseg.data.read_dermoscopy import _ph2_sheet, _ph2_text
from tutseg.data.readers import READERS
from tutseg.errors import InputError


def ellipse(seed: int, height: int = 24, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A drawn picture and its mask, different for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    cy, cx = rng.uniform(0.4, 0.6, 2) * (height, width)
    mask = ((y - cy) / (height * rng.uniform(0.2, 0.35))) ** 2 + ((x - cx) / (width * rng.uniform(0.2, 0.35))) ** 2 < 1
    image = rng.integers(150, 250, (height, width, 3), dtype=np.uint8)
    image[mask] //= 3
    return image, mask.astype(np.uint8)


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def put_pair(image: Path, mask: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Write a pair (lossless picture or not, mask 0/255) and return what was drawn."""
    picture, truth = ellipse(seed)
    put(image, picture)
    put(mask, truth * 255)
    return picture, truth


def put_table(path: Path, rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


# ---- official layouts, one drawn tree each ---------------------------------------------------------------------------


def tree_isic2018(root):
    for part, first in (("Training", 0), ("Validation", 10), ("Test", 20)):
        for n in range(first, first + 2):
            put_pair(
                root / f"ISIC2018_Task1-2_{part}_Input/ISIC_{n:07d}.jpg",
                root / f"ISIC2018_Task1_{part}_GroundTruth/ISIC_{n:07d}_segmentation.png",
                n,
            )
    (root / "ISIC2018_Task1-2_Training_Input/LICENSE.txt").write_text("x")
    put_table(root / "ISIC-2017_Training_Part3_GroundTruth.csv", [
        ["image_id", "melanoma", "seborrheic_keratosis"], ["ISIC_0000000", 0.0, 1.0], ["ISIC_0000001", 1.0, 0.0],
    ])  # fmt: skip
    return {"ids": ["ISIC_0000000", "ISIC_0000001"], "labels": ["seborrheic keratosis", "melanoma"]}


def tree_isic2017(root):
    for stem, n in (("ISIC-2017_Training", 0), ("ISIC-2017_Validation", 1), ("ISIC-2017_Test_v2", 2)):
        put_pair(
            root / f"{stem}_Data/ISIC_{n:07d}.jpg",
            root / f"{stem}_Part1_GroundTruth/ISIC_{n:07d}_segmentation.png",
            n,
        )
        put(root / f"{stem}_Data/ISIC_{n:07d}_superpixels.png", ellipse(9)[0])
    return {"ids": ["ISIC_0000000"], "options": {}, "all": 3}


def tree_isic2016(root):
    for part, n in (("Training", 0), ("Test", 3)):
        put_pair(
            root / f"ISBI2016_ISIC_Part1_{part}_Data/ISIC_{n:07d}.jpg",
            root / f"ISBI2016_ISIC_Part1_{part}_GroundTruth/ISIC_{n:07d}_Segmentation.png",
            n,
        )
    put_table(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", [["ISIC_0000000", "malignant"]])
    return {"ids": ["ISIC_0000000"], "labels": ["malignant"], "all": 2}


def tree_ham10000(root):
    for n, part in ((1, 1), (2, 1), (3, 2)):
        put_pair(
            root / f"HAM10000_images_part_{part}/ISIC_{n:07d}.jpg",
            root / f"HAM10000_segmentations_lesion_tschandl/ISIC_{n:07d}_segmentation.png",
            n,
        )
    put_table(root / "HAM10000_metadata.csv", [
        ["lesion_id", "image_id", "dx"],
        ["HAM_1", "ISIC_0000001", "nv"], ["HAM_1", "ISIC_0000002", "nv"], ["HAM_2", "ISIC_0000003", "mel"],
    ])  # fmt: skip
    return {"n": 3, "groups": ["HAM_1", "HAM_1", "HAM_2"], "labels": ["nv", "nv", "mel"]}


def tree_ph2(root):
    for n in (3, 9):
        case = root / f"PH2 Dataset images/IMD{n:03d}"
        put_pair(
            case / f"IMD{n:03d}_Dermoscopic_Image/IMD{n:03d}.bmp", case / f"IMD{n:03d}_lesion/IMD{n:03d}_lesion.bmp", n
        )
    (root / "PH2_dataset.txt").write_text(
        "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry ||\n"
        "|| IMD003 ||  || 0 || 2 ||\n|| IMD009 || Melanoma || 2 || 0 ||\nLegends\n0 - Common Nevus\n"
    )
    return {"ids": ["IMD003", "IMD009"], "labels": ["common nevus", "melanoma"], "exact": True}


def tree_kvasir(root):
    for n in range(2):
        put_pair(root / f"images/cju{n}.jpg", root / f"masks/cju{n}.jpg", n)
    return {"ids": ["cju0", "cju1"]}


def tree_clinic(root):
    for n in (1, 25, 26, 612):
        put_pair(root / f"Original/{n}.tif", root / f"Ground Truth/{n}.tif", n)
    return {
        "ids": ["1", "25", "26", "612"],
        "groups": ["sequence-01", "sequence-01", "sequence-02", "sequence-29"],
        "exact": True,
    }


def tree_colondb(root):
    for n in (1, 25, 26):
        put_pair(root / f"images/{n}.png", root / f"masks/{n}.png", n)
    return {"n": 3, "groups": ["block-000", "block-000", "block-001"], "exact": True}


def tree_etis(root):
    for n in (1, 2):
        put_pair(root / f"ETIS-LaribPolypDB/{n}.tif", root / f"Ground Truth/p{n}.tif", n)
    return {"ids": ["1", "2"], "exact": True}


def tree_endoscene(root):
    for n in (150, 151):
        put_pair(root / f"images/{n}.png", root / f"masks/{n}.png", n)
    return {"ids": ["150", "151"], "exact": True}


def tree_mosmed(root):
    for place, n in (("Train_Folder", 3), ("Train_Folder", 4), ("Val_Folder", 1), ("Test_Folder", 2)):
        name = f"Morozov_study_{255 + n // 3:04d}_{n}.png"
        put_pair(root / place / "img" / name, root / place / "labelcol" / name, n)
    return {"n": 4, "groups": ["Morozov_study_0255", "Morozov_study_0255", "Morozov_study_0256", "Morozov_study_0256"]}


def tree_covid(root):
    for part, n in (("train", 0), ("test", 18)):
        put_pair(root / f"{part}/images/{n}.jpg", root / f"{part}/masks/{n}.png", n)
    put(root / "unlabelled/images/Data-1_coronacases_org_001_10.jpg", ellipse(5)[0])
    return {"ids": ["0", "18"]}


def tree_synapse(root):
    import h5py

    (root / "train_npz").mkdir(parents=True)
    (root / "test_vol_h5").mkdir()
    for z in range(2):
        image, mask = ellipse(z)
        np.savez(
            root / f"train_npz/case0005_slice{z:03d}.npz", image=image[..., 0] / 255.0, label=mask * (z + 1.0)
        )  # fmt: skip
    with h5py.File(root / "test_vol_h5/case0001.npy.h5", "w") as file:
        file["image"] = np.stack([ellipse(z)[0][..., 0] / 255.0 for z in range(3)])
        file["label"] = np.stack([ellipse(z)[1] * 4.0 for z in range(3)])
    return {
        "ids": ["case0005_slice000", "case0005_slice001"],
        "groups": ["case0005"] * 2,
        "all": 5,
        "grey": True,
    }


def tree_cbis(root):
    for label, n in (("benign", 1), ("malignant", 2)):
        name = f"Mass-Training_P_{n:05d}_LEFT_CC_1.png"
        put_pair(root / label / "images" / name, root / label / "masks" / name, n)
    return {"n": 2, "groups": ["P_00001", "P_00002"], "labels": ["benign", "malignant"], "exact": True}


def tree_lung(root):
    import nibabel
    import tifffile

    (root / "2d_images").mkdir(parents=True)
    (root / "2d_masks").mkdir()
    (root / "3d_images").mkdir()
    for n in range(2):
        image, mask = ellipse(n)
        hounsfield = image[..., 0].astype(np.int32) * 6 - 1350  # 0..250 grey in the window of 1500 units
        tifffile.imwrite(root / f"2d_images/ID_{n:04d}_Z_0142.tif", hounsfield)
        tifffile.imwrite(root / f"2d_masks/ID_{n:04d}_Z_0142.tif", mask * 255)
    volume = np.stack([ellipse(z, 24, 24)[0][..., 0].astype(np.int16) for z in range(3)])
    truth = np.stack([ellipse(z, 24, 24)[1] * 255 for z in range(3)])
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), root / "3d_images/IMG_0002.nii.gz")
    nibabel.save(nibabel.Nifti1Image(truth.astype(np.uint8), np.eye(4)), root / "3d_images/MASK_0002.nii.gz")
    return {"ids": ["ID_0000_Z_0142", "ID_0001_Z_0142"], "groups": ["ID_0000", "ID_0001"]}


def tree_chest(root):
    for part in ("train", "val", "test"):
        put(root / part / "NORMAL/IM-0115-0001.jpeg", ellipse(1)[0])
        put(root / part / "PNEUMONIA/person1_virus_6.jpeg", ellipse(2)[0])
    return {"n": 6, "labels": ["normal", "pneumonia"] * 3, "groups": ["IM-0115", "person1"] * 3, "masks": False}


def tree_medmnist(root):
    root.mkdir(parents=True)
    for name, shape in (("breastmnist", (2,)), ("pneumoniamnist", (2, 1))):
        arrays = {}
        for part in ("train", "val", "test"):
            arrays[f"{part}_images"] = np.stack([ellipse(n, 28, 28)[0][..., 0] for n in range(2)])
            arrays[f"{part}_labels"] = np.array([0, 1], np.uint8).reshape(shape)
        np.savez(root / f"{name}.npz", **arrays)
    return {"n": 6, "masks": False, "labels": ["malignant", "normal or benign"] * 3}


def tree_pneumonia(root):
    return tree_medmnist(root) | {"labels": ["normal", "pneumonia"] * 3}


TREES = {
    "isic2018": tree_isic2018,
    "isic2017": tree_isic2017,
    "isic2016": tree_isic2016,
    "ham10000": tree_ham10000,
    "ph2": tree_ph2,
    "kvasir-seg": tree_kvasir,
    "cvc-clinicdb": tree_clinic,
    "cvc-colondb": tree_colondb,
    "etis": tree_etis,
    "endoscene": tree_endoscene,
    "mosmeddata": tree_mosmed,
    "covid-semiseg": tree_covid,
    "synapse": tree_synapse,
    "cbis-ddsm": tree_cbis,
    "kaggle-lung": tree_lung,
    "chest-xray": tree_chest,
    "breastmnist": tree_medmnist,
    "pneumoniamnist": tree_pneumonia,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Hashes of drawn pictures must not meet those of real ones that have the same ids."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tutseg.data.leaks.knowledge", lambda: tmp_path / "knowledge")


def test_every_reader_has_a_tree():
    assert TREES.keys() == READERS.keys()


@pytest.mark.parametrize("name", TREES)
def test_reads_its_official_layout(name, tmp_path):
    """Found both as the root itself and inside it; ids, groups, labels and pixels are what was written."""
    root = tmp_path / "data" / READERS[name].folder
    expected = TREES[name](root)
    source = open_source(name, root)
    assert open_source(name, root.parent).ids == source.ids
    assert source.name == name and source.ids == sorted(source.ids)
    assert len(source) == len(source.ids) == len(source.groups) == len(set(source.ids))
    assert len(source) == expected.get("n", len(expected.get("ids", source.ids)))
    for key in ("ids", "groups", "labels"):
        if key in expected:
            assert getattr(source, key) == expected[key]
    if "all" in expected:
        assert len(open_source(name, root, part="all")) == expected["all"]
    for index, sample in enumerate(source):
        assert sample.id == source.ids[index] and sample.group == source.groups[index]
        assert sample.image.dtype == np.uint8 and sample.image.ndim == 3 and sample.image.shape[2] == 3
        assert np.array_equal(source.image(index), sample.image)
        if expected.get("masks", True):
            assert sample.mask.dtype == np.uint8 and sample.mask.shape == sample.image.shape[:2]
            assert 0 < sample.mask.mean() < 1 and set(np.unique(sample.mask)) == {0, 1}
        else:
            assert sample.mask is None


@pytest.mark.parametrize("name", ["ph2", "cvc-clinicdb", "cvc-colondb", "etis", "endoscene", "cbis-ddsm"])
def test_lossless_pixels_come_back(name, tmp_path):
    root = tmp_path / READERS[name].folder
    TREES[name](root)
    source = open_source(name, root)
    for index, id in enumerate(source.ids):
        seed = int("".join(c for c in id.replace("_LEFT_CC_1", "") if c.isdigit()))
        image, mask = ellipse(seed)
        assert np.array_equal(source[index].image, image)
        assert np.array_equal(source[index].mask, mask)


def test_isic2018_parts_and_classes(tmp_path):
    tree_isic2018(tmp_path)
    assert [len(open_source("isic2018", tmp_path, part=p)) for p in ("train", "validation", "test", "all")] == [
        2, 2, 2, 6,
    ]  # fmt: skip
    for n in range(3):
        put(tmp_path / f"ISIC2018_Task3_Training_Input/ISIC_{n:07d}.jpg", ellipse(n)[0])
    codes = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    stem = "ISIC2018_Task3_Training"
    rows = [[f"ISIC_{n:07d}", *(1.0 if k == n else 0.0 for k in range(7))] for n in range(3)]
    put_table(tmp_path / f"{stem}_GroundTruth/{stem}_GroundTruth.csv", [["image", *codes], *rows])
    put_table(tmp_path / f"{stem}_LesionGroupings.csv", [
        ["image", "lesion_id", "diagnosis_confirm_type"], *[[f"ISIC_{n:07d}", f"HAM_{n // 2}", "x"] for n in range(3)],
    ])  # fmt: skip
    source = open_source("isic2018", tmp_path, task=3)
    assert source.labels == ["melanoma", "melanocytic nevus", "basal cell carcinoma"]
    assert source.groups == ["HAM_0", "HAM_0", "HAM_1"] and source[0].mask is None


def test_synapse_volumes_and_organs(tmp_path):
    tree_synapse(tmp_path)
    volume = open_source("synapse", tmp_path, part="test")
    assert volume.ids == [f"case0001_slice{z:03d}" for z in range(3)]
    for z, sample in enumerate(volume):
        assert np.array_equal(sample.mask, ellipse(z)[1])
        assert np.abs(sample.image[..., 0].astype(int) - ellipse(z)[0][..., 0]).max() <= 1
    assert open_source("synapse", tmp_path, organ=1)[1].mask.sum() == 0  # slice 1 holds label 2 only
    assert open_source("synapse", tmp_path, organ=2)[1].mask.sum() == ellipse(1)[1].sum()


def test_lung_window_and_volumes(tmp_path):
    tree_lung(tmp_path)
    grey = open_source("kaggle-lung", tmp_path)[0].image[..., 0].astype(float)
    assert np.abs(grey - ellipse(0)[0][..., 0].astype(float) * 6 / 1500 * 255).max() <= 0.51
    volume = open_source("kaggle-lung", tmp_path, plane="3d")
    assert volume.ids == [f"IMG_0002_Z_{z:04d}" for z in range(3)] and set(volume.groups) == {"IMG_0002"}
    assert all(np.array_equal(sample.mask, ellipse(z, 24, 24)[1]) for z, sample in enumerate(volume))


def test_covid_unlabelled_are_grouped_by_scan(tmp_path):
    tree_covid(tmp_path)
    source = open_source("covid-semiseg", tmp_path, part="unlabelled")
    assert source.groups == ["Data-1_coronacases_org_001"] and source[0].mask is None


def test_ph2_reads_the_sheet_where_there_is_no_text(tmp_path):
    import openpyxl

    tree_ph2(tmp_path)
    (tmp_path / "PH2_dataset.txt").unlink()
    book = openpyxl.Workbook()
    for row in (["Legends"], ["Image Name", "Histological Diagnosis", "Common Nevus", "Atypical Nevus", "Melanoma"],
                ["IMD003", None, None, "X", None], ["IMD009", None, "X", None, None]):  # fmt: skip
        book.active.append(row)
    book.save(tmp_path / "PH2_dataset.xlsx")
    assert open_source("ph2", tmp_path).labels == ["atypical nevus", "common nevus"]


def test_ph2_tables_agree_on_the_real_set():
    root = Path(os.environ.get("TUTSEG_DATA", "")) / "PH2Dataset"
    if not (root / "PH2_dataset.xlsx").is_file():
        pytest.skip("TUTSEG_DATA is not set or holds no PH2")
    assert _ph2_text(root / "PH2_dataset.txt") == _ph2_sheet(root / "PH2_dataset.xlsx")


# ---- any folder ------------------------------------------------------------------------------------------------------


def test_folder_of_two_or_side_by_side(tmp_path):
    put_pair(tmp_path / "two/images/b.jpg", tmp_path / "two/masks/b_segmentation.png", 1)
    put_pair(tmp_path / "two/images/a.png", tmp_path / "two/masks/a.png", 0)
    put_pair(tmp_path / "one/a.png", tmp_path / "one/a_mask.png", 0)
    put_pair(tmp_path / "one/b.png", tmp_path / "one/b_Lesion.bmp", 1)
    for kind in ("two", "one"):
        source = open_source("folder", tmp_path / kind)
        assert source.ids == source.groups == ["a", "b"]
        assert np.array_equal(source[1].mask, ellipse(1)[1])


def test_pair_by_stem_ignores_case_and_suffix():
    images = [Path("x/A.jpg"), Path("x/B_c.jpg")]
    masks = [Path("y/B_c_Segmentation.png"), Path("y/A_lesion.png"), Path("y/unused.png")]
    assert [(stem, mask.name) for stem, _, mask in pair_by_stem(images, masks)] == [
        ("A", "A_lesion.png"), ("B_c", "B_c_Segmentation.png"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_masks_of_every_mode(mode, tmp_path):
    truth = ellipse(3)[1]
    Image.fromarray(truth * 255).convert(mode).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), truth)


@pytest.mark.parametrize("high", [1, 2, 128, 255])
def test_a_mask_of_two_values_is_binary(high, tmp_path):
    truth = ellipse(3)[1]
    put(tmp_path / "m.png", truth * np.uint8(high))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_mask(tmp_path / "m.png"), truth)


def test_grey_and_16_bit_pictures_become_rgb(tmp_path):
    grey = ellipse(2)[0][..., 0]
    put(tmp_path / "g.png", grey)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "d.png")
    assert np.array_equal(read_image(tmp_path / "g.png"), np.repeat(grey[..., None], 3, 2))
    assert np.array_equal(read_image(tmp_path / "d.png", window=(0, 65535))[..., 1], grey)


def test_grey_mask_is_thresholded_with_one_notice_a_source(tmp_path):
    for n in range(3):
        image, mask = ellipse(n)
        put(tmp_path / f"images/{n}.png", image)
        soft = mask * 255
        soft[0, :4] = (100, 127, 128, 200)
        put(tmp_path / f"masks/{n}.png", soft)
    source = open_source("folder", tmp_path)
    with pytest.warns(GreyMaskWarning, match=r"masks/0\.png") as caught:
        masks = [sample.mask for sample in source]
    assert len(caught) == 1
    assert masks[0][0, :4].tolist() == [0, 0, 1, 1]


def test_jpeg_masks_pass_without_notice(tmp_path):
    tree_kvasir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", GreyMaskWarning)
        masks = [sample.mask for sample in open_source("kvasir-seg", tmp_path)]
    assert all(np.mean(mask == ellipse(n)[1]) > 0.97 for n, mask in enumerate(masks))


# ---- bad input -------------------------------------------------------------------------------------------------------


def good(root):
    put_pair(root / "images/a.jpg", root / "masks/a.png", 0)
    put_pair(root / "images/b.jpg", root / "masks/b.png", 1)


def truncated(root):
    good(root)
    data = (root / "images/a.jpg").read_bytes()
    (root / "images/a.jpg").write_bytes(data[: len(data) // 2])


def zero_bytes(root):
    good(root)
    (root / "masks/a.png").write_bytes(b"")


def no_picture(root):
    good(root)
    (root / "images/a.jpg").write_text("this is text")


def other_size(root):
    good(root)
    put(root / "masks/a.png", ellipse(0, 10, 20)[1] * 255)


def no_masks_folder(root):
    good(root)
    for path in (root / "masks").iterdir():
        path.unlink()
    (root / "masks").rmdir()


def twice(root):
    good(root)
    put(root / "images/a.png", ellipse(0)[0])


@pytest.mark.parametrize(
    ("spoil", "what", "remedy"),
    [
        (lambda root: None, "holds no pictures", "put files there"),
        (truncated, "images/a.jpg is truncated", "fetch it again"),
        (zero_bytes, "masks/a.png is empty", "fetch it again"),
        (no_picture, "images/a.jpg is truncated or not a picture", "fetch it again"),
        (other_size, "masks/a.png is 20x10, its picture 32x24", "same width"),
        (no_masks_folder, "has images/ but no masks/", "put the masks"),
        (twice, "the same stem", "keep one"),
    ],
)
def test_bad_folders_name_the_fault_and_the_remedy(spoil, what, remedy, tmp_path):
    spoil(tmp_path)
    with pytest.raises(InputError) as error:
        list(open_source("folder", tmp_path))
    assert what in error.value.what and remedy in error.value.remedy
    assert "\n" not in str(error.value)


def test_bad_names_roots_and_options(tmp_path, monkeypatch):
    monkeypatch.delenv("TUTSEG_DATA", raising=False)
    tree_isic2018(tmp_path / "ISIC2018")
    for call, words in (
        (lambda: open_source("isic208", tmp_path), "did you mean isic2018"),
        (lambda: open_source("isic2018"), "set TUTSEG_DATA"),
        (lambda: open_source("folder"), "give --root"),
        (lambda: open_source("isic2018", tmp_path / "none"), "does not exist"),
        (lambda: open_source("ph2", tmp_path), "does not hold data ph2"),
        (lambda: open_source("isic2018", tmp_path, parts="train"), "did you mean part"),
        (lambda: open_source("isic2018", tmp_path, part="trian"), "did you mean train"),
        (lambda: open_source("isic2018", tmp_path, task=2), "Known: 1, 3"),
        (lambda: open_source("kvasir-seg", tmp_path, part="train"), "unknown option of data kvasir-seg 'part'"),
    ):
        with pytest.raises(InputError, match=words) as error:
            call()
        assert error.value.remedy and "\n" not in str(error.value)


def test_tutseg_data_is_the_default_root(tmp_path, monkeypatch):
    tree_kvasir(tmp_path / "Kvasir-SEG")
    monkeypatch.setenv("TUTSEG_DATA", str(tmp_path))
    assert len(open_source("kvasir-seg")) == 2


def test_hidden_files_are_no_pictures(tmp_path):
    put(tmp_path / "a.png", ellipse(0)[0])
    put(tmp_path / "._a.png", ellipse(0)[0])
    assert [path.name for path in list_images(tmp_path)] == ["a.png"]


def test_names_are_known_without_heavy_imports():
    import subprocess
    import sys

    code = "import sys, tutseg.data; tutseg.data.source_names(); print({'torch', 'pandas', 'numpy'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"
    assert {"synth", "synth-wild", "folder"} < set(source_names())


# ---- the real sets, where they are -----------------------------------------------------------------------------------

REAL = {
    "isic2018": (2594, True),
    "ph2": (200, True),
    "kvasir-seg": (1000, True),
    "cvc-clinicdb": (612, True),
    "covid-semiseg": (98, True),
    "breastmnist": (780, False),
    "pneumoniamnist": (5856, False),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(name, monkeypatch):
    if not os.environ.get("TUTSEG_DATA"):
        pytest.skip("TUTSEG_DATA is not set: no real data")
    monkeypatch.undo()
    try:
        source = open_source(name)
    except InputError as error:
        pytest.skip(f"not in TUTSEG_DATA: {error.what}")
    official, masks = REAL[name]
    assert 0 < len(source) <= official and len(set(source.ids)) == len(source)
    for index in range(0, len(source), max(1, len(source) // 7)):
        image, mask = source.read(index)
        assert image.dtype == np.uint8 and image.ndim == 3
        if masks:
            assert mask.shape == image.shape[:2] and mask.any()
    if name in ("ph2", "breastmnist", "pneumoniamnist"):
        assert all(source.labels)


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
@pytest.mark.parametrize("kind", ["png", "jpg", "progressive.jpg"])
def test_pixels_are_pillows_whatever_reads_them(tmp_path, mode, kind):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (37, 50, 4), dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(array[..., :2].copy().view(np.uint16)[..., 0])
    else:
        picture = Image.fromarray(array).convert(mode)
    path = tmp_path / f"a.{kind}"
    try:
        picture.save(path, progressive="progressive" in kind)
    except OSError:
        pytest.skip(f"{kind} has no mode {mode}")
    with Image.open(path) as stored:
        plain = np.asarray(stored if stored.mode in ("L", "I;16") else stored.convert("RGB"))
    expected = to_uint8(plain) if plain.ndim == 3 else np.repeat(to_uint8(plain)[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_image(path), expected)

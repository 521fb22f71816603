"""The card of every real data set's reader: where it lies and which function reads it. Nothing else belongs here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reader:
    """Where a data set lies and what reads it.

    Parameters
    ----------
    target : str
        "module:function", imported only when the data set is opened: ``function(root, **options) -> Source``.
    folder : str
        The folder in which the official download lies.
    signs : tuple of str
        Paths (any one is enough) that only this data set has, by which it is known in a folder of any name.
    layout : tuple of str
        Paths that others have too, such as ``images``: enough in a folder that is called `folder`, or is said to be it.
    """

    target: str
    folder: str
    signs: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()


READERS: dict[str, Reader] = {
    "isic2018": Reader(
        "tutseg.data.read_dermoscopy:isic2018",
        "ISIC2018",
        ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task3_Training_Input"),
    ),
    "isic2017": Reader(
        "tutseg.data.read_dermoscopy:isic2017", "ISIC2017", ("ISIC-2017_Training_Data", "ISIC-2017_Test_v2_Data")
    ),
    "isic2016": Reader(
        "tutseg.data.read_dermoscopy:isic2016",
        "ISIC2016",
        ("ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Test_Data"),
    ),
    "ham10000": Reader(
        "tutseg.data.read_dermoscopy:ham10000", "HAM10000", ("HAM10000_metadata.csv", "HAM10000_metadata")
    ),
    "ph2": Reader("tutseg.data.read_dermoscopy:ph2", "PH2Dataset", ("PH2 Dataset images",)),
    "kvasir-seg": Reader("tutseg.data.read_endoscopy:kvasir_seg", "Kvasir-SEG", ("images/cju*",), ("images",)),
    "cvc-clinicdb": Reader(
        "tutseg.data.read_endoscopy:cvc_clinicdb", "CVC-ClinicDB", ("Original/612.*",), ("Original",)
    ),
    "cvc-colondb": Reader("tutseg.data.read_endoscopy:cvc_colondb", "CVC-ColonDB", layout=("images",)),
    "etis": Reader("tutseg.data.read_endoscopy:etis", "ETIS-LaribPolypDB", ("ETIS-LaribPolypDB/*.tif",), ("images",)),
    "endoscene": Reader("tutseg.data.read_endoscopy:endoscene", "CVC-300", ("bbdd",), ("images",)),
    "mosmeddata": Reader(
        "tutseg.data.read_radiology:mosmeddata",
        "MosMedDataPlus",
        ("*_Folder/img/Morozov_study_*",),
        ("Train_Folder", "Test_Folder"),
    ),
    "covid-semiseg": Reader(
        "tutseg.data.read_radiology:covid_semiseg",
        "COVID-SemiSeg",
        ("unlabelled/images/*coronacases*",),
        ("train", "test"),
    ),
    "synapse": Reader(
        "tutseg.data.read_radiology:synapse", "Synapse", ("train_npz/case*_slice*.npz", "test_vol_h5/case*.npy.h5")
    ),
    "cbis-ddsm": Reader(
        "tutseg.data.read_radiology:cbis_ddsm",
        "CBIS-DDSM",
        ("images/*_P_0*", "*/images/*_P_0*"),
        ("images", "benign", "malignant"),
    ),
    "kaggle-lung": Reader(
        "tutseg.data.read_radiology:kaggle_lung",
        "finding-lungs-in-ct-data",
        ("2d_images/ID_*_Z_*", "3d_images/IMG_*.nii*"),
        ("2d_images", "3d_images"),
    ),
    "chest-xray": Reader(
        "tutseg.data.read_radiology:chest_xray", "chest_xray", ("*/PNEUMONIA/person*",), ("train", "test")
    ),
    "breastmnist": Reader("tutseg.data.read_radiology:breastmnist", "medmnist", ("breastmnist*.npz",)),
    "pneumoniamnist": Reader("tutseg.data.read_radiology:pneumoniamnist", "medmnist", ("pneumoniamnist*.npz",)),
}

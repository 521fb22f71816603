"""The card of every method: what ``tutseg methods`` lists, and where the class is found. Nothing else belongs here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodCard:
    """What ``tutseg methods`` prints of a method; `target` ("module:Class") is imported only when it is built."""

    name: str
    target: str
    kind: str
    paper: str
    summary: str


CARDS: dict[str, MethodCard] = {}


def register(name: str, target: str, kind: str, paper: str, summary: str) -> None:
    """Add a method; `kind` names what a trial of it does (`tutseg.training.tasks`)."""
    CARDS[name] = MethodCard(name, f"tutseg.methods.{target}", kind, paper, summary)


register("supervised", "co_training.supervised:Supervised", "semi-supervised", "-", "labelled pictures only (SupOnly)")
register(
    "cps",
    "co_training.cps:CPS",
    "semi-supervised",
    "CPS (CVPR 2021)",
    "two nets, each learns the other's hard mask",
)
register(
    "dme-fd",
    "co_training.dme_fd:DMEFD",
    "semi-supervised",
    "DME-FD (MIDL 2025)",
    "union of two confident masks, features pushed apart",
)
register(
    "pseudoseg",
    "co_training.pseudoseg:PseudoSeg",
    "semi-supervised",
    "PseudoSeg (ICLR 2021)",
    "fused, sharpened soft labels",
)
register("cct", "co_training.cct:CCT", "semi-supervised", "CCT (CVPR 2020)", "auxiliary decoders on perturbed features")
register(
    "gta-seg",
    "co_training.gta_seg:GTASeg",
    "semi-supervised",
    "GTA-Seg (NeurIPS 2022)",
    "an assistant learns pseudo-labels",
)
register(
    "unimatch",
    "co_training.unimatch:UniMatch",
    "semi-supervised",
    "UniMatch (CVPR 2023)",
    "two strong views, dropped channels",
)
register(
    "fixmatch",
    "co_training.fixmatch:FixMatch",
    "semi-supervised",
    "FixMatch (NeurIPS 2020)",
    "confident labels, one strong view",
)
register(
    "ccvc",
    "co_training.ccvc:CCVC",
    "semi-supervised",
    "CCVC (CVPR 2023)",
    "conflicts count more, features kept apart",
)
register(
    "mean-teacher",
    "distillation.mean_teacher:MeanTeacher",
    "semi-supervised",
    "Mean teacher (NeurIPS 2017)",
    "agrees with its moving average under noise",
)
register(
    "semisam",
    "distillation.semisam:SemiSAM",
    "semi-supervised",
    "SemiSAM (BIBM 2024)",
    "mean teacher, and SAM's answer to its guess",
)
register(
    "sam-kd",
    "distillation.sam_kd:SAMKD",
    "semi-supervised",
    "SAM-KD (2025)",
    "mask and distance prompt SAM, which teaches",
)
register(
    "prompted",
    "distillation.prompting:Prompted",
    "promptable",
    "Segment Anything (ICCV 2023)",
    "told by clicks, boxes and masks what to segment",
)
register("otsu", "one_image.classical:Otsu", "one-image", "-", "threshold and morphology, nothing learned")
register("slic", "one_image.classical:SlicMerge", "one-image", "-", "superpixels merged by colour, nothing learned")
register("k-means", "one_image.k_means:KMeans", "one-image", "-", "colours alone")
register(
    "deep-cluster",
    "one_image.deep_cluster:DeepCluster",
    "one-image",
    "DeepCluster (ECCV 2018)",
    "k-means teaches, in rounds",
)
register("iic", "one_image.iic:IIC", "one-image", "IIC (ICCV 2019)", "information shared with a moved, recoloured copy")
register(
    "kanezaki",
    "one_image.kanezaki:Kanezaki",
    "one-image",
    "Kanezaki (TIP 2020)",
    "learns its own arg-max, smoothed",
)
register(
    "sgscn",
    "one_image.sgscn:SGSCN",
    "one-image",
    "SGSCN (MICCAI 2021)",
    "own arg-max, clusters tied to their centres",
)
register(
    "ms-former",
    "one_image.ms_former:MSFormer",
    "one-image",
    "MS-Former (MIDL 2023)",
    "own arg-max, two scales agree",
)
register(
    "s3-net",
    "one_image.s3_net:S3Net",
    "one-image",
    "S3-Net (ICCV-W 2023)",
    "own arg-max, edges and affine consistency",
)
register(
    "dale",
    "noisy_labels.dale:DALE",
    "noisy-label",
    "DALE (CVPR 2025)",
    "clear patches first, then fuzzy ones, each label by its confidence",
)
register(
    "gce",
    "noisy_labels.gce:GCE",
    "noisy-label",
    "GCE (NeurIPS 2018)",
    "a loss that wrong labels hardly move",
)
register(
    "mw-net",
    "noisy_labels.mw_net:MWNet",
    "noisy-label",
    "MW-Net (NeurIPS 2019)",
    "a small network weighs each pixel by its loss",
)
register(
    "cirl",
    "noisy_labels.cirl:CIRL",
    "noisy-label",
    "CIRL (CVPR 2024)",
    "where logits vary most, clusters in place of labels",
)
register(
    "beco",
    "noisy_labels.beco:BECO",
    "noisy-label",
    "BECO (CVPR 2023)",
    "two nets, each learns the other's mask in fuzzy patches",
)
register(
    "small-loss",
    "noisy_labels.small_loss:SmallLoss",
    "noisy-label",
    "-",
    "pixels with the largest loss are left out",
)
register(
    "ssgnet",
    "generative.ssgnet:SSGNet",
    "semi-supervised",
    "SSGNet (BMVC 2025)",
    "learns drawn pictures too, labelled by the round before",
)
register(
    "stylegan3-t",
    "generative.stylegan3:StyleGAN3",
    "generative",
    "StyleGAN3 (NeurIPS 2021)",
    "draws pictures that a discriminator takes for real ones",
)
register(
    "classifier",
    "generative.classifier:Classifier",
    "classifier",
    "SSGNet (BMVC 2025)",
    "tells classes apart, drawn pictures beside the real ones",
)

"""Methods, one a file: how networks learn, and the registry that builds them by name."""

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown

if TYPE_CHECKING:
    from tutseg.methods.base import Method


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
    """Add a method; `kind` is "semi-supervised" (trained) or "one-image" (``segment(image)``)."""
    CARDS[name] = MethodCard(name, f"tutseg.methods.{target}", kind, paper, summary)


def method_class(name: str) -> type:
    """The class behind a name that ``tutseg methods`` lists."""
    if name not in CARDS:
        raise unknown("method", name, CARDS)
    module, attribute = CARDS[name].target.split(":")
    return getattr(import_module(module), attribute)


def build_method(name: str, **options: Any) -> "Method":
    """Build a method by name.

    Raises
    ------
    InputError
        Unknown name, unknown option or an option's value that the method refuses.
    """
    cls = method_class(name)
    try:
        return cls(**options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise InputError(
                f"method {name}: {str(error).split(') ')[-1].split('() ')[-1]}",
                f"see `tutseg methods {name}` for its options",
            ) from error
        raise


def method_table() -> list[dict]:
    """Every method for ``tutseg methods``: name, kind, paper, summary."""
    return [{name: getattr(card, name) for name in ("name", "kind", "paper", "summary")} for card in CARDS.values()]


def describe(name: str) -> dict:
    """One method: its card, what its class says of itself, and its own options with their defaults."""
    cls = method_class(name)
    own = {
        key: parameter.default
        for key, parameter in inspect.signature(cls).parameters.items()
        if key != "pretrained" and parameter.default is not inspect.Parameter.empty
    }
    card = CARDS[name]
    return {"name": name, "kind": card.kind, "paper": card.paper, "about": inspect.getdoc(cls), "options": own}


register("supervised", "supervised:Supervised", "semi-supervised", "-", "labelled pictures only (SupOnly)")
register("cps", "cps:CPS", "semi-supervised", "CPS (CVPR 2021)", "two nets, each learns the other's hard mask")
register(
    "dme-fd",
    "dme_fd:DMEFD",
    "semi-supervised",
    "DME-FD (MIDL 2025)",
    "union of two confident masks, features pushed apart",
)
register("pseudoseg", "pseudoseg:PseudoSeg", "semi-supervised", "PseudoSeg (ICLR 2021)", "fused, sharpened soft labels")
register("cct", "cct:CCT", "semi-supervised", "CCT (CVPR 2020)", "auxiliary decoders on perturbed features")
register("gta-seg", "gta_seg:GTASeg", "semi-supervised", "GTA-Seg (NeurIPS 2022)", "an assistant learns pseudo-labels")
register(
    "unimatch", "unimatch:UniMatch", "semi-supervised", "UniMatch (CVPR 2023)", "two strong views, dropped channels"
)
register(
    "fixmatch", "fixmatch:FixMatch", "semi-supervised", "FixMatch (NeurIPS 2020)", "confident labels, one strong view"
)
register("ccvc", "ccvc:CCVC", "semi-supervised", "CCVC (CVPR 2023)", "conflicts count more, features kept apart")
register("otsu", "classical:Otsu", "one-image", "-", "threshold and morphology, nothing learned")
register("slic", "classical:SlicMerge", "one-image", "-", "superpixels merged by colour, nothing learned")
register("k-means", "k_means:KMeans", "one-image", "-", "colours alone")
register(
    "deep-cluster", "deep_cluster:DeepCluster", "one-image", "DeepCluster (ECCV 2018)", "k-means teaches, in rounds"
)
register("iic", "iic:IIC", "one-image", "IIC (ICCV 2019)", "information shared with a moved, recoloured copy")
register("kanezaki", "kanezaki:Kanezaki", "one-image", "Kanezaki (TIP 2020)", "learns its own arg-max, smoothed")
register("sgscn", "sgscn:SGSCN", "one-image", "SGSCN (MICCAI 2021)", "own arg-max, clusters tied to their centres")
register("ms-former", "ms_former:MSFormer", "one-image", "MS-Former (MIDL 2023)", "own arg-max, two scales agree")
register("s3-net", "s3_net:S3Net", "one-image", "S3-Net (ICCV-W 2023)", "own arg-max, edges and affine consistency")

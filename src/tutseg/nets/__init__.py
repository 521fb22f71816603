"""Networks, one a file, and the registry that builds them by name.

A net maps images ``(B, 3, H, W)`` in [0, 1] to a `NetOutput`. It normalises its input itself, so a method never
needs to know with which statistics an encoder was trained.

Every segmentation net is an `EncoderDecoder` (`tutseg.nets.common`): ``net(images)`` is
``net.decode(net.encode(images))``, and ``net.encoder`` and ``net.head`` name its first and its last part. Methods that
perturb features (CCT, UniMatch), look at them (PseudoSeg) or move all but the classifier (GTA-Seg) build on the pair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from tutseg.errors import InputError, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class NetOutput:
    """What a net returns.

    Parameters
    ----------
    logits : Tensor
        ``(B, 1, H, W)``.
    bottleneck : Tensor or None
        Encoder output ``(B, C, H/s, W/s)`` after its last normalisation; only when features were asked for.
    decoded : Tensor or None
        Features before the head ``(B, D, H, W)`` (or a coarser grid); only when features were asked for.
    """

    logits: "Tensor"
    bottleneck: "Tensor | None" = None
    decoded: "Tensor | None" = None


@dataclass(frozen=True)
class NetCard:
    """What ``tutseg nets`` prints of a net; `module` is imported only when the net is built."""

    name: str
    module: str
    paper: str
    stride: int
    published_size: int
    published_millions: float | None
    source: str
    options: dict


CARDS: dict[str, NetCard] = {}


def register(
    name: str,
    module: str,
    paper: str,
    stride: int,
    published_size: int,
    published_millions: float | None,
    source: str,
    **options: object,
) -> None:
    """Add a net to the registry; `module` has ``build(in_size, pretrained=False, **options) -> nn.Module``."""
    CARDS[name] = NetCard(name, module, paper, stride, published_size, published_millions, source, options)


def build(name: str, in_size: int, pretrained: bool = False, **options: object) -> "nn.Module":
    """Build a net by name.

    Parameters
    ----------
    name : str
        A name that ``tutseg nets`` lists.
    in_size : int
        Height and width of the square input; a multiple of the net's stride.
    pretrained : bool
        Use timm's ImageNet weights for the encoder where they can be had.
    **options
        Passed to the net, over its card's own.

    Raises
    ------
    InputError
        Unknown name, or a size that is not a multiple of the stride.
    """
    if name not in CARDS:
        raise unknown("net", name, CARDS)
    card = CARDS[name]
    if in_size < card.stride or in_size % card.stride:
        low = max(card.stride, in_size // card.stride * card.stride)
        raise InputError(
            f"size {in_size} does not fit net {name}",
            f"use a multiple of {card.stride}, such as {low} or {low + card.stride}",
        )
    make: Callable[..., nn.Module] = import_module(card.module).build
    return make(in_size=in_size, pretrained=pretrained, **{**card.options, **options})


def net_table() -> list[dict]:
    """Every net, its parameters counted at the published size, for ``tutseg nets``.

    Returns
    -------
    list of dict
        `name`, `paper`, `millions` (ours), `published` (millions or None), `size` (pixels), `stride`, `source`.
    """
    import torch

    rows = []
    for card in CARDS.values():
        with torch.device("meta"):
            net = build(card.name, card.published_size)
        rows.append(
            {
                "name": card.name,
                "paper": card.paper,
                "millions": round(sum(p.numel() for p in net.parameters()) / 1e6, 3),
                "published": card.published_millions,
                "size": card.published_size,
                "stride": card.stride,
                "source": card.source,
            }
        )
    return rows


register("mobilenet-unet", "tutseg.nets.mobilenet_unet", "SAM-KD", 32, 256, 2.9, "SAM-KD Table 3; timm mobilenetv2_100")
register("unet", "tutseg.nets.unet", "SAM-KD", 16, 256, 7.76, "Ronneberger 2015; SAM-KD Table 3 prints 7.8 M", width=32)
register("unet-s", "tutseg.nets.unet", "lab profile", 16, 64, None, "U-Net at a quarter of the width", width=8)
register(
    "swin-unet", "tutseg.nets.swin_unet", "DME-FD", 32, 224, 41.38, "DME-FD's code; timm Swin-T", depths=(2, 2, 6, 2)
)
register(
    "swin-unet-t", "tutseg.nets.swin_unet", "Swin-Unet", 32, 224, 27.17, "Cao 2021; timm Swin-T", depths=(2, 2, 2, 2)
)
register(
    "swin-unet-s",
    "tutseg.nets.swin_unet",
    "lab profile",
    32,
    64,
    None,
    "Swin-Unet at a third of the width",
    embed=32,
    depths=(2, 2, 2, 2),
    heads=(1, 2, 4, 8),
    window=4,
)

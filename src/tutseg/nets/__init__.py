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
    """What ``tutseg nets`` prints of a net; `module` is imported only when the net is built.

    `parameters` is our count at the published size, written down so that a list needs no torch; a test counts them.
    """

    name: str
    module: str
    paper: str
    stride: int
    published_size: int
    published_millions: float | None
    parameters: int
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
    parameters: int,
    source: str,
    **options: object,
) -> None:
    """Add a net to the registry; `module` has ``build(in_size, pretrained=False, **options) -> nn.Module``."""
    CARDS[name] = NetCard(name, module, paper, stride, published_size, published_millions, parameters, source, options)


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
    """Every net for ``tutseg nets``, our parameter count beside the published one.

    Returns
    -------
    list of dict
        `name`, `paper`, `millions` (ours), `published` (millions or None), `size` (pixels, of both counts),
        `stride`, `source`.
    """
    return [
        {
            "name": card.name,
            "paper": card.paper,
            "millions": round(card.parameters / 1e6, 3),
            "published": card.published_millions,
            "size": card.published_size,
            "stride": card.stride,
            "source": card.source,
        }
        for card in CARDS.values()
    ]


register(
    name="mobilenet-unet",
    module="tutseg.nets.mobilenet_unet",
    paper="SAM-KD",
    stride=32,
    published_size=256,
    published_millions=2.9,
    parameters=2_903_361,
    source="SAM-KD Table 3; timm mobilenetv2_100",
)
register(
    name="unet",
    module="tutseg.nets.unet",
    paper="SAM-KD",
    stride=16,
    published_size=256,
    published_millions=7.76,
    parameters=7_763_041,
    source="Ronneberger 2015; SAM-KD Table 3 prints 7.8 M",
    width=32,
)
register(
    name="unet-s",
    module="tutseg.nets.unet",
    paper="lab profile",
    stride=16,
    published_size=64,
    published_millions=None,
    parameters=486_553,
    source="U-Net at a quarter of the width",
    width=8,
)
register(
    name="swin-unet",
    module="tutseg.nets.swin_unet",
    paper="DME-FD",
    stride=32,
    published_size=224,
    published_millions=41.38,
    parameters=41_380_068,
    source="DME-FD's code; timm Swin-T",
    depths=(2, 2, 6, 2),
)
register(
    name="swin-unet-t",
    module="tutseg.nets.swin_unet",
    paper="Swin-Unet",
    stride=32,
    published_size=224,
    published_millions=27.17,
    parameters=27_168_132,
    source="Cao 2021; timm Swin-T",
    depths=(2, 2, 2, 2),
)
register(
    name="swin-unet-s",
    module="tutseg.nets.swin_unet",
    paper="lab profile",
    stride=32,
    published_size=64,
    published_millions=None,
    parameters=3_033_100,
    source="Swin-Unet at a third of the width",
    embed=32,
    depths=(2, 2, 2, 2),
    heads=(1, 2, 4, 8),
    window=4,
)

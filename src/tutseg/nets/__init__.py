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
from tutseg.nets.cards import CARDS

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


def build(name: str, in_size: int, pretrained: bool = False, **options: object) -> "nn.Module":
    """Build a net by name.

    Parameters
    ----------
    name : str
        A name that ``tutseg nets`` lists.
    in_size : int
        Height and width of the square input; a multiple of the net's stride.
    pretrained : bool
        ImageNet weights for the encoder, from the file that the net's card names (``tutseg weights list``).
    **options
        Passed to the net, over its card's own.

    Raises
    ------
    InputError
        Unknown name, a size that is not a multiple of the stride, or pretrained weights that do not exist or cannot
        be had.
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
    options = {**card.options, **options}
    if pretrained:
        if not card.weights:
            others = ", ".join(other.name for other in CARDS.values() if other.weights)
            raise InputError(f"no pretrained weights exist for {name}", f"drop --pretrained, or use --net {others}")
        options["pretrained"] = True
    make: Callable[..., nn.Module] = import_module(card.module).build
    return make(in_size=in_size, **options)


def net_table() -> list[dict]:
    """Every net for ``tutseg nets``, our parameter count beside the published one.

    Returns
    -------
    list of dict
        `name`, `paper`, `millions` (ours), `published` (millions or None), `size` (pixels, of both counts),
        `stride`, `source`, `weights` (the pretrained file of its encoder, or empty).
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
            "weights": card.weights,
        }
        for card in CARDS.values()
    ]

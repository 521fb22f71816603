"""Networks, one a file, and the registry that builds them by name.

A net maps images ``(B, 3, H, W)`` in [0, 1] to an `Output`. It normalises its input itself, so a method never
needs to know with which statistics an encoder was trained.

Every segmentation net is an `EncoderDecoder` (`tutseg.nets.common`): ``net(images)`` is
``net.decode(net.encode(images))``, and ``net.encoder`` and ``net.head`` name its first and its last part. Methods that
perturb features (CCT, UniMatch), look at them (PseudoSeg) or move all but the classifier (GTA-Seg) build on the pair.
The decoder is two parts in turn, ``net.finish(net.join(maps))``: its last block, and all before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from tutseg.errors import InputError, unknown
from tutseg.nets.cards import CARDS, NetCard

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Output:
    """What a net returns.

    Parameters
    ----------
    logits : Tensor
        ``(B, 1, H, W)``; of a classifier ``(B, classes)``.
    heads : mapping of str to Tensor
        What further heads say, by name, such as "sdf" ``(B, 1, H, W)``.
    features : tuple of Tensor
        The encoder's maps ``(B, C_i, h_i, w_i)``, fine to coarse; empty unless features were asked for.
    decoded : Tensor or None
        Features before the head ``(B, D, H, W)`` (or a coarser grid); only when features were asked for.
    deep : mapping of str to float
        Deep supervision: the heads that are logits of the same mask and learn it too, "aux1", "aux2", ..., with the
        weight of their loss; the logits' own is 1.
    """

    logits: "Tensor"
    heads: "Mapping[str, Tensor]" = field(default_factory=dict)
    features: "tuple[Tensor, ...]" = ()
    decoded: "Tensor | None" = None
    deep: "Mapping[str, float]" = field(default_factory=dict)

    def supervise(self, loss: "Callable[[Tensor], Tensor]") -> "Tensor":
        """The loss of the logits and, weighted, of all that learns the mask beside them; see `deep`.

        Parameters
        ----------
        loss : callable
            Logits ``(B, 1, H, W)`` to their loss.
        """
        return sum((weight * loss(self.heads[name]) for name, weight in self.deep.items()), loss(self.logits))

    def without_features(self) -> "Output":
        """What is left where no features were asked for."""
        return replace(self, features=(), decoded=None)

    @property
    def bottleneck(self) -> "Tensor":
        """The coarsest of the encoder's maps ``(B, C, H/s, W/s)``, after its last normalisation."""
        return self.features[-1]

    def split(self, sizes: Sequence[int]) -> "list[Output]":
        """The outputs of the parts that were concatenated along the batch."""
        sizes = list(sizes)
        heads = {name: tensor.split(sizes) for name, tensor in self.heads.items()}
        features = [tensor.split(sizes) for tensor in self.features]
        decoded = [None] * len(sizes) if self.decoded is None else self.decoded.split(sizes)
        return [
            Output(
                logits,
                {name: part[i] for name, part in heads.items()},
                tuple(f[i] for f in features),
                decoded[i],
                self.deep,
            )
            for i, logits in enumerate(self.logits.split(sizes))
        ]


def card_of(name: str, pretrained: bool = False) -> NetCard:
    """The card of a net; an InputError for an unknown name, or if there are no pretrained weights for it."""
    if name not in CARDS:
        raise unknown("net", name, CARDS)
    if pretrained and not CARDS[name].weights:
        others = ", ".join(other.name for other in CARDS.values() if other.weights)
        raise InputError(f"no pretrained weights exist for {name}", f"drop --pretrained, or use --net {others}")
    return CARDS[name]


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
    card = card_of(name, pretrained)
    if in_size < card.stride or in_size % card.stride:
        low = max(card.stride, in_size // card.stride * card.stride)
        raise InputError(
            f"size {in_size} does not fit net {name}",
            f"use a multiple of {card.stride}, such as {low} or {low + card.stride}",
        )
    options = {**card.options, **options}
    if pretrained:
        options["pretrained"] = True
    make: Callable[..., nn.Module] = import_module(card.module).build
    return make(in_size=in_size, **options)


def about(name: str) -> str:
    """What a net's file says of it: its paper, its parts with their shapes, and where it departs from the paper."""
    return (import_module(card_of(name).module).__doc__ or "").strip()


def net_table() -> list[dict]:
    """Every net for ``tutseg nets``, our parameter count beside the published one.

    Returns
    -------
    list of dict
        `name`, `paper`, `millions` (ours), `published` (millions or None), `size` (pixels, of both counts),
        `stride`, `gives`, `source`, `weights` (the pretrained file of its encoder, or empty).
    """
    return [
        {
            "name": card.name,
            "paper": card.paper,
            "millions": round(card.parameters / 1e6, 3),
            "published": card.published_millions,
            "size": card.published_size,
            "stride": card.stride,
            "gives": ", ".join(card.gives),
            "source": card.source,
            "weights": card.weights,
        }
        for card in CARDS.values()
    ]

"""What methods share that ask a promptable net: how it is borrowed, and prompts read off a guess at the mask."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import AfterValidator, WithJsonSchema
from torch import Tensor, nn

from tutseg.nets import CARDS, build
from tutseg.nets.sam import load_sam
from tutseg.weights import tensors_of


def _takes_prompts(name: str) -> str:
    if name not in CARDS or "prompt" not in CARDS[name].gives:
        raise ValueError("no net of that name takes prompts")
    return name


PROMPTABLE = [card.name for card in CARDS.values() if "prompt" in card.gives]
PromptableNet = Annotated[str, AfterValidator(_takes_prompts), WithJsonSchema({"enum": PROMPTABLE})]


def borrow(name: str, size: int, file: Path) -> nn.Module:
    """The promptable net of a file, frozen and at pictures of `size`.

    The file is a publisher's, or the weights of a finished trial whose network it is.
    """
    remedy = f"pin the weights of a {name}, or give another option sam"
    return load_sam(build(name, size), tensors_of(file), file, remedy).requires_grad_(False).eval()


def surest_click(logits: Tensor) -> Tensor:
    """One click on the pixel that is most surely foreground.

    Parameters
    ----------
    logits : Tensor
        ``(B, 1, H, W)``.

    Returns
    -------
    Tensor
        ``(B, 1, 3)``: x and y of the pixel's centre in [0, 1], and 1.
    """
    return _clicks(logits.flatten(1).argmax(1, keepdim=True), torch.ones_like(logits))


def clicks_in(mask: Tensor, count: int) -> Tensor:
    """Clicks drawn from a mask: on it, or beside everything where it is empty.

    Parameters
    ----------
    mask : Tensor
        ``(B, 1, H, W)`` in {0, 1}.
    count : int
        Clicks on each picture, drawn with replacement.

    Returns
    -------
    Tensor
        ``(B, count, 3)``: x and y in [0, 1], then 1 on the mask and 0 beside it.
    """
    flat = mask.flatten(1)
    chance = torch.where(flat.any(1, keepdim=True), flat, torch.ones_like(flat))
    return _clicks(torch.multinomial(chance, count, replacement=True), mask)


def _clicks(at: Tensor, mask: Tensor) -> Tensor:
    """Flat indices ``(B, N)`` as clicks ``(B, N, 3)``."""
    height, width = mask.shape[-2:]
    x, y = (at % width + 0.5) / width, (at // width + 0.5) / height
    return torch.stack([x, y, mask.flatten(1).gather(1, at)], dim=-1)


def box_of(mask: Tensor) -> Tensor:
    """The smallest box around a mask ``(B, 1, H, W)`` in {0, 1}; around the whole picture where it is empty.

    Returns
    -------
    Tensor
        ``(B, 4)``: left, top, right and bottom edge, in [0, 1].
    """
    mask = torch.where(mask.flatten(1).any(1).view(-1, 1, 1, 1), mask, torch.ones_like(mask))[:, 0] > 0
    edges = []
    for along in (1, 2):  # any row, any column
        seen = mask.any(along).to(torch.uint8)
        n = seen.shape[1]
        edges.append((seen.argmax(1) / n, 1 - seen.flip(1).argmax(1) / n))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], dim=1)

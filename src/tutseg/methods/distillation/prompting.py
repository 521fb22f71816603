"""Teaching a promptable net what clicks, boxes and masks mean, on pictures whose masks are known.

As Segment Anything was trained (its appendix A): a first prompt, then a click where the answer was wrong, together with
the answer itself as a mask prompt; ``20 focal + Dice + squared error of the predicted IoU``; after one click alone only
the best of three answers learns, since a click may mean several things. A picture is embedded once.

Deviations from Segment Anything
--------------------------------
- The first prompt may also be a mask *alone*, misplaced and misdrawn. SAM never saw that (masks came with clicks), yet
  it is what SAM-KD asks it with.
- One correction, not ten, without the first prompt, which the answer already tells of.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from tutseg.data.noise import LabelNoise, depth_of, redraw
from tutseg.errors import unknown
from tutseg.methods.base import Batch, Method, Progress
from tutseg.methods.distillation.common import box_of, clicks_in, surest_click
from tutseg.methods.options import checked
from tutseg.nets import Output

KINDS = ("box", "click", "mask")
SURE = 8.0  # of a mask prompt, the largest logit
BOX_NOISE = 0.1  # standard deviation of each side of a careless box, over the box's own side
MISPLACED = 0.12  # likewise of a rough mask's place
STEEPNESS = (0.3, 8.0)  # logits a pixel of depth in a rough mask, from a haze to a hard edge


class Prompted(Method):
    """Minimise ``20 focal + Dice + (IoU predicted - IoU)^2`` of what the net answers, over kinds of prompt and rounds.

    Parameters
    ----------
    net : str
        Name of a promptable network.
    size : int
        Input height and width in pixels.
    pretrained : bool
        Start from the network's published weights.
    corrections : int
        Rounds after the first prompt, each with a click on what was wrong.
    """

    streams: ClassVar = {"labelled": 0}
    views = KINDS
    needs = ("prompt", "masks", "iou")

    @checked
    def __init__(
        self, net: str, size: int, pretrained: bool = False, corrections: Annotated[int, Field(ge=0, le=10)] = 1
    ) -> None:
        super().__init__()
        self.net, self.corrections = self.make_net(net, size, pretrained), corrections

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """The three terms of one step; a third of the pictures begins with each kind of prompt."""
        image, mask = batch["labelled"].image, batch["labelled"].mask
        there = mask.flatten(1).any(1)  # an aperture can hide a lesion: nothing to ask for
        if not there.any():
            nothing = 0 * sum(weight.sum() for weight in self.net.parameters())
            return dict.fromkeys(("focal", "dice", "iou"), nothing)
        image, mask = image[there], mask[there]
        embedding, answer = self.net.embed(image), torch.zeros_like(mask)
        kind_of = (torch.arange(len(mask), device=mask.device) + progress.step) % len(KINDS)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        terms = []
        for number, kind in enumerate(KINDS):
            at = kind_of == number
            if at.any():
                out = self.net.decode(embedding[at], **careless(kind, mask[at], rng))
                terms.append(answer_losses(out, mask[at], lone_click=kind == "click"))
                answer[at] = out.logits.detach()
        for _ in range(self.corrections):
            out = self.net.decode(embedding, points=correction(answer, mask), mask_logits=answer)
            terms.append(answer_losses(out, mask))
            answer = out.logits.detach()
        n = len(mask) * (1 + self.corrections)
        return {name: torch.cat([each[name] for each in terms]).sum() / n for name in terms[0]}

    def answer(self, images: Tensor, mask: Tensor, view: str, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """What the net says when the truth tells it which thing is meant, and in what words.

        Parameters
        ----------
        images, mask : Tensor
            ``(B, 3, H, W)``, and the truth ``(B, 1, H, W)`` in {0, 1}.
        view : {"box", "click", "mask"}
            The smallest box around the mask; one click at its deepest pixel; a rough mask.
        rng : numpy.random.Generator
            Of the rough mask.

        Returns
        -------
        probability, prompt : Tensor
            ``(B, 1, H, W)``: the answer, and the prompt as a probability (of a box or click: nothing but zeros).
        """
        if view not in KINDS:
            raise unknown("view", view, KINDS)
        told = careful(view, mask, rng)
        prompt = torch.sigmoid(told["mask_logits"]) if view == "mask" else torch.zeros_like(mask)
        return torch.sigmoid(self.net(images, **told).logits.float()), prompt

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """What is in the middle: the answer to one click there, since nobody says more."""
        middle = images.new_tensor([[[0.5, 0.5, 1.0]]]).expand(len(images), -1, -1)
        return torch.sigmoid(self.net(images, points=middle).logits.float())

    def features(self, images: Tensor) -> list[Tensor]:
        """The embedding; see `Method.features`."""
        return [self.net.embed(images)]


def answer_losses(out: Output, mask: Tensor, lone_click: bool = False) -> dict[str, Tensor]:
    """``20 focal``, Dice and squared error of the predicted IoU for each picture, ``(B,)`` each.

    Parameters
    ----------
    out : Output
        With heads "masks" ``(B, 4, h, w)`` and "iou" ``(B, 4)``.
    mask : Tensor
        ``(B, 1, H, W)`` in {0, 1}.
    lone_click : bool
        The last three answers are judged, and the best of them learns; otherwise the first.
    """
    used = slice(1, None) if lone_click else slice(0, 1)
    logits = F.interpolate(out.heads["masks"][:, used], mask.shape[-2:], mode="bilinear", align_corners=False)
    target = mask.expand_as(logits)
    focal = 20 * sigmoid_focal_loss(logits, target).mean((2, 3))
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * target).sum((2, 3)) + 1) / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    said, true = logits > 0, target > 0
    iou = (said & true).sum((2, 3)) / (said | true).sum((2, 3)).clamp(min=1)
    error = (out.heads["iou"][:, used] - iou).square().mean(1)
    best = (focal + dice).detach().argmin(1, keepdim=True)
    return {"focal": focal.gather(1, best)[:, 0], "dice": dice.gather(1, best)[:, 0], "iou": error}


def careful(kind: str, mask: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """The prompt of a kind that a scorer gives: the smallest box, the deepest pixel, or a rough mask."""
    if kind == "box":
        return {"boxes": box_of(mask)}
    if kind == "mask":
        return {"mask_logits": rough(mask, rng)}
    return {"points": deepest(mask)}


def careless(kind: str, mask: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """The prompt of a kind that somebody gives in passing: a box not quite around it, any pixel, a rough mask."""
    if kind == "box":
        return {"boxes": loose(box_of(mask), mask.shape[-1])}
    if kind == "mask":
        return {"mask_logits": rough(mask, rng)}
    return {"points": clicks_in(mask, 1)}


def loose(boxes: Tensor, size: int) -> Tensor:
    """Boxes ``(B, 4)`` with each side moved by a tenth of the box, at least a pixel wide and inside the picture."""
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = torch.cat([high - low, high - low], dim=1)
    moved = (boxes + BOX_NOISE * sides * torch.randn_like(boxes)).clamp(0, 1)
    low = torch.minimum(moved[:, :2], torch.full_like(low, 1 - 1 / size))
    return torch.cat([low, torch.maximum(moved[:, 2:], low + 1 / size)], dim=1)


def deepest(mask: Tensor) -> Tensor:
    """A click ``(B, 1, 3)`` on the pixel of each mask ``(B, 1, H, W)`` that is farthest from its border."""
    depth = torch.from_numpy(np.stack([depth_of(one > 0) for one in mask[:, 0].cpu().numpy()])).to(mask.device)
    return surest_click(depth[:, None]).to(mask)


def correction(answer: Tensor, mask: Tensor) -> Tensor:
    """A click ``(B, 1, 3)`` on a wrong pixel of each answer in logits (any, if none is), labelled by the truth."""
    click = clicks_in(((answer > 0) != (mask > 0)).to(mask), 1)
    truth = F.grid_sample(mask, 2 * click[:, :, None, :2] - 1, mode="nearest", align_corners=False)
    return torch.cat([click[..., :2], truth[:, 0]], dim=2)


def rough(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """Masks ``(B, 1, H, W)`` as somebody draws them who looks away: misplaced, misdrawn, more or less blurred.

    Returns
    -------
    Tensor
        Logits ``(B, 1, H, W)`` in [-8, 8], proportional to the depth below the border that was drawn.
    """
    drawn = []
    for one in mask[:, 0].cpu().numpy() > 0:
        radius = np.sqrt(one.sum() / np.pi)
        down, across = np.rint(MISPLACED * radius * rng.standard_normal(2)).astype(int)
        habit = LabelNoise(
            grow=0.15 * radius * rng.standard_normal() / len(one), warp=0.25 * radius / len(one) * rng.random()
        )
        redrawn = redraw(moved(one, down, across), habit, rng)
        steep = np.exp(rng.uniform(*np.log(STEEPNESS)))
        drawn.append(np.clip(steep * depth_of(redrawn > 0), -SURE, SURE))
    return torch.from_numpy(np.stack(drawn)[:, None]).to(mask)


def moved(mask: np.ndarray, down: int, across: int) -> np.ndarray:
    """A boolean mask ``(H, W)`` moved by whole pixels; what leaves the picture is lost."""
    rolled = np.roll(mask, (down, across), axis=(0, 1))
    for shift, side in ((down, rolled), (across, rolled.T)):
        side[slice(0, shift) if shift > 0 else slice(len(side) + shift, len(side))] = False
    return rolled

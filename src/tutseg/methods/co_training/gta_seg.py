"""GTA-Seg: gentle teaching assistant (Jin et al., NeurIPS 2022).

Pseudo-labels never reach the student's classifier. The teacher (moving average of the student) labels unlabelled
pictures, only the assistant learns from those labels, and what it has learned reaches the student as a moving average
of its *representation*: all parameters before the last 1x1 convolution. The student itself learns from masks alone.

Deviations from the authors' code
---------------------------------
- The decay 0.999 looks back over 1000 steps of the authors' 69,000. A training of another length takes the decay that
  looks back over the same share of it, but over ten steps at least (`decay_for`): at 0.999 the teacher of a training
  of 300 steps would be a plain mean over all of them, its first among them.
- The warm-up is likewise a share of the training, their 1 epoch of 80.
- Supervised loss, optimisers and views are the package's, for all methods alike: ``0.5 (BCE + Dice)`` for
  cross-entropy, one rate for all parameters (theirs is ten times higher in the decoder), flips.
- Teacher and assistant are copies of the student, batch statistics included, through the warm-up; the authors give
  them their own initial weights until it ends and copy parameters alone.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import NamedNets, hard_label, inference
from tutseg.methods.co_training.cutmix import cutmix_masks
from tutseg.methods.options import PartShare, Share, checked
from tutseg.methods.step import Stepper

# 80 epochs of VOC's 10,399 unlabelled pictures at its 183 labels, 3 at a time on each GPU; their number is not said but
# in a remark beside the learning rate: 4.
PUBLISHED_STEPS = 80 * 10_399 // (3 * 4)
TEN_STEPS = 0.9  # over fewer an average is none: the assistant would overwrite what the student learns in between


def decay_for(steps: int, decay: float) -> float:
    """The decay that forgets as much over a share of `steps` steps as `decay` does over that share of the authors'.

    Not below 0.9 unless `decay` itself is.
    """
    return max(decay ** (PUBLISHED_STEPS / steps), min(decay, TEN_STEPS))


def representation(net: nn.Module) -> list[nn.Parameter]:
    """Everything that is not the classifier: all parameters but those of ``net.head``, in a fixed order."""
    head = {id(parameter) for parameter in net.head.parameters()}
    return [parameter for parameter in net.parameters() if id(parameter) not in head]


@torch.no_grad()
def ema(target: list[Tensor], source: list[Tensor], decay: float) -> None:
    """``target <- decay target + (1 - decay) source``, in place; buffers are left alone."""
    for t, s in zip(target, source, strict=True):
        t.lerp_(s, 1 - decay)


def assistant_loss(logits: Tensor, labels: Tensor, confidence: Tensor, drop: float) -> Tensor:
    """Cross-entropy with the teacher's hard labels, unsure pixels dropped, sure ones weighted by ``1 + confidence``.

    Parameters
    ----------
    logits : Tensor
        The assistant's ``(U, 1, H, W)``.
    labels, confidence : Tensor
        The teacher's logits, of which sign and size are used, ``max(p, 1 - p) = sigmoid(|z|)``; detached.
    drop : float
        Share of the batch's pixels dropped, those of lowest confidence. Ranked by \\|z\\|, which orders pixels as the
        confidence does but does not round to 1, so exactly this share is dropped.

    Returns
    -------
    Tensor
        Scalar; the weights of the kept pixels have mean 1.
    """
    size = confidence.detach().float().abs()
    sure = size.flatten().topk(round((1 - drop) * size.numel())).indices
    kept = torch.zeros_like(size.flatten()).index_fill(0, sure, 1).view_as(size)
    weight = kept * (1 + torch.sigmoid(size))
    return bce(logits, hard_label(labels), weight=weight / weight.mean())


class GTASeg(NamedNets):
    """Two optimiser steps: the assistant's on pseudo-labels, then the student's on ``0.5 (BCE + Dice)`` with masks.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    warmup : float
        Share of training in which the student learns alone; the authors' 1 epoch of 80.
    drop : float
        Share of pixels the assistant does not learn from.
    cutmix : float
        Probability that a step's unlabelled pictures are mixed, each losing half its area to its neighbour.
    decay : float
        Largest decay of both moving averages in a training of the authors' length; see `decay_for`. At step t after
        the warm-up it is ``1 - 1/(t + 1)``, a plain mean, until it has grown to that.
    """

    needs = ("decoded",)
    views = ("teacher", "student", "assistant")  # the paper reports the teacher

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        warmup: PartShare = 1 / 80,
        drop: PartShare = 0.2,
        cutmix: Share = 0.5,
        decay: PartShare = 0.999,
    ) -> None:
        super().__init__()
        self.student = self.make_net(net, size, pretrained)
        self.assistant = copy.deepcopy(self.student)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.warmup, self.drop, self.cutmix, self.largest_decay = warmup, drop, cutmix, decay

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Student and assistant; the teacher is not trained."""
        return {"student": self.student.parameters(), "assistant": self.assistant.parameters()}

    def steps_together(self, progress: Progress) -> int:
        """Steps done since the end of the warm-up; negative during it."""
        return progress.step - round(self.warmup * progress.steps)

    def decay(self, progress: Progress) -> float:
        """Decay of both moving averages: 0 at the first step after the warm-up, which copies the source."""
        mean = 1 - 1 / (max(self.steps_together(progress), 0) + 1)
        return min(mean, decay_for(progress.steps, self.largest_decay))

    def weights(self, progress: Progress) -> dict[str, float]:
        """The decay in force."""
        return {"decay": self.decay(progress)}

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """Teacher labels, assistant learns, representation moves to the student, student learns, teacher follows."""
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        if self.steps_together(progress) < 0:
            terms = step({"sup": bce_dice(self.student(x).logits, y)}, "student")
            for net in (self.teacher, self.assistant):
                net.load_state_dict(self.student.state_dict())
            return terms
        decay = self.decay(progress)
        with torch.no_grad(), inference(self.teacher):
            labels = self.teacher(x_u).logits
        if torch.rand(()).item() < self.cutmix:
            box = cutmix_masks(x_u, p=1, area=(0.5, 0.5))
            x_u, labels = (torch.where(box, t.roll(1, 0), t) for t in (x_u, labels))
        both, n = torch.cat([x, x_u]), len(x)
        with torch.no_grad():  # in training mode: its batch statistics are not averaged, it collects its own
            confidence = self.teacher(both).logits[n:]

        unsup = assistant_loss(self.assistant(both).logits[n:], labels, confidence, self.drop)
        learned = step({"assistant": unsup}, "assistant")
        ema(representation(self.student), representation(self.assistant), decay)

        sup = bce_dice(self.student(both).logits[:n], y)  # unlabelled pictures enter its batch norm only
        terms = step({"sup": sup}, "student")
        ema(list(self.teacher.parameters()), list(self.student.parameters()), decay)
        return terms | learned

"""SemiSAM (Zhang et al., BIBM 2024): a mean teacher that also listens to Segment Anything, early on.

The student's own guess prompts a frozen SAM, whose answer for the unlabelled pictures the student is drawn to by a
squared difference. The weight of that term *falls* over training, while that of the mean teacher rises: SAM helps while
the student knows little.

THE LEAK. The published training script compares the student's guess with the true masks of all pictures of the batch to
place its clicks, those of the unlabelled ones among them. ``prompts_from_truth: true`` does likewise, so that what this
is worth can be measured; by default the student's guess alone prompts. (The authors' later scripts do the same.)

Deviations from the authors' code
---------------------------------
- Theirs is three-dimensional, a V-Net beside SAM-Med3D; this is the two-dimensional form that SAM-KD's Table 3 must
  have had, on any net and any promptable net.
- Clicks are drawn from the whole guess; theirs from where guess and truth differ.
- Otherwise as `MeanTeacher`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import ramp_up
from tutseg.methods.distillation.common import PromptableNet, borrow, box_of, clicks_in
from tutseg.methods.distillation.mean_teacher import MeanTeacher
from tutseg.methods.options import Count, NotNegative, PartShare, checked

SURE = 8.0  # the logit that a mask prompt from the truth has inside


class SemiSAM(MeanTeacher):
    """Minimise ``L_sup + w(t) L_agree + v(t) MSE(p_student(x), p_sam(x, prompts))``, v falling as w rises.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    sam : str
        The promptable net that input "sam" holds.
    prompt : {"clicks", "box", "mask"}
        What SAM is told of the guess: drawn clicks, the box around it, or its logits.
    clicks : int
        How many clicks.
    sam_weight : float
        v at the start of training, >= 0.
    prompts_from_truth : bool
        The published script's leak: the truth of the unlabelled pictures prompts, not the student's guess.
    weight, decay, noise
        See `MeanTeacher`.
    inputs : mapping
        "sam": its weights. None to predict.
    """

    roles = ("sam",)
    borrowed = ("sam",)
    leaks: ClassVar = ("prompts_from_truth",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        sam: PromptableNet = "sam-s",
        prompt: Literal["clicks", "box", "mask"] = "clicks",
        clicks: Count = 10,
        sam_weight: NotNegative = 0.05,
        prompts_from_truth: bool = False,
        weight: NotNegative = 0.1,
        decay: PartShare = 0.99,
        noise: NotNegative = 0.1,
        inputs: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__(net, size, pretrained, weight, decay, noise)
        self.prompt, self.clicks, self.sam_weight, self.from_truth = prompt, clicks, sam_weight, prompts_from_truth
        if inputs:
            self.sam = borrow(sam, size, inputs["sam"])

    @torch.no_grad()
    def answer(self, images: Tensor, guess: Tensor) -> Tensor:
        """SAM's probability for images ``(B, 3, H, W)``, told of a guess ``(B, 1, H, W)`` in logits."""
        mask = (guess >= 0).to(guess.dtype)
        told = {
            "clicks": lambda: {"points": clicks_in(mask, self.clicks)},
            "box": lambda: {"boxes": box_of(mask)},
            "mask": lambda: {"mask_logits": guess},
        }[self.prompt]()
        return torch.sigmoid(self.sam(images, **told).logits.float())

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """The mean teacher's terms, and the agreement with SAM."""
        terms, student = self.both(batch, progress)
        unlabelled = batch["unlabelled"]
        guess = SURE * (2 * unlabelled.mask - 1) if self.from_truth else student.logits.detach().float()
        target = self.answer(unlabelled.image, guess)
        v = self.weights(progress)["sam"]
        return terms | {"sam": v * F.mse_loss(torch.sigmoid(student.logits.float()), target)}

    def weights(self, progress: Progress) -> dict[str, float]:
        """w(t) of the teacher and v(t) of SAM."""
        return super().weights(progress) | {"sam": self.sam_weight * ramp_up(1 - progress.fraction)}

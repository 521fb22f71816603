"""Mean teacher (Tarvainen and Valpola, NeurIPS 2017): agree with your own moving average under noise.

Unlabelled pictures go to the student as they are and, with noise on every pixel, to the teacher, the moving average of
the student's weights. The squared difference of what the two say is the unlabelled loss. SemiSAM adds its terms to it.

The settings are those of the segmentation code that SemiSAM builds on (SSL4MIS). Deviations from it:

- Its consistency term is left out for the first 1000 steps of 30,000; here the ramp alone keeps it small.
- The supervised loss is the package's ``0.5 (BCE + Dice)``, and optimiser and views are the trial's, for all methods
  alike.
"""

import copy
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import NamedNets, forward_views, ramp_up
from tutseg.methods.co_training.gta_seg import ema
from tutseg.methods.options import NotNegative, PartShare, checked
from tutseg.methods.step import Stepper
from tutseg.nets import Output

CLIP = 0.2  # the largest noise on a pixel


class MeanTeacher(NamedNets):
    """Minimise ``L_sup + w(t) MSE(p_student(x), p_teacher(x + noise))``, the second over unlabelled pictures.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    weight : float
        w at the end of training, >= 0; it warms up over the whole of it.
    decay : float
        Largest decay of the moving average; at step t it is ``1 - 1/(t + 1)``, a plain mean, until it has grown to it.
    noise : float
        Standard deviation of the Gaussian noise on the teacher's pictures, whose values are in [0, 1].
    """

    views = ("student", "teacher")  # the code that it follows evaluates the student

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        weight: NotNegative = 0.1,
        decay: PartShare = 0.99,
        noise: NotNegative = 0.1,
    ) -> None:
        super().__init__()
        self.student = self.make_net(net, size, pretrained)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.weight, self.largest_decay, self.noise = weight, decay, noise

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The student; the teacher follows it."""
        return {"all": self.student.parameters()}

    def both(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Output]:
        """The terms of the mean teacher, and the student's output for the unlabelled pictures."""
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        labelled, unlabelled = forward_views(self.student, [x, x_u])
        noise = (self.noise * torch.randn_like(x_u)).clamp(-CLIP, CLIP)
        with torch.no_grad():  # in training mode: it collects batch statistics of its own
            target = torch.sigmoid(self.teacher(x_u + noise).logits.float())
        agree = self.weights(progress)["agree"] * F.mse_loss(torch.sigmoid(unlabelled.logits.float()), target)
        return {"sup": bce_dice(labelled.logits, y), "agree": agree}, unlabelled

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised term and agreement with the teacher."""
        return self.both(batch, progress)[0]

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """One step of the student; then the teacher follows."""
        terms = step(self.losses(batch, progress))
        decay = min(1 - 1 / (progress.step + 1), self.largest_decay)
        ema(list(self.teacher.parameters()), list(self.student.parameters()), decay)
        return terms

    def weights(self, progress: Progress) -> dict[str, float]:
        """w(t) of the agreement."""
        return {"agree": self.weight * ramp_up(progress.fraction)}

"""The adaptive t-vMF Dice loss of Kato and Hotta (2023), which SSGNet takes for its second baseline (section 3.3).

SSGNet says that kappa follows the Dice of each class at the end of each epoch, and not on which pictures. The published
code takes the validation part: it sees the pictures by which weights are then chosen, though no gradient comes from
them. "training" takes the labels that the epoch's own steps met; a number leaves kappa at it.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.losses import t_vmf_dice
from tutseg.methods.base import Progress
from tutseg.metrics import COUNTS, area_scores, counts

Kappa = Literal["validation", "training"] | Annotated[float, Field(ge=0)]
LAMBDA = 32.0  # kappa of a class that is segmented without fault


class AdaptiveTvMF(nn.Module):
    """`t_vmf_dice` whose kappa of each class is ``LAMBDA`` times the class's Dice in the epoch before; 0 in the first.

    Parameters
    ----------
    policy : {"validation", "training"} or float
        On which pictures Dice is measured, all their pixels together; a number is a kappa that does not move.
    """

    def __init__(self, policy: Kappa) -> None:
        super().__init__()
        self.policy, self.adaptive, self.validation = policy, isinstance(policy, str), None
        self.register_buffer("kappa", torch.full((2,), 0.0 if self.adaptive else float(policy)))
        self.register_buffer("counts", torch.zeros(len(COUNTS), dtype=torch.int64))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss with kappa as it is."""
        return t_vmf_dice(logits, target, self.kappa)

    def watch(self, validation: Pictures) -> None:
        """Be told on which pictures the policy "validation" measures; an InputError if there are none."""
        if self.policy == "validation" and not len(validation):
            raise InputError("kappa has no validation part to follow", "give -o kappa=training, or a number")
        self.validation = validation

    def begin(self, progress: Progress, predict: Callable[[Tensor], Tensor]) -> None:
        """Before each step: where it is the first of an epoch, set kappa by the epoch before.

        Parameters
        ----------
        progress : Progress
            Where training stands.
        predict : callable
            Images to probabilities in evaluation mode.
        """
        if not self.adaptive or not progress.step or progress.step % progress.steps_per_epoch:
            return
        found = self.counts.cpu().numpy() if self.policy == "training" else self._validated(predict)
        scores = area_scores(found)
        dice = float(scores["dice"]), float(2 * scores["mdice"] - scores["dice"])
        self.kappa.copy_(LAMBDA * torch.tensor(dice[::-1]))
        self.counts.zero_()

    @torch.no_grad()
    def met(self, logits: Tensor, target: Tensor) -> None:
        """After a step's forward pass: what it said of its labels counts for the policy "training"."""
        if self.policy == "training":
            said, true = logits >= 0, target > 0.5
            cells = torch.stack([said & true, said & ~true, ~said & true, ~said & ~true])
            self.counts += cells.flatten(1).sum(1)

    def _validated(self, predict: Callable[[Tensor], Tensor]) -> np.ndarray:
        """`COUNTS` over all pixels of the validation part."""
        if self.validation is None:
            raise InputError("kappa has no validation part to follow", "call prepare, as a trial does")
        found = np.zeros(len(COUNTS), np.int64)
        for at in torch.arange(len(self.validation)).split(64):
            images, masks = self.validation.floats(at)
            found += counts(predict(images) >= 0.5, masks).sum(0)
        return found

"""DME-FD: dual mask ensemble with feature discrepancy co-training (MIDL 2025).

Two branches label the weak view of an unlabelled picture; the *union* of their confident masks teaches both on the
strong view (dual mask ensemble), each branch's hard mask teaches the other on the weak view (cross pseudo
supervision), and a discrepancy loss keeps their encoders apart.

What the paper leaves open is an option here: the ramp of alpha and its maximum, the decay of beta, the norm inside
the discrepancy loss, and which branch is evaluated (an argument of `predict`).

Deviations from the authors' code:

- Its alpha hardly leaves its start, and its beta falls in stairs; the paper's words are the defaults (``ramp``,
  ``decay``).
- It multiplies the unlabelled terms by labelled / unlabelled pictures of the step; the paper has no such factor, and
  here it is 1, as a step takes as many of one as of the other.
- It has one forward for each view, here one for all (``forwards: separate`` does as it does). The nets differ in
  that only where they have batch normalisation, which the authors' Swin-Unet has not.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.ccvc import cosine_discrepancy
from tutseg.methods.co_training.common import TwoBranch, forward_views, hard_label, ramp_up
from tutseg.methods.options import NotNegative, checked

Combination = Literal["union", "intersect", "self", "cross"]


def confident_mask(probability: Tensor, tau: float) -> Tensor:
    """DME-FD Eq. 2-3: foreground where the branch is sure of it; everything else is *background*, not ignored.

    Parameters
    ----------
    probability : Tensor
        Foreground probability ``P^w`` of the weak view, any shape.
    tau : float
        Confidence threshold in [0.5, 1).

    Returns
    -------
    Tensor
        ``Y^w`` in {0, 1}, detached. For two classes, ``max(p) > tau`` times the arg-max is 1 exactly where the
        foreground probability exceeds tau.
    """
    return (probability.detach() > tau).to(probability.dtype)


def combine_masks(mask1: Tensor, mask2: Tensor, how: Combination = "union") -> tuple[Tensor, Tensor]:
    """DME-FD Eq. 4 and the alternatives of Table 3: the targets of branch 1 and branch 2.

    Parameters
    ----------
    mask1, mask2 : Tensor
        ``Y_1^w`` and ``Y_2^w`` in {0, 1}, one shape.
    how : {"union", "intersect", "self", "cross"}
        OR (the paper's choice), AND, each branch its own mask, each branch the other's mask.
    """
    if how == "union":
        both = torch.maximum(mask1, mask2)
        return both, both
    if how == "intersect":
        both = mask1 * mask2
        return both, both
    return (mask1, mask2) if how == "self" else (mask2, mask1)


def discrepancy(f1: Tensor, f2: Tensor, reduction: Literal["mean", "sum"] = "mean", eps: float = 1e-6) -> Tensor:
    """DME-FD Eq. 6 after Eq. 7: ``1 / (D(f1, f2) + eps)`` of channel-softmaxed features, D the Manhattan distance.

    Parameters
    ----------
    f1, f2 : Tensor
        Bottleneck features ``(B, C, h, w)`` of the two branches; both receive gradient.
    reduction : {"mean", "sum"}
        The published code averages |f1 - f2| over everything; "Manhattan distance" read literally is the sum over
        a picture's tokens and channels (averaged over the batch), some 10^4 times larger.
    eps : float
        The paper's epsilon.

    Returns
    -------
    Tensor
        Scalar. With "mean" it is at least C / 2, because two probability vectors differ by at most 2 in L1; it is
        1 / eps for equal features.
    """
    distance = (f1.float().softmax(1) - f2.float().softmax(1)).abs()
    distance = distance.mean() if reduction == "mean" else distance.flatten(1).sum(1).mean()
    return 1.0 / (distance + eps)


class DMEFD(TwoBranch):
    """Minimise ``L_sup + alpha (L_cps + L_dme) + beta L_fdl`` (DME-FD Eq. 9).

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    tau : float
        Confidence threshold of Eq. 2-3; the paper uses 0.85.
    combine : {"union", "intersect", "self", "cross"}
        Mask refinement of Table 3.
    ramp : {"paper", "code"}
        "paper": alpha warms up over the whole training. "code": the published script restarts its counter every
        epoch and divides it by 150, so alpha hardly leaves exp(-5) of its maximum.
    alpha_max : float or None
        End of the ramp. None: 1 for "paper" (Eq. 9 as written) and 0.1 for "code" (the script's factor).
    decay : {"paper", "stairs"}
        beta = 10^(-t / 0.25T), smooth as printed or constant over each quarter as in the script.
    fdl : {"l1", "cosine", "none"}
        Feature discrepancy: Eq. 6-8, CCVC's cosine (Table 5), or none (Table 4).
    reduction : {"mean", "sum"}
        See `discrepancy`.
    cps, dme : bool
        Components of Table 4. Without `dme` no strong view is made, and none enters the batch statistics.
    forwards : {"joint", "separate"}
        Whether a branch sees the views together, which then share their batch statistics, or one after the other.
    """

    streams: ClassVar = {"labelled": 0, "unlabelled": 1}
    needs = ("encode",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        tau: Annotated[float, Field(ge=0.5, lt=1)] = 0.85,
        combine: Combination = "union",
        ramp: Literal["paper", "code"] = "paper",
        alpha_max: NotNegative | None = None,
        decay: Literal["paper", "stairs"] = "paper",
        fdl: Literal["l1", "cosine", "none"] = "l1",
        reduction: Literal["mean", "sum"] = "mean",
        cps: bool = True,
        dme: bool = True,
        forwards: Literal["joint", "separate"] = "joint",
    ) -> None:
        super().__init__(net, size, pretrained)
        self.tau, self.combine, self.ramp, self.decay = tau, combine, ramp, decay
        self.alpha_max = alpha_max if alpha_max is not None else {"paper": 1.0, "code": 0.1}[ramp]
        self.fdl, self.reduction, self.cps, self.dme, self.forwards = fdl, reduction, cps, dme, forwards
        self.streams = {"labelled": 0, "unlabelled": int(dme)}

    def alpha(self, progress: Progress) -> float:
        """Weight of the unsupervised terms (Eq. 9)."""
        if self.ramp == "code":
            return self.alpha_max * ramp_up(progress.step % progress.steps_per_epoch // 150 / 200)
        return self.alpha_max * ramp_up((progress.step + 1) / progress.steps)

    def beta(self, progress: Progress) -> float:
        """Weight of the feature discrepancy (Eq. 9), from 1 down to 10^-4 ("paper") or 10^-3 ("stairs")."""
        quarters = progress.fraction / 0.25
        return 10.0 ** -(int(quarters) if self.decay == "stairs" else quarters)

    def weights(self, progress: Progress) -> dict[str, float]:
        """alpha and beta in force at this step."""
        return {"alpha": self.alpha(progress), "beta": self.beta(progress)}

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """The terms of Eq. 9 for one step; Eq. 1 is the forward of each branch over the views that are used."""
        alpha, beta = self.alpha(progress), self.beta(progress)
        x, y = batch["labelled"].image, batch["labelled"].mask
        views = [x, batch["unlabelled"].image]
        if self.dme:
            views.append(batch["unlabelled"].strong[0])
        (l1, w1, *s1), (l2, w2, *s2) = (
            forward_views(branch, views, features=True, separate=self.forwards == "separate")
            for branch in (self.branch1, self.branch2)
        )
        terms = {"sup1": bce_dice(l1.logits, y), "sup2": bce_dice(l2.logits, y)}
        if self.cps:
            terms["cps1"] = alpha * bce_dice(w1.logits, hard_label(w2.logits))
            terms["cps2"] = alpha * bce_dice(w2.logits, hard_label(w1.logits))
        if self.dme:  # Eq. 2-5
            mask1 = confident_mask(w1.logits.sigmoid(), self.tau)
            mask2 = confident_mask(w2.logits.sigmoid(), self.tau)
            target1, target2 = combine_masks(mask1, mask2, self.combine)
            terms["dme1"] = alpha * bce_dice(s1[0].logits, target1)
            terms["dme2"] = alpha * bce_dice(s2[0].logits, target2)
        if self.fdl != "none":  # Eq. 6-8
            pairs = ((l1.bottleneck, l2.bottleneck), (w1.bottleneck, w2.bottleneck))
            if self.fdl == "l1":
                values = [discrepancy(f1, f2, self.reduction) for f1, f2 in pairs]
            else:
                values = [cosine_discrepancy(f1, f2) for f1, f2 in pairs]
            terms["fdl"] = beta * sum(values) / 2
        return terms

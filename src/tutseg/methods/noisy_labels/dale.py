"""DALE: data-driven alternating learning (CVPR 2025).

Each step learns twice: from what is clear in the pictures (the non-fuzzy R-set), then from what is fuzzy, where every
pixel's label has a confidence omega. It starts at 1 and rises where a virtual step on that pixel would lower the loss
on the clear part. A third term draws the features of the fuzzy part to the distribution of the clear part's.

What the paper leaves open, or says in a way that cannot work, is an option here; the defaults are its words but for:

- Negative non-fuzzy masks, which would teach labels below 0, are 0 (``masks: literal`` keeps them).
- Masks weigh the loss and leave labels in {0, 1}; multiplied into labels (``labels: masked``, Eq. 7) they teach
  p = m inside a lesion.
- Entropy is Shannon's, which does what the text says of it; Eq. 3 as printed does not (``entropy: literal``).
- The gradient of omega is divided by its own size before the step. It shrinks with the number of pixels, and Adam,
  which the authors use, divides by no less than 1e-8: at their size omega hardly leaves 1 (``confidence: adam``).
- The loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; omega is found by its BCE, which has a value
  for each pixel. The authors' is a weighted BCE and IoU.

Deviations from the authors' code: it detaches the features of both sides, so that its alignment loss trains nothing
(``align: detached``), and takes for clean where omega *falls* (``sign: code``); here as in the paper's Eq. 11-12.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.losses import bce_dice, edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, statistics_kept
from tutseg.methods.noisy_labels.regions import Criterion, Entropy, check_patch, fuzziness, soft_masks
from tutseg.methods.options import Count, NotNegative, Positive, Several, Share, checked
from tutseg.methods.step import Stepper, influence
from tutseg.nets import Output

BELOW = (0.5, 0.8, 0.9, 0.99, 1.01, 1.1, 1.2, 1.5)  # the logged histogram of omega: shares below these
SAMPLE = 4096  # pixels a class from which a Gaussian is estimated at most


@dataclass(frozen=True)
class RSet:
    """One half of Eq. 7: pictures, labels, and the weight of each pixel in the loss."""

    image: Tensor
    label: Tensor
    weight: Tensor

    def pixel_losses(self, net: Callable[..., Output]) -> Tensor:
        """Weighted cross-entropy of each pixel, ``(B, 1, H, W)``."""
        return self.weight * F.binary_cross_entropy_with_logits(
            net(self.image).logits.float(), self.label, reduction="none"
        )

    def loss(self, net: Callable[..., Output], confidence: Tensor | float = 1.0) -> Tensor:
        """The segmentation loss `L`, a scalar, of all heads where the network has deep supervision."""
        weight = confidence * self.weight
        return net(self.image).supervise(lambda logits: bce_dice(logits, self.label, weight))


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(d,)`` and covariance ``(d, d)`` of features ``(n, d)``."""
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def wasserstein(mean_n: Tensor, cov_n: Tensor, mean_f: Tensor, cov_f: Tensor) -> Tensor:
    """DALE Eq. 14 for one class: squared 2-Wasserstein distance of two Gaussians, ``(d,)`` and ``(d, d)`` each.

    The non-fuzzy side has no gradient, so its root has none, and the root of the product is taken by eigenvalues alone:
    there is no division by their differences, and equal ones give no NaN.
    """
    values, vectors = torch.linalg.eigh(cov_n.detach())
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    product = root @ cov_f @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=1e-12).sqrt().sum()
    return (mean_n.detach() - mean_f).square().sum() + cov_n.detach().trace() + cov_f.trace() - 2 * cross


def alignment(f_n: Tensor, labels_n: Tensor, f_f: Tensor, labels_f: Tensor, spread: float = 1e-2) -> tuple[Tensor, int]:
    """DALE Eq. 13-14: `L_W` over both classes, and how many classes were left out for want of pixels.

    Parameters
    ----------
    f_n, f_f : Tensor
        Features ``(n, d)`` of the non-fuzzy and of the denoised fuzzy R-set; the latter may carry a graph.
    labels_n, labels_f : Tensor
        Their classes ``(n,)``, in {0, 1}.
    spread : float
        The random number of Eq. 13 is uniform from 0 to this; below 0 the matrix could lose its root.
    """
    total, skipped = f_f.new_zeros((), dtype=torch.float64), 0
    for c in (0, 1):
        sides = [some(f[labels == c]).double() for f, labels in ((f_n, labels_n), (f_f, labels_f))]
        d = f_n.shape[1]
        if min(map(len, sides)) < d + 1:
            skipped += 1
            continue
        (mean_n, cov_n), (mean_f, cov_f) = map(gaussian, sides)
        steady = 1e-5 * torch.eye(d, dtype=cov_n.dtype, device=cov_n.device)
        epsilon = spread * torch.rand((), dtype=cov_n.dtype, device=cov_n.device)
        total = total + wasserstein(mean_n, cov_n + steady + epsilon, mean_f, cov_f + steady)
    return total.float(), skipped


def some(rows: Tensor) -> Tensor:
    """At most `SAMPLE` of the rows, drawn by chance."""
    if len(rows) <= SAMPLE:
        return rows
    return rows[torch.randperm(len(rows), device=rows.device)[:SAMPLE]]


class DALE(OneNet):
    """Algorithm 1, a batch at a time: a step on the non-fuzzy R-set, `k` virtual ones, one on the fuzzy R-set.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    patch : int
        ``h = w`` of a patch; must divide `size`. 16 is meant for 224 pixels and more.
    tau : float
        Threshold of Eq. 6.
    criterion : {"both", "entropy", "edge"}
        AE and ER of Table 4: what makes a patch fuzzy.
    entropy, bins
        See `average_entropy`.
    masks : {"clamped", "literal"}
        See `soft_masks`.
    labels : {"weighted", "masked"}
        Whether masks weigh the loss, or are multiplied into the labels (Eq. 7).
    confidence : {"rms", "adam", "none"}
        The step of omega (Eq. 9): down its gradient in units of the root mean square over fuzzy pixels, not below 0; by
        Adam; or no omega (Table 4).
    rate : float
        Learning rate of omega; the paper's "omega = 0.1".
    k : int
        Virtual steps, each followed by a step of omega.
    sign : {"paper", "code"}
        Clean is where omega rises (Eq. 11), or where it falls, as in the published script. Only Eq. 12 asks.
    alpha : float
        Weight of the alignment loss; 0 leaves it out.
    align : {"gradient", "detached"}
        Whether the alignment loss trains the network.
    statistics : {"masked", "whole"}
        Whose running statistics batch normalisation predicts with. Training sees masked pictures alone (Eq. 7) and
        prediction whole ones; "masked" is the authors' code, "whole" takes them from a forward of the whole pictures
        behind each step.
    """

    streams: ClassVar = {"labelled": 0}
    needs = ("decoded",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        patch: Several = 16,
        tau: Share = 0.9,
        criterion: Criterion = "both",
        entropy: Entropy = "shannon",
        bins: Several = 256,
        masks: Literal["clamped", "literal"] = "clamped",
        labels: Literal["weighted", "masked"] = "weighted",
        confidence: Literal["rms", "adam", "none"] = "rms",
        rate: Positive = 0.1,
        k: Count = 1,
        sign: Literal["paper", "code"] = "paper",
        alpha: NotNegative = 0.05,
        align: Literal["gradient", "detached"] = "gradient",
        statistics: Literal["masked", "whole"] = "masked",
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        check_patch(size, patch)
        self.patch, self.tau, self.criterion, self.entropy, self.bins = patch, tau, criterion, entropy, bins
        self.masks, self.labels, self.confidence, self.rate, self.k = masks, labels, confidence, rate, k
        self.sign, self.alpha, self.align, self.statistics = sign, alpha, align, statistics

    def fuzziness(self, images: Tensor, labels: Tensor) -> Tensor:
        """Eq. 3-5: `m` of every pixel, ``(B, 1, H, W)`` in [0, 1]."""
        return fuzziness(images, labels, self.patch, self.criterion, self.entropy, self.bins)

    def split(self, images: Tensor, labels: Tensor) -> tuple[RSet, RSet, Tensor]:
        """Eq. 3-7: the non-fuzzy R-set, the fuzzy one, and which pixels lie in fuzzy patches, bool ``(B, 1, H, W)``."""
        m = self.fuzziness(images, labels)
        fuzzy, clear = soft_masks(m, self.tau, self.masks)
        if self.labels == "masked":
            n, f = (RSet(mask * images, mask * labels, torch.ones_like(mask)) for mask in (clear, fuzzy))
        else:
            n, f = (RSet(mask * images, labels, mask) for mask in (clear, fuzzy))
        return n, f, m > self.tau

    def omega(self, n: RSet, f: RSet, fuzzy: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """Eq. 8-11: omega, and the gradient that the last step went down (both ``(B, 1, H, W)``, without graph).

        `rate` is the learning rate of the virtual steps. The shadow model A' walks on from step to step.
        """
        omega = torch.ones_like(f.label)
        slope, shadow = torch.zeros_like(omega), None
        adam = torch.optim.Adam([omega], lr=self.rate)
        for _ in range(0 if self.confidence == "none" else self.k):
            slope, shadow = influence(self.net, rate, omega, f.pixel_losses, n.loss, shadow)
            if self.confidence == "adam":
                omega.grad = slope
                adam.step()
            else:
                size = (slope[fuzzy] if fuzzy.any() else slope).square().mean().sqrt()
                omega = (omega - self.rate * slope / size.clamp(min=1e-30)).clamp(min=0)
        return omega.detach(), slope

    def clean(self, slope: Tensor) -> Tensor:
        """Eq. 12: where the label is taken for right, bool; everywhere without an omega."""
        if self.confidence == "none":
            return torch.ones_like(slope, dtype=torch.bool)
        return slope < 0 if self.sign == "paper" else slope > 0

    def align_loss(self, f_n: Tensor, f_f: Tensor, labels: Tensor, clean: Tensor) -> tuple[Tensor, int]:
        """Eq. 12-14 on decoded features ``(B, d, h, w)``; labels and `clean` are taken to their size."""
        rows = lambda features: features.permute(0, 2, 3, 1).flatten(0, 2)
        y, kept = (rows(F.interpolate(each.float(), f_n.shape[2:]))[:, 0] for each in (labels, clean))
        f_f, kept = rows(f_f if self.align == "gradient" else f_f.detach()), kept > 0
        return alignment(rows(f_n.detach()), y, f_f[kept], y[kept])

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """A step of Algorithm 1; behind it, if prediction is to have them, the statistics of the whole pictures."""
        images, labels = batch["labelled"].image, batch["labelled"].mask
        if self.statistics == "masked":
            return self._alternate(images, labels, step)
        with statistics_kept(self.net):
            terms = self._alternate(images, labels, step)
        with torch.no_grad():
            self.net(images)
        return terms

    def _alternate(self, images: Tensor, labels: Tensor, step: Stepper) -> dict[str, Tensor]:
        """Algorithm 1, lines 3-13, for one batch: two real steps. Images ``(B, 3, H, W)``, labels ``(B, 1, H, W)``."""
        n, f, fuzzy = self.split(images, labels)
        out = self.net(n.image, features=True)
        terms = step({"sup_n": n.loss(lambda _: out)})  # Eq. 1
        f_n = out.decoded.detach()
        omega, slope = self.omega(n, f, fuzzy, step.rate())
        out = self.net(f.image, features=True)
        fuzzy_terms = {"sup_f": f.loss(lambda _: out, omega)}  # Eq. 15
        fuzzy_terms |= edge_points(out.heads, labels)  # here alone: the other R-set hides the boundary
        skipped = 0
        if self.alpha:
            l_w, skipped = self.align_loss(f_n, out.decoded, labels, self.clean(slope))
            fuzzy_terms["align"] = self.alpha * (omega * f.weight).mean() * l_w
        return terms | step(fuzzy_terms) | self.told(omega, fuzzy) | {"classes skipped": torch.tensor(skipped)}

    def doubts(self, images: Tensor, masks: Tensor, rate: float) -> dict[str, Tensor]:
        """The gradient of omega at 1, positive where omega falls; see `Method.doubts`."""
        n, f, _ = self.split(images, masks)
        return {"omega": influence(self.net, rate, torch.ones_like(masks), f.pixel_losses, n.loss)[0]}

    @staticmethod
    def told(omega: Tensor, fuzzy: Tensor) -> Mapping[str, Tensor]:
        """For the log: of the pixels of fuzzy patches (of all if there are none), those with omega below each bound."""
        values = omega[fuzzy] if fuzzy.any() else omega
        return {f"omega<{bound}": (values < bound).float().mean() for bound in BELOW}

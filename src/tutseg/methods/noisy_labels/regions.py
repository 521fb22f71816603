"""DALE Eq. 3-6: which patches are fuzzy. Its rivals take their reliable pixels from here too."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.errors import InputError
from tutseg.losses import edge_of

Entropy = Literal["shannon", "literal"]
Criterion = Literal["both", "entropy", "edge"]


def check_patch(size: int, patch: int) -> None:
    """Whether several patches fill a picture (Eq. 5 compares them); an InputError says which do."""
    if size % patch or patch >= size:
        fitting = [str(each) for each in range(2, size) if size % each == 0 and each <= 32]
        raise InputError(
            f"patch = {patch} does not divide pictures of {size} pixels into several", f"one of {', '.join(fitting)}"
        )


def in_patches(values: Tensor, patch: int) -> Tensor:
    """``(B, 1, H, W)`` to ``(B, L, patch * patch)``, patches row by row."""
    return F.unfold(values, patch, stride=patch).transpose(1, 2)


def average_entropy(images: Tensor, patch: int, entropy: Entropy = "shannon", bins: int = 256) -> Tensor:
    """DALE Eq. 3: the entropy of the grey values of each patch, `r`.

    Parameters
    ----------
    images : Tensor
        ``(B, 3, H, W)`` in [0, 1].
    patch : int
        Height and width of a patch.
    entropy : {"shannon", "literal"}
        ``-sum_b p_b log p_b`` over the grey levels, which grows with their evenness as the paper says of `r`; or the
        formula as printed, a mean over *pixels* of ``-p log p``, which does not: even levels give .35 for two of them
        and .02 for 256.
    bins : int
        Grey levels that are told apart. A patch of 64 pixels cannot fill 256.

    Returns
    -------
    Tensor
        ``(B, L)``, at least 0.
    """
    grey = images.float().mean(1, keepdim=True)
    level = (in_patches(grey, patch) * bins).long().clamp(0, bins - 1)
    counts = torch.zeros(*level.shape[:2], bins, device=images.device).scatter_add_(
        2, level, torch.ones_like(level, dtype=torch.float32)
    )
    p = counts / level.shape[2]
    surprise = -p * torch.where(p > 0, p, 1.0).log()
    return surprise.sum(2) if entropy == "shannon" else (p * surprise).sum(2)


def edge_ratio(masks: Tensor, patch: int) -> Tensor:
    """DALE Eq. 4: how much of each patch of a label is edge, `e`, ``(B, L)`` in [0, 1].

    The edge is where a 3x3 neighbourhood holds both labels, two pixels wide; masks are ``(B, 1, H, W)`` in {0, 1}.
    """
    return in_patches(edge_of(masks), patch).mean(2)


def normalise(values: Tensor) -> Tensor:
    """DALE Eq. 5: each picture's patches ``(B, L)`` stretched to [0, 1]; 0 where all its patches are alike."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    return torch.where(high > low, (values - low) / (high - low).clamp(min=1e-12), 0.0)


@torch.no_grad()
def fuzziness(
    images: Tensor,
    masks: Tensor,
    patch: int,
    criterion: Criterion = "both",
    entropy: Entropy = "shannon",
    bins: int = 256,
) -> Tensor:
    """``m = max(r_std, e_std)`` of the patch that a pixel lies in, ``(B, 1, H, W)`` in [0, 1]; see Eq. 3-5.

    `criterion` may take one of the two alone: "entropy" (AE) or "edge" (ER).
    """
    parts = {
        "entropy": lambda: normalise(average_entropy(images, patch, entropy, bins)),
        "edge": lambda: normalise(edge_ratio(masks.float(), patch)),
    }
    chosen = [part() for name, part in parts.items() if criterion in ("both", name)]
    rows = images.shape[2] // patch
    m = torch.stack(chosen).amax(0).unflatten(1, (rows, -1)).unsqueeze(1)
    return m.repeat_interleave(patch, 2).repeat_interleave(patch, 3)


def soft_masks(m: Tensor, tau: float, masks: Literal["clamped", "literal"] = "clamped") -> tuple[Tensor, Tensor]:
    """DALE Eq. 6: the fuzzy mask `M^f` and the non-fuzzy mask `M^n`, of the shape of `m`.

    As printed, ``tau - m`` is *negative* in fuzzy patches, down to ``tau - 1``; "clamped" makes it 0.
    """
    fuzzy = torch.where(m > tau, 1.0, m)
    clear = torch.where(m < tau, 1.0, tau - m)
    return fuzzy, clear.clamp(min=0) if masks == "clamped" else clear

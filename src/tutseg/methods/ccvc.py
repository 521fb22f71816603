"""CCVC: conflict-based cross-view consistency (Wang et al., CVPR 2023)."""

from torch import Tensor
from torch.nn.functional import cosine_similarity


def cosine_discrepancy(f1: Tensor, f2: Tensor) -> Tensor:
    """CCVC's discrepancy loss: ``1 + cos(f1, f2)`` per position over channels, each side detached in turn.

    Parameters
    ----------
    f1, f2 : Tensor
        Features ``(B, C, h, w)``.

    Returns
    -------
    Tensor
        Scalar in [0, 2]: 0 for opposite, 1 for orthogonal, 2 for equal directions.
    """
    f1, f2 = f1.float(), f2.float()
    return 1 + (cosine_similarity(f1.detach(), f2).mean() + cosine_similarity(f1, f2.detach()).mean()) / 2

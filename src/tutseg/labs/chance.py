"""Random tensors for the checks of labs that use PyTorch."""

import numpy as np
import torch
from torch import Tensor


def normal(chance: np.random.Generator, *shape: int) -> Tensor:
    """Standard normal numbers, float32."""
    return torch.from_numpy(chance.standard_normal(shape)).float()


def coins(chance: np.random.Generator, *shape: int, share: float = 0.5) -> Tensor:
    """0 and 1, float32; about a `share` of them is 1."""
    return torch.from_numpy(chance.random(shape) < share).float()

"""What generator and discriminator share: layers whose weights all have unit variance, scaled where they are used.

With Adam a step is about as long for every weight. Drawn with unit variance and scaled by the root of the fan-in at run
time, all layers learn equally fast (Karras et al., ICLR 2018).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU below zero


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU times the square root of two, which keeps the variance about as it was."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


class Dense(nn.Module):
    """A fully connected layer ``(B, c_in) -> (B, c_out)``.

    Parameters
    ----------
    c_in, c_out : int
        Numbers of features.
    bias : float
        Where the bias starts.
    pace : float
        Factor on the learning rate of this layer.
    """

    def __init__(self, c_in: int, c_out: int, bias: float = 0.0, pace: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in) / pace)
        self.bias = nn.Parameter(torch.full((c_out,), bias / pace))
        self.gain, self.pace = pace / math.sqrt(c_in), pace

    def forward(self, x: Tensor) -> Tensor:
        """The linear map."""
        return F.linear(x, self.weight * self.gain, self.bias * self.pace)


class Conv(nn.Module):
    """A convolution of odd size that keeps height and width at stride 1; without padding where `padded` is false."""

    def __init__(self, c_in: int, c_out: int, kernel: int, bias: bool = True, stride: int = 1, padded: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        self.gain, self.stride = 1 / math.sqrt(c_in * kernel**2), stride
        self.padding = kernel // 2 if padded else 0

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, H, W)`` to ``(B, c_out, H', W')``."""
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)

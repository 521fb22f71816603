"""EfficientNet-Lite0 as an eye: 1280 features of a picture, by which drawn pictures are compared with real ones.

It stands in for the Inception network of FID, whose weights are not to be had without a network. Its own come with a
package. Distances in other features are other numbers: they are compared with each other alone.
"""

from functools import cache

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets.common import Normalise
from tutseg.nets.lite0_unet import ENCODER, FILE, imagenet_tensors
from tutseg.weights import load_into

SIZE = 128  # pixels, to which pictures are brought
NAME = f"EfficientNet-Lite0, {SIZE} pixels"


class Lite0Features(nn.Module):
    """Pictures ``(B, 3, H, W)`` in [0, 1] to features ``(B, 1280)``: the mean over places of the last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.net = timm.create_model(ENCODER)
        load_into(self.net, imagenet_tensors(), FILE, f"run `tutseg weights check {FILE}`")
        self.norm = Normalise((0.5,) * 3, (0.5,) * 3)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Resize, normalise, look."""
        if images.shape[2:] != (SIZE, SIZE):
            images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
        return self.net.forward_head(self.net.forward_features(self.norm(images)), pre_logits=True)


eye = cache(Lite0Features)  # one is enough for a process: it never changes


@torch.inference_mode()
def features_of(images: Tensor, batch: int = 32) -> Tensor:
    """Features ``(N, 1280)`` of uint8 pictures ``(N, 3, S, S)``, a batch at a time."""
    return torch.cat([eye()(part.cpu().float() / 255) for part in images.split(batch)])

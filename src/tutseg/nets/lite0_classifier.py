"""EfficientNet-Lite0 that says classes: a small network with ImageNet's weights, where ResNet-50's are not at hand.

All but its last layer is as ImageNet left it; pictures smaller than 64 pixels are enlarged to that, since at 32 pixels
its last maps would be one place.

Two of timm's settings are for long trainings with a thousand classes, and are not taken: a last layer that begins the
larger, the fewer the classes, and running means that forget a hundredth a step.
"""

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets.common import Normalise, load_encoder
from tutseg.nets.lite0_unet import ENCODER, FILE, imagenet_tensors
from tutseg.nets.resnet50 import Classifier

LEAST = 64  # pixels


class Enlarge(nn.Module):
    """Bilinear, to at least `LEAST` pixels."""

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)``."""
        return F.interpolate(images, (LEAST, LEAST), mode="bilinear") if images.shape[-1] < LEAST else images


def build(in_size: int, classes: int = 1000, pretrained: bool = False) -> Classifier:
    """EfficientNet-Lite0 for any `in_size` that is a multiple of 32.

    Raises
    ------
    InputError
        `pretrained` was asked for and the packaged weights are not here or damaged.
    """
    net = timm.create_model(ENCODER, num_classes=classes, bn_momentum=0.1)
    net.classifier.reset_parameters()
    if pretrained:
        last = net.classifier.state_dict(prefix="classifier.")
        load_encoder(net, imagenet_tensors() | last, FILE)
    return Classifier(net, nn.Sequential(Enlarge(), Normalise((0.5,) * 3, (0.5,) * 3)))

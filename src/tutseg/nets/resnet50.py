"""ResNet-50 (He et al., CVPR 2016), SSGNet's classifier: 25,557,032 parameters with ImageNet's thousand classes.

Its last maps are averaged over places, and one linear layer says the classes. SSGNet's script ends in a head of its own
in that place, four times as large as the network (`tutseg.methods.generative.classifier`).

Deviation: it begins without ImageNet's weights, which are not at hand.
"""

import timm
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import ImageNetNorm


class Classifier(nn.Module):
    """A network of timm's that says classes, behind its normalisation."""

    def __init__(self, net: nn.Module, normalise: nn.Module) -> None:
        super().__init__()
        self.normalise, self.net = normalise, net

    def forward(self, images: Tensor, features: bool = False) -> Output:
        """Images ``(B, 3, H, W)`` in [0, 1] to logits ``(B, classes)``; of features the last maps."""
        maps = self.net.forward_features(self.normalise(images))
        return Output(self.net.forward_head(maps), features=(maps,) if features else ())


def build(in_size: int, classes: int = 1000) -> Classifier:
    """ResNet-50 for any `in_size` that is a multiple of 32."""
    return Classifier(timm.create_model("resnet50", num_classes=classes), ImageNetNorm())

"""U-Net on an EfficientNet-Lite0 encoder, whose ImageNet weights come in a package and need no network.

No paper of the book has it. It is there to show what pretraining is worth where nothing can be downloaded: 2.96 M
parameters up to the last block (the 1280-channel layer serves classification only) and a light decoder.

The weights were trained by TensorFlow, which shows in two places. The encoder must be timm's ``tf_`` one: padding
falls to the right and below, and batch normalisation has an epsilon of 1e-3 (the plain ``efficientnet_lite0`` takes
the same tensors without complaint and computes something else). And pictures go to [-1, 1], not to ImageNet's mean
and standard deviation.
"""

import timm
import torch
from torch import Tensor

from tutseg import weights
from tutseg.errors import InputError
from tutseg.nets.common import Normalise, PyramidUNet, load_encoder

ENCODER = "tf_efficientnet_lite0"
FILE = "efficientnet-lite0"
DECODER_CHANNELS = (64, 48, 32, 16)  # at 1/16, 1/8, 1/4, 1/2 of the resolution


class Lite0UNet(PyramidUNet):
    """EfficientNet-Lite0 encoder, maps of 16, 24, 40, 112 and 320 channels."""

    def __init__(self, pretrained: bool = False) -> None:
        encoder = timm.create_model(ENCODER, features_only=True)
        if pretrained:
            load_encoder(encoder, imagenet_tensors(), FILE)
        super().__init__(encoder, Normalise((0.5,) * 3, (0.5,) * 3), DECODER_CHANNELS)


def imagenet_tensors() -> dict[str, Tensor]:
    """The packaged ImageNet weights, classifier included, by timm's names.

    The file has names of its own but timm's order, so the two lists are paired; that each pair has one shape and one
    role (weight, bias, running mean, ...) is checked.

    Raises
    ------
    InputError
        The file is not here or damaged, or its tensors are not those of the network.
    """
    stored = weights.read(FILE)
    with torch.device("meta"):
        expected = timm.create_model(ENCODER).state_dict()
    same = len(stored) == len(expected) and all(
        ours.rpartition(".")[2] == theirs.rpartition(".")[2] and expected[ours].shape == tensor.shape
        for ours, (theirs, tensor) in zip(expected, stored.items(), strict=True)
    )
    if not same:
        raise InputError(f"pretrained file {FILE} holds another network", f"run `tutseg weights check {FILE}`")
    return dict(zip(expected, stored.values(), strict=True))


def build(in_size: int, pretrained: bool = False) -> Lite0UNet:
    """EfficientNet-Lite0 U-Net for any `in_size` that is a multiple of 32.

    Raises
    ------
    InputError
        `pretrained` was asked for and the packaged weights are not here or damaged.
    """
    return Lite0UNet(pretrained)

"""What the nets share: two halves, ImageNet normalisation, the double convolution, and where timm's weights are."""

from pathlib import Path

import torch
from timm import get_pretrained_cfg
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets import NetOutput


class ImageNetNorm(nn.Module):
    """``(images - mean) / std`` with the statistics that timm's encoders were trained on.

    The two constants are no part of a checkpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_DEFAULT_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_DEFAULT_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] to roughly zero mean and unit variance."""
        return (images - self.mean) / self.std


class EncoderDecoder(nn.Module):
    """A net in two halves, so that a method can perturb what goes from one to the other.

    A subclass sets `encoder` (all parameters that `encode` uses) and `head` (the last 1x1 convolution); its other
    parameters are the decoder's. Nothing is remembered between `encode` and `decode`.
    """

    encoder: nn.Module
    head: nn.Module

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` in [0, 1] to all that the decoder sees, ``(B, C_i, h_i, w_i)``, fine to coarse."""
        raise NotImplementedError

    def decode(self, features: list[Tensor]) -> NetOutput:
        """What `encode` returned, perhaps perturbed, to logits, bottleneck (the last map) and decoded features."""
        raise NotImplementedError

    def forward(self, images: Tensor, features: bool = False) -> NetOutput:
        """`decode` after `encode`; the features are dropped unless asked for."""
        out = self.decode(self.encode(images))
        return out if features else NetOutput(out.logits)


def double_conv(c_in: int, c_out: int) -> nn.Sequential:
    """Twice convolution 3x3, batch norm, ReLU: U-Net's block (a bias before batch norm would do nothing)."""
    layers: list[nn.Module] = []
    for c in (c_in, c_out):
        layers += [nn.Conv2d(c, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def pretrained_file(model: str) -> Path:
    """The safetensors file with timm's ImageNet weights of `model`, from the Hugging Face cache or the network.

    Raises
    ------
    InputError
        It is neither in the cache nor to be had over the network; random weights are never passed off for it.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    repo, name = get_pretrained_cfg(model).hf_hub_id, "model.safetensors"
    cached = try_to_load_from_cache(repo, name)
    if isinstance(cached, str):
        return Path(cached)
    try:
        get_hf_file_metadata(hf_hub_url(repo, name), timeout=10)  # asks once; the download alone would retry a minute
        return Path(hf_hub_download(repo, name))
    except Exception as error:  # whatever the transport raises, the user's remedy is the same
        raise InputError(
            f"no pretrained weights for {model} can be had here",
            f"drop --pretrained, or bring {repo}/{name} into the Hugging Face cache (`hf download {repo}`)",
        ) from error

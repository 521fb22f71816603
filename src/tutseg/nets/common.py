"""What the nets share: two halves, normalisation, the double convolution, a U-Net on timm's encoders, loading one."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets import Output


class Normalise(nn.Module):
    """``(images - mean) / std`` with the statistics that an encoder was trained on.

    The two constants are no part of a checkpoint.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] to roughly zero mean and unit variance."""
        return (images - self.mean) / self.std


class ImageNetNorm(Normalise):
    """ImageNet's own statistics, which most of timm's encoders were trained on."""

    def __init__(self) -> None:
        super().__init__(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


class EncoderDecoder(nn.Module):
    """A net in two halves, so that a method can perturb what goes from one to the other.

    A subclass sets `encoder` (all parameters that `encode` uses) and `head` (the last 1x1 convolution); its other
    parameters are the decoder's. Nothing is remembered between `encode` and `decode`, or between the two parts of
    `decode`, at whose joint a method can step in (CCVC).
    """

    encoder: nn.Module
    head: nn.Module

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` in [0, 1] to all that the decoder sees, ``(B, C_i, h_i, w_i)``, fine to coarse."""
        raise NotImplementedError

    def join(self, features: list[Tensor]) -> Tensor:
        """What `encode` returned, perhaps perturbed, to what the decoder's last block sees, ``(B, C, h, w)``.

        In a U-Net these are the finest skip and what came up to it, concatenated.
        """
        raise NotImplementedError

    def finish(self, joined: Tensor) -> Output:
        """The last block and the heads: what `join` returned to logits, heads and the decoded features."""
        raise NotImplementedError

    def decode(self, features: list[Tensor]) -> Output:
        """`finish` after `join`, with the maps that came in."""
        return replace(self.finish(self.join(features)), features=tuple(features))

    def forward(self, images: Tensor, features: bool = False) -> Output:
        """`decode` after `encode`; the features are dropped unless asked for."""
        out = self.decode(self.encode(images))
        return out if features else out.without_features()


class DeepSupervision(EncoderDecoder):
    """A net whose decoder also says the mask where it is coarser, and learns it there (`Output.deep`).

    A subclass sets `auxiliary`, the heads of those stages, and `deep`, the weight of each one's loss, fine to coarse.
    """

    auxiliary: nn.ModuleList
    deep: tuple[float, ...]

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """The maps of the stages with an auxiliary head, coarse to fine, and behind them what `join` returns."""
        raise NotImplementedError

    def join(self, features: list[Tensor]) -> Tensor:
        """The last of what `climb` returns."""
        return self.climb(features)[-1]

    def decode(self, features: list[Tensor]) -> Output:
        """`finish` after `climb`; "aux1" is the finest of the further heads, each taken to the images' size."""
        *coarse, joined = self.climb(features)
        out = self.finish(joined)
        size, heads, deep = out.logits.shape[-2:], {}, {}
        for k, (head, x, weight) in enumerate(zip(self.auxiliary, reversed(coarse), self.deep, strict=True), start=1):
            heads[f"aux{k}"] = F.interpolate(head(x), size, mode="bilinear", align_corners=False)
            deep[f"aux{k}"] = weight
        return replace(out, heads=heads, deep=deep, features=tuple(features))


class Promptable(nn.Module):
    """A net that segments what it is told to (SAM and its like): one set of prompts for each picture.

    Pictures are embedded once and decoded as often as there are prompts to try.
    """

    def embed(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] to their embedding ``(B, D, h, w)``."""
        raise NotImplementedError

    def decode(
        self,
        embedding: Tensor,
        points: Tensor | None = None,
        boxes: Tensor | None = None,
        mask_logits: Tensor | None = None,
        tokens: Tensor | None = None,
    ) -> Output:
        """What the prompts name, each of them as many as there are embeddings.

        Parameters
        ----------
        embedding : Tensor
            What `embed` returned.
        points : Tensor or None
            Clicks ``(B, N, 3)``: x and y in [0, 1] of the picture's width and height, then 1 on the thing, 0 beside it.
        boxes : Tensor or None
            ``(B, 4)``: left, top, right and bottom, in [0, 1].
        mask_logits : Tensor or None
            A guess ``(B, 1, H, W)``, as logits and at the images' size; not a mask in {0, 1}.
        tokens : Tensor or None
            Learned prompts ``(B, N, D)``.
        """
        raise NotImplementedError

    def forward(self, images: Tensor, **prompts: Tensor) -> Output:
        """`decode` after `embed`."""
        return self.decode(self.embed(images), **prompts)


def conv_bn(c_in: int, c_out: int, kernel: int) -> nn.Sequential:
    """Convolution, batch norm (a bias before it would do nothing), ReLU; the size stays."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


def double_conv(c_in: int, c_out: int) -> nn.Sequential:
    """Twice convolution 3x3, batch norm, ReLU: U-Net's block."""
    return nn.Sequential(*conv_bn(c_in, c_out, 3), *conv_bn(c_out, c_out, 3))


def upsample(x: Tensor, scale: int = 2) -> Tensor:
    """``(B, C, h, w)`` to ``(B, C, scale h, scale w)``, bilinear."""
    return F.interpolate(x, scale_factor=float(scale), mode="bilinear", align_corners=False)


class PyramidUNet(EncoderDecoder):
    """U-Net on an encoder with five maps: bilinear up-sampling, concatenated skips, double convolutions.

    The decoder stops at half the resolution, where most of the remaining cost would lie; its logits are interpolated.

    Parameters
    ----------
    encoder : nn.Module
        timm's ``features_only`` kind, with maps at strides 2 to 32.
    normalise : nn.Module
        What the encoder wants done to pictures in [0, 1].
    channels : tuple of int
        The decoder's channels at 1/16, 1/8, 1/4 and 1/2 of the resolution.
    """

    def __init__(self, encoder: nn.Module, normalise: nn.Module, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.normalise, self.encoder = normalise, encoder
        *skips, deepest = encoder.feature_info.channels()
        below = (deepest, *channels[:-1])
        self.decoder = nn.ModuleList(
            double_conv(b + s, c) for b, s, c in zip(below, reversed(skips), channels, strict=True)
        )
        self.head = nn.Conv2d(channels[-1], 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to five maps at strides 2 to 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to the input of the last double convolution, at half the resolution."""
        finest, *skips, x = features
        for block, skip in zip(self.decoder[:-1], reversed(skips), strict=True):
            x = block(torch.cat([skip, upsample(x)], dim=1))
        return torch.cat([finest, upsample(x)], dim=1)

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits at the images' size; decoded is ``(B, C, H/2, W/2)``."""
        x = self.decoder[-1](joined)
        return Output(upsample(self.head(x)), decoded=x)


def load_encoder(encoder: nn.Module, tensors: dict[str, Tensor], file: str) -> None:
    """Fill every tensor of `encoder` by its name; what only the classifier has is left over.

    Parameters
    ----------
    encoder : nn.Module
        Left as it is where anything is missing. Only a batch norm's count of steps may be: older files lack it, and
        nothing reads it.
    tensors : dict of str to Tensor
        By the encoder's names.
    file : str
        The pretrained file's name, for the message.

    Raises
    ------
    InputError
        A tensor is missing or has another shape.
    """
    own = encoder.state_dict()
    needed = [name for name in own if name in tensors or not name.endswith(".num_batches_tracked")]
    wrong = [name for name in needed if name not in tensors or tensors[name].shape != own[name].shape]
    if wrong:
        some = f"{len(wrong)} of {len(needed)} tensors are missing or of another shape, such as {wrong[0]}"
        raise InputError(f"pretrained file {file}: {some}", f"run `tutseg weights check {file}`")
    encoder.load_state_dict(own | {name: tensors[name] for name in needed})

"""Swin-Unet (Cao et al. 2021), the network of DME-FD, built from timm's Swin Transformer.

With depths 2-2-6-2 it has DME-FD's 41.38 M parameters, with 2-2-2-2 the 27.17 M of Swin-Unet itself. Where the
Swin-Unet paper and its code differ the code is followed, since DME-FD ran the code: a skip carries the tokens with
which an encoder stage *begins* (its figure draws those with which it ends).
"""

import timm
import torch
from timm.layers import calculate_drop_path_rates, trunc_normal_
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

from tutseg import weights
from tutseg.errors import InputError
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm

ENCODER = "swin_tiny_patch4_window7_224"
PATCH = 4


class PatchExpand(nn.Module):
    """Up-sampling by a linear layer: each token becomes ``scale x scale`` tokens of `c_out` channels."""

    def __init__(self, c_in: int, c_out: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.expand = nn.Linear(c_in, scale**2 * c_out, bias=False)
        self.norm = nn.LayerNorm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, h, w, c_in)`` to ``(B, scale h, scale w, c_out)``."""
        b, h, w, _ = x.shape
        s = self.scale
        x = self.expand(x).view(b, h, w, s, s, -1).transpose(2, 3)
        return self.norm(x.reshape(b, s * h, s * w, -1))


class DecoderStage(nn.Module):
    """One linear layer over features and skip, then Swin blocks, windows shifted in every second one."""

    def __init__(self, channels: int, grid: int, heads: int, window: int, drop_path: list[float]) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * channels, channels)
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlock(
                    channels,
                    input_resolution=(grid, grid),
                    num_heads=heads,
                    window_size=window,
                    shift_size=window // 2 if i % 2 else 0,
                    drop_path=rate,
                )
                for i, rate in enumerate(drop_path)
            )
        )

    def forward(self, joined: Tensor) -> Tensor:
        """Features and skip, concatenated: ``(B, grid, grid, 2 channels)`` to ``(B, grid, grid, channels)``."""
        return self.blocks(self.merge(joined))


class SwinUNet(EncoderDecoder):
    """Swin encoder, and a decoder that mirrors it with patch expanding in place of patch merging.

    Parameters
    ----------
    in_size : int
        Height and width of the input, a multiple of 32. Windows are cut to a grid smaller than them, and a grid that
        they do not divide is padded within each block (both are timm's doing).
    embed : int
        Channels after the patch embedding; doubled by each patch merging.
    depths, heads : tuple of int
        Swin blocks, and attention heads, of each encoder stage; the decoder has the same of the first three.
    window : int
        Side of an attention window in tokens.
    drop_path : float
        Stochastic depth, rising linearly from 0 to this over the encoder's blocks.
    pretrained : bool
        Load timm's ImageNet weights into the encoder; of a deeper stage its first blocks are taken.
    """

    def __init__(
        self,
        in_size: int,
        embed: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        heads: tuple[int, ...] = (3, 6, 12, 24),
        window: int = 7,
        drop_path: float = 0.1,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        channels = [embed * 2**level for level in range(len(depths))]
        rates = calculate_drop_path_rates(drop_path, depths, stagewise=True)
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model(
            ENCODER,
            img_size=in_size,
            embed_dim=embed,
            depths=depths,
            num_heads=heads,
            window_size=window,
            drop_path_rate=drop_path,
            num_classes=0,
        )
        levels = range(len(depths) - 2, -1, -1)  # from the coarsest skip to the finest
        self.expand = nn.ModuleList(PatchExpand(c, c // 2, 2) for c in channels[:0:-1])
        self.decoder = nn.ModuleList(
            DecoderStage(channels[i], in_size // PATCH // 2**i, heads[i], window, rates[i]) for i in levels
        )
        self.norm = nn.LayerNorm(embed)
        self.final_expand = PatchExpand(embed, embed, PATCH)
        self.head = nn.Conv2d(embed, 1, 1, bias=False)
        for part in (self.expand, self.decoder, self.final_expand):
            part.apply(_init_linear)
        if pretrained:
            _load_imagenet(self.encoder, in_size)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, S, S)`` to four maps at strides 4 to 32; the bottleneck is ``(B, 8 embed, S/32, S/32)``."""
        x = self.encoder.patch_embed(self.normalise(images))
        maps = []
        for stage in self.encoder.layers:
            x = stage.downsample(x)  # timm merges patches where a stage begins; the first stage has nothing to merge
            maps.append(x)
            x = stage.blocks(x)
        maps[-1] = self.encoder.norm(x)
        return [m.permute(0, 3, 1, 2) for m in maps]

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to the input of the last stage, ``(B, 2 embed, S/4, S/4)``."""
        finest, *skips, x = (m.permute(0, 2, 3, 1) for m in features)
        for expand, stage, skip in zip(self.expand[:-1], self.decoder[:-1], reversed(skips), strict=True):
            x = stage(torch.cat([expand(x), skip], dim=-1))
        return torch.cat([self.expand[-1](x), finest], dim=-1).permute(0, 3, 1, 2)

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, embed, S, S)``."""
        x = self.decoder[-1](joined.permute(0, 2, 3, 1))
        decoded = self.final_expand(self.norm(x)).permute(0, 3, 1, 2)
        return Output(self.head(decoded), decoded=decoded)


def _init_linear(module: nn.Module) -> None:
    """Swin's initialisation, which timm gives the encoder."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _load_imagenet(encoder: nn.Module, in_size: int) -> None:
    overlay = {"file": str(weights.find("swin-tiny"))}
    whole = timm.create_model(
        ENCODER, pretrained=True, pretrained_cfg_overlay=overlay, img_size=in_size, num_classes=0
    ).state_dict()
    encoder.load_state_dict({name: whole[name] for name in encoder.state_dict()})


def build(in_size: int, pretrained: bool = False, **options: object) -> SwinUNet:
    """Swin-Unet for square images of `in_size`; options are those of `SwinUNet`.

    Raises
    ------
    InputError
        `pretrained` was asked for, and timm's weights cannot be had or are of another width or window.
    """
    if pretrained and (options.get("embed", 96), options.get("window", 7)) != (96, 7):
        raise InputError(
            "no pretrained weights exist for a Swin-Unet of this width or window",
            "drop --pretrained or use --net swin-unet",
        )
    return SwinUNet(in_size, pretrained=pretrained, **options)

"""MobileSAM (Zhang et al. 2023): Segment Anything with TinyViT in the place of the ViT, distilled from ViT-H.

Prompt encoder and mask decoder are Segment Anything's. The image encoder is timm's TinyViT, whose last reduction is
left out so that a token has 16 pixels, and Segment Anything's neck. There is no position embedding: any multiple of 16
is a size.
"""

from collections.abc import Mapping

import timm
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from tutseg import weights
from tutseg.nets.sam import REPAIR, VARIANTS, Sam, load_sam

ENCODER = "tiny_vit_5m_224"
IDLE = ("image_encoder.head.", "image_encoder.norm_head.")  # the classifier, in the file and of no use
STAGES = 4


class TinyEncoder(nn.Module):
    """TinyViT up to a sixteenth of the resolution, then the neck to `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = timm.create_model(ENCODER, num_classes=0)
        self.body.head = nn.Identity()
        last = self.body.stages[-1].downsample.conv2.conv
        last.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(self.body.num_features, width, 1, bias=False),
            LayerNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            LayerNorm2d(width),
        )
        # In evaluation mode timm keeps each block's attention bias as it was when first used, perhaps before loading.
        self.register_load_state_dict_post_hook(lambda module, keys: module.train(module.training) and None)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, S, S)``, normalised, to ``(B, width, S/16, S/16)``."""
        return self.neck(self.body.forward_features(x))


class MobileSam(Sam):
    """`Sam` with `TinyEncoder`; it also takes tensors by the names of the published file."""

    def own_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The published names, but for the classifier's, as timm has them; names of our own stay."""
        if any(name.startswith("image_encoder.body.") for name in tensors):
            return dict(tensors)
        return {own_name(name): tensor for name, tensor in tensors.items() if not name.startswith(IDLE)}


def own_name(name: str) -> str:
    """A tensor's name in the published file as `MobileSam` has it.

    A stage's reduction ends it in the file and begins the next one in timm.

    Examples
    --------
    >>> own_name("image_encoder.layers.0.downsample.conv1.c.weight")
    'image_encoder.body.stages.1.downsample.conv1.conv.weight'
    """
    if not name.startswith("image_encoder.") or ".neck." in name:
        return name
    for stage in range(STAGES):
        name = name.replace(f".layers.{stage}.downsample.", f".body.stages.{stage + 1}.downsample.")
        name = name.replace(f".layers.{stage}.", f".body.stages.{stage}.")
    for theirs, ours in (
        (".patch_embed.seq.0.", ".body.patch_embed.conv1."),
        (".patch_embed.seq.2.", ".body.patch_embed.conv2."),
    ):
        name = name.replace(theirs, ours)
    return name.replace(".c.", ".conv.")


def build(in_size: int, pretrained: bool = False) -> MobileSam:
    """MobileSAM for pictures of `in_size`, a multiple of 16.

    Raises
    ------
    InputError
        `pretrained` was asked for, and its file is not here, is damaged or is another network's.
    """
    tensors = weights.read("mobile-sam") if pretrained else None
    variant = VARIANTS["sam-b"]  # whose prompt encoder and decoder it has
    net = MobileSam("mobile-sam", TinyEncoder(variant.prompt), in_size, variant)
    return net if tensors is None else load_sam(net, tensors, "pretrained file mobile-sam", REPAIR)

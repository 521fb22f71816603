"""Segment Anything (Kirillov et al. 2023): a picture is embedded once and decoded for a click, a box or a mask.

The modules are those of Meta's package ``segment-anything``; here they are put behind `Promptable`. Its decoder takes
one picture with many prompts, ours a batch of pictures with one set of prompts each. ``sam-s`` has the same modules at
a size that a CPU trains in minutes.

Pictures are square here, as everywhere in the book (SAM's own predictor pads the shorter side instead).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from tutseg import nets, weights
from tutseg.errors import InputError
from tutseg.nets import Output
from tutseg.nets.common import ImageNetNorm, Promptable
from tutseg.nets.prompts import check_prompts

POSITIONS = "image_encoder.pos_embed"
MOBILE = ("image_encoder.layers.", "image_encoder.body.")  # MobileSAM's names, in its file and here
REPAIR = "fetch it again; `tutseg weights list` says where each is from"
MASKS = 4  # the first answers any prompt, the other three are guesses at what one click means


@dataclass(frozen=True)
class Variant:
    """The sizes of one Segment Anything.

    Parameters
    ----------
    size, patch : int
        Side in pixels of the pictures it was trained on, and of a token.
    width, depth, heads, mlp : int
        Of the ViT: channels, blocks, attention heads, hidden channels of a block over its channels.
    window : int
        Side of an attention window in tokens, but for the blocks in `whole`, which attend to all tokens.
    prompt, decoder_heads, decoder_mlp, quality : int
        Channels of embedding and prompts; attention heads and hidden channels of the decoder; hidden channels of the
        head that predicts IoU.
    """

    size: int = 1024
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 4
    window: int = 14
    whole: tuple[int, ...] = (2, 5, 8, 11)
    prompt: int = 256
    decoder_heads: int = 8
    decoder_mlp: int = 2048
    quality: int = 256


VARIANTS = {
    "sam-s": Variant(96, 8, 96, 4, 3, 2, 6, (1, 3), 64, 4, 256, 64),
    "sam-b": Variant(),
    "sam-l": Variant(width=1024, depth=24, heads=16, whole=(5, 11, 17, 23)),
    "sam-h": Variant(width=1280, depth=32, heads=16, whole=(7, 15, 23, 31)),
}


class Sam(Promptable):
    """Image encoder, prompt encoder and mask decoder, under the names that they have in Meta's files.

    Parameters
    ----------
    name : str
        A variant's, by which files are told apart.
    image_encoder : nn.Module
        ``(B, 3, S, S)`` to ``(B, D, S / patch, S / patch)``.
    in_size : int
        `S`.
    variant : Variant
        Its `patch`, and what prompt encoder and decoder need.
    """

    def __init__(self, name: str, image_encoder: nn.Module, in_size: int, variant: Variant) -> None:
        super().__init__()
        grid = in_size // variant.patch
        self.name, self.size = name, in_size
        self.normalise = ImageNetNorm()  # in levels of 255 these are SAM's own pixel_mean and pixel_std
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(
            embed_dim=variant.prompt,
            image_embedding_size=(grid, grid),
            input_image_size=(in_size, in_size),
            mask_in_chans=16,
        )
        transformer = TwoWayTransformer(
            depth=2, embedding_dim=variant.prompt, num_heads=variant.decoder_heads, mlp_dim=variant.decoder_mlp
        )
        self.mask_decoder = MaskDecoder(
            transformer_dim=variant.prompt,
            transformer=transformer,
            num_multimask_outputs=MASKS - 1,
            iou_head_hidden_dim=variant.quality,
        )

    def own_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A file's tensors by the names that they have in this net."""
        return dict(tensors)

    def embed(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, S, S)`` in [0, 1] to their embedding ``(B, D, S / patch, S / patch)``."""
        if images.shape[1:] != (3, self.size, self.size):
            raise InputError(
                f"pictures of shape {tuple(images.shape[1:])} do not fit a net built for {self.size} px",
                f"give (3, {self.size}, {self.size}), or build the net for their size",
            )
        return self.image_encoder(self.normalise(images))

    def decode(
        self,
        embedding: Tensor,
        points: Tensor | None = None,
        boxes: Tensor | None = None,
        mask_logits: Tensor | None = None,
        tokens: Tensor | None = None,
    ) -> Output:
        """See `Promptable.decode`.

        Returns
        -------
        Output
            ``logits`` are the first mask, or, for one click and nothing else, that of the other three whose predicted
            IoU is highest. Heads: "masks", all four ``(B, 4, 4h, 4w)``, and "iou" ``(B, 4)``, what the net thinks of
            each.
        """
        check_prompts(self.size, embedding, points, boxes, mask_logits, tokens)
        sparse, dense = self._encode(len(embedding), points, boxes, mask_logits)
        if tokens is not None:
            sparse = torch.cat([sparse, tokens], dim=1)
        # The stock decoder repeats one picture for every prompt and adds `dense` to it. So the pictures come as part
        # of `dense`, and what is repeated is nothing.
        masks, iou = self.mask_decoder.predict_masks(
            image_embeddings=torch.zeros_like(embedding[:1]),
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=embedding + dense,
        )
        chosen = masks[:, :1]
        if points is not None and points.shape[1] == 1 and boxes is mask_logits is tokens is None:
            best = 1 + iou[:, 1:].argmax(1)
            chosen = masks[torch.arange(len(masks), device=masks.device), best][:, None]
        logits = F.interpolate(chosen, (self.size, self.size), mode="bilinear", align_corners=False)
        return Output(logits, {"masks": masks, "iou": iou})

    def _encode(
        self, n: int, points: Tensor | None, boxes: Tensor | None, mask_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens ``(n, N, D)`` of clicks and boxes, and the mask's map ``(n, D, h, w)``."""
        clicks = None
        if points is not None:  # in pixels, whose centres the package counts as whole numbers
            clicks = points[..., :2] * self.size - 0.5, points[..., 2]
        if boxes is not None:
            boxes = boxes * self.size - 0.5
        if mask_logits is not None:  # each of its pixels is the mean of a whole number of the picture's
            mask_logits = F.interpolate(mask_logits, self.prompt_encoder.mask_input_size, mode="area")
        sparse, dense = self.prompt_encoder(points=clicks, boxes=boxes, masks=mask_logits)
        return sparse.expand(n, -1, -1), dense.expand(n, -1, -1, -1)  # of no prompt at all the package makes one


def make_sam(name: str, in_size: int) -> Sam:
    """The variant `name` with fresh weights for pictures of `in_size`, a multiple of its patch.

    At another size than the variant's the position embedding is that of its own size, interpolated; relative positions
    are stored for its own size and resampled by the package where they are used.
    """
    variant = VARIANTS[name]
    encoder = ImageEncoderViT(
        img_size=variant.size,
        patch_size=variant.patch,
        embed_dim=variant.width,
        depth=variant.depth,
        num_heads=variant.heads,
        mlp_ratio=variant.mlp,
        out_chans=variant.prompt,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=variant.window,
        global_attn_indexes=variant.whole,
    )
    encoder.pos_embed = nn.Parameter(resample(encoder.pos_embed.detach(), in_size // variant.patch))
    return Sam(name, encoder, in_size, variant)


def resample(pos_embed: Tensor, grid: int) -> Tensor:
    """A position embedding ``(1, h, w, C)`` at another grid ``(1, grid, grid, C)``, bicubic."""
    if pos_embed.shape[1:3] == (grid, grid):
        return pos_embed
    maps = F.interpolate(
        pos_embed.permute(0, 3, 1, 2), (grid, grid), mode="bicubic", antialias=True, align_corners=False
    )
    return maps.permute(0, 2, 3, 1)


def variant_of(tensors: Mapping[str, Tensor], origin: object) -> str:
    """Which net a file of tensors is for, by what its image encoder looks like.

    Raises
    ------
    InputError
        It is no Segment Anything that is known here.
    """
    if any(name.startswith(MOBILE) for name in tensors):
        return "mobile-sam"
    depth = len({name.split(".")[2] for name in tensors if name.startswith("image_encoder.blocks.")})
    width = tensors[POSITIONS].shape[-1] if POSITIONS in tensors else 0
    for name, variant in VARIANTS.items():
        if (variant.width, variant.depth) == (width, depth):
            return name
    found = f"{depth} blocks of width {width}" if depth else "no image encoder"
    raise InputError(
        f"{origin} is no Segment Anything ({found})", f"give one of {', '.join([*VARIANTS, 'mobile-sam'])}"
    )


def load_sam(net: Sam, tensors: Mapping[str, Tensor], origin: object, remedy: str) -> Sam:
    """Fill `net` from tensors by Meta's names, all of them or none; returns it.

    The position embedding is brought to the net's size. The random matrix of the prompt encoder is among the tensors:
    without it every click would lie elsewhere. A finished trial's tensors, ``net.`` before each, will do.

    Raises
    ------
    InputError
        The tensors are those of another variant, or some are missing, too many or of another shape.
    """
    tensors = {name.removeprefix("net."): tensor for name, tensor in tensors.items()}
    if (found := variant_of(tensors, origin)) != net.name:
        raise InputError(f"{origin} holds {found}, not {net.name}", remedy)
    tensors = net.own_names(tensors)
    if POSITIONS in tensors:
        tensors[POSITIONS] = resample(tensors[POSITIONS], net.image_encoder.pos_embed.shape[1])
    own = net.state_dict()
    if missing := [name for name in own if name not in tensors]:
        raise InputError(f"{origin} lacks {len(missing)} of {len(own)} tensors, such as {missing[0]}", remedy)
    weights.load_into(net, tensors, origin, remedy)
    return net


def open_sam(path: Path, in_size: int) -> Sam:
    """The net of a checkpoint, published or a finished trial's, for pictures of `in_size`; which one, the file says.

    Raises
    ------
    InputError
        The file is damaged, holds code, is cut short or is no Segment Anything; or `in_size` is no multiple of the
        net's patch.
    """
    tensors = weights.tensors_of(path, REPAIR)
    name = variant_of({name.removeprefix("net."): tensor for name, tensor in tensors.items()}, path)
    return load_sam(nets.build(name, in_size), tensors, path, REPAIR)


def build(in_size: int, variant: str, pretrained: bool = False) -> Sam:
    """The Segment Anything named `variant` (of `VARIANTS`) for pictures of `in_size`.

    Raises
    ------
    InputError
        `pretrained` was asked for, and its file is not here, is damaged or is another network's.
    """
    if not pretrained:
        return make_sam(variant, in_size)
    tensors = weights.read(variant)  # first: the large ones take seconds to build
    return load_sam(make_sam(variant, in_size), tensors, f"pretrained file {variant}", REPAIR)

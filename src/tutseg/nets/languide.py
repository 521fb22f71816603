"""LanGuide (Zhong et al., MICCAI 2023): a sentence about the picture guides the decoder.

======== ================================================ ======== ===========
part     what                                             stride   parameters
======== ================================================ ======== ===========
encoder  timm's ConvNeXt-T, 96, 192, 384, 768 channels    4 to 32  27,818,592
guides   768, 384, 192 channels with 24, 12, 9 tokens of  32 to 8  14,025,768
         text, each going up to the next, last to 96
last     96 channels to 16 x 24, which become 4 x 4       4 to 1   332,160
         pixels of 24 channels
head     one logit                                        1        25
======== ================================================ ======== ===========

The last three are the published decoder's 14,357,953. Two projection heads of 1,051,136, which get no gradient in the
published code either, are left out.

**The text is a stand-in.** The authors' frozen CXR-BERT knows radiology; `embed_text` knows nothing: it gives every
word a random direction of its own, always the same, so that a network can learn what a word means from the pictures
alone and no weights need fetching. And few data sets have a sentence a picture. Where none is handed over, all pictures
get one `caption`, and the network is an ordinary one that a constant guides. Call ``net(images, texts=[...])`` with a
sentence a picture (`tutseg.data.captions` writes some); mind that such a sentence tells of the lesion what the picture
alone may not.

Deviations: ReLU where MONAI's blocks leak, no blur behind the last up-sampling, and logits, where the published network
ends in a sigmoid that its loss takes for logits.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, double_conv

WORDS = 24  # of a text, at most
TOKENS = (24, 12, 9)  # of text that a guide listens to, coarse to fine
CAPTION = "one lesion"
SCALE = 1.421  # of what is heard from the text, at first


@lru_cache(maxsize=4096)
def embed_word(word: str, width: int) -> np.ndarray:
    """A word's direction, float32 ``(width,)``: normal noise, drawn from the word's own hash."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(width).astype(np.float32)


def embed_text(text: str, width: int = 768) -> Tensor:
    """A frozen text encoder that has learned nothing: one vector a word, and zeros behind the last.

    Parameters
    ----------
    text : str
        1 to 24 words; capitals and punctuation do not count.
    width : int
        Of each vector.

    Returns
    -------
    Tensor
        ``(24, width)``.

    Raises
    ------
    InputError
        The text has no words, or too many.
    """
    words = re.findall(r"\w+", text.lower())
    if not 1 <= len(words) <= WORDS:
        raise InputError(f"a caption of {len(words)} words", f"give 1 to {WORDS}")
    tokens = np.zeros((WORDS, width), np.float32)
    tokens[: len(words)] = [embed_word(word, width) for word in words]
    return torch.from_numpy(tokens)


def positions(n: int, channels: int) -> Tensor:
    """Sines and cosines of a token's place, ``(n, 1, channels)`` (Vaswani et al. 2017)."""
    angle = torch.arange(n)[:, None] * torch.exp(-math.log(1e4) * torch.arange(0, channels, 2) / channels)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, None]


class Guide(nn.Module):
    """One step up: places listen to one another, then to the text, and grow to twice the size.

    ``x = x + LN(SelfAttention(LN(x)))``, ``x = x + s LN(CrossAttention(LN(x), text))``, with a learned scale s.

    Parameters
    ----------
    c_in, c_out : int
        Channels that come in, and that go up.
    text_tokens, text_width : int
        How many tokens the 24 of a text become, and the width they have before they are projected to `c_in`.
    """

    def __init__(self, c_in: int, c_out: int, text_tokens: int, text_width: int) -> None:
        super().__init__()
        self.fewer, self.project = nn.Conv1d(WORDS, text_tokens, 1), nn.Linear(text_width, c_in)
        # batch second: with the batch first, PyTorch takes a fused path that has no forward derivative (DALE needs one)
        self.among = nn.MultiheadAttention(c_in, 1)
        self.to_text = nn.MultiheadAttention(c_in, 4)
        self.before, self.behind, self.before_text, self.behind_text = (nn.LayerNorm(c_in) for _ in range(4))
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.up = nn.ConvTranspose2d(c_in, c_out, 2, stride=2, bias=False)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """Map ``(B, c_in, h, w)`` and text ``(B, 24, text_width)`` to ``(B, c_out, 2 h, 2 w)``."""
        text = F.leaky_relu(self.project(F.gelu(self.fewer(text)))).transpose(0, 1)
        places = x.flatten(2).permute(2, 0, 1)
        at, at_text = (positions(len(each), x.shape[1]).to(x) for each in (places, text))
        h = self.before(places)
        places = places + self.behind(self.among(h + at, h + at, h, need_weights=False)[0])
        h = self.before_text(places)
        heard = self.to_text(h + at, text + at_text, text, need_weights=False)[0]
        places = places + self.scale * self.behind_text(heard)
        return self.up(places.permute(1, 2, 0).reshape(x.shape))


class LanGuide(EncoderDecoder):
    """ConvNeXt encoder, three guides up, and a shuffle of channels into pixels.

    Parameters
    ----------
    dims, depths : tuple of int
        Channels and blocks of the encoder's four stages.
    last : int
        Channels at full resolution.
    text_width : int
        Of a word's vector.
    caption : str
        What is said of every picture for which no text is handed over.
    """

    def __init__(
        self,
        dims: tuple[int, ...] = (96, 192, 384, 768),
        depths: tuple[int, ...] = (3, 3, 9, 3),
        last: int = 24,
        text_width: int = 768,
        caption: str = CAPTION,
    ) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model("convnext_tiny", features_only=True, dims=dims, depths=depths)
        c = dims[::-1]
        self.guides = nn.ModuleList(Guide(a, b, n, text_width) for a, b, n in zip(c[:-1], c[1:], TOKENS, strict=True))
        self.decoder = nn.ModuleList(double_conv(2 * n, n) for n in c[1:])
        self.last = nn.Sequential(nn.Conv2d(c[-1], 16 * last, 3, padding=1), nn.PixelShuffle(4))
        self.head = nn.Conv2d(last, 1, 1)
        self.text_width = text_width
        self.register_buffer("caption", embed_text(caption, text_width), persistent=False)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to four maps at strides 4 to 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor], texts: Sequence[str] | None = None) -> Tensor:
        """The maps of `encode`, guided by the texts, to the input of the last block, ``(B, 192, H/4, W/4)``."""
        *skips, x = features
        if texts is None:
            text = self.caption.expand(len(x), -1, -1)
        else:
            text = torch.stack([embed_text(each, self.text_width) for each in texts]).to(self.caption)
        for k, (guide, skip) in enumerate(zip(self.guides, reversed(skips), strict=True)):
            joined = torch.cat([guide(x, text), skip], dim=1)
            if k < len(skips) - 1:
                x = self.decoder[k](joined)
        return joined

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, 24, H, W)``."""
        x = self.last(self.decoder[-1](joined))
        return Output(self.head(x), decoded=x)

    def decode(self, features: list[Tensor], texts: Sequence[str] | None = None) -> Output:
        """`finish` after `join`, with the maps that came in."""
        return replace(self.finish(self.join(features, texts)), features=tuple(features))

    def forward(self, images: Tensor, features: bool = False, texts: Sequence[str] | None = None) -> Output:
        """`decode` after `encode`.

        Parameters
        ----------
        images : Tensor
            ``(B, 3, H, W)`` in [0, 1].
        features : bool
            Whether features are wanted.
        texts : sequence of str, optional
            One a picture; without them, the one caption for all.
        """
        out = self.decode(self.encode(images), texts)
        return out if features else out.without_features()


def build(in_size: int, **options: object) -> LanGuide:
    """LanGuide for any `in_size` that is a multiple of 32; options are those of `LanGuide`."""
    return LanGuide(**options)

"""The network of S3-Net (§3.1): inception large-kernel attention, then a deformable convolution.

It keeps the picture's resolution and returns one channel a cluster, so it is no `tutseg.nets` segmentation net and
has no card. It is written for one picture, as the paper says; the one-image methods run one such network a picture
side by side. "Batch" normalisation over one picture normalises with that picture's own statistics, at the end as in
training, which is why no running statistics are kept.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation that always uses the statistics of what it is shown."""
    return nn.BatchNorm2d(channels, track_running_stats=False)


def depthwise(channels: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    """Depth-wise convolution that keeps the size."""
    return nn.Conv2d(channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=channels)


class InceptionLKA(nn.Module):
    """Inception large-kernel attention (S3-Net Eq. 1-3).

    Parameters
    ----------
    channels : int
        Channels in and out.
    order : {"paper", "code"}
        ``"paper"``: parallel depth-wise convolutions of 3, 5 and 7 pixels, then one dilated (Eq. 1-2).
        ``"code"``: one depth-wise convolution of 5 pixels, then three dilated ones in parallel.
    inception : bool
        False puts one branch in the place of three: the plain large-kernel attention of the paper's ablation.
    """

    def __init__(self, channels: int, order: str = "paper", inception: bool = True) -> None:
        super().__init__()
        if not inception:
            before, after = [depthwise(channels, 5)], [depthwise(channels, 7, dilation=3)]
        elif order == "paper":
            before = [depthwise(channels, kernel) for kernel in (3, 5, 7)]
            after = [depthwise(channels, 7, dilation=3) for _ in before]
        else:
            before = [depthwise(channels, 5)]
            after = [depthwise(channels, kernel, dilation) for kernel, dilation in ((3, 1), (5, 2), (7, 3))]
        self.before, self.after = nn.ModuleList(before), nn.ModuleList(after)
        self.mix = nn.Conv2d(len(after) * channels, channels, 1)

    def forward(self, u: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C, H, W)``: the features times their attention, with no sigmoid or softmax."""
        local = [conv(u) for conv in self.before]
        if len(local) == 1:
            local = local * len(self.after)
        far = [conv(branch) for conv, branch in zip(self.after, local, strict=True)]
        return u * self.mix(torch.cat(far, dim=1))


class AttentionBlock(nn.Module):
    """1x1 convolution, GELU, I-LKA, 1x1 convolution and a skip, whose place paper and code see differently.

    Paper: first the skip is added, then the second 1x1 convolution acts on the sum. Code: the second 1x1 convolution
    lies inside the attention path, before the addition.
    """

    def __init__(self, channels: int, order: str, inception: bool) -> None:
        super().__init__()
        self.order = order
        self.enter = nn.Conv2d(channels, channels, 1)
        self.attention = InceptionLKA(channels, order, inception)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        attended = self.attention(F.gelu(self.enter(x)))
        return self.leave(x + attended) if self.order == "paper" else x + self.leave(attended)


def deform_conv(x: Tensor, offsets: Tensor, weight: Tensor, modulation: Tensor) -> Tensor:
    """Modulated deformable convolution with stride 1 that keeps the size (DCNv2).

    The same as ``torchvision.ops.deform_conv2d``, which a test holds; the taps are gathered by one `grid_sample`
    because torchvision's kernel is ten times slower on a CPU and cannot be run for several networks at once.

    Parameters
    ----------
    x : Tensor
        ``(B, C, H, W)``.
    offsets : Tensor
        ``(B, 2·k·k, H, W)`` in pixels, (Δy, Δx) of each tap in turn.
    weight : Tensor
        ``(D, C, k, k)``, k odd.
    modulation : Tensor
        ``(B, k·k, H, W)``, the factor on each tap.

    Returns
    -------
    Tensor
        ``(B, D, H, W)``.
    """
    (b, c, h, w), k = x.shape, weight.shape[-1]
    reach = torch.arange(k, dtype=x.dtype, device=x.device) - k // 2
    tap_y, tap_x = (tap.reshape(1, k * k, 1, 1) for tap in torch.meshgrid(reach, reach, indexing="ij"))
    pixel_y = torch.arange(h, dtype=x.dtype, device=x.device)[:, None]
    pixel_x = torch.arange(w, dtype=x.dtype, device=x.device)
    offsets = offsets.reshape(b, k * k, 2, h, w)
    # Coordinates in pixels, brought to [-1, 1] between the centres of the corner pixels.
    y = 2 * (pixel_y + tap_y + offsets[:, :, 0]) / max(h - 1, 1) - 1
    x_ = 2 * (pixel_x + tap_x + offsets[:, :, 1]) / max(w - 1, 1) - 1
    grid = torch.stack([x_, y], dim=-1).reshape(b, k * k * h, w, 2)
    taps = F.grid_sample(x, grid, padding_mode="zeros", align_corners=True).reshape(b, c, k * k, h * w)
    taps = taps * modulation.reshape(b, 1, k * k, h * w)
    return (weight.flatten(1) @ taps.flatten(1, 2)).reshape(b, -1, h, w)


class DeformableConv(nn.Module):
    """3x3 deformable convolution.

    Parameters
    ----------
    channels : int
        Channels in and out.
    size : (int, int) or None
        None: a zero-initialised 3x3 convolution predicts offsets and modulation from the features (DCNv2), so the
        layer starts as a plain convolution at half strength and can follow a border.
        Height and width: the offsets and modulations are free parameters of that size, drawn from U(0, 1) as are
        the weights. This is what the published code does; they know nothing of the picture.
    """

    def __init__(self, channels: int, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        if size is None:
            self.weight = nn.Parameter(nn.Conv2d(channels, channels, 3, bias=False).weight.detach())
            self.predict = nn.Conv2d(channels, 27, 3, padding=1)
            nn.init.zeros_(self.predict.weight)
            nn.init.zeros_(self.predict.bias)
        else:
            self.weight = nn.Parameter(torch.rand(channels, channels, 3, 3))
            self.offsets = nn.Parameter(torch.rand(1, 18, *size))
            self.modulation = nn.Parameter(torch.rand(1, 9, *size))
            self.predict = None

    def forward(self, x: Tensor) -> Tensor:
        if self.predict is None:
            return deform_conv(x, self.offsets, self.weight, self.modulation)
        offsets, modulation = self.predict(x).split([18, 9], dim=1)
        return deform_conv(x, offsets, self.weight, modulation.sigmoid())


class S3Encoder(nn.Module):
    """Picture to cluster logits, with a second head before the deformable convolution.

    Parameters
    ----------
    clusters : int
        K, which is also the number of channels throughout.
    order : {"paper", "code"}
        How I-LKA is put together.
    blocks : int
        N, the attention blocks.
    inception, deformable : bool
        False replaces the module by a plain one (§4.3).
    static : (int, int) or None
        Size of the free offset maps of the published code; None predicts the offsets.
    """

    def __init__(
        self,
        clusters: int = 64,
        order: str = "paper",
        blocks: int = 2,
        inception: bool = True,
        deformable: bool = True,
        static: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(3, clusters, 3, padding=1), batch_norm(clusters))
        self.blocks = nn.Sequential(
            *(nn.Sequential(AttentionBlock(clusters, order, inception), batch_norm(clusters)) for _ in range(blocks))
        )
        deform = DeformableConv(clusters, static) if deformable else nn.Conv2d(clusters, clusters, 3, padding=1)
        self.deform = nn.Sequential(deform, batch_norm(clusters))
        self.head = nn.Sequential(nn.Conv2d(clusters, clusters, 1), batch_norm(clusters))
        self.second_head = nn.Sequential(nn.Conv2d(clusters, clusters, 1), batch_norm(clusters))

    def forward(self, x: Tensor, second_only: bool = False) -> tuple[Tensor, Tensor] | Tensor:
        """Logits S and the second head's logits, each ``(B, K, H, W)``.

        With `second_only` the second head's alone: all that is needed of a moved input.
        """
        features = self.blocks(self.embed(x))
        second = self.second_head(features)
        return second if second_only else (self.head(self.deform(features)), second)

"""SAM-KD: a light network with two heads learns from a ViT teacher and from Segment Anything (Huynh et al. 2025).

The main network says a mask and a signed distance (SDF). Both, fused into one mask prompt, go to SAM together with
learned tokens; SAM's answer teaches the main network on unlabelled pictures (Eq. 2-3). A teacher with the same two
heads on SAM's image encoder teaches it too. What of SAM's side is trained, on labelled pictures alone (Eq. 1), is
small: adapters in the encoder and the decoder psi of the tokens; SAM itself stays as its file has it. Only the main
network predicts and is evaluated.

The paper has no code and fixes hardly more than that. Where it is silent, a default is that of the work it leans on
(KnowSAM for prompts and distillation, DTC for the two heads), and an option:

- **Total loss.** None is printed. Here ``L_sup + beta L_sdf`` for the main network and for the teacher, ``L_sam``,
  ``c(t) L_dtc``, ``lambda(t) L_teacher`` and ``kd L_kd``; c and lambda warm up over the whole training.
- **Fusion** (`prompt`). SAM's mask prompts are logits. So is ``-k sdf``, if ``sigmoid(-k sdf)`` is the mask that a
  distance stands for; "mean" is the mean of the two.
- **The teacher** has a ViT that SAM is to strengthen (§2): here SAM's own adapted encoder is that ViT,
  which costs no second pass.
- **The adapters** are said to be in the decoder; see `tutseg.nets.adapters`.
- **Frozen or tuned?** Section 2.2 tunes adapters, section 2.3 keeps SAM frozen: no gradient of L_kd reaches SAM's side.
- **T** is not printed, and Eq. 3 has no factor T^2; KnowSAM has T = 10 and the factor, so that T does not change how
  much is learned. The loss then nears an eighth of the squared difference of the logits, and SAM's are large: it drowns
  what labels say (``experiments/sam-kd/pilot.yaml``). Hence T = 1, where the factor is 1 as well.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.losses import bce_dice, signed_distance
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, hard_label, ramp_up
from tutseg.methods.distillation.common import PromptableNet, borrow, box_of, surest_click
from tutseg.methods.options import Count, NotNegative, Positive, checked
from tutseg.nets import Output, build
from tutseg.nets.adapters import Adapters

Fusion = Literal["mean", "union", "intersection", "mask", "sdf", "none"]


def fuse(logits: Tensor, sdf: Tensor, k: float, how: Fusion = "mean") -> Tensor | None:
    """The fused mask prompt of section 2.1, in logits and without gradient.

    Parameters
    ----------
    logits, sdf : Tensor
        The main network's two heads, each ``(B, 1, H, W)``; sdf in [-1, 1], below 0 inside.
    k : float
        How sharply a distance becomes a mask, ``sigmoid(-k sdf)``.
    how : {"mean", "union", "intersection", "mask", "sdf", "none"}
        Mean, maximum or minimum of the two logits, one of them alone, or no prompt.
    """
    z, d = logits.detach().float(), -k * sdf.detach().float()
    if how == "none":
        return None
    return {
        "mean": lambda: (z + d) / 2,
        "union": lambda: torch.maximum(z, d),
        "intersection": lambda: torch.minimum(z, d),
        "mask": lambda: z,
        "sdf": lambda: d,
    }[how]()


def distillation(sam: Tensor, main: Tensor, temperature: float, times_t2: bool = True) -> Tensor:
    """SAM-KD Eq. 2-3: ``KL(softmax(q_sam / T) || softmax(q_main / T))``, the mean over pixels.

    A pixel's two classes have the logits (0, z), so its softmax at T is ``sigmoid(z / T)``.

    Parameters
    ----------
    sam, main : Tensor
        Logits ``(B, 1, H, W)``; those of SAM get no gradient.
    temperature : float
        T, > 0.
    times_t2 : bool
        Multiply by T^2, as Hinton et al. do (their gradients then hardly depend on T); Eq. 3 does not say so.
    """
    s, m = sam.detach().float() / temperature, main.float() / temperature
    inside = torch.sigmoid(s) * (F.logsigmoid(s) - F.logsigmoid(m))
    outside = torch.sigmoid(-s) * (F.logsigmoid(-s) - F.logsigmoid(-m))
    return (inside + outside).mean() * (temperature**2 if times_t2 else 1)


def block(c_in: int, c_out: int) -> nn.Sequential:
    """Convolution 3x3, group norm (so that pictures do not mix), GELU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.GroupNorm(1, c_out), nn.GELU())


class Psi(nn.Sequential):
    """psi of section 2.2: SAM's feature map ``(B, D, h, w)`` to prompt tokens ``P_b (B, N_b, D)``.

    KnowSAM's layout, lighter: convolutions with a pooling between, the mean over the map, two linear layers.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__(
            block(width, width),
            nn.MaxPool2d(2, ceil_mode=True),
            block(width, width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, count * width),
            nn.Unflatten(1, (count, width)),
        )


class TwoHeadDecoder(nn.Module):
    """The teacher's part behind the ViT: its map ``(B, D, h, w)``, enlarged twice, to mask and signed distance."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter = max(width // 2, 1), max(width // 4, 1)
        twice = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.up = nn.Sequential(block(width, half), twice, block(half, quarter), twice, block(quarter, quarter))
        self.head, self.sdf = nn.Conv2d(quarter, 1, 1), nn.Conv2d(quarter, 1, 1)

    def forward(self, z: Tensor, size: tuple[int, int]) -> Output:
        """Logits and "sdf", both ``(B, 1, *size)``."""
        x = F.interpolate(self.up(z), size, mode="bilinear", align_corners=False)
        return Output(self.head(x), {"sdf": torch.tanh(self.sdf(x))})


class SAMKD(OneNet):
    """Minimise ``L_sup + L_sam + c(t) L_dtc + lambda(t) L_teacher + kd L_kd``; each part can be switched off.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`; the net has a head "sdf".
    sam : str
        The promptable net that input "sam" holds.
    sdf : bool
        Whether the second head is used at all; without it there is no L_dtc, and the mask alone is the prompt.
    prompt : {"mean", "union", "intersection", "mask", "sdf", "none"}
        See `fuse`.
    tokens : {"psi", "click", "box", "none"}
        What SAM gets beside the mask prompt: learned tokens, a click on the surest pixel, the box of the mask.
    count : int
        N_b, the number of learned tokens.
    adapters : bool
        Train adapters in SAM's encoder.
    teacher : bool
        Have the teacher.
    kd : float
        Weight of L_kd, >= 0.
    temperature : float
        T of Eq. 2.
    times_t2 : bool
        See `distillation`.
    beta : float
        Weight of the signed distance beside the mask, wherever both are learned, >= 0; DTC's.
    weight : float
        lambda at the end of training, >= 0.
    consistency : float
        c at the end of training, >= 0; DTC's.
    k : float
        See `fuse`; of L_dtc too. DTC's own 1500 leaves hardly a pixel with a gradient.
    inputs : mapping
        "sam": its weights. None to predict.
    """

    needs = ("sdf",)
    roles = ("sam",)
    borrowed = ("sam",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        sam: PromptableNet = "sam-s",
        sdf: bool = True,
        prompt: Fusion = "mean",
        tokens: Literal["psi", "click", "box", "none"] = "psi",
        count: Count = 2,
        adapters: bool = True,
        teacher: bool = True,
        kd: NotNegative = 1.0,
        temperature: Positive = 1.0,
        times_t2: bool = True,
        beta: NotNegative = 0.3,
        weight: NotNegative = 0.1,
        consistency: NotNegative = 1.0,
        k: Positive = 10.0,
        inputs: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        self.use_sdf, self.prompt, self.tokens = sdf, prompt if sdf or prompt == "none" else "mask", tokens
        self.kd, self.temperature, self.times_t2 = kd, temperature, times_t2
        self.beta, self.weight, self.consistency, self.k = beta if sdf else 0.0, weight, consistency, k
        with torch.device("meta"):  # for its sizes: to predict, no SAM is made
            shape = build(sam, size)
            width = shape.embed(torch.zeros(1, 3, size, size)).shape[1]
        self.adapters = Adapters(shape) if adapters else None
        self.psi = Psi(width, count) if tokens == "psi" else None
        self.teacher = TwoHeadDecoder(width) if teacher else None
        if inputs:
            self.sam = borrow(sam, size, inputs["sam"])

    def see(self, images: Tensor) -> Tensor:
        """SAM's feature map Z ``(B, D, h, w)`` of images, by its adapted encoder."""
        with self.adapters.on(self.sam) if self.adapters is not None else nullcontext():
            return self.sam.embed(images)

    def ask(self, z: Tensor, out: Output) -> Tensor:
        """``F_s(P_b, Y_f)`` of section 2.2: SAM's logits ``(B, 1, H, W)`` for maps Z and the main net's output."""
        told = {"mask_logits": fuse(out.logits, out.heads["sdf"], self.k, self.prompt)}
        if self.psi is not None:
            told["tokens"] = self.psi(z)
        elif self.tokens == "click":
            told["points"] = surest_click(out.logits.detach().float())
        elif self.tokens == "box":
            told["boxes"] = box_of(hard_label(out.logits).float())
        return self.sam.decode(z, **told).logits

    def both_heads(self, name: str, out: Output, mask: Tensor, sdf: Tensor) -> dict[str, Tensor]:
        """What mask and signed distance of `out` lack to those given, as two terms."""
        terms = {name: bce_dice(out.logits, mask)}
        if self.use_sdf:
            terms[f"{name}_sdf"] = self.beta * F.mse_loss(out.heads["sdf"].float(), sdf)
        return terms

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """All terms of one step, for the trial's batch of labelled and unlabelled pictures."""
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        both = self.net(torch.cat([x, x_u]))
        labelled, unlabelled = both.split([len(x), len(x_u)])
        phi, ramp = signed_distance(y), self.weights(progress)
        terms = self.both_heads("sup", labelled, y, phi)
        if self.use_sdf:  # the two tasks agree, on all pictures
            meant = torch.sigmoid(-self.k * both.heads["sdf"].float())
            terms["dtc"] = ramp["dtc"] * F.mse_loss(meant, torch.sigmoid(both.logits.float()))

        seen = self.see(x)
        if self.psi is not None or self.adapters is not None:
            terms["sam"] = bce_dice(self.ask(seen, labelled), y)  # Eq. 1
        with torch.no_grad():  # on unlabelled pictures SAM's side teaches and does not learn
            seen_u = self.see(x_u)
            answer = self.ask(seen_u, unlabelled)
        terms["kd"] = self.kd * distillation(answer, unlabelled.logits, self.temperature, self.times_t2)  # Eq. 3

        if self.teacher is not None:
            terms |= self.both_heads("teacher", self.teacher(seen, x.shape[-2:]), y, phi)
            with torch.no_grad():
                pseudo = self.teacher(seen_u, x.shape[-2:])
            taught = self.both_heads("taught", unlabelled, hard_label(pseudo.logits), pseudo.heads["sdf"].float())
            terms |= {name: ramp["taught"] * term for name, term in taught.items()}
        return terms

    def weights(self, progress: Progress) -> dict[str, float]:
        """c(t) of the two tasks' agreement and lambda(t) of what the teacher says."""
        ramp = ramp_up(progress.fraction)
        return {"dtc": self.consistency * ramp, "taught": self.weight * ramp}

"""SSGNet (Ma et al., BMVC 2025), the segmentation half: one round of section 3.4.

A network that was trained before labels pictures without masks, drawn by a generator (Eq. 5, in later rounds Eq. 6); a
fresh one learns from these and from the real ones together, ``D_aug = D_train + D_pseudo``. A trial is one round. Its
input "labeller" is the round before, or supervised training with the same loss: round 0. Every round begins with the
same weights and takes the same number of steps, so real pictures are met the less often the more are drawn.

Deviations from the authors' code
---------------------------------
- Same steps in all rounds, as their t-vMF script has it by stopping at an iteration; their VM-UNet one counts epochs,
  and so trains several times as long with the drawn pictures as without.
- The round is chosen on the validation part, or all are shown; the paper shows the best of its table on test pictures.
- One foreground logit; the t-vMF network of theirs has two channels and a softmax, which is the same function.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from tutseg.data import DRAWN, open_source
from tutseg.data.loader import Pictures, load_pictures
from tutseg.errors import InputError
from tutseg.methods.base import frozen
from tutseg.methods.co_training.supervised import Supervised
from tutseg.methods.options import Confidence, Count, checked
from tutseg.methods.t_vmf import Kappa


class SSGNet(Supervised):
    """Supervised training on real pictures and on others that a frozen network has labelled.

    Parameters
    ----------
    net, size, pretrained, loss, kappa
        See `Supervised`; the labeller is of the same net.
    round : int
        Which round it is, 1 behind supervised training. It changes no number: the labeller does.
    source : {"generated", "unlabelled", "dermoscopy", "lung-ct", "endoscopy"}
        What is labelled: pictures of a generator (input "generated"), or as a control real ones without masks. Or, as
        another control, scenes of that kind that `Synth` draws, with the masks they were drawn with.
    count : int
        How many of them, the first; None for all. Scenes are drawn by number.
    confidence : float
        Only pictures of which the labeller is as sure as this, the mean over pixels of ``max(p, 1 - p)``; 0.5 for all,
        as in the paper.
    balanced : bool
        Repeat the real pictures until they are as many as the others, instead of joining both as they are.
    shuffled : bool
        Control: each picture has the next one's label.
    exact : bool
        Control, on source "unlabelled": the true masks in the place of the labeller's. Of drawn scenes it is what
        pictures with exact masks are worth, of real ones a leak.
    inputs : mapping
        "labeller": a finished trial of one net. None to predict.
    """

    roles = ("labeller",)
    reads = ("generated",)
    borrowed = ("labeller",)
    leaks: ClassVar = ("exact",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        loss: Literal["bce-dice", "t-vmf"] = "bce-dice",
        kappa: Kappa = "validation",
        round: Count = 1,
        source: Literal["generated", "unlabelled", "dermoscopy", "lung-ct", "endoscopy"] = "generated",
        count: Count | None = None,
        confidence: Confidence = 0.5,
        balanced: bool = False,
        shuffled: bool = False,
        exact: bool = False,
        inputs: Mapping[str, Path] | None = None,
    ) -> None:
        if exact and source != "unlabelled":
            raise InputError("method ssgnet: exact is for unlabelled pictures", "give -o source=unlabelled")
        self.scenes = source not in ("generated", "unlabelled")
        if self.scenes and not count:
            raise InputError("method ssgnet: of drawn scenes there is no end", "say how many: -o count=400")
        super().__init__(net, size, pretrained, loss=loss, kappa=kappa)  # before the labeller: the start of round 0
        self.source, self.count, self.confidence = source, count, confidence
        self.balanced, self.shuffled, self.exact = balanced, shuffled, exact
        self.labeller = frozen(self.make_net(net, size), inputs["labeller"], "net") if inputs else None

    def prepare(self, train: Any, validation: Pictures) -> Any:
        """``D_aug`` in the place of the labelled pictures (section 3.4)."""
        train = super().prepare(train, validation)
        pictures = self._drawn(train) if self.scenes else getattr(train, self.source) or ()
        if self.exact and pictures:
            pictures = pictures.outlined()
        if len(pictures) < (self.count or 1):
            remedy = "pin a generator: --input generated=ID" if self.source == "generated" else "label fewer"
            raise InputError(
                f"method ssgnet wants {self.count or 'some'} {self.source} pictures and gets {len(pictures)}", remedy
            )
        pictures = pictures.take(range(self.count or len(pictures)))
        if not self.exact and not self.scenes:
            probability = self.label(pictures)
            sure = torch.maximum(probability, 1 - probability).mean((1, 2, 3)) >= self.confidence
            at = sure.nonzero().flatten().tolist()
            if not at:
                raise InputError(f"of no picture is the labeller as sure as {self.confidence}", "lower confidence")
            pictures = replace(pictures, masks=(probability >= 0.5).byte()).take(at)
        if self.shuffled:
            pictures = replace(pictures, masks=pictures.masks.roll(1, 0))
        real = train.labelled
        if self.balanced:
            real = real.take([k % len(real) for k in range(len(pictures))])
        return replace(train, labelled=real.joined(pictures), unlabelled=None, generated=None)

    def _drawn(self, train: Any) -> Pictures:
        """`count` drawn scenes at the size of the real pictures, with their masks; they must not be the data itself."""
        if train.labelled.name in DRAWN:
            raise InputError(
                "method ssgnet: the data are drawn scenes already", "give -o source=unlabelled -o exact=true"
            )
        images = train.labelled.images
        scenes = open_source("synth", kind=self.source, n=self.count, size=images.shape[-1])
        return load_pictures(scenes, images.shape[-1]).to(images.device)

    @torch.no_grad()
    def label(self, pictures: Pictures) -> Tensor:
        """Eq. 5: the labeller's probability of each picture ``(N, 1, S, S)``."""
        self.labeller.to(pictures.images.device)
        found = [self.labeller(pictures.floats(at)[0]).logits for at in torch.arange(len(pictures)).split(64)]
        return torch.sigmoid(torch.cat(found).float())

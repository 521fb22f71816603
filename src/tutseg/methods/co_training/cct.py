"""CCT: cross-consistency training (Ouali et al., CVPR 2020).

One encoder, one main decoder, several auxiliary decoders. The auxiliary ones see perturbed encoder outputs of
unlabelled pictures and must agree with the main one, which itself learns from labelled pictures alone.

Deviations from the authors' code
---------------------------------
- 3 auxiliary decoders for their 30 (`copies` makes more), from three of their seven perturbations: those that need no
  second pass over the decoder and no guess at the object's place (feature noise, spatial dropout, feature drop).
- Every map that the decoder sees is perturbed. The authors' decoder sees one map; here a skip connection left clean
  would carry the picture past the perturbation.
- An auxiliary decoder is as large as the main one; theirs is a few sub-pixel convolutions.
- The supervised loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; theirs is an annealed cross-entropy.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, ramp_up
from tutseg.methods.options import Count, NotNegative, SomeShare, checked


def feature_noise(z: Tensor) -> Tensor:
    """``z + z N`` with ``N ~ U(-0.3, 0.3)``, one draw ``(C, h, w)`` shared by the batch, as in the authors' code."""
    return z + z * torch.empty(z.shape[1:], dtype=z.dtype, device=z.device).uniform_(-0.3, 0.3)


def spatial_dropout(z: Tensor) -> Tensor:
    """Half of the channels dropped, those kept doubled."""
    return F.dropout2d(z, 0.5)


def feature_drop(z: Tensor) -> Tensor:
    """The most active places dropped: what is kept has a channel mean below ``U(0.7, 0.9)`` of the picture's largest.

    Parameters
    ----------
    z : Tensor
        Features ``(B, C, h, w)``.
    """
    attention = z.mean(1, keepdim=True)
    threshold = attention.amax((2, 3), keepdim=True) * torch.empty((), device=z.device).uniform_(0.7, 0.9)
    return z * (attention < threshold)


PERTURBATIONS: tuple[Callable[[Tensor], Tensor], ...] = (feature_noise, spatial_dropout, feature_drop)


class CCT(OneNet):
    """Minimise ``L_sup + w(t) mean_k MSE(p_k, sg(p_main))`` over the auxiliary decoders k.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    weight : float
        End of the ramp of w, >= 0; the authors' 30.
    ramp : float
        Share of training over which w grows, in (0, 1].
    copies : int
        Auxiliary decoders for each of the three perturbations; the authors have 6.
    """

    needs = ("encode",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        weight: NotNegative = 30.0,
        ramp: SomeShare = 0.1,
        copies: Count = 1,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        self.auxiliary = nn.ModuleList(self.make_net(net, size) for _ in range(copies * len(PERTURBATIONS)))
        for decoder in self.auxiliary:
            decoder.encoder = nn.Identity()  # a net of which only the decoder is wanted
        self.weight, self.ramp = weight, ramp

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised term of the main decoder, consistency term of the auxiliary ones."""
        x, y, x_w = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        maps = self.net.encode(torch.cat([x, x_w]))
        labelled, main = self.net.decode(maps).logits.split([len(x), len(x_w)])
        target = torch.sigmoid(main.detach().float())
        errors = []
        for k, decoder in enumerate(self.auxiliary):
            perturb = PERTURBATIONS[k % len(PERTURBATIONS)]
            logits = decoder.decode([perturb(z[len(x) :]) for z in maps]).logits
            errors.append(F.mse_loss(torch.sigmoid(logits.float()), target))
        return {
            "sup": bce_dice(labelled, y),
            "cons": self.weights(progress)["cons"] * torch.stack(errors).mean(),
        }

    def weights(self, progress: Progress) -> dict[str, float]:
        """w(t), by the warm-up of Laine and Aila over the first `ramp` of training."""
        return {"cons": self.weight * ramp_up(progress.fraction / self.ramp)}

"""MW-Net: meta-weight-net (Shu et al., NeurIPS 2019). A small network V says from its loss what a sample weighs.

V is trained so that a virtual step with its weights lowers the loss on clean data. DALE, in its place, gives each pixel
a free weight. In its comparison nothing is known to be clean, so here the clean data are the non-fuzzy patches of the
same batch (`regions`), as in DALE.

Deviations from the authors' code
---------------------------------
- The gradient of the weights is one forward-mode derivative (`tutseg.methods.step.influence`), exact, in place of a
  second backward pass through the virtual step.
- A sample is a pixel, and what V sees of it is its BCE; V's aim on clean pixels and the network's weighted loss are
  BCE and Dice, as for every method here. Theirs is cross entropy of a whole picture.
- The clean set is that above; theirs are a thousand pictures with checked labels.
- Optimiser and schedule are the trial's for the network, and for V unless the trial gives its group "weigher" others.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tutseg.losses import bce_dice, edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet
from tutseg.methods.noisy_labels.regions import check_patch, fuzziness
from tutseg.methods.options import Count, Several, Share, checked
from tutseg.methods.step import Stepper, influence
from tutseg.nets import Output


class MWNet(OneNet):
    """Weigh the loss by V, and teach V what a step with its weights does for clean pixels (MW-Net Eq. 3-5).

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    level : {"pixel", "picture"}
        What a sample is.
    hidden : int
        Units of V's one hidden layer.
    patch, tau, bins
        Clean is what DALE calls non-fuzzy; see `regions.fuzziness`.
    """

    streams: ClassVar = {"labelled": 0}

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        level: Literal["pixel", "picture"] = "pixel",
        hidden: Count = 100,
        patch: Several = 16,
        tau: Share = 0.9,
        bins: Several = 256,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        check_patch(size, patch)
        self.weigher = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())
        self.level, self.patch, self.tau, self.bins = level, patch, tau, bins

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The network, and V."""
        return {"net": self.net.parameters(), "weigher": self.weigher.parameters()}

    def weigh(self, losses: Tensor) -> Tensor:
        """V of each sample's loss; the shape stays, values in (0, 1)."""
        return self.weigher(losses.detach().unsqueeze(-1)).squeeze(-1)

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """One step of V, then one of the network with the weights that V now gives."""
        images, masks = batch["labelled"].image, batch["labelled"].mask
        clear = (fuzziness(images, masks, self.patch, bins=self.bins) <= self.tau).float()

        def samples(net: Callable[..., Output]) -> Tensor:
            loss = binary_cross_entropy_with_logits(net(images).logits.float(), masks, reduction="none")
            return loss if self.level == "pixel" else loss.mean((1, 2, 3), keepdim=True)

        out = self.net(images)
        loss = samples(lambda _: out).detach()
        weight = self.weigh(loss)
        clean = lambda net: net(images).supervise(lambda logits: bce_dice(logits, masks, clear))
        slope, _ = influence(self.net, step.rate("net"), weight.detach(), samples, clean)
        step({"meta": (slope * weight).sum()}, "weigher")
        with torch.no_grad():
            weight = self.weigh(loss)
        weighted = lambda logits: bce_dice(logits, masks, weight.expand_as(masks))
        terms = step({"sup": out.supervise(weighted), **edge_points(out.heads, masks)}, "net")
        return terms | {"weight mean": weight.mean(), "weight of large loss": weight.flatten()[loss.argmax()]}

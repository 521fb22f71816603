"""GCE: generalised cross-entropy (Zhang and Sabuncu, NeurIPS 2018), between cross-entropy and mean absolute error.

A pixel's gradient is that of cross-entropy times p_y^q, so what the network holds to be wrong hardly pulls. DALE names
no `q`; .7 is the authors' own.

Deviations from the authors' code
---------------------------------
- The sample is a pixel, not a picture.
- Truncation looks at the network as it is at this step; theirs prunes from a copy, renewed every ten epochs.
- There is no Dice term, which would pull at doubted pixels again.
"""

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from tutseg.losses import edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet
from tutseg.methods.options import PartShare, SomeShare, checked


def generalised(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """``L_q = (1 - p_y^q) / q`` of each pixel (GCE Eq. 6), `p_y` the probability of its label; shape of `logits`.

    Cross-entropy in the limit q -> 0, mean absolute error at q = 1.
    """
    log_p = -binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return (1 - (q * log_p).exp()) / q


class GCE(OneNet):
    """Minimise the mean of `L_q`.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    q : float
        See `generalised`.
    truncate : bool
        Late in training, leave out pixels whose label has a probability of at most .5 (the paper's k).
    start : float
        Share of the training before truncation; the authors begin after 40 of 120 epochs.
    """

    streams: ClassVar = {"labelled": 0}

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        q: SomeShare = 0.7,
        truncate: bool = False,
        start: PartShare = 1 / 3,
    ) -> None:
        super().__init__()
        self.net, self.q, self.truncate, self.start = self.make_net(net, size, pretrained), q, truncate, start

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """The (truncated) mean of `L_q`, GCE Eq. 6 and 9."""
        labelled = batch["labelled"]
        late = self.truncate and progress.fraction >= self.start

        def mean(logits: Tensor) -> Tensor:
            loss = generalised(logits, labelled.mask, self.q)
            return (loss * (loss.detach() < (1 - 0.5**self.q) / self.q) if late else loss).mean()

        out = self.net(labelled.image)
        return {"sup": out.supervise(mean), **edge_points(out.heads, labelled.mask)}

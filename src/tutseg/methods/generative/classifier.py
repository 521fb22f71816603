"""SSGNet's classifier: a network told apart by cross-entropy what class a picture is of, real or drawn.

Section 3.2 trains ResNet-50 by Eq. 2, binary cross-entropy; with two logits that is the cross-entropy of their softmax,
which serves any number of classes. Each class has a generator of its own, so what it draws is labelled by design, and
there are no pseudo-labels: drawn pictures join the real ones.

Table 4's settings are one option, `extra`: none (Original), 0 (Balanced Train), 0.2 and 0.5 (+20 % and +50 % of the
balanced class size).

Deviations from the authors' code
---------------------------------
- As many steps in every setting; there an epoch grows with the pictures that are added.
- All layers learn; there all but the last two of ResNet-50 are frozen, under a head of 128 million weights (from 2048
  features at each of 7 x 7 places to 50,176, then 500, 200 and 50).
- AdamW with a cosine; there Adam at 0.005, cut to a tenth where validation stalls.
- Weights are the last ones; what stopping early by validation gives is measured beside them.
"""

from dataclasses import replace
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.methods.base import Batch, Method, Progress
from tutseg.methods.options import NotNegative, Several, checked
from tutseg.nets import build


class Classifier(Method):
    """Cross-entropy (SSGNet Eq. 2) with the labels of real pictures, and of drawn ones beside them.

    Parameters
    ----------
    net : str
        Name of the network.
    size : int
        Input height and width in pixels.
    pretrained : bool
        Start from ImageNet weights, all but the last layer.
    classes : int
        How many there are.
    extra : float or None
        None: real pictures alone. Else so many drawn ones are added that each class has ``1 + extra`` times as many
        pictures as the largest class has real ones; inputs ``generated-CLASS`` name the generators.
    leaky : bool
        Take drawn pictures also from generators that were shown the test pictures.
    """

    streams: ClassVar = {"labelled": 0}
    needs: ClassVar = ("classify",)
    reads: ClassVar = ("generated-CLASS",)
    leaks: ClassVar = ("leaky",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        classes: Several = 2,
        extra: NotNegative | None = None,
        leaky: bool = False,
    ) -> None:
        super().__init__()
        self.net = build(net, size, pretrained, classes=classes)
        self.classes, self.extra, self.leaky = classes, extra, leaky

    def prepare(self, train: Any, validation: Pictures) -> Any:
        """``D_aug = D_train + D_gen`` (section 3.1): as many drawn pictures of each class as `extra` asks for.

        Raises
        ------
        InputError
            Too few were drawn of a class, or there are drawn pictures and no `extra`, or the other way round.
        """
        real, drawn = train.labelled, train.generated
        if self.extra is None:
            if drawn:
                raise InputError("no option says how many generated pictures to add", "give -o extra=0, or more")
            return train
        if not drawn:
            raise InputError(f"extra is {self.extra:g}, and there is no generator", "give --input generated-CLASS=ID")
        counts, taken = real.counts(), []
        wanted = round((1 + self.extra) * max(counts))
        for k, name in enumerate(real.classes):
            own, lacking = (drawn.labels == k).nonzero().flatten().tolist(), wanted - counts[k]
            if len(own) < lacking:
                raise InputError(
                    f"class {name} wants {lacking} generated pictures, its generator has drawn {len(own)}",
                    f"draw more (--pictures {lacking}), or give a smaller extra",
                )
            taken += own[:lacking]
        return replace(train, labelled=real.joined(drawn.take(taken)), generated=None)

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """SSGNet Eq. 2 of one step."""
        return {"ce": F.cross_entropy(self.net(batch["labelled"].image).logits.float(), batch["labelled"].label)}

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """The probability of each class, ``(B, classes)``."""
        return self.net(images).logits.float().softmax(1)

"""What every method shares: its batch, its clock, and the contract that the training loop relies on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from tutseg.nets import build


@dataclass(frozen=True)
class Progress:
    """Where training stands; all schedules are functions of it.

    Parameters
    ----------
    step : int
        Steps done before this one, from 0.
    steps : int
        Steps of the whole training.
    steps_per_epoch : int
        Steps in one pass over the unlabelled pictures (over the labelled ones where a method uses no others).
    """

    step: int
    steps: int
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """Share of training done, in [0, 1): the papers' t/T."""
        return self.step / self.steps


STREAMS = ("labelled", "unlabelled", "clean", "generated")


@dataclass
class Views:
    """The pictures that a stream gives one step, on the training device.

    Parameters
    ----------
    image : Tensor
        Weakly augmented (`X_w`), float32 ``(B, 3, H, W)``.
    mask : Tensor or None
        float32 in {0, 1}, ``(B, 1, H, W)``; None where training may see none, as in the stream "unlabelled".
    label : Tensor or None
        The pictures' classes, int64 ``(B,)``.
    strong : list of Tensor
        As many strong views of `image` (`X_s`) as the method asks for, each ``(B, 3, H, W)``; same geometry as `image`.
    """

    image: Tensor
    mask: Tensor | None = None
    label: Tensor | None = None
    strong: list[Tensor] = field(default_factory=list)


Batch = Mapping[str, Views]  # one step's pictures: a stream's name, one of `STREAMS`, and what it gives


class Method(nn.Module):
    """How networks learn. A subclass sets its networks in ``__init__`` and writes `losses` and `predict`.

    Class attributes
    ----------------
    streams : which of `STREAMS` a batch carries, and how many strong views of each.
    views : names `predict` accepts; the first is the default, and what the paper evaluates is named in the file.
    needs : what its network must give beyond logits, as `tutseg.nets.cards.NetCard.gives` names it.
    """

    streams: ClassVar[Mapping[str, int]] = {"labelled": 0, "unlabelled": 0}
    views: ClassVar[tuple[str, ...]] = ("net",)
    needs: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def make_net(net: str, size: int, pretrained: bool = False) -> nn.Module:
        """One freshly initialised network (draws from torch's global generator)."""
        return build(net, size, pretrained=pretrained)

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Named, weighted scalar terms; their sum is what is minimised."""
        raise NotImplementedError(f"{type(self).__name__} overrides update and has no single loss")

    def optimizers(self, lr: float, weight_decay: float) -> list[torch.optim.Optimizer]:
        """AdamW over all parameters; AdamW is per parameter, so one for two networks equals one each."""
        return [torch.optim.AdamW(self.parameters(), lr=lr, weight_decay=weight_decay)]

    def update(
        self,
        batch: Batch,
        optimizers: list[torch.optim.Optimizer],
        progress: Progress,
        backward=Tensor.backward,
    ) -> dict[str, Tensor]:
        """One training step; returns the detached loss terms and the weights in force.

        `backward` is Fabric's, so that precision and devices are its affair.
        """
        terms = self.losses(batch, progress)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        backward(sum(terms.values()))
        for optimizer in optimizers:
            optimizer.step()
        return {name: term.detach() for name, term in terms.items()}

    def weights(self, progress: Progress) -> dict[str, float]:
        """The weight of each unsupervised term at this step, for the log."""
        return {}

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """Foreground probability ``(B, 1, H, W)`` of images ``(B, 3, H, W)``, by the named view."""
        raise NotImplementedError

    def features(self, images: Tensor) -> list[Tensor]:
        """Bottleneck features of each network, ``(B, C, h, w)``."""
        raise NotImplementedError

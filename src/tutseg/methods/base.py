"""What every method shares: its batch, its clock, and the contract that the training loop relies on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from tutseg.data.loader import Pictures
from tutseg.methods.step import Stepper
from tutseg.nets import build
from tutseg.weights import load_into, tensors_of


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
        float32 in {0, 1}, ``(B, 1, H, W)``; None where training may see none, as in the stream "unlabelled" (but for
        a method's `leaks`).
    label : Tensor or None
        The pictures' classes, int64 ``(B,)``.
    strong : list of Tensor
        As many strong views of `image` (`X_s`) as the method asks for, each ``(B, 3, H, W)``; same geometry as `image`.
    """

    image: Tensor
    mask: Tensor | None = None
    label: Tensor | None = None
    strong: list[Tensor] = field(default_factory=list)


# One step's pictures: a stream's name, one of `STREAMS`, and what it gives; beside them perhaps "partners".
Batch = Mapping[str, Views]


def frozen(net: nn.Module, file: Path, part: str = "") -> nn.Module:
    """`net` with the weights of a file, without gradient and in evaluation mode: a network to borrow.

    Parameters
    ----------
    net : nn.Module
        Of the file's network.
    file : Path
        Tensors by name, as a trial or a publisher writes them.
    part : str
        Take only the tensors below this name: "net" is the network of a finished trial of a method with one.

    Raises
    ------
    InputError
        The file cannot be read, or belongs to another network.
    """
    tensors = tensors_of(file)
    if part:
        tensors = {name[len(part) + 1 :]: t for name, t in tensors.items() if name.startswith(f"{part}.")}
    load_into(net, tensors, file, "pin the weights of the network that the method borrows")
    return net.requires_grad_(False).eval()


class Method(nn.Module):
    """How networks learn. A subclass sets its networks in ``__init__`` and writes `losses` and `predict`.

    Class attributes
    ----------------
    streams : which of `STREAMS` a batch carries, and how many strong views of each.
    partners : strong views of as many unlabelled pictures again, drawn apart, that a batch carries as "partners" for
        pasting one picture into another; None for no such draw.
    views : names `predict` accepts; the first is the default, and what the paper evaluates is named in the file.
    needs : what its network must give beyond logits, as `tutseg.nets.cards.NetCard.gives` names it.
    roles : the trial's `inputs` that it reads. Its ``__init__`` then has ``inputs=None``: role -> weights file, and
        None where the method is built to predict.
    borrowed : attributes that hold `frozen` networks of such files. They are neither trained nor saved, and not there
        where the method is built to predict, so that a finished run does without the files.
    settings : optimiser settings of its parameter groups that hold unless the trial says otherwise.
    reads : further `inputs` that a trial may give it, pictures that `prepare` puts to use: "generated", or of one class
        "generated-CLASS".
    leaks : options that are a published code's leak: with one of them true, training hands over the masks of
        unlabelled pictures, and takes drawn ones of generators that were shown the test part, so that what the leak is
        worth can be measured.
    """

    streams: ClassVar[Mapping[str, int]] = {"labelled": 0, "unlabelled": 0}
    partners: ClassVar[int | None] = None
    views: ClassVar[tuple[str, ...]] = ("net",)
    needs: ClassVar[tuple[str, ...]] = ()
    roles: ClassVar[tuple[str, ...]] = ()
    borrowed: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    reads: ClassVar[tuple[str, ...]] = ()
    leaks: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def make_net(net: str, size: int, pretrained: bool = False) -> nn.Module:
        """One freshly initialised network (draws from torch's global generator)."""
        return build(net, size, pretrained=pretrained)

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The parameters that are trained, in groups to which a trial may give optimisers and rates of their own."""
        return {"all": [p for name, p in self.named_parameters() if not self._lent(name)]}

    def _lent(self, name: str) -> bool:
        """Whether a tensor belongs to a borrowed network."""
        return name.split(".")[0] in self.borrowed

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Tensor]:
        """The method's own tensors; what is borrowed is left out."""
        state = super().state_dict(*args, **options)
        for name in [name for name in state if self._lent(name)]:
            del state[name]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *args: Any, **options: Any) -> Any:
        """Load what `state_dict` gave; what is borrowed stays."""
        lent = {name: tensor for name, tensor in super().state_dict().items() if self._lent(name)}
        return super().load_state_dict({**state_dict, **lent}, *args, **options)

    def train(self, mode: bool = True) -> "Method":
        """Training or evaluation mode; what is borrowed stays in evaluation mode."""
        super().train(mode)
        for name in self.borrowed:
            if (net := getattr(self, name, None)) is not None:
                net.eval()
        return self

    def prepare(self, train: Any, validation: Pictures) -> Any:
        """What the method learns from, made of the training set once before the first step; here it is left as it is.

        Parameters
        ----------
        train : tutseg.training.fit.TrainingSet
            What training may see, on the device.
        validation : Pictures
            The validation part, perhaps empty. A method may set something by its score, as the published t-vMF loss
            does; its pictures are not to be learned from.
        """
        return train

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Named, weighted scalar terms; their sum is what is minimised."""
        raise NotImplementedError(f"{type(self).__name__} overrides update and has no single loss")

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """One training step; returns the detached loss terms.

        The common case is one optimiser step on `losses`. A method that takes several, or virtual ones, overrides this.
        """
        return step(self.losses(batch, progress))

    def weights(self, progress: Progress) -> dict[str, float]:
        """The weight of each unsupervised term at this step, for the log."""
        return {}

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """Foreground probability ``(B, 1, H, W)`` of images ``(B, 3, H, W)``, by the named view.

        Of a classifier, the probability of each class ``(B, classes)``.
        """
        raise NotImplementedError

    def sample(self, seed: int, psi: float = 1.0) -> Tensor:
        """Of a generator: one picture ``(3, S, S)`` in [0, 1], which follows from the weights and from `seed`.

        With ``psi < 1`` it is nearer to the typical picture (truncation).
        """
        raise NotImplementedError

    def doubts(self, images: Tensor, masks: Tensor, rate: float) -> dict[str, Tensor]:
        """What the method has of its own to say of which labels are wrong; leaves its networks as they are.

        Parameters
        ----------
        images, masks : Tensor
            A batch as in training, ``(B, 3, H, W)`` and ``(B, 1, H, W)``.
        rate : float
            The trial's learning rate.

        Returns
        -------
        dict
            Name -> ``(B, 1, H, W)``: the more, the less the pixel's label is believed. Their worth is measured where
            label noise is known, beside that of the plain loss.
        """
        return {}

    def features(self, images: Tensor) -> list[Tensor]:
        """Bottleneck features of each network, ``(B, C, h, w)``."""
        raise NotImplementedError

"""Pictures for tests of methods (dark ellipses on a light ground), and two nets small enough to train in a second."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from tutseg import nets
from tutseg.data.loader import Pictures
from tutseg.methods.base import Batch, Method, Views
from tutseg.methods.step import Stepper
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder


def register_tiny(monkeypatch) -> None:
    """Make "tiny", a U-Net of width 4, and "groupnorm", a net without batch statistics, known for one test."""
    card = nets.CARDS["unet-s"]
    monkeypatch.setitem(nets.CARDS, "tiny", replace(card, name="tiny", options={"width": 4}))
    monkeypatch.setitem(nets.CARDS, "groupnorm", replace(card, name="groupnorm", module=__name__, stride=4, options={}))


class GroupNormNet(EncoderDecoder):
    """Two levels, one skip; what it says of a picture does not depend on the other pictures of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=s, padding=1), nn.GroupNorm(2, b), nn.Tanh())
            for a, b, s in ((3, 4, 1), (4, 8, 4))
        )
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=4)
        self.decoder = nn.Sequential(nn.Conv2d(8, 6, 3, padding=1), nn.GroupNorm(2, 6), nn.Tanh())
        self.head = nn.Conv2d(6, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        fine = self.encoder[0](images)
        return [fine, self.encoder[1](fine)]

    def join(self, features: list[Tensor]) -> Tensor:
        fine, coarse = features
        return torch.cat([fine, self.up(coarse)], dim=1)

    def finish(self, joined: Tensor) -> Output:
        decoded = self.decoder(joined)
        return Output(self.head(decoded), decoded=decoded)


def build(in_size: int) -> GroupNormNet:
    """What `tutseg.nets.build` calls for "groupnorm"."""
    return GroupNormNet()


def stepper(method: Method, lr: float = 1e-3, weight_decay: float = 0.01) -> Stepper:
    """What `fit` makes for a trial that says nothing of its parameter groups: AdamW for each."""
    return Stepper({name: AdamW(own, lr=lr, weight_decay=weight_decay) for name, own in method.groups().items()})


def ellipses(count: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(count, 3, size, size)`` in [0, 1] and masks ``(count, 1, size, size)`` in {0, 1}."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    centre = torch.rand(count, 2, 1, 1, generator=draw) * 0.6 - 0.3
    radius = torch.rand(count, 2, 1, 1, generator=draw) * 0.3 + 0.3
    distance = ((x - centre[:, 0]) / radius[:, 0]) ** 2 + ((y - centre[:, 1]) / radius[:, 1]) ** 2
    mask = (distance <= 1).float().unsqueeze(1)
    image = 0.8 - 0.5 * mask + 0.05 * torch.randn(count, 3, size, size, generator=draw)
    return image.clamp(0, 1), mask


def drawn_pictures(count: int, seed: int, size: int = 32) -> Pictures:
    """`ellipses` as a data set with masks."""
    image, mask = ellipses(count, size, seed)
    ids = tuple(f"{seed}-{i}" for i in range(count))
    return Pictures((image * 255).byte(), ids, ids, "ellipses", mask.byte(), mask.byte())


def darkened(image: Tensor, views: int) -> list[Tensor]:
    """As many strong views, each darkened differently."""
    return [(image * (0.8 - 0.2 * k)).clamp(0, 1) for k in range(views)]


def drawn_batch(
    labelled: int, unlabelled: int, size: int, views: int, seed: int = 0, partners: int | None = None
) -> Batch:
    """A batch whose strong views are the weak ones, darkened; no stream of no unlabelled pictures."""
    image, mask = ellipses(labelled, size, seed)
    weak, _ = ellipses(unlabelled, size, seed + 1000)
    batch = {"labelled": Views(image, mask)}
    if unlabelled:
        batch["unlabelled"] = Views(weak, strong=darkened(weak, views))
    if partners is not None:
        other, _ = ellipses(unlabelled, size, seed + 2000)
        batch["partners"] = Views(other, strong=darkened(other, partners))
    return batch

"""Pictures for tests of methods (dark ellipses on a light ground), and nets small enough to train in a second."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW

from tutseg import nets
from tutseg.data.loader import Pictures
from tutseg.methods import build_method, method_class
from tutseg.methods.base import Batch, Method, Views
from tutseg.methods.generative.equivariance import warmed
from tutseg.methods.step import Stepper
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder
from tutseg.nets.sam import VARIANTS, Sam, Variant, make_sam
from tutseg.nets.stylegan3 import Generator
from tutseg.nets.two_heads import SDFHead
from tutseg.nets.unet import UNet

TINY_SAM = Variant(
    size=32, patch=8, width=16, depth=2, heads=2, mlp=2, window=2, whole=(1,), prompt=16, decoder_heads=2,
    decoder_mlp=16, quality=8,
)  # fmt: skip


def register_tiny(monkeypatch) -> None:
    """Make small nets known for one test.

    "tiny", a U-Net of width 4, and "tiny-sdf", the same with a second head; "groupnorm", a net without batch
    statistics; "tiny-sam", which takes prompts.
    """
    card = nets.CARDS["unet-s"]
    here = replace(card, module=__name__, stride=4)
    for name, known in {
        "tiny": replace(card, options={"width": 4}),
        "tiny-sdf": replace(here, stride=16, options={"kind": "sdf"}, gives=(*card.gives, "sdf")),
        "groupnorm": replace(here, options={"kind": "groupnorm"}),
        "tiny-sam": replace(nets.CARDS["sam-s"], module=__name__, options={"kind": "sam"}),
    }.items():
        monkeypatch.setitem(nets.CARDS, name, replace(known, name=name))
    monkeypatch.setitem(VARIANTS, "tiny-sam", TINY_SAM)


def tiny_generator(size: int = 32) -> Generator:
    """Of random weights, but it draws something."""
    torch.manual_seed(0)
    return warmed(Generator(size, layers=4, base=128, width=8, latent=8, half_life=50.0), batches=20)


def net_for(method: str) -> str:
    """The net "tiny", with two heads or prompts for a method that needs them; a registered one to draw or to tell."""
    needs = method_class(method).needs
    if "draw" in needs:
        return "stylegan3-s"
    if "classify" in needs:
        return "lite0-classifier"
    return "tiny-sdf" if "sdf" in needs else "tiny-sam" if "prompt" in needs else "tiny"


def options_for(method: str) -> dict[str, str]:
    """The options by which a method runs on nets of this file."""
    return {"sam": "tiny-sam"} if "sam" in method_class(method).roles else {}


def sam_file(folder: Path) -> Path:
    """Weights of a registered "tiny-sam" that never was trained, its position embeddings at work."""
    path = folder / "tiny-sam.safetensors"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            net = make_sam("tiny-sam", TINY_SAM.size)
            net.image_encoder.pos_embed.data.normal_(std=0.1)
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


def labeller_file(folder: Path, net: str = "tiny", size: int = 32) -> Path:
    """Weights of a trial of supervised training, but never trained."""
    path = folder / f"{net}-{size}.safetensors"
    if not path.exists():
        with torch.random.fork_rng():
            torch.manual_seed(8)
            tensors = build_method("supervised", net=net, size=size).state_dict()
        folder.mkdir(exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


class TwoHeadedUNet(SDFHead, UNet):
    """The U-Net "tiny" with a second head."""


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


def build(in_size: int, kind: str) -> GroupNormNet | TwoHeadedUNet | Sam:
    """What `tutseg.nets.build` calls for nets of this file."""
    if kind == "sam":
        return make_sam("tiny-sam", in_size)
    return TwoHeadedUNet(4) if kind == "sdf" else GroupNormNet()


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

"""StyleGAN3-T: a generator and a discriminator that learn from each other (Karras et al., NeurIPS 2021).

SSGNet trains one for each class of its pictures. What it draws is unlabelled: a segmentation network labels it.

Constants that were tuned for 25 million pictures shrink with our lengths, a thousandth of that: augmentation reaches
p = 1 in `ada_kimg` thousand pictures at the earliest (500 there), and the generator's maps forget their magnitude
within 500 pictures (20,000 there; `tutseg.nets.cards`).

Deviations from the authors' code
---------------------------------
- The penalty R1 is the slope at what the discriminator sees, the augmented picture. It is taken in the same step as the
  loss, with the weight of those that are left out.
- Real pictures are flipped both ways, as in all trainings of this package; the published script does not flip.
- Both networks learn from the same drawn pictures, which are drawn once a step.
"""

import copy
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tutseg.methods.base import Batch, Method, Progress
from tutseg.methods.generative.ada import augmented
from tutseg.methods.options import Count, NotNegative, Positive, Share, checked
from tutseg.methods.step import Stepper
from tutseg.nets.gan_discriminator import Discriminator

LOOK_EVERY = 4  # steps between two changes of p
RAMP = 0.05  # the generator's average forgets half of itself in this share of the pictures seen, while they are few
ADAM = {"optimizer": "adam", "betas": (0.0, 0.99), "weight_decay": 0.0, "schedule": "constant"}


class StyleGAN3(Method):
    """Non-saturating loss, R1, adaptive augmentation; what draws is a moving average of the generator.

    Parameters
    ----------
    net : str
        A generator (`tutseg.nets`); its discriminator is as wide as its latent vector is long.
    size : int
        Height and width, a power of two.
    pretrained : bool
        There are no pretrained weights.
    r1 : float
        Weight gamma of R1 at 64 pixels and 16 pictures a step; it grows with the pixels and falls with the batch.
    r1_every : int
        Steps from one penalty to the next.
    target : float
        Share of real pictures that the discriminator calls real, less the share that it calls drawn: above it p rises.
    ada_kimg : float
        Thousand pictures in which p goes from zero to one, if it does nothing but rise.
    most : float
        Largest p; 0 is no augmentation.
    """

    streams: ClassVar = {"unlabelled": 0}
    needs: ClassVar = ("draw",)
    settings: ClassVar = {"generator": ADAM | {"lr": 0.0025}, "discriminator": ADAM | {"lr": 0.002}}

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        r1: NotNegative = 0.25,
        r1_every: Count = 16,
        target: Share = 0.6,
        ada_kimg: Positive = 15.0,
        most: Share = 0.8,
    ) -> None:
        super().__init__()
        self.generator = self.make_net(net, size, pretrained)
        self.discriminator = Discriminator(size, self.generator.base, self.generator.latent)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("overfit", torch.zeros(()))  # sum over steps of what p follows
        self.register_buffer("slope", torch.zeros(()))  # R1 as it was measured last
        self.size, self.r1, self.r1_every = size, r1, r1_every
        self.target, self.ada_kimg, self.most = target, ada_kimg, most

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The two networks; the average follows the generator."""
        return {"generator": self.generator.parameters(), "discriminator": self.discriminator.parameters()}

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        """One step of the discriminator, one of the generator; then p and the average follow."""
        real = batch["unlabelled"].image
        p = self.p.item()
        fake = self.generator(torch.randn(len(real), self.generator.latent, device=real.device))
        seen = augmented(real, p)
        lazy = progress.step % self.r1_every == 0 and self.r1 > 0
        seen.requires_grad_(lazy)
        on_real, on_fake = self.discriminator(seen), self.discriminator(augmented(fake.detach(), p))
        terms = {"discriminator": softplus(on_fake).mean() + softplus(-on_real).mean()}
        if lazy:
            penalty = slope_penalty(on_real, seen)
            self.slope.copy_(penalty.detach())
            gamma = self.r1 * (self.size / 64) ** 2 * 16 / len(real)
            terms["penalty"] = gamma / 2 * penalty * self.r1_every
        told = {"discriminator": step(terms, "discriminator")["discriminator"]}

        self.discriminator.requires_grad_(False)
        told |= step({"generator": softplus(-self.discriminator(augmented(fake, p))).mean()}, "generator")
        self.discriminator.requires_grad_(True)

        self.follow(on_real.detach(), progress.step, len(real))
        scores = {"score of real": on_real.detach().mean(), "score of drawn": on_fake.detach().mean()}
        return told | scores | {"r1": self.slope.clone(), "p": self.p.clone()}

    @torch.no_grad()
    def follow(self, on_real: Tensor, step: int, count: int) -> None:
        """p after how sure the discriminator is of real pictures (ADA's r_t); the average after the generator."""
        self.overfit += on_real.sign().mean()
        if step % LOOK_EVERY == LOOK_EVERY - 1:
            towards = torch.sign(self.overfit / LOOK_EVERY - self.target)
            self.p.add_(towards * count * LOOK_EVERY / (1000 * self.ada_kimg)).clamp_(0, self.most)
            self.overfit.zero_()
        half_life = min(count * 1000 * 10 / 32, RAMP * (step + 1) * count)
        for kept, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            kept.lerp_(now, 1 - 0.5 ** (count / half_life))
        for kept, now in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(now)

    @torch.no_grad()
    def sample(self, seed: int, psi: float = 1.0) -> Tensor:
        """One picture ``(3, S, S)`` in [0, 1], a function of the weights and of `seed`; psi is the truncation."""
        z = torch.randn(1, self.average.latent, generator=torch.Generator().manual_seed(seed))
        return self.average.eval()(z.to(self.p.device), psi)[0].clamp(0, 1)


def slope_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """R1: the squared slope of each logit ``(B,)`` with respect to its image, mean over the batch."""
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()

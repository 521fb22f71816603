"""Checks of lab 10: rounds of pseudo-labels with networks that keep a record, and two laws by trying tables."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from tutseg.labs.chance import normal
from tutseg.labs.checking import Mistake, expect, rng, same


class Recorded(nn.Module):
    """A network with batch statistics, which says logits of its first channel."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=3 * self.norm(images)[:, :1] - 0.4)


def hard(label: Callable[[nn.Module, Tensor], Tensor]) -> None:
    """The masks, pixel by pixel, and what labelling leaves behind."""
    images, net = normal(rng(), 4, 3, 5, 6) + 1, Recorded().train()
    logits = (3 * images[:, :1] / (1 + 1e-5) ** 0.5 - 0.4).detach()
    chances = 1 / (1 + (-logits).exp())
    before = net.norm.running_mean.clone()
    got = label(net, images)
    trained = Recorded().train()(images).logits.detach()
    same(
        got,
        np.reshape([p >= 0.5 for p in chances.flatten().tolist()], chances.shape),
        "four pictures",
        {
            "these are probabilities; SSGNet's labels are hard": chances,
            "these are logits": logits,
            "is the threshold of a probability put to a logit?": logits >= 0.5,
            "1 marks skin here": chances < 0.5,
            "did the network label as it does in training, by the statistics of this very batch?": trained >= 0,
            "the probabilities come from a network in training mode": trained.sigmoid(),
        },
        tol=1e-4,
    )
    unmoved = torch.equal(before, net.norm.running_mean)
    expect(unmoved, "labelling has moved the network's batch statistics: in which mode was it?")
    expect(isinstance(got, Tensor) and not got.requires_grad, "does a gradient hang on the labels?")
    expect(got.is_floating_point(), "the masks are not floats; a loss cannot take them for targets")


def in_turn(rounds: Callable[..., list]) -> None:
    """Rounds with a trainer and a labeller that note what they get."""
    real, generated = [("r1", "t1"), ("r2", "t2")], ["g1", "g2", "g3"]
    for count in (2, 1, 0):
        trained, labelled = [], []

        def train(pairs: list, trained: list = trained) -> str:
            trained.append(sorted(pairs))
            return f"f{len(trained) - 1}"

        def label(net: str, pictures: list, labelled: list = labelled) -> list[str]:
            labelled.append((net, sorted(pictures)))
            return [f"{net}({picture})" for picture in pictures]

        nets = rounds(train, label, list(real), list(generated), count)
        wanted = [sorted(real)]
        wanted += [sorted([*real, *((g, f"f{t}({g})") for g in generated)]) for t in range(count)]
        expect(isinstance(nets, list), "a list of networks is asked for")
        expect(
            trained and trained[0] == sorted(real), "from what does the first network learn? No picture is labelled yet"
        )
        expect(len(trained) == count + 1, f"{count} rounds train {count + 1} networks, and {len(trained)} were trained")
        expect(
            all(net == f"f{t}" for t, (net, _) in enumerate(labelled)),
            "an old network labels again; which one is the newest?",
        )
        only = all(pictures == sorted(generated) for _, pictures in labelled)
        expect(only, "other pictures than the generated ones are labelled, or not all of them")
        for t, (got, right) in enumerate(zip(trained, wanted, strict=True)):
            pictures = [picture for picture, _ in got]
            expect(
                len(pictures) == len(set(pictures)),
                f"round {t}: a picture is there twice; are old pseudo-labels kept beside the new ones?",
            )
            expect({"r1", "r2"} <= set(pictures), f"round {t}: where are the real pictures?")
            expect(got == right, f"round {t}: the training set is not the real pictures and the newest pseudo-labels")
        expect(nets == [f"f{t}" for t in range(count + 1)], "all networks are returned, the first one first")


def seen(passes: Callable[..., float]) -> None:
    """How often a real picture is drawn, by drawing."""
    chance = rng()
    for real, generated in ((20, 80), (7, 0), (15, 30)):
        steps, batch = int(chance.integers(50, 90)), int(chance.integers(4, 9))
        order = np.resize(np.arange(real + generated), steps * batch)  # drawn evenly
        wanted = np.bincount(order, minlength=real + generated).mean()
        told = steps * batch
        same(
            passes(steps, batch, real, generated),
            wanted,
            f"{steps} steps of {batch}, {real} real and {generated} generated pictures",
            {
                "among how many pictures are the draws shared?": told / real,
                "this is for the generated pictures alone": told / max(generated, 1),
                "how many pictures has a step?": steps / (real + generated),
                "this is the number of draws of all real pictures; how many does each get?": told
                * real
                / (real + generated),
                "is this the number of steps for one pass?": (real + generated) / batch,
                "this is a number of draws in all": told,
            },
        )


def bounds(jaccard_range: Callable[..., tuple[float, float]]) -> None:
    """The range of mean Jaccard over many sets of pictures with the same mean Dice."""
    chance = rng()
    for _ in range(5):
        printed = round(float(chance.uniform(40, 95)), 2)
        for half in (0.005, 0.5):
            low, high = (printed - half) / 100, (printed + half) / 100
            alike = np.full(1000, low)  # all pictures alike: the least mean
            spread = (np.arange(100_000) + 0.5) / 100_000 < high  # perfect ones and lost ones: the largest
            least, most = (100 * np.mean(d / (2 - d)) for d in (alike, spread.astype(float)))
            f = lambda d: 100 * d / (2 - d)
            middle = printed / 100
            same(
                jaccard_range(printed, half),
                (least, most),
                f"a printed Dice of {printed} and half a unit of {half}",
                {
                    "is the rounding of the printed number left out?": (f(middle), printed),
                    "at which end of the interval is the lower bound, at which the upper one?": (f(high), 100 * low),
                    "are per cent put into a formula for fractions?": (
                        (printed - half) / (2 - printed + half),
                        printed + half,
                    ),
                    "these are fractions; per cent are asked for": (least / 100, most / 100),
                    "the upper bound: what is Jaccard if some pictures are perfect and the others lost?": (
                        least,
                        f(high),
                    ),
                    "are Dice and Jaccard exchanged in the formula?": (100 * 2 * low / (1 + low), 100 * high),
                },
                tol=2e-5,
            )


def share(lesion_share: Callable[..., float]) -> None:
    """The share of lesion in masks whose three scores are counted."""
    chance = rng()
    for _ in range(8):
        truth = chance.random(400) < chance.uniform(0.1, 0.4)
        found = np.where(truth, chance.random(400) < 0.8, chance.random(400) < 0.07)
        tp, tn = np.sum(truth & found), np.sum(~truth & ~found)
        s, c, a = tp / truth.sum(), tn / (~truth).sum(), (tp + tn) / 400
        same(
            lesion_share(s, c, a),
            truth.mean(),
            "400 pixels",
            {
                "this is the share of background": (~truth).mean(),
                "check a sign: both differences must be taken the same way round": -truth.mean(),
                "is the fraction upside down?": 1 / truth.mean(),
                "by which difference is it divided? Put in a lesion of no pixel, and one of all": (c - a) / c,
                "which score stands with the lesion's share, and which with the rest?": (a - c) / (c + s),
                "is the difference of specificity and accuracy left undivided?": c - a,
            },
            tol=1e-6,
        )


CHECKS = {"L10.1": hard, "L10.2": in_turn, "L10.3": seen, "L10.4": bounds, "L10.5": share}

MISTAKES = (
    Mistake(
        "L10.1",
        "in training mode",
        "statistics of this very batch",
        "net.train()\nwith torch.no_grad():\n    return (net(images).logits >= 0).float()",
    ),
    Mistake(
        "L10.1",
        "half a logit",
        "put to a logit",
        "net.eval()\nwith torch.no_grad():\n    return (net(images).logits >= 0.5).float()",
    ),
    Mistake(
        "L10.2",
        "the first network labels always",
        "an old network",
        "nets = [train(real)]\n"
        "for _ in range(count):\n"
        "    masks = label(nets[0], generated)\n"
        "    nets.append(train(real + list(zip(generated, masks, strict=True))))\n"
        "return nets",
    ),
    Mistake(
        "L10.2",
        "old pseudo-labels are kept",
        "there twice",
        "nets, pairs = [train(real)], list(real)\n"
        "for _ in range(count):\n"
        "    pairs = pairs + list(zip(generated, label(nets[-1], generated), strict=True))\n"
        "    nets.append(train(pairs))\n"
        "return nets",
    ),
    Mistake(
        "L10.2",
        "without the real pictures",
        "where are the real pictures",
        "nets = [train(real)]\n"
        "for _ in range(count):\n"
        "    nets.append(train(list(zip(generated, label(nets[-1], generated), strict=True))))\n"
        "return nets",
    ),
    Mistake("L10.3", "real pictures alone", "among how many", "return steps * batch / real"),
    Mistake(
        "L10.4",
        "no rounding",
        "rounding",
        "return 100 * (dice / 100) / (2 - dice / 100), dice",
    ),
    Mistake(
        "L10.4",
        "the curve as the upper bound",
        "some pictures are perfect",
        "low, high = (dice - half) / 100, (dice + half) / 100\nreturn 100 * low / (2 - low), 100 * high / (2 - high)",
    ),
    Mistake(
        "L10.5",
        "share of background",
        "share of background",
        "return (accuracy - sensitivity) / (specificity - sensitivity)",
    ),
    Mistake(
        "L10.5",
        "two signs",
        "check a sign",
        "return (accuracy - specificity) / (specificity - sensitivity)",
    ),
)

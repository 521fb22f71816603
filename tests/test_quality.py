"""How good drawn pictures are: against torchmetrics, closed forms and loops."""

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from tutseg.nets.lite0_features import eye, features_of
from tutseg.quality import closer, frechet, kernel_distance, nearest, told_apart, within


@pytest.fixture(scope="module")
def sets() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(6, 6, generator=draw)
    return torch.randn(40, 6, generator=draw) @ mix, torch.randn(31, 6, generator=draw) * 1.3 + 0.4


class AsTheyAre(nn.Module):
    """Lets torchmetrics take features for pictures."""

    num_features = 6

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.flatten(1)[:, :6]


def test_frechet_and_kid_are_those_of_torchmetrics(sets):
    others = (
        FrechetInceptionDistance(AsTheyAre(), normalize=False, input_img_size=(1, 6, 1)).set_dtype(torch.float64),
        KernelInceptionDistance(AsTheyAre(), subsets=1, subset_size=31),
    )
    first, second = sets[0][:31], sets[1]  # KID there takes as many of each
    for metric in others:
        metric.update(first.view(31, 6, 1, 1), real=True)
        metric.update(second.view(31, 6, 1, 1), real=False)
    assert frechet(first, second) == pytest.approx(others[0].compute().item(), rel=1e-4)
    assert kernel_distance(first, second) == pytest.approx(others[1].compute()[0].item(), rel=1e-4)


def test_frechet_of_one_axis_by_hand():
    a, b = torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([[5.0], [6.0]])
    assert frechet(a, b) == pytest.approx((2 - 5.5) ** 2 + (2 - 0.5**0.5) ** 2)


def test_kid_does_not_depend_on_how_many_there_are():
    draw = torch.Generator().manual_seed(1)
    few = [kernel_distance(*torch.randn(2, 10, 8, generator=draw)) for _ in range(300)]
    assert abs(np.mean(few)) < 4 * np.std(few) / 300**0.5 and min(few) < 0 < max(few)
    biased = [frechet(*torch.randn(2, 10, 8, generator=draw)) for _ in range(20)]
    assert min(biased) > 1


def test_support_and_neighbours_by_brute_force(sets):
    a, b = (each.double().numpy() for each in sets)
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    own = np.linalg.norm(b[:, None] - b[None], axis=2)
    radius = np.sort(own, axis=1)[:, 3]
    assert within(*sets).tolist() == (apart <= radius).any(1).tolist() and 0 < within(*sets).double().mean() < 1
    assert np.allclose(nearest(*sets), apart.min(1))
    assert np.allclose(nearest(sets[1], sets[1]), np.sort(own, axis=1)[:, 1])
    usual = torch.arange(1.0, 101.0)
    assert closer(torch.tensor([1.0, 5.9, 6.0, 50.0]), usual).tolist() == [True, True, False, False]


def test_features_follow_the_picture_and_not_its_company():
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (3, 3, 32, 32), generator=draw, dtype=torch.uint8)
    together = features_of(pictures, batch=2)
    assert together.shape == (3, 1280) and torch.allclose(together[2:], features_of(pictures[2:]), atol=1e-4)
    assert (together[0] - together[1]).norm() > 1 and not any(p.requires_grad for p in eye().parameters())


def test_sets_are_told_apart_by_their_neighbours(sets):
    a, b = sets
    both = torch.cat([a[:31], b]).double().numpy()
    apart = np.linalg.norm(both[:, None] - both[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    own = [(i < 31) == (apart[i].argmin() < 31) for i in range(62)]
    assert told_apart(a, b) == told_apart(a[:31], b) == np.mean(own)
    assert told_apart(a, a + 1000) == 1
    draw = torch.Generator().manual_seed(2)
    assert told_apart(*torch.randn(2, 400, 3, generator=draw)) == pytest.approx(0.5, abs=0.07)

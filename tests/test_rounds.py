"""SSGNet's rounds looked at: labels, their Dice and what changed, counted pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tutseg.data.loader import Pictures
from tutseg.report import rounds
from tutseg.report.explorers import judged

SIZE = 16


class Threshold(torch.nn.Module):
    """Calls lesion what is darker than a level."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = level

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean(1, keepdim=True) < self.level).float()


def run(level: float, dice: float, **n: int):
    trial = SimpleNamespace(steps=30, batch=4)
    return SimpleNamespace(
        trial=trial,
        result={"n": {"labelled": 6, **n}},
        method=lambda: Threshold(level),
        per_image=lambda: (["a", "b"], np.array([dice, dice + 0.1])),
    )


@pytest.fixture(scope="module")
def pictures():
    rng = torch.Generator().manual_seed(0)
    made = []
    for n in (70, 9):  # more than one batch of predictions
        images = torch.randint(0, 256, (n, 3, SIZE, SIZE), generator=rng, dtype=torch.uint8)
        truth = torch.randint(0, 2, (n, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)
        ids = tuple(f"p{i}" for i in range(n))
        made.append(Pictures(images, ids, ids, "made up", truth=truth))
    return made


@pytest.fixture(scope="module")
def found(pictures):
    return rounds.rounds_of([run(0.5, 0.6), run(0.55, 0.7, trained_on=76), run(0.45, 0.65, trained_on=40)], *pictures)


def test_labels_and_what_changed(found, pictures):
    generated, known = pictures
    for each, level in zip(found, (0.5, 0.55, 0.45), strict=True):
        dark = generated.images.double().mean(1).numpy() / 255 < level
        assert (each.generated == dark).mean() > 0.999 and each.generated.shape == (70, SIZE, SIZE)
        truth = known.truth[:, 0].numpy() > 0
        both = (each.known & truth).sum((1, 2))
        assert each.dice == pytest.approx(2 * both / (each.known.sum((1, 2)) + truth.sum((1, 2))))
    first, second, third = (each.generated for each in found)
    assert rounds.changed(found) == [None, (first ^ second).mean(), (second ^ third).mean()]


def test_the_table_counts_passes_over_real_pictures(found):
    table = rounds.rounds_table(found)
    assert [row[0] for row in table.rows] == ["0", "1", "2"]
    assert [row[2] for row in table.rows] == ["20.0", "1.6", "3.0"]  # 120 pictures of 6, of 76 and of 40
    assert [row[4] for row in table.rows] == ["65.0", "75.0", "70.0"]
    assert table.rows[0][5] == "–" and table.rows[1][5] == f"{100 * rounds.changed(found)[1]:.1f}"


def test_the_explorer_shows_each_round(found, pictures):
    figure = rounds.round_explorer(found, *pictures)
    numbers = [figure.numbers(frame=k) for k in range(3)]
    assert [each["round"] for each in numbers] == [0, 1, 2]
    assert [each["Dice on test pictures"] for each in numbers] == pytest.approx([0.65, 0.75, 0.7])
    assert [each["generated pixels labelled otherwise than before"] for each in numbers] == rounds.changed(found)
    labels = figure.panels(frame=2)["their labels"]
    fifth = judged(found[2].known[5], pictures[1].truth[5, 0].numpy() > 0)
    assert np.array_equal(labels[SIZE:, SIZE : 2 * SIZE], fifth)

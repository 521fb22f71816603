"""SSGNet's rounds looked at: what a network calls lesion on drawn pictures, before and after learning from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from tutseg.data.loader import Pictures
from tutseg.methods.base import Method
from tutseg.metrics import per_image
from tutseg.report.explorers import COLOURS, StepExplorer, judged, outlined
from tutseg.report.groups import told
from tutseg.report.latent import sheet
from tutseg.report.table import Table
from tutseg.training.run import Run

SHOWN = 8  # pictures of each kind in a round's frame


@dataclass(frozen=True)
class Round:
    """What the network of one round says.

    Parameters
    ----------
    run : Run
        Its training.
    generated, known : numpy.ndarray
        What it calls lesion on generated pictures, and on others whose truth is known: bool ``(M, S, S)``.
    dice : numpy.ndarray
        Of each of the latter with its truth ``(M,)``.
    """

    run: Run
    generated: np.ndarray
    known: np.ndarray
    dice: np.ndarray

    @property
    def test(self) -> float:
        """Mean Dice on test pictures."""
        return float(self.run.per_image()[1].mean())


@torch.inference_mode()
def pseudo_labels(method: Method, pictures: Pictures) -> np.ndarray:
    """SSGNet Eq. 5: what a trained method calls lesion, bool ``(M, S, S)``."""
    parts = torch.arange(len(pictures)).split(64)
    return np.concatenate([(method.predict(pictures.floats(at)[0]) >= 0.5)[:, 0].numpy() for at in parts])


def rounds_of(runs: Sequence[Run], generated: Pictures, known: Pictures) -> list[Round]:
    """The rounds of a chain.

    Parameters
    ----------
    runs : sequence of Run
        Round 0 first.
    generated : Pictures
        What a generator drew.
    known : Pictures
        Pictures that no round learned from, with their truth.
    """
    truth, found = known.truth[:, 0].numpy() > 0, []
    for run in runs:
        method = run.method()
        on_known = pseudo_labels(method, known)
        found.append(Round(run, pseudo_labels(method, generated), on_known, per_image(on_known, truth)["dice"]))
    return found


def changed(rounds: Sequence[Round]) -> list[float | None]:
    """Share of generated pictures' pixels with another label than in the round before; None for the first round."""
    return [None, *(float((a.generated != b.generated).mean()) for a, b in pairwise(rounds))]


def rounds_table(rounds: Sequence[Round]) -> Table:
    """Steps, passes over real pictures, and how good labels and network are: a row a round."""
    rows = []
    for k, (each, moved) in enumerate(zip(rounds, changed(rounds), strict=True)):
        trial, n = each.run.trial, each.run.result["n"]
        passes = f"{trial.steps * trial.batch / n.get('trained_on', n['labelled']):.1f}"
        moved = "–" if moved is None else told(moved)
        rows.append((str(k), str(trial.steps), passes, told(each.dice.mean()), told(each.test), moved))
    heads = (
        "round", "steps", "passes over real pictures", "Dice of its labels where the truth is known", "Dice, test",
        "labels changed, %",
    )  # fmt: skip
    note = (
        f"Labels of {len(rounds[0].dice)} pictures that no round learned from. Changed: pixels of "
        f"{len(rounds[0].generated)} generated pictures with another label than in the round before."
    )
    return Table(heads, tuple(rows), "Round by round", note)


def round_explorer(rounds: Sequence[Round], generated: Pictures, known: Pictures) -> StepExplorer:
    """Round by round: labels of generated pictures, and those of pictures whose truth says what is right of them."""
    shown = lambda part: list(part.images[:SHOWN].permute(0, 2, 3, 1).numpy())
    truth = known.truth[:SHOWN, 0].numpy() > 0
    on_generated = [sheet([*map(outlined, shown(generated), each.generated)], SHOWN // 2) for each in rounds]
    on_known = [sheet([*map(judged, each.known, truth)], SHOWN // 2) for each in rounds]
    numbers = {
        "Dice of labels, truth known": [float(each.dice.mean()) for each in rounds],
        "Dice on test pictures": [each.test for each in rounds],
        "generated pixels labelled lesion": [float(each.generated.mean()) for each in rounds],
        "generated pixels labelled otherwise than before": changed(rounds),
    }
    beside = {
        "pictures whose truth is known": [sheet([*map(outlined, shown(known), truth)], SHOWN // 2)],
        "their labels": on_known,
    }
    return StepExplorer(
        on_generated,
        numbers,
        title="What each round of SSGNet calls lesion.",
        beside=beside,
        key=COLOURS,
        shown="generated pictures and their labels",
        counted="round",
    )

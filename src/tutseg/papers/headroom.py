"""Which set-up may judge a claim about few labels: where labels are worth little, no method can save any.

The headroom of a set-up is what all labels are worth there: supervised training with all of them minus the same with
the few, paired by image and seed. A set-up may judge a claim about few labels only where its headroom has an interval
above zero, is at least as large as the effect that the paper prints for the claim (the largest, if it makes several
comparisons), and at least `SAFETY` times the smallest difference that the design can see. Otherwise the claim cannot be
tested here.

A claim about training with all labels has another limit: the steps. Where more steps alone are worth as much as the
paper prints for a method, training had not ended, and whoever trains on would judge otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tutseg.papers.claims import Claim, Pair, Side, cell_of, differences
from tutseg.papers.intervals import paired_interval
from tutseg.papers.setups import fits, setup_of
from tutseg.training.evidence import Finished

SAFETY = 1.5
# A training that shows whether one had ended has at least so many times its steps.
LONGER = 4


@dataclass(frozen=True)
class Headroom:
    """What all labels are worth in a set-up, in units of the score.

    Parameters
    ----------
    labelled : int
        Number of labelled pictures of the few.
    value, low, high : float
        Supervised training with all labels minus the same with the few, and its 95 % interval; NaN with one seed.
    seeds, n_images : int
        What it rests on.
    """

    labelled: int
    value: float
    low: float
    high: float
    seeds: int
    n_images: int


def is_about_few_labels(claim: Claim, side: Side) -> bool:
    """Whether a side of a claim names a share of the labels below all of them."""
    share = {**claim.setting, **side.setting}.get("labelled")
    return share is not None and float(share) < 1


def headrooms(claim: Claim, sides: Sequence[Sequence[Finished]], evidence: Iterable[Finished]) -> list[Headroom]:
    """The headroom at each number of labels that the sides of a claim name; fewer where supervised trials are missing.

    Parameters
    ----------
    sides : sequence of sequence of Finished
        The trials of each of ``claim.sides``, of one set-up. At least one of them names few labels.
    evidence : iterable of Finished
        Where the supervised trials of the same set-up are sought.
    """
    few = [items for side, items in zip(claim.sides, sides, strict=True) if is_about_few_labels(claim, side)]
    # where sides differ in what the table names (a network, say), the set-up is that of the claimed side
    like = few[0][0]
    wanted = {"method": "supervised", "options": {}, "data": like.trial.data, "test_data": like.trial.test_data}
    of: dict[float, list[Finished]] = {}
    for item in evidence:
        if setup_of(item)[0] == setup_of(like)[0] and fits(item, wanted) and item.default.per_image(claim.score):
            of.setdefault(item.trial.labelled, []).append(item)
    labels = sorted({item.trial.labelled for items in few for item in items})
    return [_worth(claim, of[1.0], of[labelled]) for labelled in labels if {labelled, 1.0} <= of.keys()]


def _worth(claim: Claim, more: Sequence[Finished], less: Sequence[Finished]) -> Headroom:
    with_more, with_less = (
        {(item.trial.seed, item.trial.fold, image): score for item in items
         for image, score in item.default.per_image(claim.score).items()}
        for items in (more, less)
    )  # fmt: skip
    sign = 1.0 if cell_of(claim, claim.sides[0]).direction == "higher" else -1.0
    matrix = sign * differences(with_more, with_less)
    low, high = paired_interval(matrix)
    value = float(np.nanmean(matrix, axis=1).mean())
    return Headroom(less[0].n["labelled"], value, float(low), float(high), *matrix.shape)


def why_unfinished(
    claim: Claim, pairs: Sequence[Pair], trials: Iterable[Finished], evidence: Sequence[Finished]
) -> str:
    """Why training is too short in a set-up to judge a claim about all labels; empty if it is not.

    Parameters
    ----------
    pairs : sequence of Pair
        The claim's comparisons in this set-up.
    trials : iterable of Finished
        All that the claim compares there.
    evidence : sequence of Finished
        Where plain training of each network is sought, with the same steps and with `LONGER` times as many or more;
        of those with an interval the longest counts.
    """
    printed = max(abs(pair.paper) for pair in pairs)
    kinds = {(item.trial.net, item.trial.data, item.trial.test_data): item for item in trials}
    for like in kinds.values():
        trial = like.trial
        wanted = {"method": "supervised", "options": {}, "data": trial.data, "test_data": trial.test_data,
                  "labelled": 1.0}  # fmt: skip
        of: dict[int, list[Finished]] = {}
        for item in evidence:
            same = setup_of(item, ["steps"]) == setup_of(like, ["steps"])
            if same and fits(item, wanted) and item.default.per_image(claim.score):
                of.setdefault(item.trial.steps, []).append(item)
        seeds = {steps: {item.trial.seed for item in items} for steps, items in of.items()}
        here = seeds.get(trial.steps, set())
        longest = max((steps for steps, others in seeds.items() if len(here & others) > 1), default=0)
        if longest < LONGER * trial.steps:
            return (
                f"plain training of {trial.net} with {LONGER} times the steps or more, of two seeds or more, is not "
                "among the trials, so nobody knows whether training had ended here"
            )
        gain = _worth(claim, of[longest], of[trial.steps])
        if gain.value >= printed:
            return (
                f"{longest / trial.steps:g} times the steps are worth {claim.points(gain.value)} points "
                f"({claim.points(gain.low)} to {claim.points(gain.high)}) to plain training of {trial.net} here, and "
                f"the paper prints {claim.points(printed, 2)} for the method: training had not ended"
            )
    return ""


def allows(value: float, low: float, printed: float, smallest: float) -> bool:
    """Whether a headroom, and its interval's low end, lets a set-up judge by the rule above, of a printed effect."""
    return low > 0 and value >= printed and value >= SAFETY * smallest


def why_untestable(claim: Claim, pairs: Sequence[Pair], found: Sequence[Headroom], needed: int) -> str:
    """Why a set-up may not judge a claim about few labels; empty if it may.

    Parameters
    ----------
    pairs : sequence of Pair
        The claim's comparisons in this set-up: what the paper prints for them, and what the design can see.
    found : sequence of Headroom
        Of each number of labels that the claim names.
    needed : int
        How many numbers of labels it names.
    """
    if len(found) < needed:
        return "supervised training with all labels and with the few is not among the trials of this set-up"
    printed = max(abs(pair.paper) for pair in pairs)
    smallest = np.max([pair.smallest for pair in pairs])
    for room in found:
        if np.isnan(room.low):
            return (
                f"supervised training with all labels and with {room.labelled} has one seed in common here, so what "
                "the labels are worth has no interval"
            )
        if not allows(room.value, room.low, printed, smallest):
            return (
                f"all labels are worth {claim.points(room.value)} points more than {room.labelled} "
                f"({claim.points(room.low)} to {claim.points(room.high)}) here. To judge takes an interval above 0, "
                f"the {claim.points(printed, 2)} that the paper prints, and {SAFETY:g} times the smallest difference "
                f"that these seeds and images can see, {claim.points(SAFETY * smallest)}"
            )
    return ""

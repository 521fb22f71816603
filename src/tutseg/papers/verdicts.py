"""The papers' claims decided by our own finished trials, in every set-up that has all that a claim compares.

What the trials of one set-up say is `tutseg.papers.claims.decide`. Added here is what a set-up cannot say of itself:

- cannot be tested here: the claim is about few labels, which are worth too little there, or about all labels, and
  training had not ended (`tutseg.papers.headroom`);
- set-up-dependent: set-ups that may judge, with enough seeds and images, do not agree; all are shown, none preferred;
- not attempted: no set-up has all that the claim compares; the reason is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, product
from string import ascii_lowercase
from typing import Any

from tutseg.files import canonical_json
from tutseg.papers.claims import (
    WORDS,
    Claim,
    TrialRecords,
    Verdict,
    Word,
    decide,
    load_claims,
    paper_effect,
    trials_needed,
)
from tutseg.papers.headroom import Headroom, headrooms, is_about_few_labels, why_unfinished, why_untestable
from tutseg.papers.setups import Setup, describe_scaled, describe_setup, fits, grouped, named_options, rank
from tutseg.papers.tables import load_paper
from tutseg.training.evidence import Finished, read_evidence
from tutseg.training.tasks import task_of

# Evaluations of a method that segments one picture, each a set-up of its own.
EVALUATIONS = {
    "oracle": "the cluster chosen by the truth",
    "oracle+4": "the cluster chosen by the truth, and all further than 4 px from the true lesion deleted",
}
# Follow from the Dice of a single picture, so they are no comparison of their own.
SAME_AS_DICE = ("dice", "jaccard", "hm")


@dataclass(frozen=True)
class InSetup:
    """A claim in one set-up.

    Parameters
    ----------
    setup : str
        The set-up in words.
    verdict : Verdict
        What its trials say, or that they cannot.
    headrooms : tuple of Headroom
        What all labels are worth there, for a claim about few labels.
    trials : tuple of Finished
        What the verdict rests on.
    """

    setup: str
    verdict: Verdict
    headrooms: tuple[Headroom, ...] = ()
    trials: tuple[Finished, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Decided:
    """A claim with its verdict.

    Parameters
    ----------
    verdict, why : str
        One of `WORDS`, and the sentence behind it.
    paper_effect : float
        The difference between the paper's own cells, in units of the score.
    setups : tuple of InSetup
        Every set-up that has all that the claim compares; none if it was not attempted.
    """

    claim: Claim
    verdict: Word
    why: str
    paper_effect: float
    setups: tuple[InSetup, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        c = self.claim
        return {
            "name": c.id, "paper": c.paper, "verdict": self.verdict, "why": self.why, "paper_effect": self.paper_effect,
            "score": c.score, "kind": c.kind, "margin": c.margin, "threshold": c.threshold, "table": c.table,
            "place": c.place, "sentence": c.sentence, "setting": c.setting,
            "setups": [
                {"setup": each.setup, "verdict": each.verdict.verdict, "why": each.verdict.why,
                 "pairs": [asdict(pair) for pair in each.verdict.pairs],
                 "headroom": [asdict(room) for room in each.headrooms], "trials": [item.id for item in each.trials]}
                for each in self.setups
            ],
        }  # fmt: skip


def verdicts(paper: str | None = None, evidence: Sequence[Finished] | None = None) -> list[Decided]:
    """Every claim of a paper, or of all, decided from finished trials.

    Raises
    ------
    InputError
        Unknown paper.
    """
    evidence = by_evaluation(read_evidence() if evidence is None else evidence)
    return [decided(claim, evidence) for claim in load_claims(paper)]


def by_evaluation(evidence: Sequence[Finished]) -> dict[str, list[Finished]]:
    """Trials of networks under "", those of one-image methods under each of `EVALUATIONS`, then their default view."""
    found: dict[str, list[Finished]] = {"": [], **{view: [] for view in EVALUATIONS}}
    for item in evidence:
        if task_of(item.trial.method).trains:
            found[""].append(item)
        else:
            for view in EVALUATIONS.keys() & item.views.keys():
                found[view].append(replace(item, views={view: item.views[view]}))
    return found


def decided(claim: Claim, evidence: Mapping[str, Sequence[Finished]]) -> Decided:
    """A claim decided from the trials that `by_evaluation` gives."""
    effect = paper_effect(claim)
    nothing = decide(claim, [])
    if claim.cannot or any("cannot" in side for side in trials_needed(claim)):
        return Decided(claim, nothing.verdict, nothing.why, effect)
    judged, partial = [], []
    for reading, view in product(_readings(claim), evidence):
        for sides in _setups(evidence[view], trials_needed(claim, reading)):
            found = _in_setup(claim, sides, evidence[view], reading, view)
            if found.verdict.verdict == "not attempted":
                partial.append((sum(map(bool, sides)), found.verdict))
            else:
                judged.append(found)
    if judged:
        return Decided(claim, *_together(judged), effect, tuple(judged))
    _, nearest = max(partial, key=lambda each: each[0], default=(0, nothing))
    return Decided(claim, nearest.verdict, nearest.why, effect)


def _readings(claim: Claim) -> list[str]:
    """The paper's readings in which the claim compares different trials; the first of those that compare the same."""
    different: dict[str, str] = {}
    for reading in load_paper(claim.paper).readings:
        different.setdefault(canonical_json(trials_needed(claim, reading)), reading)
    return list(different.values())


def _setups(evidence: Sequence[Finished], sides: Sequence[dict[str, Any]]) -> list[list[list[Finished]]]:
    """For each set-up the trials of each side, none where it lacks them."""
    named = {name for side in sides for name in side}
    found: dict[Setup, dict[int, list[Finished]]] = {}
    for i, side in enumerate(sides):
        for setup, group in grouped((item for item in evidence if fits(item, side)), named).items():
            # where the other side names a field that this one leaves open, this one still keeps to one value of it
            found.setdefault(setup, {})[i] = max(grouped(group, side).values(), key=rank)
    # trials with all labels belong to both ways of counting them
    for (fields, counted), all_labels in list(found.items()):
        others = [setup for setup in found if setup[0] == fields and setup[1]]
        if not counted and others:
            del found[fields, counted]
            for setup in others:
                found[setup] = all_labels | found[setup]
    return [[each.get(i, []) for i in range(len(sides))] for each in found.values()]


def _in_setup(
    claim: Claim, sides: list[list[Finished]], evidence: Sequence[Finished], reading: str, view: str
) -> InSetup:
    trials = {item.id: item for items in sides for item in items}
    kept = [item for item in trials.values() if item.default.per_image(claim.score)]
    verdict = decide(claim, TrialRecords(_records(kept, claim.score)), reading)
    words = [describe_setup(list(trials.values())), *describe_scaled(trials.values())]
    few = [items for side, items in zip(claim.sides, sides, strict=True) if is_about_few_labels(claim, side) and items]
    if few:
        counts = sorted({item.n["labelled"] for items in few for item in items})
        words.append(f"{' and '.join(map(str, counts))} labelled pictures")
    words += ([f"reading {reading}"] if reading else []) + ([EVALUATIONS[view]] if view else [])
    if verdict.verdict == "not attempted":
        if not kept and all(sides):
            why = f"{claim.score} of each image is not among the committed evidence, and the runs are not here"
            verdict = replace(verdict, why=why)
        return InSetup(", ".join(words), verdict, (), tuple(trials.values()))
    rooms = headrooms(claim, sides, evidence) if few else []
    if few:
        why = why_untestable(claim, verdict.pairs, rooms, len(counts))
    elif all(task_of(item.trial.method).name == "segment" for item in kept):
        why = why_unfinished(claim, verdict.pairs, kept, evidence)
    else:
        why = ""
    if why:
        verdict = replace(verdict, verdict="cannot be tested here", why=why)
    return InSetup(", ".join(words), verdict, tuple(rooms), tuple(kept))


def _records(items: Iterable[Finished], score: str) -> list[dict[str, Any]]:
    names = ("method", "net", "data", "test_data", "labelled", "seed", "fold")
    return [
        {**{name: item.fields[name] for name in names}, "options": named_options(item), "id": image, score: value}
        for item in items
        for image, value in item.default.per_image(score).items()
    ]


def _together(judged: Sequence[InSetup]) -> tuple[Word, str]:
    """The word of several set-ups and why: of those that may judge and have what it takes, if there are any."""
    able = [each for each in judged if each.verdict.verdict != "cannot be tested here" and not each.verdict.lacking]
    able = able or [each for each in judged if each.verdict.verdict == "inconclusive"] or list(judged)
    words = {each.verdict.verdict for each in able}
    if len(words) > 1:
        return "set-up-dependent", "; ".join(f"{each.verdict.verdict} with {each.setup}" for each in able)
    whys = dict.fromkeys(each.verdict.why for each in able)
    return words.pop(), "; ".join(whys) if len(whys) < 3 else f"so in each of {len(able)} set-ups"


def lettered(decided: Iterable[Decided]) -> dict[str, str]:
    """A letter, or two, for every set-up in which claims were attempted."""
    setups = dict.fromkeys(each.setup for item in decided for each in item.setups)
    letters = chain(ascii_lowercase, map("".join, product(ascii_lowercase, repeat=2)))
    return dict(zip(setups, letters, strict=False))


def counts(decided: Iterable[Decided]) -> dict[str, int]:
    """How many comparisons got each verdict.

    Claims about the same rows in the same setting of the same table by scores that follow from a picture's Dice
    (`SAME_AS_DICE`) are one comparison; the first of them counts.
    """
    first: dict[tuple, Decided] = {}
    for item in decided:
        c = item.claim
        score = "dice" if c.score in SAME_AS_DICE else c.score
        sides = tuple((side.row, *sorted(side.setting.items())) for side in c.sides)
        first.setdefault((c.paper, c.table, score, *sorted(c.setting.items()), sides), item)
    found = dict.fromkeys(WORDS, 0)
    for item in first.values():
        found[item.verdict] += 1
    return found

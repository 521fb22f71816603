"""Verdicts: a claim is decided in each set-up that has all it compares, where labels are worth enough to judge it."""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from finished import IMAGES, duel, scores, seeds

from tutseg.files import atomic_write, csv_text, project_root
from tutseg.methods import method_class
from tutseg.papers import headroom, setups
from tutseg.papers.claims import WORDS, load_claims, weakest
from tutseg.papers.headroom import Headroom, why_untestable
from tutseg.papers.verdicts import by_evaluation, counts, decided, lettered, verdicts
from tutseg.training.evidence import read_evidence, read_spec_evidence
from tutseg.training.trial import make_trial
from tutseg.weights.cards import CARDS as WEIGHTS

CLAIMS = {claim.id: claim for claim in load_claims()}


def verdict(evidence, name="dme-fd-03"):
    return decided(CLAIMS[name], by_evaluation(evidence))


# ------------------------------------------------------------------------------------------------------- one set-up


@pytest.mark.parametrize(
    ("gain", "n", "word"),
    [(0.03, 5, "reproduced"), (0.015, 5, "sign only"), (-0.03, 5, "not reproduced"), (0.0, 5, "inconclusive"),
     (0.03, 4, "inconclusive")],
)  # fmt: skip
def test_a_claim_is_decided_by_the_trials_of_one_setup(run, collected, gain, n, word):
    found = verdict(collected(*duel(run, gain, n)))
    assert found.verdict == word
    (only,) = found.setups
    assert (only.verdict.verdict, only.verdict.why) == (found.verdict, found.why)
    assert {(pair.seeds, pair.n_images) for pair in only.verdict.pairs} == {(n, IMAGES)}
    assert len(only.verdict.pairs) == 5 and len(only.trials) == 6 * n
    assert all(pair.low < pair.effect < pair.high for pair in only.verdict.pairs)
    assert only.setup.startswith("mobilenet-unet at 96 px, 300 steps of 16") and "31 labelled pictures" in only.setup


def test_sides_of_a_claim_share_their_setup(run, collected):
    """Rivals at one number of steps and ours at another are no comparison."""
    short = duel(run, 0.03)
    apart = [t for t in short if t.method != "dme-fd"] + seeds(
        run, 5, method="dme-fd", labelled=0.02, steps=900, level=0.1
    )
    found = verdict(collected(*apart))
    assert found.verdict == "not attempted" and found.setups == () and "no finished trial of Ours" in found.why


@pytest.mark.parametrize("file", ["0" * 64, "0" * 16])
def test_what_a_method_is_made_from_parts_no_setups(run, collected, file):
    """SAM-KD cannot be without SAM, its rivals have none: they still compare. What a training starts from does part."""
    evidence = collected(
        *seeds(run, 1, method="supervised", labelled=0.02),
        *seeds(run, 1, method="sam-kd", labelled=0.02, inputs={"sam": file}),
        *seeds(run, 1, method="dme-fd", labelled=0.02, inputs={"start": file}),
    )
    alone, ours, started = (
        next(i for i in evidence if i.trial.method == m) for m in ("supervised", "sam-kd", "dme-fd")
    )
    wanted = {"options": {}, "labelled": 0.02}
    assert setups.fits(ours, wanted | {"method": "sam-kd"}) and setups.setup_of(ours) == setups.setup_of(alone)
    assert not setups.fits(started, wanted | {"method": "dme-fd"}) and setups.setup_of(started) != setups.setup_of(
        alone
    )


def test_trials_of_two_files_are_not_mixed(run, collected):
    sam = {name: {"inputs": {"sam": WEIGHTS[name].sha256}, "options": {"sam": name}} for name in ("sam-h", "sam-b")}
    common = {"method": "sam-kd", "labelled": 0.02}
    evidence = collected(*seeds(run, 2, **common, **sam["sam-h"]), *seeds(run, 3, **common, **sam["sam-b"]))
    assert all(setups.fits(item, common | {"options": {}}) for item in evidence)
    (group,) = setups.grouped(evidence, ("method",)).values()
    assert [item.trial.options["sam"] for item in group] == ["sam-b"] * 3


def test_what_is_not_attempted_says_why():
    found = verdicts(None, ())
    assert len(found) == len(CLAIMS)
    assert all(item.verdict == "not attempted" and item.why and not item.setups for item in found)


def test_a_score_that_only_runs_hold_is_decided_where_they_are(run, collected):
    """Committed evidence has Dice alone; the claim about precision says so, and the runs decide it."""
    claim = CLAIMS["dme-fd-03"]
    claim = type(claim)(**claim.model_dump() | {"metric": "precision", "measure": ""})
    evidence = by_evaluation(collected(*duel(run, 0.03)))
    assert "not among the committed evidence" in decided(claim, evidence).why
    assert decided(claim, by_evaluation(read_evidence(Path("nowhere")))).setups


# ------------------------------------------------------------------------------------------------------ the headroom


@pytest.mark.parametrize("gain", [0.03, -0.03])
@pytest.mark.parametrize(
    ("worth", "said"),
    [(0.0, "interval above 0"), (-0.1, "worth -"), (0.02, "the +2.74 that the paper prints"), (None, "not among")],
)
def test_a_claim_about_few_labels_is_judged_only_where_labels_are_worth_something(run, collected, worth, said, gain):
    found = verdict(collected(*duel(run, gain, headroom=worth)))
    assert found.verdict == "cannot be tested here" and said in found.why


def test_headroom_is_all_labels_minus_the_few_in_the_setup_itself(run, collected):
    evidence = collected(*duel(run, 0.03, headroom=0.1))
    (only,) = verdict(evidence).setups
    few, many = (np.stack([scores(level, seed) for seed in range(5)]) for level in (0.0, 0.1))
    (room,) = only.headrooms
    assert room.value == pytest.approx((many - few).mean()) and room.low < room.value < room.high
    assert (room.labelled, room.seeds, room.n_images) == (31, 5, IMAGES)


@pytest.mark.parametrize(
    "elsewhere",
    [{"steps": 900}, {"net": "unet-s"}, {"size": 128}, {"augment": "strong"}, {"pretrained": True}, {"data": "ph2"},
     {"options": {"alpha": 1}}, {"method": "cps"}, {"data_stamp": "d1"}, {"labelled": 1579}, {"scored": "validation"}],
    ids=str,
)  # fmt: skip
def test_no_headroom_is_borrowed(run, collected, elsewhere):
    """The gate cannot be fooled by all labels in another set-up, by another method, in a study or on other data."""
    collected(*duel(run, 0.03, headroom=None), name="few")
    found = verdict(collected(*seeds(run, 5, **{"labelled": 1.0, "level": 0.3} | elsewhere), name="many"))
    assert found.verdict == "cannot be tested here" and found.setups[0].headrooms == ()


def test_headroom_must_be_seen_by_the_design_and_reach_every_printed_effect():
    claim = CLAIMS["dme-fd-03"]
    pair = lambda paper, smallest: SimpleNamespace(paper=paper, smallest=smallest)
    room = lambda value, low=0.01, high=0.3: [Headroom(31, value, low, high, 5, 439)]
    allowed = lambda rooms, *pairs: not why_untestable(claim, pairs, rooms, 1)
    assert allowed(room(0.04), pair(0.03, 0.02))
    assert not allowed(room(0.04), pair(0.03, 0.03)), "1.5 times the smallest difference is 4.5 points"
    assert not allowed(room(0.04), pair(0.0, 0.01), pair(0.05, 0.01)), "one comparison is printed with 5 points"
    assert not allowed(room(0.04), pair(-0.05, 0.01)), "however the printed effect is signed"
    assert not allowed(room(0.04, -0.001), pair(0.03, 0.02))
    assert not allowed(room(0.04, 0.0), pair(0.03, 0.02))
    assert not allowed(room(0.04, np.nan, np.nan), pair(0.03, 0.02)), "one seed has no interval"
    assert "has no interval" in why_untestable(claim, [pair(0.03, 0.02)], room(0.04, np.nan, np.nan), 1)
    assert not allowed(room(0.04), pair(0.03, np.nan)), "nor can one seed see anything"
    assert not why_untestable(claim, [pair(0.03, 0.02)], room(0.04) * 2, 2)
    assert why_untestable(claim, [pair(0.03, 0.02)], room(0.04), 2), "every number of labels needs its headroom"
    assert why_untestable(claim, [pair(0.03, 0.02)], [*room(0.04), *room(0.01)], 2)
    why = why_untestable(claim, [pair(0.03, 0.02)], room(0.01), 1)
    assert "+1.0 points" in why and "+3.00" in why and "+3.0" in why, "both numbers are told"


def test_claims_about_few_labels_are_those_that_name_a_share():
    few = {claim.id for claim in CLAIMS.values() if any(headroom.is_about_few_labels(claim, s) for s in claim.sides)}
    assert {"dme-fd-01", "dme-fd-05", "dme-fd-10", "sam-kd-01"} <= few
    assert not {name for name in few if name.startswith(("s3-net", "dale", "ssgnet"))}


def test_labels_by_share_and_by_number_are_two_setups(run, collected):
    """59 labelled pictures are the paper's 2 %, and so are 2 % of ours; no comparison has both."""
    share, number = duel(run, 0.03), duel(run, -0.03, labelled=59, headroom=None)
    found = verdict(collected(*share, *number))
    assert found.verdict == "set-up-dependent"
    words = {("as many labels as the paper" in each.setup): each.verdict.verdict for each in found.setups}
    assert words == {False: "reproduced", True: "not reproduced"}
    assert {len({item.trial.labelled for item in each.trials}) for each in found.setups} == {1}
    assert [room.labelled for each in found.setups for room in each.headrooms] == [31, 59], "all labels serve both"
    mixed = [t for t in share if t.method != "dme-fd"] + [t for t in number if t.method == "dme-fd"]
    assert verdict(collected(*mixed)).verdict == "not attempted"


def test_training_with_all_labels_belongs_to_both_ways_of_counting_them(run, collected):
    """At 8 % labelled hardly worse than with all: the same supervised trials stand against 8 % and against 236."""
    both = [duel(run, 0.1, labelled=0.08, headroom=0.1), duel(run, 0.1, labelled=236, headroom=None)]
    found = verdict(collected(*both[0], *both[1]), "dme-fd-10")
    assert found.verdict == "reproduced"
    few = [{item.trial.labelled for item in each.trials if item.trial.method == "dme-fd"} for each in found.setups]
    assert few == [{0.08}, {236}]
    assert all(1 in {item.trial.labelled for item in each.trials} for each in found.setups)


# ---------------------------------------------------------------------------------------------------- several set-ups


def test_setups_that_disagree_make_a_verdict_setup_dependent_and_all_are_shown(run, collected):
    first, second = duel(run, 0.03), duel(run, -0.03, steps=600)
    found = verdict(collected(*first, *second))
    assert found.verdict == "set-up-dependent"
    assert [each.verdict.verdict for each in found.setups] == ["reproduced", "not reproduced"]
    assert "reproduced with mobilenet-unet at 96 px, 300 steps" in found.why and "not reproduced with" in found.why
    assert list(lettered([found]).values()) == ["a", "b"]
    undecided = duel(run, 0.0, steps=900)
    assert verdict(collected(*first, *undecided)).verdict == "set-up-dependent"


def test_setups_that_may_not_judge_do_not_count(run, collected):
    good = duel(run, 0.03)
    poor = duel(run, -0.03, n=3, steps=600)
    blind = duel(run, -0.03, steps=900, headroom=0.0)
    found = verdict(collected(*good, *poor, *blind))
    assert found.verdict == "reproduced"
    assert [each.verdict.verdict for each in found.setups] == ["reproduced", "inconclusive", "cannot be tested here"]
    assert verdict(collected(*poor, *blind)).verdict == "inconclusive"


def backbone(run, gain, more=0.0, times=5, net="unet-s", **fields):
    """Plain training, DALE better by `gain`, and plain training with `times` the steps, better by `more`."""
    common = {"labelled": 1.0, "test_data": "ph2", "net": net, "steps": 100} | fields
    dale = seeds(run, 5, method="dale", level=gain, **common | {"options": {"patch": 8, "bins": 32}})
    return seeds(run, 5, **common) + dale + seeds(run, 5, **common | {"steps": 100 * times}, level=more)


def test_each_reading_is_judged_where_it_changes_a_trial(run, collected):
    """DALE with the statistics of whole pictures is another reading; rows without DALE are the same in both."""
    masked = backbone(run, 0.04)
    common = {"labelled": 1.0, "test_data": "ph2", "net": "unet-s", "steps": 100, "method": "dale"}
    whole = seeds(run, 5, level=-0.04, **common, options={"patch": 8, "bins": 32, "statistics": "whole"})
    found = verdict(collected(*masked, *whole), "dale-01")
    assert [each.verdict.verdict for each in found.setups] == ["reproduced", "not reproduced"]
    assert "reading whole statistics" in found.setups[1].setup and found.verdict == "set-up-dependent"
    rival = {"labelled": 1.0, "test_data": "ph2", "net": "xboundformer-s", "steps": 100}
    others = seeds(run, 5, **rival) + seeds(run, 5, **rival, method="cirl", level=0.1)
    assert len(verdict(collected(*others, name="rivals"), "dale-47").setups) == 1


@pytest.mark.parametrize(
    ("more", "times", "word"),
    [(0.0, 5, "reproduced"), (0.02, 5, "reproduced"), (0.045, 5, "cannot be tested here"),
     (-0.02, 5, "reproduced"), (0.0, 3, "cannot be tested here")],
)  # fmt: skip
def test_a_claim_about_all_labels_waits_for_the_end_of_training(run, collected, more, times, word):
    """The paper prints 3.3 points; more steps that are worth as much, or that nobody tried, leave nothing to judge."""
    found = verdict(collected(*backbone(run, 0.04, more, times)), "dale-01")
    assert found.verdict == word
    assert found.setups[0].setup.startswith("unet-s at 96 px, 100 steps of 16")
    said = {3: "nobody knows whether", 5: "training had not ended"}[times]
    assert word == "reproduced" or (said in found.why and "unet-s" in found.why)


def test_the_longest_training_says_whether_one_had_ended(run, collected):
    one = seeds(run, 1, labelled=1.0, test_data="ph2", net="unet-s", steps=1800, level=0.2)
    longer = seeds(run, 5, labelled=1.0, test_data="ph2", net="unet-s", steps=900, level=0.05)
    trials = backbone(run, 0.04)
    assert verdict(collected(*trials, *one), "dale-01").verdict == "reproduced", "one seed has no interval"
    found = verdict(collected(*trials, *one, *longer), "dale-01")
    assert found.verdict == "cannot be tested here" and "9 times the steps" in found.why


def test_training_with_other_labels_or_another_network_does_not_say_whether_one_had_ended(run, collected):
    there = [trial for trial in backbone(run, 0.04) if trial.steps == 100]
    elsewhere = seeds(run, 5, labelled=0.5, test_data="ph2", net="unet-s", steps=500)
    elsewhere += seeds(run, 5, labelled=1.0, test_data="ph2", net="emcad-s", steps=500)
    elsewhere += seeds(run, 5, labelled=1.0, net="unet-s", steps=500)
    assert verdict(collected(*there, *elsewhere), "dale-01").verdict == "cannot be tested here"


def test_a_small_variant_stands_in_and_is_set_against_another_small_one_alone(run, collected):
    other, small = backbone(run, 0.04, net="emcad-s"), backbone(run, 0.04)
    plain = [trial for trial in small if trial.method != "dale"]
    dale = [trial for trial in backbone(run, 0.04, net="unet") if trial.method == "dale"]
    assert verdict(collected(*other, *plain, *dale), "dale-01").verdict == "not attempted"
    assert verdict(collected(*small, name="small"), "dale-01").verdict == "reproduced"


def test_one_size_of_patch_counts_for_a_setup(run, collected):
    common = {"labelled": 1.0, "test_data": "ph2", "net": "unet-s", "steps": 100, "method": "dale"}
    two = seeds(run, 2, level=-0.2, **common, options={"patch": 16, "bins": 32})
    (only,) = verdict(collected(*backbone(run, 0.04), *two), "dale-01").setups
    assert {item.trial.options.get("patch", 8) for item in only.trials} == {8}
    assert only.setup.endswith("bins 32, patch 8")


def test_dice_and_jaccard_of_one_comparison_count_once(run, collected):
    found = verdicts("dme-fd", collected(*duel(run, 0.03)))
    assert tuple(counts(found)) == WORDS
    two = [item for item in found if item.claim.id in ("dme-fd-03", "dme-fd-04")]
    assert [item.verdict for item in two] == ["reproduced", "reproduced"]
    assert counts(two)["reproduced"] == 1 and sum(counts(two).values()) == 1
    assert sum(counts(found).values()) < len(found)
    apart = [item for item in found if item.claim.id in ("dme-fd-03", "dme-fd-34")]
    assert sum(counts(apart).values()) == 2, "other rows are another comparison"
    precision = [two[0], replace(two[1], claim=two[1].claim.model_copy(update={"metric": "precision"}))]
    assert sum(counts(precision).values()) == 2, "a score that does not follow from Dice is another"


def test_a_verdict_is_plain_values(run, collected):
    row = verdict(collected(*duel(run, 0.03))).as_dict()
    assert json.loads(json.dumps(row)) == row
    (only,) = row["setups"]
    assert (row["verdict"], only["verdict"], len(only["pairs"]), len(only["headroom"])) == (*["reproduced"] * 2, 5, 1)


# -------------------------------------------------------------------------------------------------- one picture alone


def one_image_evidence(tmp_path):
    """Trials on PH2 as `write_evidence` keeps them: the oracle's scores, and better ones with the leak."""
    level = {"s3-net-paper": -0.1, "s3-net-code": 0.1, "sgscn": 0.0, "ms-former": 0.02}
    trials, series = [], []
    for name, gain in level.items():
        options = {"reading": name.removeprefix("s3-net-")} if name.startswith("s3-net") else {}
        for seed in range(5):
            fields = {"method": "s3-net" if options else name, "data": "ph2", "seed": seed, "options": options}
            trial = make_trial(**fields)
            leak = 0.3 * (name == "s3-net-paper")
            for view, more in (("oracle", 0), ("oracle+4", leak), ("darkest", 0.4)):
                values = scores(gain + more - 0.4, seed, name)
                about = trial.given | {"options": json.dumps(options)} if view == "oracle" else {}
                about |= {"fingerprint": "f", "n_test": IMAGES, "name": name} if about else {}
                trials.append({"id": trial.id, "view": view, "dice_per_image": values.mean(), **about})
                images = {f"IMD{i:03d}": value for i, value in enumerate(values)}
                series.append({"trial": trial.id, "view": view, "score": "dice", **images})
    folder = tmp_path / "results/s3-net/table-1-ph2"
    atomic_write(folder / "trials.csv", csv_text(trials))
    atomic_write(folder / "per_image.csv", csv_text(series))
    return read_evidence(tmp_path / "results", runs=False)


def test_each_reading_and_evaluation_of_a_one_image_method_is_judged_by_itself(tmp_path):
    evidence = one_image_evidence(tmp_path)
    found = verdict(evidence, "s3-net-04")
    words = {each.setup.partition("reading ")[2]: each.verdict.verdict for each in found.setups}
    truth = "the cluster chosen by the truth"
    leak = f"{truth}, and all further than 4 px from the true lesion deleted"
    assert words == {
        f"paper, {truth}": "not reproduced", f"paper, {leak}": "reproduced",
        f"code, {truth}": "reproduced", f"code, {leak}": "reproduced",
    }  # fmt: skip
    assert found.verdict == "set-up-dependent"
    assert weakest(found.claim, found.setups[0].verdict.pairs).effect == pytest.approx(-0.12, abs=0.01)
    assert "k-means" in verdict(evidence, "s3-net-01").why


def test_a_row_that_names_no_option_means_the_methods_defaults():
    for method, option in (("k-means", "k"), ("s3-net", "reading")):
        assert inspect.signature(method_class(method)).parameters[option].default == setups.UNNAMED[option]


def test_a_training_that_was_kept_or_scored_otherwise_counts_once():
    items = read_spec_evidence(project_root() / "results/dme-fd/table-1-lab")
    more = [replace(item, trial=item.trial.model_copy(update={"evaluations": 7})) for item in items[:3]]
    assert setups.grouped([*items, *more], ()) == setups.grouped(items, ())

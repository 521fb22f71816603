"""The fair experiment keeps to its plan: the pilot chooses the set-up, Holm decides, what is missing is "not yet"."""

from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tutseg.files import csv_rows
from tutseg.papers.intervals import paired_interval
from tutseg.report import fair as report
from tutseg.report.fair import ALL, FEW, PRINTED, RIVALS, WITHOUT, Fair, primary, told_primary
from tutseg.report.groups import Group
from tutseg.training.evidence import read_spec_evidence
from tutseg.training.spec import experiments, read_spec, results_of

WITHIN = 0.015  # of the best set-up with all labels, as fair-pilot.yaml says
FIELDS = ("pretrained", "size", "lr", "steps")


def test_the_set_up_is_the_pilots_choice_on_the_validation_part():
    pilot = read_spec(experiments() / "dme-fd" / "fair-pilot.yaml")
    items = read_spec_evidence(results_of(pilot))
    assert {item.id for item in items} == {trial.id for trial in pilot.trials}
    assert {item.trial.scored for item in items} == {"validation"}
    found: dict[tuple, dict[float, list[float]]] = {}
    for item in items:
        set_up = tuple(item.fields[name] for name in FIELDS)
        dice = item.default.means["dice"]["per_image"]
        found.setdefault(set_up, {}).setdefault(item.trial.labelled, []).append(dice)
    dice = {set_up: {labelled: fmean(each) for labelled, each in own.items()} for set_up, own in found.items()}
    best = max(own[1.0] for own in dice.values())
    eligible = [set_up for set_up, own in dice.items() if own[1.0] >= best - WITHIN]
    chosen = max(eligible, key=lambda set_up: dice[set_up][1.0] - dice[set_up][59])
    for trial in read_spec(experiments() / "dme-fd" / "fair.yaml").trials:
        assert tuple(getattr(trial, name) for name in FIELDS) == chosen
        assert trial.scored == "test" and trial.evaluations == 1
    told = report.pilots(pilot)
    assert next(each.set_up for each in told if each.eligible) == chosen
    assert {each.set_up for each in told if each.eligible} == set(eligible)
    assert len(report.pilot_table(pilot).rows) == len(dice)


def test_every_arm_of_the_plan_is_a_row_with_what_is_there_or_not_yet():
    spec = read_spec(experiments() / "dme-fd" / "fair.yaml")
    rows = [row for row in csv_rows(results_of(spec) / "trials.csv") if row["method"]]
    shown = report.arms_table(report.read_fair(spec))
    assert [row[0] for row in shown.rows] == list(dict.fromkeys(spec.rows.values()))
    assert shown.heads[1:5] == ("29 labels = 1 %", "59 labels = 2 %", "118 labels = 4 %", "all labels")
    for arm, *cells, _ in shown.rows:
        for labelled, cell in zip((29, 59, 118, 1), cells, strict=True):
            own = [row for row in rows if row["name"] == arm and float(row["labelled"]) == labelled]
            planned = [t for t in spec.trials if spec.rows[t.id] == arm and t.labelled == labelled]
            dice = 100 * fmean(float(row["dice_per_image"]) for row in own) if own else 0
            begun = f"{dice:.1f} ± " if own else "not yet"
            assert cell.startswith(begun if planned else "–")
            assert ("not yet" in cell) == (len(own) < len(planned))


NOISE = np.random.default_rng(2).normal(0, 0.02, (5, 40))


def arm(name: str, dice: float, seeds: int = 5, **scores: list[float]) -> Group:
    """An arm's Dice by seed and image; `scores` are means of further scores, one a seed."""
    views = [SimpleNamespace(means={k: {"per_image": v[seed]} for k, v in scores.items()}) for seed in range(seeds)]
    trials = [
        SimpleNamespace(trial=SimpleNamespace(seed=seed), default=view, provenance={"device": "cpu"})
        for seed, view in enumerate(views)
    ]
    shift = np.random.default_rng(len(name)).normal(0, 0.01, (5, 40))
    return Group(name, (dice + NOISE + shift)[:seeds], trials)


def fair_of(*groups: Group, labelled: float = 59) -> Fair:
    found = dict.fromkeys([(ALL, 1.0), *((name, labelled) for name in (PRINTED, WITHOUT, *RIVALS))])
    found |= {(group.name, 1.0 if group.name == ALL else labelled): group for group in groups}
    return Fair(found, 5, "")


def test_a_comparison_is_decided_by_holm_over_all_that_are_planned_and_waits_for_its_seeds():
    ours = arm(PRINTED, 0.8)
    near = 0.5 * np.subtract(*paired_interval(ours.values - arm("CPS raw", 0.8).values)[::-1])
    groups = [ours, arm(WITHOUT, 0.7), arm(FEW, 0.9), arm("FixMatch", 0.7, seeds=4)]
    effect = float((ours.values - arm("CPS raw", 0.8).values).mean())
    groups.append(arm("CPS raw", 0.8 + effect - 1.1 * near))  # the plain interval lies just above zero
    found = {each.other: each for each in primary(fair_of(*groups), 59)}
    assert list(found) == [WITHOUT, *RIVALS]
    assert found["CPS raw"].difference.low > 0, "alone it would decide"
    words = {name: each.word for name, each in found.items()}
    assert words == dict.fromkeys(found, "not yet") | {WITHOUT: "higher", FEW: "lower", "CPS raw": "undecided"}
    assert found["FixMatch"].seeds == 4 and found["UniMatch"].difference is None
    assert told_primary([*found.values()][:3]) == (
        "higher than `without FDL`, lower than `supervised`, not yet to be judged against `supervised, strong views`"
    )


@pytest.mark.parametrize(("worth", "seeds", "allowed"), [(0.3, 5, "yes"), (0.002, 5, "no"), (0.3, 4, "no")])
def test_headroom_allows_a_verdict_only_where_labels_are_worth_what_is_claimed(worth, seeds, allowed):
    fair = fair_of(arm(ALL, 0.6 + worth), arm(FEW, 0.6), arm(PRINTED, 0.7), arm("CPS raw", 0.6, seeds=seeds))
    room = report.headrooms(fair)[59]
    each = (fair.found[ALL, 1.0].values - fair.found[FEW, 59].values).mean()
    assert room.value == pytest.approx(each) and room.low < each < room.high
    assert report.headroom_table(fair).rows[0][1] == f"{100 * each:.1f}"
    rows = {row[1]: row for row in report.primary_table(fair).rows}
    assert rows["CPS raw"][-1] == allowed and rows["CPS raw"][6] == "+0.46" and rows["FixMatch"][6] == "–"
    assert rows["UniMatch"][2] == "not yet" and rows["supervised"][6] == "+5.42"


def test_an_arm_draws_too_much_where_sensitivity_rises_and_precision_falls():
    few = arm(FEW, 0.8, sensitivity=[0.8, 0.82, 0.78, 0.8, 0.8], precision=[0.9, 0.88, 0.9, 0.91, 0.9])
    much = arm("CPS raw", 0.6, sensitivity=[0.9, 0.95, 0.93, 0.94, 0.9], precision=[0.6, 0.5, 0.6, 0.5, 0.6])
    same = arm("FixMatch", 0.8, sensitivity=[0.8, 0.83, 0.77, 0.81, 0.8], precision=[0.6, 0.5, 0.6, 0.5, 0.6])
    fair = fair_of(few, much, same)
    assert report.draws_too_much(fair, 59) == ["CPS raw"]
    gains = np.subtract([0.9, 0.95, 0.93, 0.94, 0.9], [0.8, 0.82, 0.78, 0.8, 0.8])
    low, high = stats.t.interval(0.95, 4, gains.mean(), stats.sem(gains))
    row = next(row for row in report.area_table(fair).rows if row[1] == "CPS raw")
    assert row[4] == f"{100 * gains.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"

"""The fair experiment keeps to its written plan: its set-up follows from the pilot's evidence by the pilot's rule."""

from statistics import fmean

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

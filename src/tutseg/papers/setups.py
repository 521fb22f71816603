"""Which finished trials may stand beside a paper's cell, and which of them may be set against one another.

A paper's table says which method, data and labelled share a cell is of; it seldom says enough to repeat the rest. All
the rest of a trial (network, size, steps, batch, protocol, ...) together with the fingerprint of its data is its
*set-up*. A number of ours comes from one set-up alone, and so do all sides of a comparison.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tutseg.data.splits import LEAKS
from tutseg.files import canonical_json
from tutseg.papers.claims import MIN_SEEDS
from tutseg.papers.tables import SMALL, matches
from tutseg.training.evidence import Finished
from tutseg.training.tasks import task_of
from tutseg.training.trial import Trial

# What a cell says of a trial, or what a table repeats over; the other fields are the set-up.
CELL_FIELDS = ("method", "options", "labelled", "data", "test_data", "seed", "fold", "pictures", "evaluations")
# Fields of our own studies: papers have the default, whether they say so or not.
STUDY_FIELDS = ("augment", "inputs", "noise", "groups", "change", "scored")
# Options of one-image methods at the values that a paper's row means without naming them.
UNNAMED = {"k": 3, "reading": "paper"}
# Options that count pixels and grey levels, and so go with the size: what papers say of them belongs to theirs.
SCALED = ("patch", "bins")
# These, and the one that says which file an input is; papers leave that unsaid as they do the network.
FREE = ("sam", *SCALED)

# An input that every seed has of its own.
OWN = "labeller"

Setup = tuple[str, str]


def studied_inputs(trial: Trial) -> dict[str, str]:
    """What a training starts from; papers' do not. What a method is made from, as SAM-KD is from SAM, is no study."""
    return {role: name for role, name in trial.inputs.items() if role == "start"}


def setup_of(item: Finished, without: Iterable[str] = ()) -> Setup:
    """A trial's set-up: as canonical JSON its fields but for those that a cell names, and how its labels are counted.

    2 % of our training pictures and the number of pictures that are 2 % of the paper's both serve the paper's 2 %; they
    are two set-ups, "share" and "number". All labels are all labels: "". Where a cell names the network, what
    is left of it is whether it is a small variant.
    """
    left_out = {*CELL_FIELDS, *without}
    fields = {key: value for key, value in item.fields.items() if key not in left_out}
    if "net" in left_out:
        fields["net"] = SMALL if item.trial.net.endswith(SMALL) else ""
    if "inputs" in fields:
        fields["inputs"] = studied_inputs(item.trial)
    counted = "" if item.trial.labelled == 1 else "number" if item.trial.labelled > 1 else "share"
    return canonical_json({**fields, "fingerprint": item.provenance.get("data", "")}), counted


def fits(item: Finished, wanted: Mapping[str, Any]) -> bool:
    """Whether a trial is what a cell asks for: no option beyond the paper's, none of our studies' changes."""
    if item.trial.method != wanted["method"]:  # spares the rest for most trials
        return False
    options = named_options(item)
    if options.keys() - {name for name, value in wanted["options"].items() if value is not None}:
        return False
    fields = item.fields | {"inputs": studied_inputs(item.trial)}
    if any(fields[name] != Trial.model_fields[name].default for name in STUDY_FIELDS if name not in wanted):
        return False
    if item.trial.protocol in LEAKS:
        return False
    return matches(wanted, item.fields | {"options": options})


def named_options(item: Finished) -> dict[str, Any]:
    """A trial's options but for those that papers leave unnamed."""
    options = item.trial.options.items()
    return {name: value for name, value in options if name not in FREE and UNNAMED.get(name) != value}


def grouped(items: Iterable[Finished], named: Iterable[str]) -> dict[Setup, list[Finished]]:
    """Trials by their set-up, fields `named` left out."""
    groups: dict[Setup, list[Finished]] = {}
    for item in items:
        groups.setdefault(setup_of(item, named), []).append(item)
    return {setup: _once(_of_one_file(group)) for setup, group in groups.items()}


def _once(group: list[Finished]) -> list[Finished]:
    """Each training once: of several that differ in what was scored or kept of them, the one with most pictures."""
    found: dict[str, Finished] = {}
    for item in group:
        same = canonical_json({k: v for k, v in item.fields.items() if k not in ("pictures", "evaluations")})
        if same not in found or item.n["test"] > found[same].n["test"]:
            found[same] = item
    return list(found.values())


def _of_one_file(group: list[Finished]) -> list[Finished]:
    """Those made from the same files, with the same `FREE` options, of several such the most."""
    free = [{name: value for name, value in item.trial.options.items() if name in FREE} for item in group]
    made_from = [canonical_json([{**item.trial.inputs, OWN: ""}, own]) for item, own in zip(group, free, strict=True)]
    most = max(made_from, key=made_from.count)
    return [item for item, files in zip(group, made_from, strict=True) if files == most]


def rank(group: Sequence[Finished], beside: int = 0) -> tuple:
    """Set-ups in ascending order of what we would rather show.

    Enough seeds, then more cells `beside` it in a column that the same set-up fills, so that rows can be compared, then
    the larger size, then more steps.
    """
    trial, seeds = group[0].trial, len({item.trial.seed for item in group})
    defaults = sum(group[0].fields[name] == field.default for name, field in Trial.model_fields.items())
    return min(seeds, MIN_SEEDS), beside, trial.size, trial.steps, seeds, defaults, setup_of(group[0])


def describe_setup(trials: Sequence[Finished]) -> str:
    """Network, size, steps and protocol of trials of one set-up (several networks where the table names them)."""
    first = trials[0].trial
    if not task_of(first.method).trains:
        return f"one picture at a time at {first.size} px"
    words = [
        " and ".join(dict.fromkeys(item.trial.net for item in trials)) + f" at {first.size} px",
        f"{first.steps} steps of {first.batch}",
        f"{first.protocol} protocol",
        *(["as many labels as the paper"] if any(item.trial.labelled > 1 for item in trials) else []),
        *(["ImageNet weights"] if first.pretrained else []),
        *(f"{key} {value}" for key, value in (first.data_options | first.test_options).items()),
    ]
    return ", ".join(words)


def describe_scaled(trials: Iterable[Finished]) -> list[str]:
    """The options of trials that go with the size, as "patch 8"; rows beside them may have none."""
    options = (option for item in trials for option in item.trial.options.items())
    return list(dict.fromkeys(f"{name} {value}" for name, value in options if name in SCALED))

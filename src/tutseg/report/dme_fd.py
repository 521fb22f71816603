"""The rows of DME-FD's tables: what the paper calls them, and which of our trials they are."""

from collections.abc import Sequence
from pathlib import Path

from tutseg.files import canonical_json
from tutseg.papers.tables import find_cells
from tutseg.report.groups import Group, in_groups, told
from tutseg.training.evidence import Finished, read_spec_evidence

TABLE_1 = {
    "supervised": "SupOnly",
    "pseudoseg": "PseudoSeg",
    "cct": "CCT",
    "cps": "CPS",
    "gta-seg": "GTA-Seg",
    "unimatch": "UniMatch",
    "dme-fd": "Ours",
}
TABLE_3 = {
    "union": "Union",
    "intersection": "Intersect",
    "self-teaching": "Self-teaching",
    "cross-view": "Cross-view teaching",
}
TABLE_4 = {
    "supervised": "Sup",
    "cross supervision": "Sup+CPS",
    "joint mask": "Sup+CPS+DME",
    "joint mask and FDL": "Sup+CPS+DME+FDL",
}
TABLE_5 = {"FDL": "FDL", "CCVC": "CCVC"}
# Options of a trial, as canonical JSON -> what its row is called.
RULES = {
    "{}": "union",
    '{"combine":"intersect"}': "intersection",
    '{"combine":"self"}': "self-teaching",
    '{"combine":"cross"}': "cross-view",
}
PARTS = {'{"dme":false,"fdl":"none"}': "cross supervision", '{"fdl":"none"}': "joint mask", "{}": "joint mask and FDL"}
FEATURE_LOSS = {"{}": "FDL", '{"fdl":"cosine"}': "CCVC"}


def by_part(*folders: Path) -> list[Group]:
    """The rows of Table 4 at 4 % labelled, from one or more folders of evidence."""

    def part(item: Finished) -> str | None:
        own = PARTS.get(canonical_json(item.trial.options))
        return {"dme-fd": own, "supervised": "supervised"}.get(item.trial.method)

    items = [item for folder in folders for item in read_spec_evidence(folder) if item.trial.labelled == 0.04]
    return sorted(in_groups(items, part), key=lambda group: list(TABLE_4).index(group.name))


def clinics(item: Finished) -> str:
    """Where a trial of Figure 6 was trained and tested: drawn clinics, or data sets."""
    trial = item.trial
    if trial.data == "synth":
        home, away = trial.data_options["clinic"], trial.test_options.get("clinic", "")
    else:
        home, away = trial.data, trial.test_data
    return f"trained in {home}, tested in {away if trial.test_data else home}"


def choice(item: Finished) -> str:
    """What a trial has otherwise than the paper's words."""
    if item.trial.method == "supervised":
        return "supervised, strong views"
    name = ", ".join(f"{key} = {value}" for key, value in item.trial.options.items())
    strong = "strong views of labelled pictures" if item.trial.augment == "strong" else ""
    return ", ".join(filter(None, (name, strong))) or "as printed"


def printed(number: int, row: str, labelled: float = 0.04) -> tuple[float, float]:
    """Dice and its spread over folds as a table prints them for ISIC 2018, as fractions."""
    setting = {"data": "isic2018", "labelled": f"{labelled:g}"}
    (cell,) = find_cells("dme-fd", number, row, "dice", setting)
    return float(cell.value) / 100, float(cell.spread) / 100


def journeys(groups: Sequence[Group]) -> dict[str, str]:
    """By where a network was trained: its Dice "75.6 % at home and 62.1 % away"."""
    found: dict[str, dict[bool, str]] = {}
    for group in groups:
        trial = group.trials[0].trial
        name = trial.data_options.get("clinic", trial.data.removesuffix("2018"))
        found.setdefault(name, {})[bool(trial.test_data)] = f"{told(group.mean)} %"
    return {name: f"{scores[False]} at home and {scores[True]} away" for name, scores in found.items()}

"""Promptability: whether a net segments what it is told to, or merely what it finds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tutseg.report.groups import of_spec, provenance, told, told_interval
from tutseg.report.table import Table

PROMPTS = {
    "box": "the smallest box",
    "click": "one click in the middle",
    "mask": "a rough mask",
    "rough": "(the rough mask itself)",
}


def promptability(*folders: Path) -> Table:
    """Dice with the thing that the prompt meant, and with the other one in the same picture.

    Parameters
    ----------
    *folders : Path
        Evidence of specs whose method is ``prompted``.
    """
    found, rows, missing = [], [], []
    for folder in folders:
        items, part = of_spec(folder)
        items = [item for item in items if item.id not in {each.id for each in found}]
        found += items
        missing += [part] if part else []
        for item in items:
            for view, prompt in PROMPTS.items():
                scores = item.views[view]
                meant, other = scores.per_image("dice"), scores.per_image("other")
                prompt_itself = item.views["rough"].per_image("dice") if view == "mask" else {}
                rows.append(
                    (
                        item.trial.test_data or item.trial.data,
                        prompt,
                        *(told(np.mean(list(each.values()))) if each else "–" for each in (meant, other)),
                        *(_gain(meant, each) for each in (other, prompt_itself)),
                        str(len(meant)),
                    )
                )
    return Table(
        (
            "pictures",
            "told by",
            "Dice % with the lesion meant",
            "Dice % with the other one",
            "margin [95 % interval]",
            "above its prompt [95 % interval]",
            "n",
        ),
        tuple(rows),
        "What a net answers when it is told which lesion is meant",
        " ".join(missing),
        provenance(found),
        keys=2,
    )


def _gain(scores: Mapping[str, float], others: Mapping[str, float]) -> str:
    """Mean difference by picture, and its interval."""
    if not others:
        return "–"
    values = np.array([[scores[name] - other for name, other in others.items()]])
    return f"{told(values.mean(), sign='+')} [{told_interval(values, sign='+')}]"

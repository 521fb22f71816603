"""Predict before you run: an answer is stored beside the notebook and met again when the result is there."""

from pathlib import Path
from typing import Any

from tutseg.files import atomic_write, canonical_json, json_of

FILE = Path("predictions.json")


def _stored() -> dict[str, dict[str, Any]]:
    """The predictions of the file; an entry that was spoiled by hand counts as none."""
    entries = (json_of(FILE) or {}).items()
    return {name: each for name, each in entries if isinstance(each, dict) and {"answer", "met"} <= each.keys()}


def predict(name: str, answer: Any) -> None:
    """Store a prediction, such as ``predict("L1.a", 0.8)``; once its result has been met it stays as it is."""
    stored = _stored()
    if name in stored and stored[name]["met"]:
        print(f"{name}: you predicted {stored[name]['answer']}, and have seen the result; it stays.")
    elif answer is None:
        print(f"{name}: write your prediction in place of None and run this cell again, before you go on.")
    else:
        told = answer if isinstance(answer, bool | int | float | str) else str(answer)
        atomic_write(FILE, canonical_json(stored | {name: {"answer": told, "met": False}}))
        print(f"{name}: stored.")


def met(name: str, truth: Any) -> None:
    """Set a prediction beside what came out."""
    stored = _stored()
    truth = truth.item() if hasattr(truth, "item") else truth  # of NumPy or torch
    came = f"{truth:.3g}" if isinstance(truth, float) else str(truth)
    if name not in stored:
        print(f"{name}: it came out as {came}. You had predicted nothing: the next one you should.")
        return
    answer = stored[name]["answer"]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (answer, truth))
    if numbers:
        comment = f"{abs(truth - answer):.3g} apart"
    else:
        comment = "as predicted" if str(answer).strip().lower() == str(truth).strip().lower() else "not as predicted"
    atomic_write(FILE, canonical_json(stored | {name: {"answer": answer, "met": True}}))
    print(f"{name}: you predicted {answer}, it came out as {came}: {comment}. What did you not think of?"
          if comment != "as predicted" else f"{name}: you predicted {answer}, and so it came out.")  # fmt: skip

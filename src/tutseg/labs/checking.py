"""The checks behind a lab's blanks: each compares with brute force on random inputs and names the likely mistake.

A module `tutseg.labs.l1` has the checks of lab L1 by name in ``CHECKS``; the parameters of each are names that the
notebook defines. A check that finds a fault raises `Wrong` with one line that helps and does not tell the answer.
"""

import importlib
import inspect
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tutseg.errors import printable, unknown

FAST, SEED = "TUTSEG_LAB_FAST", "TUTSEG_LAB_SEED"
Check = Callable[..., None]


class Wrong(Exception):
    """An answer is not right; the message is the hint, and all that a notebook shows."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the check must catch.

    Parameters
    ----------
    check : str
        The check that must fail, such as "L1.2".
    what : str
        What is wrong, for the teacher.
    hint : str
        A part of the hint that it must get.
    code : str
        What stands in place of the blank's solution.
    also : tuple of str
        Other checks that fail with it, because they use this blank.
    """

    check: str
    what: str
    hint: str
    code: str
    also: tuple[str, ...] = ()


def short(full: int, fast: int) -> int:
    """`full`, or `fast` where the environment has ``TUTSEG_LAB_FAST``: a size that tests and graders can wait for."""
    return fast if os.environ.get(FAST) else full


def rng() -> np.random.Generator:
    """Where a check's random inputs come from; the grader's are others than the class's (``TUTSEG_LAB_SEED``)."""
    return np.random.default_rng(int(os.environ.get(SEED, 0)))


def expect(condition: bool, hint: str) -> None:
    """Raise `Wrong` with the hint unless the condition holds."""
    if not condition:
        raise Wrong(hint)


def same(got: Any, truth: Any, what: str, likely: Mapping[str, Any] | None = None, tol: float = 1e-6) -> None:
    """Raise `Wrong` unless an answer is the truth.

    Parameters
    ----------
    got, truth : number, array or tensor
        The answer, and what brute force gives; of any shape.
    what : str
        What was computed, with the inputs: the beginning of the hint.
    likely : mapping, optional
        Hints for wrong answers, by hint; the first that equals the answer is told.
    tol : float
        Relative and absolute tolerance.
    """
    found, wanted = _numbers(got, what), _numbers(truth, "the truth")
    if _near(found, wanted, tol):
        return
    for hint, value in (likely or {}).items():
        if _near(found, _numbers(value, "a likely mistake"), tol):
            raise Wrong(f"{what}: {hint}")
    if found.shape != wanted.shape:
        raise Wrong(f"{what}: the answer has the shape {found.shape}, and {wanted.shape} is asked for")
    if not np.isfinite(found).all():
        raise Wrong(f"{what}: the answer is not finite; is something divided by zero, or the logarithm of zero taken?")
    told = f"{found:.6g}" if found.ndim == 0 else "the array returned"
    raise Wrong(f"{what}: {told} is not what counting by hand gives; work one small case out on paper")


def _near(a: np.ndarray, b: np.ndarray, tol: float) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=tol, atol=tol, equal_nan=True)


def _numbers(value: Any, what: str) -> np.ndarray:
    if value is None or value is Ellipsis:
        raise Wrong(f"{what}: nothing came back; does the function end with `return`?")
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"{what}: a {type(value).__name__} came back, and numbers are asked for") from None


def checks_of(lab: str) -> dict[str, Check]:
    """The checks of a lab (``L1``), by name."""
    return importlib.import_module(f"tutseg.labs.{lab.lower()}").CHECKS


def mistakes_of(lab: str) -> tuple[Mistake, ...]:
    """The mistakes planted in a lab."""
    return importlib.import_module(f"tutseg.labs.{lab.lower()}").MISTAKES


def names_of(check: Check) -> list[str]:
    """The names of the notebook that a check looks at."""
    return list(inspect.signature(check).parameters)


def fault_of(check: Check, given: Mapping[str, Any]) -> str:
    """What a check says of an answer, in one line; empty where it passes."""
    try:
        check(**given)
    except Wrong as wrong:
        return printable(str(wrong))
    except NotImplementedError:
        return "the blank is still empty"
    except Exception as error:
        return printable(f"stops with {type(error).__name__}: {error}"[:300]) + _where(error)
    return ""


def _where(error: Exception) -> str:
    """Line and function of the answer where an error arose, not of the libraries that it called."""
    own = str(Path(__file__).resolve().parents[1])
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if "site-packages" not in frame.filename and not frame.filename.startswith(own)]  # fmt: skip
    return f" (line {frames[-1].lineno} of the cell, in {frames[-1].name})" if frames else ""


def check(name: str, **given: Any) -> None:
    """Check one blank, such as ``check("L1.2", dice=dice)``.

    Raises
    ------
    Wrong
        With a hint; a notebook shows the hint alone.
    """
    checks = checks_of(name.partition(".")[0])
    if name not in checks:
        raise unknown("check", name, checks)
    if fault := fault_of(checks[name], given):
        raise Wrong(f"{name}: {fault}")
    print(f"{name}: right.")

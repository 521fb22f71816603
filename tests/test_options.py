"""Options of methods: declared once in the constructor, refused in one line, and described by the same annotations."""

from typing import Annotated, Literal

import pytest
from drawn import net_for, register_tiny
from pydantic import Field

from tutseg.errors import InputError
from tutseg.methods import CARDS, build_method, describe
from tutseg.methods.co_training.cps import CPS
from tutseg.methods.options import Share, in_words

OPTIONS = [(name, option) for name in CARDS for option in describe(name)["options"]]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def refused(name: str, **options) -> str:
    """The line that refuses these options."""
    rest = {"net": net_for(name), "size": 32} if CARDS[name].kind != "one-image" else {}
    with pytest.raises(InputError) as error:
        build_method(name, **rest, **options)
    line = str(error.value)
    assert "\n" not in line and f"see `tutseg methods {name}`" in line
    return line


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_of_every_method_is_checked(name, option):
    line = refused(name, **{option: "abc"})
    expected = describe(name)["options"][option]["expected"]
    assert line == f"method {name}: {option} = 'abc': give {expected}; see `tutseg methods {name}`"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("k-means", {"k": 2.5}, "k = 2.5: give a whole number, at least 2"),
        ("k-means", {"k": "3"}, "k = '3': give a whole number"),
        ("k-means", {"k": True}, "k = True: give a whole number"),
        ("k-means", {"k": 1}, "k = 1: give a whole number, at least 2"),
        ("dme-fd", {"cps": 1}, "cps = 1: give true or false"),
        ("dme-fd", {"tau": 1}, "tau = 1: give a number, at least 0.5 and below 1"),
        ("dme-fd", {"tau": float("nan")}, "tau = nan: give a number"),
        ("cps", {"weight": float("inf")}, "weight = inf: give a number"),
        ("dme-fd", {"combine": "or"}, "combine = 'or': give one of union, intersect, self, cross"),
        ("dme-fd", {"alpha_max": -1}, "alpha_max = -1: give a number, at least 0; or null"),
        ("s3-net", {"weights": [1]}, "weights = [1]: give 3 values, each a number, at least 0; or null"),
        ("s3-net", {"weights": [1, 2, 3, 4]}, "weights = [1, 2, 3, 4]: give 3 values"),
        ("s3-net", {"weights": [1, -2, 3]}, "weights = [1, -2, 3]: give 3 values"),
        ("s3-net", {"lr": 0}, "lr = 0: give a number, above 0; or null"),
        ("s3-net", {"spatial": "edge"}, "spatial = 'edge': give one of pairwise, edges, literal; or null"),
        ("dme-fd", {"tao": 0.9}, "unknown option of method dme-fd 'tao': did you mean tau?"),
        ("deep-cluster", {"steps": 4}, "steps = 4 are fewer than rounds = 10"),
    ],
)
def test_the_line_says_what_came_and_what_is_expected(name, options, words):
    assert words in refused(name, **options)


def test_a_missing_argument_is_named():
    with pytest.raises(InputError, match=r"method cps: size is missing: give a whole number"):
        build_method("cps", net="tiny")


def test_a_class_called_by_itself_is_checked_too():
    with pytest.raises(InputError, match=r"method cps: weight = -1: give"):
        CPS("tiny", 32, False, -1)
    with pytest.raises(InputError, match=r"unknown option of method cps 'argument 7'"):
        CPS("tiny", 32, False, 1, 0.5, "cps", 9)
    assert CPS("tiny", 32, False, 2).weight == 2


@pytest.mark.parametrize("given", [[1, 0, 0.5], (1, 0, 0.5)])
def test_a_list_stands_for_a_tuple(given):
    assert build_method("s3-net", weights=given).weights == (1.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Share, "a number, at least 0 and at most 1"),
        (Annotated[int, Field(gt=0, lt=9)], "a whole number, above 0 and below 9"),
        (Literal["a", "b"] | None, "one of a, b; or null"),
        (tuple[Share, Share], "2 values, each a number, at least 0 and at most 1"),
        (str, "a word"),
        (bool, "true or false"),
    ],
)
def test_annotations_in_words(annotation, words):
    assert in_words(annotation) == words

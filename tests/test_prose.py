"""No result is typed in prose, and a sentence that states one says what its numbers allow."""

from dataclasses import replace
from pathlib import Path

import pytest

from tutseg.report.groups import Difference
from tutseg.report.say import say
from tutseg.workflow.prose import check_prose, printed_numbers, results_in, sentences

HIGHER = Difference("ours", "cct", 0.051, 0.03, 0.072)
LOWER = Difference("ours", "supervised", -0.02, -0.031, -0.009)
NEITHER = Difference("ours", "cps", 0.003, -0.01, 0.016)


def test_the_book_types_no_result():
    assert check_prose() == []


@pytest.mark.parametrize(
    "text",
    [
        "It reaches 81.2 % here.",
        "It reaches 81 per cent here.",
        "A Dice of 0.81 is high.",
        "Dice jumps above 90 at once.",
        "The change costs thirteen to eighteen points,\nmore than any method.",
        "They scatter by twenty-three Dice points.",
        "All lie within a quarter of a point.",
        "The interval [0.2, 1.4] covers it.",
        "One training gave 0.780.",
        "- as a list: 3 points",
        "The paper prints 88.0; ours is 71.2.",
        "It *gains* five points.",
        "Ours is 88.0.\n\nThe paper prints another.",
    ],
)
def test_a_typed_result_is_found(text):
    assert results_in(text, frozenset({"88.0"}))


@pytest.mark.parametrize(
    "text",
    [
        "In 2018 there were 1579 pictures of 96 px, 300 steps of 8 + 8, three seeds.",
        "At 1 % labelled, and with its 95 % interval.",
        "The paper prints a Dice of 88.0 there.",
        "$\\tau$ falls from $0.85$ to $0.5$, or `tau=0.5`.",
        "$$\n0.5 + 0.5\n$$",
        "```bash\ntutseg train --labelled 0.03\n```",
        "| choice | 0.85 | 12 % |\n|---|---|---|\n| other | 0.5 | 3 points |",
        "```{exercise-start} Floor\n:label: a\n```\nFind 64.5 % of it.\n```{exercise-end}\n```",
        "Section 4.3, Table 1 and [a page](https://a.example/0.5/12%)",
        "Points of view differ. Dice on ISIC 2018 is a score.",
        "<!-- 12 % -->",
    ],
)
def test_a_setting_is_none(text):
    assert results_in(text, frozenset({"88.0"})) == []


def test_a_printed_number_must_be_in_a_transcribed_table():
    assert results_in("The paper prints 88.1 there.", frozenset({"88.0"})) != []
    assert results_in("The paper prints 2 % there.", frozenset({"2"})) != []
    assert "88.0" in printed_numbers(Path(__file__).parents[1] / "data" / "papers")


def test_what_a_cell_says_is_prose_too():
    code = 'x = 0.5\nsay("It is {a:points}, " "not 12 points, or {b} 0.7.", a=0.3)'
    assert [len(results_in(text)) for text in sentences(code)] == [2]


def test_a_fault_names_its_place(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text("Fine.\n\nIt is 12.5 here.")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.py").write_text('# %% [markdown]\n# Nine points.\n\n# %%\nsay("Ten points.")\n')
    assert [fault.split(": a typed")[0] for fault in check_prose(tmp_path)] == [
        "book/page.md",
        "01_a: cell 1",
        "01_a: cell 2",
    ]


@pytest.mark.parametrize(
    ("each", "told"),
    [
        (HIGHER, "higher by 5.1 points (95 % interval 3.0 to 7.2)"),
        (LOWER, "lower by 2.0 points (95 % interval 0.9 to 3.1)"),
        (NEITHER, "undecided (+0.3 points, 95 % interval -1.0 to +1.6)"),
        (Difference("a", "b", 0.05, float("nan"), float("nan")), "undecided (+5.0 points, one seed, so no interval)"),
        (Difference("a", "b", -2.0, -3.0, -1.0, "hd95"), "lower by 2.0 pixels (95 % interval 1.0 to 3.0)"),
    ],
)
def test_a_difference_says_what_its_interval_allows(each, told):
    assert str(say("It is {each}.", each=each)) == f"It is {told}."


def test_a_sentence_sorts_the_others():
    text = say("Ours is {gains}.", gains=[NEITHER, HIGHER, LOWER])._repr_markdown_()
    assert text == "Ours is higher than `cct`, lower than `supervised`, undecided against `cps`."


def test_a_sentence_tells_one_setting_after_the_other():
    at = [
        replace(HIGHER, setting="2 % labelled"),
        replace(HIGHER, setting="4 % labelled"),
        replace(LOWER, setting="2 % labelled"),
    ]
    assert repr(say("It is {gains}.", gains=at)) == (
        "It is \n\n- at 2 % labelled higher than cct, lower than supervised;\n- at 4 % labelled higher than cct."
    )


def test_numbers_are_written_in_one_way():
    sentence = say(
        "{a:share}; {a:points}; {b:span}; {c:names}; {d:names}; {e:word}; {e:signed}; {f:>3}",
        a=0.8123, b=[0.084, 0.02], c=["x", "y", "z"], d=[], e=HIGHER, f=7,
    )  # fmt: skip
    assert repr(sentence) == (
        "81.2\N{NO-BREAK SPACE}%; 81.2 points; 2.0 to 8.4; x, y and z; none; higher; "
        "+5.1 points (95 % interval +3.0 to +7.2);   7"
    )

"""Facts carry over, sentences do not: no run of eight words of a paper stands in this project."""

import re
from pathlib import Path

from papers_text import text_of

from tutseg.files import project_root
from tutseg.papers.tables import load_paper, papers

RUN = 8
FOLDERS = ("benchmarks", "book", "data", "notebooks", "results", "src", "tests")
KINDS = {".bib", ".cff", ".css", ".csv", ".js", ".md", ".py", ".toml", ".yaml", ".yml"}


def runs(text: str) -> set[tuple[str, ...]]:
    """Every run of eight words and numbers of which five are words of three letters or more."""
    joined = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text.lower())
    words = re.findall(r"[a-z]+(?:[-'’][a-z]+)*|\d+(?:\.\d+)?", joined)
    each = zip(*(words[i:] for i in range(RUN)), strict=False)
    return {run for run in each if sum(len(word) > 2 and word[0].isalpha() for word in run) >= 5}


def own_text(paper: str) -> str:
    """A paper's text without its list of references; its supplement may come after them."""
    return re.sub(r"^[# ]*References\n.*?(?=^[#* ]*Supplementary|\Z)", "\n", text_of(paper), flags=re.M | re.S)


def project_files() -> list[Path]:
    root = project_root()
    found = [*root.iterdir(), *(file for name in FOLDERS for file in (root / name).rglob("*"))]
    return sorted(file for file in found if file.suffix in KINDS and "mathjax" not in file.parts and file.is_file())


def test_no_sentence_of_a_paper_stands_here():
    titles = {run for paper in papers() for run in runs(load_paper(paper).title)}
    theirs = {run: paper for paper in papers() for run in runs(own_text(paper))}
    found = {
        f"{file.relative_to(project_root())}: {' '.join(run)} ({theirs[run]})"
        for file in project_files()
        for run in (runs(file.read_text(encoding="utf-8", errors="replace")) & theirs.keys()) - titles
    }
    assert not found, "\n".join(sorted(found))


def test_runs_see_through_punctuation_numbers_and_line_breaks():
    paper = "Our ap-\nproach reaches the **highest** Dice (84.12 %), well above all rivals."
    assert len(runs(paper)) == 4
    assert runs("approach reaches the highest dice 84.12: well") == set()
    assert runs('"approach reaches the highest dice, 84.12 well above"') < runs(paper)

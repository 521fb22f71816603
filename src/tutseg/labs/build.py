"""From the sources: the students' notebooks, the solutions, and the teacher's sheet."""

from copy import deepcopy
from html import escape
from pathlib import Path

import nbformat

from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.labs.checking import mistakes_of
from tutseg.labs.sources import Lab, differences, faults_of, labs
from tutseg.report.classroom import folder

_STYLE = """body{max-width:50em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif}
table{border-collapse:collapse}th,td{border:1px solid #999;padding:.2em .6em;text-align:left;vertical-align:top}
pre{background:#f3f3f3;padding:.6em;overflow:auto}h1{break-before:page;margin-top:2em}"""


def student_of(lab: Lab) -> nbformat.NotebookNode:
    """A lab without its solutions, by nbgrader; an InputError where that is not installed."""
    try:
        from nbgrader.preprocessors import ClearSolutions
    except ModuleNotFoundError as error:
        raise InputError(f"the labs want {error.name}, which is not installed", "pip install 'tutseg[labs]'") from error

    return ClearSolutions().preprocess(deepcopy(lab.notebook), {})[0]


def build(names: list[str] | None = None, out: Path | None = None) -> list[Path]:
    """Write ``student/*.ipynb``, ``solution/*.ipynb`` and ``teacher.html``.

    Parameters
    ----------
    names : list of str, optional
        Labs, such as L3; all of them if not given. The sheet has these too.
    out : Path, optional
        Folder; the checkout's ``labs/`` if not given.
    """
    chosen, out = labs(names), out or folder()
    written = {}
    for lab in chosen:
        written[out / "student" / f"{lab.path.stem}.ipynb"] = nbformat.writes(student_of(lab)) + "\n"
        written[out / "solution" / f"{lab.path.stem}.ipynb"] = nbformat.writes(lab.notebook) + "\n"
    written[out / "teacher.html"] = sheet(chosen)
    for path, text in written.items():
        atomic_write(path, text)
    return list(written)


def faults(out: Path | None = None) -> list[str]:
    """What is wrong with the sources, and where what was built from them is not what they say; one line a fault."""
    out, found = out or folder(), []
    for lab in labs():
        found += faults_of(lab)
        student = student_of(lab)
        found += [f"{lab.name}: student's {fault}" for fault in differences(lab.notebook, student)]
        for kind, page in (("student", student), ("solution", lab.notebook)):
            path = out / kind / f"{lab.path.stem}.ipynb"
            if path.exists() and path.read_text() != nbformat.writes(page) + "\n":
                found.append(f"{path} is not what its source says: `tutseg labs build` writes it again")
    return found


def sheet(chosen: list[Lab]) -> str:
    """The teacher's sheet: of each lab the minutes, the notes, the answers, and the mistakes with their hints."""
    import mistune

    pages = []
    for lab in chosen:
        notes = (lab.path.parent / "teacher" / f"{lab.path.stem}.md").read_text()
        parts = "\n".join(f"| {title} | {minutes or ''} |" for title, minutes in lab.parts)
        answers = "\n\n".join(f"**{blank.check}**\n\n```python\n{blank.solution}\n```" for blank in lab.blanks)
        hints = "\n".join(f"| {each.check} | {each.what} | {each.hint} |" for each in mistakes_of(lab.name))
        pages.append(
            f"# {lab.name}: {lab.title}\n\n{lab.goal}\n\n| part | minutes |\n|---|---|\n{parts}\n\n{notes}\n"
            f"## Answers\n\n{answers}\n\n## Mistakes that the checks know\n\n"
            f"| check | what is wrong | the hint says |\n|---|---|---|\n{hints}\n"
        )
    body = mistune.create_markdown(plugins=["table"])("\n".join(pages))
    head = f'<meta charset="utf-8"><title>{escape("Labs: the teacher’s sheet")}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'

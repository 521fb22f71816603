"""The sources of the labs, ``labs/*.py``: their blanks, their checks, their minutes, and what is wrong with them."""

import re
from dataclasses import dataclass
from functools import cached_property

import nbformat

from tutseg.errors import unknown
from tutseg.labs.checking import checks_of
from tutseg.report.classroom import Card, cards
from tutseg.workflow.notebooks import CODE_WIDTH, bare

MINUTES = 90  # a lab is one sitting
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")  # what nbgrader leaves of a solution
SKIPPED = {"long", "figure"}  # tags of cells that no blank needs, and that the grader does not run
_REGION = re.compile(rf"^( *){BEGIN}\n(.*?)\n *{END}$", re.MULTILINE | re.DOTALL)
_CHECK = re.compile(r'check\(\s*"(L\d+\.\d+)"')


@dataclass(frozen=True)
class Blank:
    """A function that students write.

    Parameters
    ----------
    check : str
        The check of the cell below it, "L1.2".
    cell : int
        Which cell of the notebook it is.
    solution : str
        The lines between the marks, without the indentation that they share.
    """

    check: str
    cell: int
    solution: str


@dataclass(frozen=True)
class Lab(Card):
    """One lab: its card, and its source."""

    @cached_property
    def notebook(self) -> nbformat.NotebookNode:
        """The solution: a bare notebook, whose cells say what nbgrader wants to know."""
        page = bare(self.path)
        page.metadata["tutseg"] = {"lab": self.name}
        del page.metadata["jupytext"]  # a built notebook is no pair
        previous = None
        for cell in page.cells:
            if cell.cell_type == "code":
                name = check_of(cell.source)
                if name and previous is not None:
                    at = name.replace(".", "-")
                    previous.id, cell.id = at, f"{at}-check"
                    previous.metadata["nbgrader"] = _nbgrader(at, solution=True)
                    cell.metadata["nbgrader"] = _nbgrader(cell.id, solution=False)
                previous = cell
        return page

    @cached_property
    def blanks(self) -> list[Blank]:
        """Its blanks, in order."""
        found, page = [], self.notebook
        code = [at for at, cell in enumerate(page.cells) if cell.cell_type == "code"]
        for at, below in zip(code, code[1:] + [None], strict=True):
            if region := _REGION.search(page.cells[at].source):
                name = check_of(page.cells[below].source) if below is not None else ""
                found.append(Blank(name, at, _dedented(region[2], region[1])))
        return found

    def filled(self, answers: dict[str, str]) -> nbformat.NotebookNode:
        """A copy of the solution with other lines in some blanks, by check."""
        page = nbformat.from_dict(self.notebook)
        for blank in self.blanks:
            if blank.check in answers:
                cell = page.cells[blank.cell]
                cell.source = replaced(cell.source, answers[blank.check])
        return page


def _nbgrader(at: str, solution: bool) -> dict:
    kind = {"schema_version": 3, "grade_id": at, "solution": solution, "grade": not solution, "locked": not solution}
    return kind | {"task": False} | ({} if solution else {"points": 1})


def _dedented(text: str, indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def check_of(source: str) -> str:
    """Which check a cell calls, if that is all it does."""
    found = _CHECK.match(source.strip())
    return found[1] if found else ""


def replaced(source: str, lines: str) -> str:
    """A cell with other lines in place of its solution and the marks."""

    def indented(region: re.Match) -> str:
        return "\n".join(region[1] + line if line else "" for line in lines.strip("\n").split("\n"))

    return _REGION.sub(indented, source)


def labs(names: list[str] | None = None) -> list[Lab]:
    """The labs; only those meant by names such as L3, where some are given."""
    known = {name: Lab(**vars(card)) for name, card in cards().items()}
    for name in names or []:
        if name.partition("_")[0].upper() not in known:
            raise unknown("lab", name, known)
    chosen = {name.partition("_")[0].upper() for name in names or known}
    return [lab for name, lab in known.items() if name in chosen]


def graded(lab: Lab) -> list[str]:
    """The code of a lab's solution that its blanks may need: all but the long cells, the figure and the checks."""
    return [cell.source for cell in lab.notebook.cells if cell.cell_type == "code" and not skipped(cell)]


def skipped(cell: nbformat.NotebookNode) -> bool:
    """Whether a grader leaves out this cell of a lab."""
    return bool(SKIPPED & set(cell.metadata.get("tags", ())) or check_of(cell.source))


# What holds of every lab ----------------------------------------------------------------------------------------------


def faults_of(lab: Lab) -> list[str]:
    """What is wrong with a lab's source, one line a fault."""
    faults, cells = [], lab.notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    if not 3 <= len(lab.blanks) <= 6:
        faults.append(f"{len(lab.blanks)} blanks, three to six are wanted")
    for blank in lab.blanks:
        lines = [line for line in blank.solution.split("\n") if line.strip() and not line.lstrip().startswith("#")]
        if not 2 <= len(lines) <= 10:
            faults.append(f"{blank.check}: a solution of {len(lines)} lines, two to ten are wanted")
        if cells[blank.cell].source.count(BEGIN) != 1:
            faults.append(f"{blank.check}: more than one region in its cell")
    if (found := [blank.check for blank in lab.blanks]) != (wanted := list(checks_of(lab.name))):
        faults.append(f"its blanks are checked by {found}, its checks are {wanted}")
    if lab.minutes != MINUTES:
        faults.append(f"its parts take {lab.minutes} minutes, not {MINUTES}")
    last = [title for title, _ in lab.parts[-2:]]
    if len(last) < 2 or "Free task" not in last[0] or last[1] != "Rubric":
        faults.append("its last two parts are not a free task and the rubric")
    asked, told = (
        [name for cell in code for name in re.findall(rf'^{word}\("(L\d+\.[a-z])"', cell.source, re.MULTILINE)]
        for word in ("predict", "met")
    )
    if asked != told or len(asked) < 2:
        faults.append(f"it predicts {asked} and meets {told}")
    for tag in ("setup", "figure"):
        if sum(tag in cell.metadata.get("tags", []) for cell in code) != 1:
            faults.append(f"not one cell is tagged {tag}")
    if not (lab.path.parent / "teacher" / f"{lab.path.stem}.md").exists():
        faults.append("it has no teacher's notes")
    widths = [max(map(len, cell.source.split("\n"))) for cell in code]
    faults += [f"a code cell is {width} characters wide, {CODE_WIDTH} fit" for width in widths if width > CODE_WIDTH]
    return [f"{lab.name}: {fault}" for fault in faults]


def differences(solution: nbformat.NotebookNode, student: nbformat.NotebookNode) -> list[str]:
    """What separates a student's notebook from its solution beside the blanks, one line a fault.

    A solution is cut at its marks; the student's cell must be what stands before, the stub, and what stands behind.
    """
    faults = []
    if len(solution.cells) != len(student.cells):
        return [f"{len(student.cells)} cells, and {len(solution.cells)} in the solution"]
    for at, (whole, cut) in enumerate(zip(solution.cells, student.cells, strict=True), 1):
        wanted = replaced(whole.source, "\n".join(STUB))
        if (cut.cell_type, cut.id, cut.source) != (whole.cell_type, whole.id, wanted):
            faults.append(f"cell {at} is not the solution's without its blanks")
        if cut.get("outputs") or "SOLUTION" in cut.source:
            faults.append(f"cell {at} carries outputs or a solution")
    return faults

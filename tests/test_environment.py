"""The lock, the conda file and the package's own ranges say the same."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]


def test_conda_file_holds_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == [*LOCK, "--editable ."]


def test_conda_file_is_what_the_tool_writes(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("tools/environment.py", "requirements.lock"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    subprocess.run([sys.executable, tmp_path / "tools" / "environment.py"], check=True)
    assert (tmp_path / "environment.yml").read_text() == (ROOT / "environment.yml").read_text()


def test_every_locked_version_is_one_exact_pin():
    assert all(re.fullmatch(r"[\w.-]+==\S+( ; .+)?", line) for line in LOCK)


def test_no_file_names_a_package_source():
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text), name


def test_every_dependency_is_locked_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = map(Requirement, sum(project["optional-dependencies"].values(), project["dependencies"]))
    locked = {}
    for line in map(Requirement, LOCK):
        locked.setdefault(canonicalize_name(line.name), []).append(line)
    for requirement in wanted:
        pins = locked[canonicalize_name(requirement.name)]
        for pin in pins:
            assert next(iter(pin.specifier)).version in requirement.specifier, requirement


@pytest.mark.parametrize("name", ["CITATION.cff", "LICENSE", "LICENSE-text", "CHANGELOG.md"])
def test_what_a_reader_expects_at_the_top_is_there(name):
    assert (ROOT / name).stat().st_size > 200


def test_the_citation_names_the_five_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    papers = {yaml.safe_load(file.read_text())["title"] for file in (ROOT / "data/papers").glob("*/paper.yaml")}
    assert {reference["title"] for reference in citation["references"]} == papers
    assert len(papers) == 5
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]


def test_the_bibliography_has_the_papers():
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text(), re.MULTILINE))
    cited = {yaml.safe_load(file.read_text())["bibkey"] for file in (ROOT / "data/papers").glob("*/paper.yaml")}
    assert cited <= keys

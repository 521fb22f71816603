"""A SLURM of one machine for the tests: sbatch, srun, squeue, sacct, scancel and sinfo in one script.

`install` puts them into a folder for the head of $PATH. ``sbatch`` starts the job at once and notes its process;
``squeue`` and ``sacct`` say whether it still runs; ``srun`` runs what it is given.
"""

import itertools
import re
import subprocess
import sys
from pathlib import Path

NAMES = ("sbatch", "srun", "squeue", "sacct", "scancel", "sinfo", "sacctmgr", "scontrol")


def install(folder: Path) -> Path:
    """Write the commands; every call is a line of ``<folder>/calls``, every job a folder ``<folder>/jobs/<id>``."""
    (folder / "jobs").mkdir(parents=True)
    for name in NAMES:
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {folder} {name} "$@"\n')
        script.chmod(0o755)
    return folder


def option(words: list[str], *names: str) -> str:
    """The value of an option given as ``-J x`` or ``--job-name=x``."""
    for i, word in enumerate(words):
        for name in names:
            if word == name:
                return words[i + 1]
            if name.startswith("--") and word.startswith(f"{name}="):
                return word.partition("=")[2]
    return ""


def state(job: Path) -> str:
    if not (job / "rc").exists():
        return "RUNNING"
    return "COMPLETED" if (job / "rc").read_text().strip() == "0" else "FAILED"


def sbatch(folder: Path, words: list[str]) -> None:
    for number in map(str, itertools.count(1)):  # two may be submitted at once: who makes the folder has the number
        job = folder / "jobs" / number
        try:
            job.mkdir()
            break
        except FileExistsError:
            continue
    (job / "name").write_text(option(words, "-J", "--job-name"))
    (job / "words").write_text("\n".join(words))
    wrapped = option(words, "--wrap")
    body = wrapped or sys.stdin.read()
    (job / "script.sh").write_text(body if body.startswith("#!") else f"#!/bin/sh\n{body}\n")
    with open(job / "log", "w") as log:
        subprocess.Popen(
            ["/bin/sh", "-c", f"SLURM_JOB_ID={number} sh {job}/script.sh; echo $? > {job}/rc"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    print(number)


def srun(words: list[str]) -> int:
    """Run the first word that is no option of srun, and what follows it."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        taken = rest.pop(0)
        if re.fullmatch(r"-[nNcpt]", taken):
            rest.pop(0)
    return subprocess.call(rest)


def main() -> int:
    folder, name, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with open(folder / "calls", "a") as calls:
        calls.write(" ".join([name, *words]).replace("\n", " ") + "\n")
    if name == "sbatch":
        sbatch(folder, words)
    elif name == "srun":
        return srun(words)
    elif name in ("squeue", "sacct"):
        wanted = option(words, "--name")
        for job in sorted((folder / "jobs").iterdir()):
            if (job / "name").exists() and wanted in ("", (job / "name").read_text()):
                print(f"{job.name}|{state(job)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Command lines on a page, run as a reader runs them."""

import os
import shlex
import subprocess
import sys

WIDTH = "88"  # letters that stand beside a page's contents
_RUN = "from tutseg.reads import watch_reads; watch_reads(); from tutseg.cli import main; main()"


def shell(line: str) -> None:
    """Run a command line of tutseg in a process of its own, and print it and what it says.

    Raises
    ------
    subprocess.CalledProcessError
        It failed; what it said is printed.
    """
    # A kernel asks for colours, and with them come progress bars, which a page cannot show.
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    program, *words = shlex.split(line)
    if program != "tutseg":
        raise ValueError(f"{program} is not tutseg")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**plain, "COLUMNS": WIDTH, "TERM": "dumb"},
        check=False,
    )
    print(f"$ {line}\n{done.stdout.rstrip()}")
    done.check_returncode()

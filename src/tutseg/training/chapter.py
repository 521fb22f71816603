"""What a chapter runs: the trials of a spec, and what they measured."""

from pathlib import Path

from tutseg.training.evidence import Finished, read_run
from tutseg.training.run import run_trials
from tutseg.training.spec import Spec, experiments, read_spec


def run_spec(spec: Spec, folder: Path, device: str = "auto") -> list[Finished]:
    """Run the trials of a spec that are not done yet with today's code, and read what all of them measured."""
    runs = run_trials(spec.trials, folder, device=device)
    return [read_run(run.folder, spec.rows[run.trial.id]) for run in runs]


def experiment(paper: str, name: str, scale: str = "") -> Spec:
    """The project's spec ``experiments/<paper>/<name>.yaml``."""
    return read_spec(experiments() / paper / f"{name}.yaml", scale)

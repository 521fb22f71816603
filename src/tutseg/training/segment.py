"""The task "segment": train on one part of a data set, score masks on another."""

from tutseg.data.loader import Pictures
from tutseg.methods.base import Method
from tutseg.training.evaluate import foreground, means_of, score_views, truth_of
from tutseg.training.learn import learn
from tutseg.training.tasks import Job, Outcome, task_of


def run(job: Job) -> Outcome:
    """Train, choose among the kept weights, score every view on the test part."""
    best = task_of(job.trial.method).best

    def measure(method: Method, pictures: Pictures, view: str) -> dict[str, float]:
        return means_of(foreground(method, pictures, view, job.fabric), truth_of(pictures), best)

    return learn(job, ("masks", "truth"), measure, lambda method, test: score_views(method, test, job.fabric))

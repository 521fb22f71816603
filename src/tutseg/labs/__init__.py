"""What a lab's notebook calls: `check` after a blank, `predict` before a run and `met` after it, `short` for sizes."""

from tutseg.labs.checking import check, short
from tutseg.labs.predictions import met, predict

__all__ = ["check", "met", "predict", "short"]

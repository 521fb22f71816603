"""What Adam remembers of past gradients, recorded while `fit` trains.

A step of Adam is the learning rate times the gradient over the root of its second moment. Where that moment has seen
something large, the steps stay small for about 1 / (1 - beta2) steps, whatever the gradient is by then.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from tutseg.training.fit import TrainingSet, fit, make_fabric
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.start import build_for
from tutseg.training.trial import Trial


def memory_of(trial: Trial, device: str = "auto") -> dict[str, np.ndarray]:
    """Train a trial of two branches on drawn pictures, for the record alone.

    Returns
    -------
    dict
        ``step``; for ``encoder`` and ``decoder`` of branch 1 the median of ``|g| / sqrt(v_hat)`` over their kernels'
        weights (those that have ever had a gradient), v_hat the second moment without its bias, this step's gradient
        included; and the gradients' norms, as ``|g| of encoder`` and ``|g| of decoder``. Each ``(steps,)``.
    """
    pictures = pictures_of(trial.data, None, trial.size, trial.data_options)
    split = split_of(trial, pictures)
    fabric = make_fabric(device, trial.precision)
    train = TrainingSet(*(pictures.take(part).to(fabric.device) for part in (split.labelled, split.unlabelled)))
    method = build_for(trial)
    kernels = [weight for weight in method.branch1.parameters() if weight.ndim > 1]
    encoder = {id(weight) for weight in method.branch1.encoder.parameters()}
    parts = {
        "encoder": [weight for weight in kernels if id(weight) in encoder],
        "decoder": [weight for weight in kernels if id(weight) not in encoder],
    }
    found: dict[str, list[float]] = {}

    def record(optimizer: torch.optim.Optimizer, *_: object) -> None:
        beta2 = optimizer.param_groups[0]["betas"][1]
        for name, weights in parts.items():
            states = [optimizer.state[weight] for weight in weights]
            gradient = torch.cat([weight.grad.flatten() for weight in weights]).abs()
            second = torch.cat([state["exp_avg_sq"].flatten() for state in states])
            unbiased = second / (1 - beta2 ** states[0]["step"].item())
            found.setdefault(name, []).append((gradient / unbiased.sqrt()).nanmedian().item())
            found.setdefault(f"|g| of {name}", []).append(gradient.norm().item())

    hook = register_optimizer_step_post_hook(record)
    try:
        with tempfile.TemporaryDirectory() as folder:
            fit(method, train, trial, Path(folder), fabric)
    finally:
        hook.remove()
    return {"step": np.arange(trial.steps)} | {name: np.array(values) for name, values in found.items()}

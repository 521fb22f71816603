"""What Adam remembers: the recorded ratio is that of a second moment kept by hand, and recording changes nothing."""

import numpy as np
import pytest
import torch

from tutseg.training.memory import memory_of
from tutseg.training.trial import Trial, make_trial

TINY = {"data": "synth", "data_options": {"n": 30, "size": 32}, "labelled": 0.3, "net": "unet-s", "size": 32,
        "steps": 3, "batch": 2}  # fmt: skip


def tiny(**fields) -> Trial:
    return make_trial(method="dme-fd", **TINY | fields)


def test_the_first_ratio_is_one_and_the_others_follow_from_the_gradients_alone(monkeypatch):
    gradients, beta2 = [], 0.9
    step = getattr(torch.optim.AdamW.step, "__wrapped__", torch.optim.AdamW.step)  # else its hooks are called twice

    def spy(self, *args):
        gradients.append([p.grad.clone() for p in self.param_groups[0]["params"]])
        spy.parameters = self.param_groups[0]["params"]
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    found = memory_of(tiny(groups={"all": {"betas": [0.9, beta2]}}), "cpu")
    monkeypatch.undo()
    assert found["step"].tolist() == [0, 1, 2]
    # the encoder's kernels come first among branch 1's parameters, its double convolutions have two each
    kernels = [i for i, p in enumerate(spy.parameters) if p.ndim > 1][:10]
    second = [torch.zeros_like(gradients[0][i]) for i in kernels]
    for t, of in enumerate(gradients, 1):
        second = [beta2 * v + (1 - beta2) * of[i] ** 2 for v, i in zip(second, kernels, strict=True)]
        ratio = torch.cat(
            [(of[i].abs() / (v / (1 - beta2**t)).sqrt()).flatten() for v, i in zip(second, kernels, strict=True)]
        )
        assert found["encoder"][t - 1] == pytest.approx(ratio.nanmedian().item(), rel=1e-3)
        norm = torch.cat([of[i].flatten() for i in kernels]).norm().item()
        assert found["|g| of encoder"][t - 1] == pytest.approx(norm, rel=1e-4)
    assert found["encoder"][0] == pytest.approx(1, rel=1e-3) == found["decoder"][0]


@pytest.mark.slow
def test_the_discrepancy_alone_fills_the_encoders_memory():
    with_it, without = (memory_of(tiny(options={"fdl": name}, steps=10), "cpu") for name in ("l1", "none"))
    assert with_it["|g| of encoder"][0] > 20 * without["|g| of encoder"][0]
    assert with_it["|g| of decoder"][0] == pytest.approx(without["|g| of decoder"][0], rel=1e-3)
    late = slice(5, None)
    assert np.median(with_it["encoder"][late]) < 0.5 * np.median(without["encoder"][late])
    assert np.median(with_it["decoder"][late]) > 0.3 * np.median(without["decoder"][late])


def test_no_hook_stays_behind():
    memory_of(tiny(steps=1), "cpu")
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    torch.optim.SGD([weight], lr=0.1).step()  # a hook that stayed would ask for SGD's betas

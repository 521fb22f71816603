"""The contract that every trained method keeps, run over all that are registered."""

import io
from pathlib import Path

import pytest
import torch
from drawn import drawn_batch, labeller_file, net_for, options_for, register_tiny, sam_file, stepper

from tutseg.errors import InputError
from tutseg.methods import CARDS, build_method, method_class
from tutseg.methods.base import Batch, Progress

TRAINED = sorted(name for name, card in CARDS.items() if card.kind in ("semi-supervised", "noisy-label"))
MIDDLE = Progress(50, 100, 10)
pytestmark = pytest.mark.parametrize("name", TRAINED)


WEIGHTS: list[Path] = []  # of the run: where a "tiny-sam" lies that methods borrow


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path_factory):
    register_tiny(monkeypatch)
    if not WEIGHTS:
        WEIGHTS.append(sam_file(tmp_path_factory.mktemp("weights")))


def built(name: str, seed: int = 0, size: int = 32, net: str = ""):
    torch.manual_seed(seed)
    net, roles = net or net_for(name), method_class(name).roles
    labeller = labeller_file(WEIGHTS[0].parent, net, size) if "labeller" in roles else None
    inputs = {role: labeller if role == "labeller" else WEIGHTS[0] for role in roles}
    return build_method(name, inputs, net=net, size=size, **options_for(name))


def batch_for(name: str, labelled: int = 4, unlabelled: int = 4, size: int = 32, seed: int = 0) -> Batch:
    streams, partners = method_class(name).streams, method_class(name).partners
    views = streams.get("unlabelled", 0)
    return drawn_batch(labelled, unlabelled if "unlabelled" in streams else 0, size, views, seed, partners)


def train(method, name: str, steps: int, lr: float = 2e-2) -> list[dict[str, torch.Tensor]]:
    step_by_step = stepper(method.train(), lr)
    history = []
    for step in range(steps):
        torch.manual_seed(1000 + step)
        history.append(method.update(batch_for(name, seed=step % 3), Progress(step, steps, 5), step_by_step))
    return history


def test_supervised_loss_falls_and_every_term_is_finite(name):
    history = train(built(name), name, 15)
    assert all(torch.isfinite(value) for terms in history for value in terms.values())
    supervised = [sum(v for k, v in terms.items() if k.startswith("sup")).item() for terms in history]
    assert sum(supervised[-3:]) < 0.8 * sum(supervised[:3])


def test_same_seed_trains_to_the_same_bits(name):
    first, second = built(name), built(name)
    histories = [train(method, name, 3) for method in (first, second)]
    assert histories[0] == histories[1]
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


def test_state_survives_a_file(name):
    trained, other = built(name, seed=0), built(name, seed=1)
    train(trained, name, 2)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    images = batch_for(name)["labelled"].image
    for view in trained.views:
        with torch.inference_mode():
            assert torch.equal(trained.eval().predict(images, view), other.eval().predict(images, view))


@pytest.mark.parametrize(("labelled", "unlabelled", "size"), [(1, 1, 32), (3, 3, 48), (8, 8, 32), (2, 5, 80)])
def test_any_batch_and_any_multiple_of_the_stride(name, labelled, unlabelled, size):
    method = built(name, size=size).train()
    batch = batch_for(name, labelled, unlabelled, size)
    terms = method.update(batch, MIDDLE, stepper(method))
    assert terms and all(value.ndim == 0 and torch.isfinite(value) for value in terms.values())


@pytest.mark.parametrize("count", [1, 3, 8])
def test_predictions_are_probabilities_in_every_view(name, count):
    method = built(name).eval()
    images = drawn_batch(count, 0, 32, 0)["labelled"].image
    with torch.inference_mode():
        default = method.predict(images)
        for view in method.views:
            p = method.predict(images, view)
            assert p.shape == (count, 1, 32, 32) and p.dtype == torch.float32
            assert p.min() >= 0 and p.max() <= 1
        assert torch.equal(default, method.predict(images, method.views[0]))
        for features in method.features(images):
            assert features.shape[0] == count and features.ndim == 4
    with pytest.raises(InputError, match="unknown view"):
        method.predict(images, "nonsense")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_trained_parameter_gets_gradient(name, precision):
    method = built(name).train()
    step = stepper(method, 0.0, 0.0)
    train(method, name, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        method.update(batch_for(name), MIDDLE, step)
    owned = {
        id(p) for optimizer in step.optimizers.values() for group in optimizer.param_groups for p in group["params"]
    }
    trained = {key: p for key, p in method.named_parameters() if p.requires_grad}
    assert {id(p) for p in trained.values()} == owned
    assert not [key for key, p in trained.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    moved = [p.grad.abs().max() > 0 for p in trained.values()]
    assert sum(moved) > 0.9 * len(moved)  # a dead ReLU may silence a few


def test_a_step_leaves_the_batch_alone(name):
    method = built(name).train()
    batch, before = batch_for(name), batch_for(name)
    method.update(batch, MIDDLE, stepper(method))
    assert batch.keys() == before.keys() and torch.equal(batch["labelled"].mask, before["labelled"].mask)
    for stream, views in before.items():
        assert torch.equal(batch[stream].image, views.image), stream
        assert all(torch.equal(a, b) for a, b in zip(batch[stream].strong, views.strong, strict=True)), stream


def test_schedules_depend_on_progress_alone(name):
    fresh, used = built(name), built(name)
    train(used, name, 3)
    for step in (0, 30, 99):
        progress = Progress(step, 100, 10)
        weights = fresh.weights(progress)
        assert weights == used.weights(progress)
        assert all(isinstance(value, float) for value in weights.values())


def test_mode_of_the_networks_is_restored(name):
    method = built(name).train()
    method.update(batch_for(name), MIDDLE, stepper(method))
    lent = {id(m) for role in method.borrowed for m in getattr(method, role).modules()}
    assert all(module.training != (id(module) in lent) for module in method.modules())


def test_unknown_option_names_the_method(name):
    with pytest.raises(InputError, match=rf"method {name}.*bogus"):
        build_method(name, net=net_for(name), size=32, bogus=1)


def test_a_size_off_the_stride_is_refused(name):
    with pytest.raises(InputError, match="multiple of 16"):
        build_method(name, net=net_for(name), size=40)


@pytest.mark.parametrize("net", ["mobilenet-unet-sdf", "swin-unet-s"])  # SAM-KD's, coarse; tokens and no batch norm
def test_works_on_other_nets(name, net):
    if "sdf" in method_class(name).needs:
        net = {"swin-unet-s": "lite0-unet-sdf"}.get(net, net)
    method = built(name, net=net, size=64).train()
    terms = method.update(batch_for(name, 2, 2, 64), MIDDLE, stepper(method))
    assert all(torch.isfinite(value) for value in terms.values())
    with torch.inference_mode():
        assert method.eval().predict(batch_for(name, 1, 1, 64)["labelled"].image).shape == (1, 1, 64, 64)

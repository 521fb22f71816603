"""S3-Net: its network, its losses in every reading, and its loop against a plain one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torchvision.ops import deform_conv2d
from torchvision.transforms.functional import affine as torchvision_affine

from tutseg.errors import InputError
from tutseg.methods.one_image import s3_net
from tutseg.methods.one_image.s3_net import S3Net
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.one_image.trace import trace
from tutseg.methods.one_image.warps import affine_grid
from tutseg.nets import s3_encoder as encoder


def _plain_loop():
    path = Path(__file__).parents[1] / "benchmarks" / "one_image.py"
    spec = importlib.util.spec_from_file_location("bench_one_image", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.plain_s3_net


def _grid(size: int, angle: float, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    one = torch.ones(1)
    return affine_grid((size, size), angle * one, scale * one, 0 * one, shift * torch.ones(1, 2))


# The network.


def test_parameters_of_the_published_network():
    net = encoder.S3Encoder(64, "code", static=(256, 256))
    count = {name: p.numel() for name, p in net.named_parameters()}
    free = count["deform.0.offsets"] + count["deform.0.modulation"]
    assert free == 27 * 256 * 256 and count["deform.0.weight"] == 36_864
    assert sum(count.values()) - free - 36_864 == 66_560


def test_deformable_convolution_is_that_of_torchvision():
    x, weight = torch.randn(2, 5, 9, 11, dtype=torch.float64), torch.randn(7, 5, 3, 3, dtype=torch.float64)
    offsets, modulation = 3 * torch.randn(2, 18, 9, 11).double(), torch.rand(2, 9, 9, 11, dtype=torch.float64)
    leaves = [x, offsets, weight, modulation]
    results = []
    for run in (encoder.deform_conv, lambda x, o, w, m: deform_conv2d(x, o, w, mask=m, padding=1)):
        own = [leaf.clone().requires_grad_() for leaf in leaves]
        out = run(*own)
        results.append([out, *torch.autograd.grad((out**2).sum(), own)])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_without_offsets_it_is_a_convolution():
    x, weight = torch.randn(1, 4, 8, 6), torch.randn(4, 4, 3, 3)
    ours = encoder.deform_conv(x, torch.zeros(1, 18, 8, 6), weight, torch.ones(1, 9, 8, 6))
    assert torch.allclose(ours, F.conv2d(x, weight, padding=1), atol=1e-5)
    layer = encoder.DeformableConv(4)  # predicted offsets begin at 0, modulations at 1/2
    assert torch.allclose(layer(x), F.conv2d(x, layer.weight, padding=1) / 2, atol=1e-5)


def test_static_offsets_do_not_look_at_the_picture():
    layer = encoder.DeformableConv(3, (6, 6))
    assert ((layer.offsets >= 0) & (layer.offsets < 1)).all()
    one, two = torch.randn(1, 3, 6, 6), torch.randn(1, 3, 6, 6)
    assert torch.allclose(layer(one + two), layer(one) + layer(two), atol=1e-4)  # linear
    moving = encoder.DeformableConv(3)
    torch.nn.init.normal_(moving.predict.weight)
    assert not torch.allclose(moving(one + two), moving(one) + moving(two), atol=1e-2)


@pytest.mark.parametrize(
    ("order", "inception", "before", "after"),
    [
        ("paper", True, [(3, 1), (5, 1), (7, 1)], [(7, 3)] * 3),
        ("code", True, [(5, 1)], [(3, 1), (5, 2), (7, 3)]),
        ("paper", False, [(5, 1)], [(7, 3)]),
    ],
)
def test_order_of_the_inception(order, inception, before, after):
    module = encoder.InceptionLKA(4, order, inception)
    shape = lambda convs: [(conv.kernel_size[0], conv.dilation[0]) for conv in convs]
    assert shape(module.before) == before and shape(module.after) == after
    assert all(conv.groups == 4 for conv in [*module.before, *module.after])
    u = torch.randn(1, 4, 12, 12)
    torch.nn.init.zeros_(module.mix.weight)
    torch.nn.init.constant_(module.mix.bias, 2.0)
    assert torch.allclose(module(u), 2 * u)  # Eq. 3: attention times features, nothing squashed


def test_the_second_1x1_convolution_stands_where_paper_and_code_put_it():
    x = torch.randn(1, 4, 6, 6)
    for order, at_zero in (("paper", torch.zeros_like(x)), ("code", x)):
        block = encoder.AttentionBlock(4, order, True)
        torch.nn.init.zeros_(block.leave.weight)
        torch.nn.init.zeros_(block.leave.bias)
        assert torch.allclose(block(x), at_zero)


# The losses.


def test_sobel_is_that_of_scipy():
    image = torch.randn(7, 9, dtype=torch.float64)
    x, y, xy = (edges[0, 0].numpy() for edges in s3_net.sobel(image[None, None]))
    assert np.allclose(x, ndimage.sobel(image.numpy(), axis=1, mode="mirror"))
    assert np.allclose(y, ndimage.sobel(image.numpy(), axis=0, mode="mirror"))
    kernel = np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    assert np.allclose(xy, ndimage.correlate(image.numpy(), kernel, mode="mirror"))


def test_pairwise_loss_spares_one_diagonal_and_the_edge_loss_none():
    y, x = np.mgrid[:24, :24]
    falling = torch.tensor((y > x).astype(float))[None, None]  # the edge runs along the main diagonal
    rising = falling.flip(3)
    pairwise = [float(s3_net.spatial_loss_pairwise(m)) for m in (falling, rising)]
    assert abs(pairwise[0] - pairwise[1]) > 0.1 * max(pairwise)
    edges = [float(s3_net.spatial_loss_edges(m)) for m in (falling, rising)]
    assert edges[0] == pytest.approx(edges[1])
    flat = torch.full((1, 3, 6, 6), 0.2)
    for loss in (s3_net.spatial_loss_pairwise, s3_net.spatial_loss_edges):
        assert float(loss(flat)) == pytest.approx(0, abs=1e-6)


def test_literal_spatial_loss_against_scipy():
    rng = np.random.default_rng(0)
    labels, colours = rng.integers(5, size=(8, 10)), rng.integers(255, size=(5, 3))
    grey = np.round(colours[labels] @ [0.114, 0.587, 0.299]) / 255
    sx, sy = (ndimage.sobel(grey, axis=axis, mode="mirror") for axis in (1, 0))
    sxy = ndimage.correlate(grey, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]), mode="mirror")
    expected = np.abs(sy - sx).mean() + np.abs(sxy - sx).mean() + np.abs(sxy - sy).mean()
    ours = s3_net.spatial_loss_literal(torch.tensor(labels)[None], torch.tensor(colours)[None].double())
    assert float(ours) == pytest.approx(expected)


def _gradient_of(term: str, method: S3Net) -> float:
    """Norm of the gradient of one term over all parameters."""
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    stack = Stack(lambda: method.network((16, 16)), [0], images)
    _, terms = method.losses(stack, images, [np.random.default_rng(0)])
    if not terms[term].requires_grad:
        return 0.0
    gradients = torch.autograd.grad(terms[term].sum(), list(stack.parameters.values()), materialize_grads=True)
    return sum(float(g.norm()) for g in gradients)


def test_every_term_teaches_but_the_literal_spatial_loss():
    for reading in s3_net.READINGS:
        method = S3Net(reading, clusters=6)
        for term in ("ce", "at", "s"):
            gradient = _gradient_of(term, method)
            assert (gradient == 0) if (reading, term) == ("code", "s") else (gradient > 1e-4)


def test_the_quarter_turn_is_the_notebooks():
    maps = torch.rand(1, 4, 16, 16)
    assert torch.equal(s3_net.quarter_turn(maps), torchvision_affine(maps, 90, (0, 0), 1.0, 0.0))


def test_literal_affine_loss_does_not_notice_that_the_turn_is_missing():
    second, logits = torch.randn(2, 7, 16, 16), torch.randn(2, 7, 16, 16)
    with_turn = s3_net.affine_loss_literal(second, logits)
    without = s3_net.affine_loss_literal(second, logits, turn=lambda maps: maps)
    assert torch.allclose(with_turn, without, atol=1e-6)
    # moving outputs as Eq. 6 has it is no better: an exact turn of both sides changes nothing either
    labels, grid = logits.argmax(1), _grid(16, 90).expand(2, -1, -1, -1)
    moved = s3_net.affine_loss(s3_net.move(second, grid), labels, grid)
    inner = F.cross_entropy(second, labels, reduction="none").mean((1, 2))
    assert torch.allclose(moved, inner, atol=1e-4)


def test_meant_affine_loss_notices():
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    method = S3Net("meant", clusters=6)
    stack = Stack(lambda: method.network((24, 24)), [0], images)
    with torch.no_grad():
        labels = stack(images)[0].argmax(1)
        loss = {}
        for angle in (0, 90):
            grid = _grid(24, angle)
            second = stack(s3_net.move(images, grid), second_only=True)
            loss[angle] = float(s3_net.affine_loss(second, labels, grid))
    assert abs(loss[90] - loss[0]) > 1e-2


def test_only_the_meant_reading_moves_the_input(monkeypatch):
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    moved, still = {}, {}
    for results in (moved, still):
        for reading in s3_net.READINGS:
            method = S3Net(reading, clusters=6, weights=(1, 1, 0))
            stack = Stack(lambda method=method: method.network((24, 24)), [0], images)
            results[reading] = float(method.losses(stack, images, [np.random.default_rng(0)])[1]["at"].detach())
        for name in ("MOST_ANGLE", "MOST_SCALE", "MOST_SHEAR", "MOST_SHIFT"):
            monkeypatch.setattr(s3_net, name, 0.0)
    assert moved["code"] == still["code"]  # nothing drawn: always the same turn
    difference = {reading: abs(moved[reading] - still[reading]) for reading in moved}
    # "paper" moves outputs: what is left is resampling and the cropped edge
    assert difference["meant"] > 1e-3 and difference["meant"] != difference["paper"]
    without_move = S3Net("paper", clusters=6, weights=(1, 1, 0))
    stack = Stack(lambda: without_move.network((24, 24)), [0], images)
    logits, second = stack(images)
    plain = F.cross_entropy(second, logits.argmax(1)).detach()
    assert still["meant"] == pytest.approx(float(plain), abs=1e-5) == still["paper"]


def test_affine_loss_counts_only_what_comes_from_the_picture():
    labels = torch.ones(1, 20, 20, dtype=torch.int64)
    second = torch.zeros(1, 2, 20, 20)
    second[:, 1] = 30.0  # certain of label 1 everywhere; the zeros moved in from outside would cost 30 each
    assert float(s3_net.affine_loss(second, labels, _grid(20, 20.0, 0.8, 0.1))) == pytest.approx(0, abs=1e-6)


# The method.


def test_readings_differ_as_the_table_says():
    paper, code, meant = (S3Net(reading) for reading in ("paper", "code", "meant"))
    assert paper.weights == meant.weights == (1.2, 0.3, 0.3) and paper.lr == meant.lr == 0.36
    assert code.weights == (3.5, 0.2, 4.0) and code.lr == 0.2
    assert (paper.affine, code.affine, meant.affine) == ("outputs", "literal", "input")
    mixed = S3Net("code", offsets="predicted", weights=[1, 0, 0])
    assert mixed.offsets == "predicted" and mixed.order == "code"
    assert not hasattr(S3Net("paper", deformable=False).network((8, 8)).deform[0], "predict")


def test_a_weight_of_zero_leaves_its_term_out():
    for weights, names in (((1, 0, 0), {"ce"}), ((1, 1, 0), {"ce", "at"}), ((1, 0, 1), {"ce", "s"})):
        method = S3Net("paper", weights=weights, clusters=4, steps=1)
        assert set(trace(method, torch.rand(3, 8, 8)).losses) == names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reading": "papr"}, "paper"),
        ({"affine": "inputs"}, "input"),
        ({"weights": (1, 2)}, "3 values, each a number, at least 0"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(InputError, match=words):
        S3Net(**options)


def test_code_reading_equals_the_plain_loop():
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(2)).double()
    images[:, :, 8:16, 6:18] *= 0.3
    plain = _plain_loop()(images, steps=6)
    method = S3Net("code", steps=6)
    for ours in (method.segment(images), method.cluster(images, [0, 0])):
        assert float((ours != plain).double().mean()) <= 1e-4


def test_it_stops_at_three_labels_but_not_before_the_sixth_iteration():
    image = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(2))
    image[:, 8:16, 6:18] *= 0.3
    counts = trace(S3Net("code"), image).clusters
    assert len(counts) >= 6 and counts[-1] <= 3
    assert (counts[5:-1] > 3).all() and (counts[:5] <= 3).any()

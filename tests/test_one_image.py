"""Methods for one picture: the shared contract, then what defines each of them."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.decomposition import PCA

from tutseg.data.sample import Sample
from tutseg.errors import InputError
from tutseg.methods import CARDS, build_method
from tutseg.methods.one_image.base import OneImageMethod
from tutseg.methods.one_image.classical import Otsu, SlicMerge
from tutseg.methods.one_image.clusters import choose, leak, number_of_clusters
from tutseg.methods.one_image.deep_cluster import balanced_cross_entropy, whiten
from tutseg.methods.one_image.iic import information_loss, joint_matrix
from tutseg.methods.one_image.k_means import k_means, lloyd
from tutseg.methods.one_image.kanezaki import Kanezaki, continuity_loss
from tutseg.methods.one_image.ms_former import EfficientBlock, inter_scale_loss, intra_scale_loss
from tutseg.methods.one_image.self_training import self_label_loss
from tutseg.methods.one_image.sgscn import context_loss
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.one_image.trace import trace
from tutseg.methods.one_image.warps import affine_grid, inside, move
from tutseg.metrics import per_image
from tutseg.training import one_image as task
from tutseg.training import pictures
from tutseg.training.run import run_trial
from tutseg.training.spec import experiments, read_spec, scales_of
from tutseg.training.trial import make_trial

SMALL = {
    "kanezaki": {"steps": 3, "clusters": 6},
    "sgscn": {"steps": 3, "clusters": 6},
    "ms-former": {"steps": 3, "clusters": 8},
    "s3-net": {"steps": 3, "clusters": 6},
    "iic": {"steps": 3, "channels": 6, "over": 5, "reach": 2},
    "deep-cluster": {"steps": 4, "rounds": 2, "channels": 8, "components": 4},
}
NAMES = [name for name, card in CARDS.items() if card.kind == "one-image"]


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Three noisy pictures of a dark disc on skin, float64, and the discs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    images, truth = [], []
    for cy, cx, radius in ((16, 16, 8), (12, 20, 6), (18, 14, 9)):
        disc = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        colour = np.where(disc[..., None], [0.35, 0.2, 0.15], [0.85, 0.7, 0.6])
        images.append(np.clip(colour + rng.normal(0, 0.03, (32, 32, 3)), 0, 1).transpose(2, 0, 1))
        truth.append(disc[None])
    return torch.tensor(np.array(images)), torch.tensor(np.array(truth)).float()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, scene):
    images, _ = scene
    method = build_method(name, **SMALL.get(name, {}))
    before = torch.random.get_rng_state()
    maps = method.segment(images.float(), seeds=[1, 2, 3])
    assert maps.shape == (3, 32, 32) and maps.dtype == torch.int64 and maps.min() >= 0
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(method.segment(images.float(), seeds=[1, 2, 3]), maps)
    with pytest.raises(InputError, match="shape"):
        method.segment(images[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_does_not_depend_on_its_neighbours(name, scene):
    images, _ = scene
    method = build_method(name, **SMALL.get(name, {}))
    together = method.cluster(images, [1, 2, 3])
    alone = torch.cat([method.cluster(images[i : i + 1], [i + 1]) for i in range(3)])
    assert float((together != alone).double().mean()) <= 1e-4


def test_pictures_stop_one_by_one(scene):
    images, _ = scene
    method = Kanezaki(steps=40, clusters=12, min_labels=9)
    ran = {0: [], 1: [], 2: []}

    def watch(step):
        for i, labels in zip(step.pictures.tolist(), step.labels, strict=True):
            ran[i].append(labels.unique().numel())

    together = method.cluster(images, [1, 2, 3], watch)
    assert len({len(counts) for counts in ran.values()}) > 1
    for i, counts in ran.items():
        seen = trace(method, images[i], seed=i + 1)
        assert counts == seen.clusters.tolist() and counts[-1] <= 9 < min(counts[:-1])
        assert np.array_equal(together[i].numpy(), seen.result)


@pytest.mark.parametrize(
    "optimizer", [partial(torch.optim.SGD, lr=0.3, momentum=0.9, weight_decay=0.01), partial(torch.optim.Adam, lr=0.1)]
)
def test_a_stack_trains_like_single_networks(optimizer):
    make = lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 1))
    images = torch.rand(3, 3, 6, 6, dtype=torch.float64)

    def alone(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        return make().double()

    nets = [alone(seed) for seed in (5, 6, 7)]
    stack = Stack(make, [5, 6, 7], images, optimizer)
    optimizers = [optimizer(net.parameters()) for net in nets]
    for number in range(6):
        for net, own, image in zip(nets, optimizers, images, strict=True):
            own.zero_grad()
            (net(image[None]) ** 2).mean().backward()
            own.step()
        stack.descend((stack(images) ** 2).mean((1, 2, 3)))
        if number == 1:  # the second is done; the others go on with their momentum
            stack, images = stack.take(torch.tensor([True, False, True])), images[[0, 2]]
            nets, optimizers = nets[::2], optimizers[::2]
        if number == 3:  # new second layers, without momentum
            stack.renew("1", Stack(make, [8, 9], images))
            for net, own, seed in zip(nets, optimizers, (8, 9), strict=True):
                for p, fresh in zip(net[1].parameters(), alone(seed)[1].parameters(), strict=True):
                    p.data.copy_(fresh)
                    del own.state[p]
    expected = torch.cat([net(image[None]) for net, image in zip(nets, images, strict=True)])
    assert torch.allclose(stack(images), expected, atol=1e-12)


def test_self_label_loss_is_the_cross_entropy_of_the_winner():
    logits = torch.randn(2, 5, 4, 3)
    shares = logits.softmax(1).amax(1)
    assert torch.allclose(self_label_loss(logits), -shares.log().mean((1, 2)), atol=1e-6)


def test_number_of_clusters():
    labels = torch.tensor([[[0, 7], [7, 3]], [[2, 2], [2, 2]]])
    assert number_of_clusters(labels).tolist() == [3, 1]


def test_trace_keeps_every_iteration(scene):
    images, _ = scene
    seen = trace(build_method("s3-net", reading="code", **SMALL["s3-net"]), images[0].float(), seed=4)
    assert seen.labels.shape == (3, 32, 32) and seen.labels.dtype == np.uint8
    assert [len(np.unique(m)) for m in seen.labels] == seen.clusters.tolist()
    assert set(seen.losses) == {"ce", "at", "s"} and all(len(v) == 3 for v in seen.losses.values())
    assert trace(build_method("otsu"), images[0]).labels.shape == (0, 32, 32)


# The choice of the cluster, the leak, the scores.


def test_rules_pick_what_they_say():
    labels = torch.zeros(1, 40, 40, dtype=torch.int64)  # 0 skin
    labels[:, :, :10] = 4  # 4 a black edge of the picture
    labels[:, 15:25, 15:25] = 7  # 7 the lesion, brown and in the centre
    labels[:, 2:6, 30:38] = 9  # 9 a mark
    labels[:, 20, 20] = 11  # 11 one black pixel in the very centre
    colours = {0: 0.9, 4: 0.05, 7: 0.4, 9: 0.6, 11: 0.0}
    image = torch.zeros(1, 3, 40, 40)
    for label, grey in colours.items():
        image[:, :, labels[0] == label] = grey
    picked = lambda rule, truth=None: set(labels[0][choose(labels, image, rule, truth)[0, 0] == 1].tolist())
    assert picked("darkest") == {4} and picked("central") == {7} and picked("contrast") == {7}
    truth = torch.zeros(1, 1, 40, 40)
    truth[..., 3:6, 29:38] = 1
    assert picked("oracle", truth) == {9}
    with pytest.raises(InputError, match="truth"):
        choose(labels, image, "darkest", truth)
    with pytest.raises(InputError, match="truth"):
        choose(labels, image, "oracle")
    with pytest.raises(InputError, match="darkest"):
        choose(labels, image, "darkst")


@pytest.mark.parametrize(("margin", "kernel"), [(4, 5), (6, 7)])
def test_leak_is_two_dilations_of_the_published_helpers(margin, kernel):
    rng = np.random.default_rng(1)
    truth = np.zeros((50, 60), bool)
    truth[20:30, 5:25] = True
    truth[48, 58] = True
    dilated = ndimage.binary_dilation(truth, np.ones((kernel, kernel)), iterations=2)
    prediction = rng.random((50, 60)) < 0.4
    leaked = leak(torch.tensor(prediction)[None, None].float(), torch.tensor(truth)[None, None].float(), margin)
    assert np.array_equal(leaked[0, 0].numpy() == 1, prediction & dilated)


def test_leak_only_helps_and_hm_is_one_minus_jaccard(scene):
    images, truth = scene
    prediction = choose(build_method("k-means").segment(images), images, "oracle", truth)
    prediction[0, 0, :5] = 1  # a false alarm far from the lesion
    honest = per_image(prediction, truth)
    for margin in (4, 6):
        leaked = per_image(leak(prediction, truth, margin), truth)
        assert (leaked["dice"] >= honest["dice"]).all() and leaked["dice"][0] > honest["dice"][0] + 0.1
    a, b = prediction.numpy() == 1, truth.numpy() == 1
    for i in range(3):
        union, both = (a[i] | b[i]).sum(), (a[i] & b[i]).sum()
        assert honest["hm"][i] == pytest.approx((union - both) / union)
        assert honest["hm"][i] == pytest.approx(1 - both / union)
        assert honest["xor"][i] == pytest.approx((union - both) / b[i].sum())


# Moving.


def _grid(shape, angle=0.0, scale=1.0, shear=0.0, shift=(0.0, 0.0), inverse=False):
    tensor = lambda value: torch.tensor([value], dtype=torch.float64)
    return affine_grid(shape, tensor(angle), tensor(scale), tensor(shear), tensor(list(shift)), inverse)


def test_a_quarter_turn_a_shift_and_their_inverse():
    picture = torch.rand(1, 2, 12, 12, dtype=torch.float64)
    turned = move(picture, _grid((12, 12), angle=90))
    assert torch.allclose(turned, picture.rot90(-1, (2, 3)))
    wide = torch.rand(1, 1, 8, 20, dtype=torch.float64)
    shifted = move(wide, _grid((8, 20), shift=(0.1, 0.25)), "nearest")
    assert torch.equal(shifted[:, :, 2:, 2:], wide[:, :, :-2, :-2]) and shifted[:, :, :2].eq(0).all()


@pytest.mark.parametrize("shape", [(64, 64), (40, 72)])
def test_move_follows_its_matrix_and_the_inverse_undoes_it(shape):
    h, w = shape
    y, x = torch.meshgrid(torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2, indexing="ij")
    ramp = (0.3 * x + 0.2 * y).double()[None, None]  # bilinear sampling of a plane is exact
    angle, scale, shear = math.radians(25), 1.1, math.radians(8)
    rotate = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    back = np.linalg.inv(scale * rotate @ np.array([[1, math.tan(shear)], [0, 1]]))
    source = np.stack([x.numpy() - 0.05 * w, y.numpy() + 0.1 * h], -1) @ back.T
    expected = torch.tensor(0.3 * source[..., 0] + 0.2 * source[..., 1])
    options = {"angle": 25.0, "scale": 1.1, "shear": 8.0, "shift": (0.05, -0.1)}
    there, home = _grid(shape, **options), _grid(shape, **options, inverse=True)
    valid = inside(there)[0]
    moved = move(ramp, there)
    assert 0.5 < valid.double().mean() < 1 and torch.allclose(moved[0, 0][valid], expected[valid], atol=1e-4)
    both = inside(home) & (move(valid[None, None].double(), home)[:, 0] == 1)
    assert torch.allclose(move(moved, home)[:, 0][both], ramp[:, 0][both], atol=1e-4)


def test_what_turns_into_view_is_the_mirror_image():
    picture, wide = torch.rand(1, 1, 20, 30), 12
    change = task.Change(angle=25, scale=0.9, shear=5)
    mirrored = torch.tensor(np.pad(picture[0, 0].numpy(), wide, mode="symmetric"))[None, None]
    expected = move(mirrored, change.grid(mirrored))[..., wide:-wide, wide:-wide]
    assert torch.allclose(change.place(picture, "bilinear"), expected, atol=1e-4)


# k-means.


def test_lloyd_equals_scikit_learn_from_the_same_start():
    points = torch.tensor(np.random.default_rng(0).normal(size=(2, 300, 3)))
    start = points[:, :4]
    labels, centres, inertia = lloyd(points, start)
    for i in range(2):
        theirs = SklearnKMeans(4, init=start[i].numpy(), n_init=1, tol=0, max_iter=500, algorithm="lloyd").fit(
            points[i]
        )
        assert np.array_equal(labels[i].numpy(), theirs.labels_)
        assert np.allclose(centres[i].numpy(), theirs.cluster_centers_)
        assert float(inertia[i]) == pytest.approx(theirs.inertia_)


def test_k_means_reaches_the_inertia_of_scikit_learn(scene):
    images, _ = scene
    points = images.flatten(2).transpose(1, 2)
    labels = k_means(points, 3, 10, [np.random.default_rng(i) for i in range(3)])
    for i in range(3):
        theirs = SklearnKMeans(3, n_init=10, random_state=0).fit(points[i].numpy()).inertia_
        ours = sum(((p := points[i][labels[i] == c]) - p.mean(0)).square().sum() for c in range(3))
        assert float(ours) <= theirs * 1.001


def test_an_empty_cluster_is_given_a_point():
    points = torch.tensor([[[0.0], [0.1], [5.0]]])
    labels, _, inertia = lloyd(points, torch.tensor([[[0.0], [0.05], [100.0]]]))
    assert labels[0].unique().numel() == 3 and float(inertia) == pytest.approx(0)


# DeepCluster.


def test_whitening_is_that_of_scikit_learn_then_unit_length():
    mix = torch.randn(6, 6, dtype=torch.float64)
    features = torch.randn(1, 500, 6, dtype=torch.float64) @ mix + 3
    ours = whiten(features, 3)[0]
    theirs = PCA(3, whiten=True).fit_transform(features[0].numpy())[:, ::-1]
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.allclose(np.abs(ours.numpy()), np.abs(theirs), atol=1e-6)


def test_balanced_cross_entropy_weighs_clusters_alike():
    logits, labels = torch.randn(1, 4, 5, 5, dtype=torch.float64), torch.zeros(1, 5, 5, dtype=torch.int64)
    labels[0, 0, :2], labels[0, 1, 1] = 1, 3  # cluster 2 is empty
    log_p = logits.log_softmax(1)[0]
    expected = np.mean([float(-log_p[c][labels[0] == c].mean()) for c in (0, 1, 3)])
    assert float(balanced_cross_entropy(logits, labels)) == pytest.approx(expected)


# IIC.


@pytest.mark.parametrize("k", [2, 3, 5])
def test_information_is_log_k_at_best_and_0_for_independent_clusters(k):
    p = F.one_hot(torch.arange(4 * k).reshape(1, 4, k) % k, k).permute(0, 3, 1, 2).double()
    same = joint_matrix(p, p, torch.ones(1, 4, k, dtype=torch.bool), reach=0)
    assert float(information_loss(same)) == pytest.approx(-math.log(k), abs=1e-6)
    independent = torch.full((1, k, k), 1 / k**2, dtype=torch.float64)
    assert float(information_loss(independent)) == pytest.approx(0, abs=1e-9)
    other = torch.rand(1, k, 4, k, dtype=torch.float64).softmax(1)
    assert float(information_loss(joint_matrix(p, other, torch.ones(1, 4, k, dtype=torch.bool), 0))) > -math.log(k)


def test_joint_matrix_against_loops():
    p, q = torch.rand(1, 3, 5, 6).softmax(1).double(), torch.rand(1, 3, 5, 6).softmax(1).double()
    valid = torch.rand(1, 5, 6) > 0.3
    joint = np.zeros((3, 3))
    for y, x in np.ndindex(5, 6):
        for dy, dx in np.ndindex(3, 3):
            v, u = y + dy - 1, x + dx - 1
            if 0 <= v < 5 and 0 <= u < 6 and valid[0, y, x] and valid[0, v, u]:
                joint += np.outer(p[0, :, y, x], q[0, :, v, u])
    joint = joint + joint.T
    assert np.allclose(joint_matrix(p, q, valid, reach=1)[0].numpy(), joint / joint.sum())


# Kanezaki, SGSCN, MS-Former.


def test_continuity_loss_against_loops():
    r = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    down = [abs(r[0, k, y + 1, x] - r[0, k, y, x]) for k, y, x in np.ndindex(2, 3, 5)]
    right = [abs(r[0, k, y, x + 1] - r[0, k, y, x]) for k, y, x in np.ndindex(2, 4, 4)]
    assert float(continuity_loss(r)) == pytest.approx(float(np.mean(down) + np.mean(right)))


def test_kanezaki_runs_until_few_labels_are_left(scene):
    images, _ = scene
    counts = trace(Kanezaki(steps=60, clusters=12, min_labels=9), images[0].float()).clusters
    assert 1 < len(counts) < 60 and counts[-1] <= 9 and (counts[:-1] > 9).all()
    assert len(trace(Kanezaki(steps=4, clusters=12, min_labels=0), images[0].float()).clusters) == 4


def test_context_loss_against_loops():
    m = torch.rand(1, 3, 4, 6, dtype=torch.float64)
    variances = []
    for c in range(3):
        weight = m[0, c].numpy() / float(m[0, c].sum())
        at = [(2 * x / 6 - 1, 2 * y / 4 - 1, weight[y, x]) for y, x in np.ndindex(4, 6)]
        cx, cy = sum(x * w for x, _, w in at), sum(y * w for _, y, w in at)
        variances.append(sum(w * ((x - cx) ** 2 + (y - cy) ** 2) for x, y, w in at))
    assert float(context_loss(m)) == pytest.approx(np.mean(variances))


def test_context_loss_of_single_pixels_is_0_and_grows_with_distance():
    m = torch.zeros(1, 1, 8, 8)
    m[0, 0, 2, 3] = 1
    assert float(context_loss(m)) == pytest.approx(0, abs=1e-6)
    near, far = m.clone(), m.clone()
    near[0, 0, 2, 4], far[0, 0, 7, 7] = 1, 1
    assert 0 < float(context_loss(near)) < float(context_loss(far))


def test_ms_former_losses():
    context = torch.randn(2, 4, 4)
    assert torch.allclose(inter_scale_loss(context, 3 * context), torch.zeros(2), atol=1e-6)
    assert torch.allclose(inter_scale_loss(context, -context), torch.full((2,), 2.0), atol=1e-6)
    torch_loss = torch.nn.CosineEmbeddingLoss()(context[0], context[1], torch.ones(4))
    assert torch.allclose(inter_scale_loss(context[:1], context[1:]), torch_loss)
    assert float(intra_scale_loss(torch.eye(5)[None])) == 0
    # every patch looks at the next one: off in two places of each of 5 rows
    assert float(intra_scale_loss(torch.eye(5).roll(1, 0)[None])) == pytest.approx(2 / 5)


def test_efficient_attention_is_attention_between_all_pixels():
    block = EfficientBlock(6).double()
    torch.nn.init.zeros_(block.leave.weight)
    torch.nn.init.zeros_(block.leave.bias)  # the feed-forward adds nothing
    x = torch.randn(1, 6, 4, 5, dtype=torch.float64)
    normed = F.layer_norm(x.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2)
    q, k, v = (conv(normed).flatten(2)[0] for conv in (block.queries, block.keys, block.values))
    between = q.softmax(0).T @ k.softmax(1)  # pixels x pixels
    expected = x + block.project((v @ between.T).reshape(1, 6, 4, 5))
    assert torch.allclose(block(x)[0], expected)


def test_ms_former_wants_whole_patches():
    with pytest.raises(InputError, match="multiple of 32"):
        build_method("ms-former").segment(torch.rand(1, 3, 40, 40))


# Classical.


@pytest.mark.parametrize("method", [Otsu(), SlicMerge(superpixels=100)])
def test_classical_methods_find_a_disc(method, scene):
    images, truth = scene
    prediction = choose(method.segment(images), images, "contrast")
    assert (per_image(prediction, truth)["dice"] > 0.9).all()


# Running and scoring.


class Discs:
    """Four drawn discs as a source; `read` counts the pictures asked for."""

    name = "discs"
    ids = groups = ("a", "b", "c", "d")
    read = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        self.read += 1
        y, x = np.mgrid[:48, :48]
        disc = (y - 20 - index) ** 2 + (x - 25) ** 2 < (9 + index) ** 2
        noise = np.random.default_rng(index).integers(0, 12, (48, 48, 3))
        image = np.where(disc[..., None], [90, 50, 40], [215, 180, 150]) + noise
        return Sample(image.astype(np.uint8), disc.astype(np.uint8), self.ids[index], self.ids[index])


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Runs k-means on `Discs` as a trial; gives its result and per-image rows."""
    monkeypatch.setattr("tutseg.training.pictures.open_source", lambda name, root, **options: Discs())
    pictures._pictures.cache_clear()
    yield lambda name, **fields: _evaluate(tmp_path / name, **fields)
    pictures._pictures.cache_clear()


def _evaluate(folder, **fields):
    trial = make_trial(**{"method": "k-means", "data": "folder", "size": 48, "options": {"k": 2}} | fields)
    result = run_trial(trial, out=folder, device="cpu")
    rows = pd.read_csv(folder / "per_image.csv")
    return result, rows


def test_every_picture_is_scored_by_every_view(evaluate, tmp_path):
    result, rows = evaluate("two", pictures=2)
    assert result["n"] == {"test": 2} and set(rows["id"]) == {"a", "d"} and len(rows) == 2 * len(task.VIEWS)
    assert list(result["scores"]) == list(task.VIEWS) and "weights" not in result
    _, rows = evaluate("all")
    assert np.allclose(rows["hm"], 1 - rows["dice"] / (2 - rows["dice"]))  # HM = 1 - J, picture by picture
    wide = rows.pivot_table(index="id", columns="view", values="dice")
    assert (wide["oracle+4"] >= wide["oracle"]).all() and wide["contrast"].min() > 0.95
    maps = sorted((tmp_path / "all/maps").iterdir())
    assert [path.stem for path in maps] == list("abcd") and np.asarray(Image.open(maps[0])).max() == 1


def test_an_interrupted_run_goes_on_where_it_stopped(evaluate, monkeypatch, tmp_path):
    whole, rows = evaluate("whole")
    segmented, segment = [], task._segment

    def stop_at_third(method, images, truth, ids, *rest):
        segmented.extend(ids)
        if len(segmented) == 3:
            raise KeyboardInterrupt
        return segment(method, images, truth, ids, *rest)

    monkeypatch.setattr(task, "_segment", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate("parts")
    result, again = evaluate("parts")
    assert segmented == ["a", "b", "c", "c", "d"]
    assert again.drop(columns="seconds").equals(rows.drop(columns="seconds")) and result["scores"] == whole["scores"]
    assert not (tmp_path / "parts/pictures.json").exists()


def test_a_wrong_change_or_too_many_pictures_is_one_line(evaluate):
    with pytest.raises(InputError, match="did you mean angle"):
        evaluate("x", change={"angel": 3})
    with pytest.raises(InputError, match="5 pictures of folder, which has 4"):
        evaluate("x5", pictures=5)


def test_colours_do_not_notice_a_turn_but_hairs_cost_labels(evaluate):
    _, turned = evaluate("turn", change={"angle": 90})
    assert turned["flips"].max() == 0
    _, slanted = evaluate("slant", change={"angle": 20, "shear": 5})
    honest = slanted[~slanted["view"].str.contains("+", regex=False)]
    assert honest["flips"].max() < 0.03 and honest[honest["view"] == "oracle"]["dice"].min() > 0.95
    _, hairy = evaluate("hair", change={"hair": True})
    assert hairy["flips"].max() > 0.01


def test_every_one_image_trial_of_the_project_can_be_built():
    for path in sorted((experiments() / "s3-net").glob("*.yaml")):
        for scale in scales_of(path) or [""]:
            for trial in read_spec(path, scale).trials:
                assert isinstance(build_method(trial.method, **trial.options), OneImageMethod), trial.command

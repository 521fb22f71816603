"""What defines each rival of DME-FD: who labels whom, what is detached, which pixels count, what moves by average.

Most tests use a net without batch statistics, so that a gradient or a change can only come from where it is claimed
to come from.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_batch, register_tiny, stepper

from tutseg.errors import InputError
from tutseg.methods import build_method, method_class
from tutseg.methods.base import Progress, Views
from tutseg.methods.co_training import cct, gta_seg, pseudoseg, unimatch
from tutseg.methods.co_training.ccvc import conflict_weight, cosine_discrepancy
from tutseg.methods.co_training.cutmix import cutmix_masks, cutout_masks
from tutseg.methods.co_training.fixmatch import confident_bce, cutmix_view, inference_logits
from tutseg.methods.co_training.supervised import largest_region
from tutseg.methods.step import Stepper
from tutseg.nets import Output

MIDDLE = Progress(50, 100, 10)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)
    torch.manual_seed(7)


def built(name: str, net: str = "groupnorm", size: int = 16, **options):
    torch.manual_seed(0)
    return build_method(name, net=net, size=size, **options).train()


def batch_for(name: str, labelled: int = 2, unlabelled: int = 3, size: int = 16, seed: int = 0):
    cls = method_class(name)
    return drawn_batch(labelled, unlabelled, size, cls.streams.get("unlabelled", 0), seed, cls.partners)


def moved(loss, parameters) -> list[bool]:
    """For each parameter, whether the loss has a gradient on it that is not zero."""
    found = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    return [g is not None and bool(g.abs().max() > 0) for g in found]


def bce_by_hand(logits, target, weight=None):
    p = torch.sigmoid(logits.double())
    values = -(target * p.log() + (1 - target) * (1 - p).log())
    return (values if weight is None else values * weight).sum().item() / values.numel()


def sup_by_hand(logits, target):
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * target).sum() + 1e-5) / ((p**2).sum() + (target**2).sum() + 1e-5)
    return (bce_by_hand(logits, target) + dice.item()) / 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cps", {"weight": -1.0}),
        ("cps", {"ramp": 1.5}),
        ("cps", {"cross": "both"}),
        ("pseudoseg", {"temperature": 0.0}),
        ("pseudoseg", {"cutout": 0.5}),
        ("pseudoseg", {"weight": float("nan")}),
        ("cct", {"ramp": 0.0}),
        ("cct", {"copies": 0}),
        ("cct", {"weight": -1.0}),
        ("gta-seg", {"warmup": 1.0}),
        ("gta-seg", {"drop": -0.1}),
        ("gta-seg", {"decay": 1.0}),
        ("gta-seg", {"cutmix": 2.0}),
        ("unimatch", {"threshold": 0.4}),
        ("unimatch", {"cutmix": -0.5}),
        ("unimatch", {"drop": 1.0}),
        ("fixmatch", {"threshold": 1.01}),
        ("ccvc", {"threshold": 1.0}),
        ("ccvc", {"conflict": 0.5}),
        ("ccvc", {"drop": 1.0}),
    ],
)
def test_an_impossible_option_is_named(name, options):
    (option,) = options
    with pytest.raises(InputError, match=rf"method {name}: {option} = "):
        built(name, **options)


class TestSupervised:
    def test_is_the_common_loss_on_labelled_pictures(self):
        method, batch = built("supervised"), batch_for("supervised")
        terms = method.losses(batch, MIDDLE)
        assert terms["sup"].item() == pytest.approx(
            sup_by_hand(method.net(batch["labelled"].image).logits, batch["labelled"].mask), rel=1e-5
        )
        batch["unlabelled"].image = torch.full_like(batch["unlabelled"].image, float("nan"))
        assert method.losses(batch, MIDDLE)["sup"] == terms["sup"]

    def test_what_its_length_is_matched_to_is_a_name_and_no_number(self):
        batch = batch_for("supervised")
        steps, epochs = (built("supervised", matched=word) for word in ("steps", "epochs"))
        assert steps.losses(batch, MIDDLE) == epochs.losses(batch, MIDDLE)
        with pytest.raises(InputError, match="one of steps, epochs"):
            built("supervised", matched="pictures")

    def test_asks_for_no_unlabelled_pictures(self):
        assert method_class("supervised").streams == {"labelled": 0}

    def test_encoder_and_decoder_are_groups_that_share_nothing_and_leave_nothing_out(self):
        method = build_method("supervised", net="mobilenet-unet", size=32)
        groups = {name: {id(p) for p in parameters} for name, parameters in method.groups().items()}
        assert groups["encoder"] == {id(p) for p in method.net.encoder.parameters()}
        assert groups["encoder"].isdisjoint(groups["decoder"])
        assert set.union(*groups.values()) == {id(p) for p in method.parameters()}

    def test_kept_statistics_are_the_encoders_and_its_weights_learn(self):
        for keep in (False, True):
            method = build_method("supervised", net="mobilenet-unet", size=32, keep_statistics=keep).train()
            before = {name: value.clone() for name, value in method.net.named_buffers()}
            sum(method.losses(batch_for("supervised", size=32), MIDDLE).values()).backward()
            moved = {name.split(".")[0] for name, value in method.net.named_buffers()
                     if name.endswith("running_mean") and not value.equal(before[name])}  # fmt: skip
            assert moved == ({"decoder"} if keep else {"encoder", "decoder"})
            assert all(p.grad is not None for p in method.net.encoder.parameters())
            assert not any(module.training for module in method.eval().modules())

    def test_an_encoder_without_statistics_has_none_to_keep(self):
        method = build_method("supervised", net="mobilenet-unet", size=32, keep_statistics=True)
        with pytest.raises(InputError, match="has seen no picture yet"):
            method.prepare(None, None)
        method.net.encoder.get_buffer(next(n for n, _ in method.net.encoder.named_buffers() if "mean" in n)).fill_(0.1)
        method.prepare(None, None)

    def test_mirrored_prediction_turns_with_the_picture(self):
        images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        plain, mirrored = (build_method("supervised", net="unet-s", size=32, mirrored=m).eval() for m in (False, True))
        mirrored.load_state_dict(plain.state_dict())
        with torch.inference_mode():
            for axes in ([2], [3], [2, 3]):
                torch.testing.assert_close(mirrored.predict(images.flip(axes)), mirrored.predict(images).flip(axes))
                assert not torch.allclose(plain.predict(images.flip(axes)), plain.predict(images).flip(axes))

    def test_the_largest_region_is_that_of_a_flood_fill(self):
        masks = torch.rand(20, 1, 12, 15, generator=torch.Generator().manual_seed(0)) < 0.4
        for mask, kept in zip(masks[:, 0], largest_region(masks)[:, 0], strict=True):
            left, regions = {tuple(at) for at in mask.nonzero().tolist()}, []
            while left:
                edge, region = [left.pop()], set()
                while edge:
                    y, x = edge.pop()
                    region.add((y, x))
                    beside = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
                    left -= beside
                    edge += beside
                regions.append(region)
            found = {tuple(at) for at in kept.nonzero().tolist()}
            assert found in regions and len(found) == max(map(len, regions))

    def test_one_region_of_an_empty_prediction_is_empty(self):
        method = build_method("supervised", net="unet-s", size=32, one_region=True).eval()
        with torch.no_grad():
            list(method.net.parameters())[-1].fill_(-100.0)
            assert not method.predict(torch.rand(1, 3, 32, 32)).any()


class TestCPS:
    def test_hard_masks_are_crossed_on_labelled_and_unlabelled_pictures(self):
        method, batch = built("cps"), batch_for("cps")
        both = torch.cat([batch["labelled"].image, batch["unlabelled"].image])
        z1, z2 = method.branch1(both).logits, method.branch2(both).logits
        terms = method.losses(batch, MIDDLE)
        assert terms["cps1"].item() == pytest.approx(1.5 * bce_by_hand(z1, (z2 >= 0).float()), rel=1e-5)
        assert terms["cps2"].item() == pytest.approx(1.5 * bce_by_hand(z2, (z1 >= 0).float()), rel=1e-5)

    def test_no_gradient_crosses(self):
        method = built("cps")
        terms = method.losses(batch_for("cps"), MIDDLE)
        assert all(moved(terms["cps1"], method.branch1.parameters()))
        assert not any(moved(terms["cps1"], method.branch2.parameters()))
        assert not any(moved(terms["cps2"], method.branch1.parameters()))

    def test_weight_is_constant_as_published_or_grows_over_a_share_of_training(self):
        steps = [Progress(step, 1000, 10) for step in (0, 249, 499, 999)]
        at = lambda **options: [built("cps", **options).weights(progress)["cps"] for progress in steps]
        assert at() == [1.5] * 4
        assert at(ramp=0.5) == pytest.approx([1.5 * math.exp(-5 * (1 - s) ** 2) for s in (0.002, 0.5, 1, 1)])

    @pytest.mark.parametrize("net", ["groupnorm", "tiny"])
    def test_ramped_it_is_dme_fd_without_its_two_other_terms(self, net):
        """The row that the paper calls CPS in one table and Sup+CPS in another."""
        size = 32 if net == "tiny" else 16
        ours = built("cps", net, size, cross="dme-fd", ramp=1.0, weight=1.0)
        theirs = built("dme-fd", net, size, dme=False, fdl="none")
        for step in (0, 50, 99):
            progress = Progress(step, 100, 10)
            batch = drawn_batch(2, 3, size, 0, step)
            terms = [method.losses(batch, progress) for method in (ours, theirs)]
            assert terms[0] == terms[1]
        for method in (ours, theirs):
            method.update(batch, progress, stepper(method))
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


class TestCutMix:
    def test_boxes_follow_unimatchs_law(self):
        masks = cutmix_masks(torch.zeros(400, 3, 100, 100), p=0.5)
        areas = masks.float().mean((1, 2, 3))
        drawn = areas[areas > 0]
        assert 160 < len(drawn) < 240
        assert drawn.min() > 0.015 and drawn.max() <= 0.4  # sides are rounded down
        for mask in masks[areas > 0, 0]:
            rows, columns = mask.any(1), mask.any(0)
            h, w = int(rows.sum()), int(columns.sum())
            assert mask.sum() == h * w and 0.25 < h / w < 4  # one solid rectangle

    def test_probability_zero_and_one(self):
        images = torch.zeros(50, 3, 32, 32)
        assert not cutmix_masks(images, p=0).any()
        assert cutmix_masks(images, p=1).flatten(1).any(1).all()

    def test_image_and_label_are_pasted_from_the_same_partner_and_place(self):
        own = torch.arange(5.0).view(5, 1, 1, 1)
        images, labels = own.expand(5, 3, 32, 32), own.expand(5, 1, 32, 32)
        image, label = cutmix_view(images, labels, 10 + images, 20 + labels, p=1)
        for i in range(5):
            pasted = label[i, 0] == 20 + i
            assert pasted.any() and not pasted.all()
            assert (image[i][:, pasted] == 10 + i).all() and (image[i][:, ~pasted] == i).all()
            assert (label[i, 0][~pasted] == i).all()

    def test_cutout_is_one_square_of_the_asked_size(self):
        masks = cutout_masks(torch.zeros(200, 3, 100, 100), side=0.2)[:, 0]
        sizes = [(int(m.any(1).sum()), int(m.any(0).sum())) for m in masks]
        assert all(m.sum() == h * w for m, (h, w) in zip(masks, sizes, strict=True))
        assert max(h for h, _ in sizes) == max(w for _, w in sizes) == 20
        assert min(h for h, _ in sizes) >= 10  # clipped at the border, at most by half


class TestFixMatch:
    def test_unsure_pixels_teach_nothing_but_are_counted(self):
        logits = torch.randn(2, 1, 4, 4, requires_grad=True)
        labels = torch.tensor([3.5, -3.5, 2.0, -2.0]).repeat(8).view(2, 1, 4, 4)  # confidence .971 and .881
        loss = confident_bce(logits, labels, 0.95)
        sure = labels.abs() > 3
        assert loss.item() == pytest.approx(bce_by_hand(logits, (labels > 0).float(), sure), rel=1e-5)
        loss.backward()
        assert (logits.grad[~sure] == 0).all()
        expected = (torch.sigmoid(logits.detach()) - (labels > 0).float())[sure] / labels.numel()
        assert torch.allclose(logits.grad[sure], expected, atol=1e-7)

    def test_weak_view_labels_the_strong_view_and_gets_no_gradient(self):
        method, batch = built("fixmatch", threshold=0.5, cutmix=0.0), batch_for("fixmatch")
        x_w, x_s = batch["unlabelled"].image, batch["unlabelled"].strong[0].detach().clone()
        batch["unlabelled"] = Views(x_w.requires_grad_(), strong=[x_s.requires_grad_()])
        terms = method.losses(batch, MIDDLE)
        labels = (method.net(x_w).logits >= 0).float()
        assert terms["s"].item() == pytest.approx(bce_by_hand(method.net(x_s).logits, labels) / 2, rel=1e-5)
        weak, strong = torch.autograd.grad(terms["s"], [x_w, x_s], allow_unused=True)
        assert weak is None and strong.abs().max() > 0

    def test_pasted_labels_come_from_running_statistics(self):
        net = built("fixmatch", net="tiny").net
        images = batch_for("fixmatch")["unlabelled"].image
        before = {k: v.clone() for k, v in net.state_dict().items()}
        logits = inference_logits(net, images)
        assert net.training and not logits.requires_grad
        assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
        assert torch.allclose(logits[:1], inference_logits(net, images[:1]), atol=1e-6)


class TestUniMatch:
    def test_weights_and_views(self):
        method = built("unimatch", threshold=0.5, cutmix=0.0, drop=0.0)
        batch = batch_for("unimatch")
        terms = method.losses(batch, MIDDLE)
        weak = method.net(batch["unlabelled"].image).logits
        labels = (weak >= 0).float()
        expected = {
            "sup": sup_by_hand(method.net(batch["labelled"].image).logits, batch["labelled"].mask) / 2,
            "s1": bce_by_hand(method.net(batch["unlabelled"].strong[0]).logits, labels) / 8,
            "s2": bce_by_hand(method.net(batch["unlabelled"].strong[1]).logits, labels) / 8,
            "fp": bce_by_hand(weak, labels) / 4,
        }
        assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-5)

    def test_features_are_dropped_channel_by_channel_on_unlabelled_pictures_only(self, monkeypatch):
        method, batch = built("unimatch"), batch_for("unimatch", 2, 8)
        maps = method.net.encode(torch.cat([batch["labelled"].image, batch["unlabelled"].image]))
        seen = []
        decode = method.net.decode
        monkeypatch.setattr(method.net, "decode", lambda features: seen.append(features) or decode(features))
        method.losses(batch, MIDDLE)
        kept = 0
        for clean, given in zip(maps, seen[1], strict=True):  # seen[0] labels the partners
            assert len(given) == 2 + 8 + 8
            assert torch.equal(given[:10], clean)
            for picture, perturbed in zip(clean[2:], given[10:], strict=True):
                for a, b in zip(picture, perturbed, strict=True):
                    assert torch.equal(b, torch.zeros_like(b)) or torch.allclose(b, 2 * a)
                    kept += bool(b.any())
        total = 8 * sum(m.shape[1] for m in maps)
        assert 0.3 * total < kept < 0.7 * total

    def test_each_strong_view_has_its_own_boxes_labelled_in_evaluation_mode(self, monkeypatch):
        method = built("unimatch", net="tiny", size=32, cutmix=1.0)
        batch = batch_for("unimatch", 2, 4, 32)
        lent = inference_logits(method.net, batch["partners"].image)
        calls = []
        keep = lambda logits, labels, threshold: calls.append(labels) or confident_bce(logits, labels, threshold)
        monkeypatch.setattr(unimatch, "confident_bce", keep)
        method.losses(batch, MIDDLE)
        labels1, labels2, own = calls
        boxes = [labels != own for labels in (labels1, labels2)]
        for labels, box, theirs in zip((labels1, labels2), boxes, (lent, lent.roll(1, 0)), strict=True):
            assert box.flatten(1).any(1).all() and torch.equal(labels[box], theirs[box])
        assert not torch.equal(*boxes)

    def test_the_two_partners_of_a_picture_are_two_pictures_of_a_draw_apart(self):
        method, batch = built("unimatch", cutmix=1.0), batch_for("unimatch", 2, 4, 16)
        seen = []
        method.net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        method.losses(batch, MIDDLE)
        views = seen[-1].chunk(2)  # the two mixed views go through the net together
        for i in range(4):
            found = []
            for view, own, lent in zip(views, batch["unlabelled"].strong, batch["partners"].strong, strict=True):
                box = (view[i] != own[i]).any(0)
                found.append([j for j in range(4) if torch.equal(view[i][:, box], lent[j][:, box])])
                assert box.any() and len(found[-1]) == 1
            assert found[0] != found[1]

    def test_only_the_weak_view_labels(self):
        method, batch = built("unimatch", threshold=0.5), batch_for("unimatch")
        batch["unlabelled"].image.requires_grad_()
        terms = method.losses(batch, MIDDLE)
        for term in ("s1", "s2"):
            (weak,) = torch.autograd.grad(terms[term], batch["unlabelled"].image, retain_graph=True, allow_unused=True)
            assert weak is None or weak.abs().max() == 0
        (weak,) = torch.autograd.grad(terms["fp"], batch["unlabelled"].image)
        assert weak.abs().max() > 0


class TestCCT:
    def test_noise_is_one_draw_for_the_batch(self):
        z = torch.rand(4, 5, 6, 6) + 1
        factor = cct.feature_noise(z) / z
        assert torch.allclose(factor, factor[:1].expand_as(factor))
        assert 0.7 <= factor.min() < 0.75 and 1.25 < factor.max() <= 1.3

    def test_dropout_takes_whole_channels(self):
        z = torch.rand(4, 40, 3, 3) + 1
        factor = (cct.spatial_dropout(z) / z).flatten(2)
        assert torch.equal(factor.round(), factor[:, :, :1].round().expand_as(factor))
        assert set(factor.round().unique().tolist()) == {0.0, 2.0}

    def test_feature_drop_removes_the_most_active_places(self):
        z = torch.rand(3, 5, 8, 8)
        kept = cct.feature_drop(z).ne(0).all(1)
        for attention, keep in zip(z.mean(1), kept, strict=True):
            share = attention / attention.max()
            assert share[keep].max() < share[~keep].min()
            assert keep[share < 0.7].all() and not keep[share > 0.9].any()

    def test_consistency_moves_encoder_and_auxiliary_decoders_but_not_the_main_one(self):
        method = built("cct")
        terms = method.losses(batch_for("cct"), MIDDLE)
        net = method.net
        assert all(moved(terms["cons"], net.encoder.parameters()))
        assert all(moved(terms["cons"], method.auxiliary.parameters()))
        main = [p for part in (net.up, net.decoder, net.head) for p in part.parameters()]
        assert not any(moved(terms["cons"], main)) and all(moved(terms["sup"], main))
        assert not any(moved(terms["sup"], method.auxiliary.parameters()))

    def test_consistency_is_the_mean_squared_error_to_the_main_decoder(self, monkeypatch):
        monkeypatch.setattr(cct, "PERTURBATIONS", (lambda z: z,) * 3)
        method, batch = built("cct", copies=2), batch_for("cct")
        assert len(method.auxiliary) == 6
        maps = method.net.encode(batch["unlabelled"].image)
        main = torch.sigmoid(method.net.decode(maps).logits)
        errors = [((torch.sigmoid(d.decode(maps).logits) - main) ** 2).mean().item() for d in method.auxiliary]
        assert method.losses(batch, MIDDLE)["cons"].item() == pytest.approx(30 * sum(errors) / 6, rel=1e-5)

    def test_weight_is_reached_after_a_tenth_of_training(self):
        method = built("cct")
        values = [method.weights(Progress(step, 1000, 10))["cons"] for step in (0, 50, 100, 999)]
        assert values == pytest.approx([30 * math.exp(-5), 30 * math.exp(-1.25), 30, 30])

    def test_auxiliary_decoders_own_no_encoder(self):
        method = built("cct")
        size = lambda module: sum(p.numel() for p in module.parameters())
        assert size(method.auxiliary) == 3 * (size(method.net) - size(method.net.encoder))


class TestPseudoSeg:
    def test_fusion_is_the_papers_formula_for_two_classes(self):
        z, c = 3 * torch.randn(2, 2, 1, 4, 4)
        label = pseudoseg.fuse(z, c, 0.5)
        both = [[[v / 2, -v / 2] for v in t.flatten().tolist()] for t in (z, c)]
        numbers = [v for source in both for pair in source for v in pair]
        rms = math.sqrt(sum(v * v for v in numbers) / len(numbers) + 1e-8)

        def softmax(pair):
            a, b = (math.exp(v / rms) for v in pair)
            return a / (a + b)

        for pixel, pair_z, pair_c in zip(label.flatten().tolist(), *both, strict=True):
            p = (softmax(pair_z) + softmax(pair_c)) / 2
            assert pixel == pytest.approx(p**2 / (p**2 + (1 - p) ** 2), rel=1e-5)

    def test_sharpening_leaves_one_half_and_pushes_the_rest_out(self):
        z = torch.linspace(-3, 3, 25).view(1, 1, 5, 5)
        soft, sharp = pseudoseg.fuse(z, z, 1.0), pseudoseg.fuse(z, z, 0.5)
        assert sharp[0, 0, 2, 2] == pytest.approx(0.5)
        assert ((sharp - 0.5).abs() >= (soft - 0.5).abs() - 1e-7).all()

    def test_activation_map_of_a_linear_decoder(self):
        weights = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)

        class Linear(torch.nn.Module):
            def decode(self, maps):
                return Output(F.interpolate((weights * maps[-1]).sum(1, keepdim=True), scale_factor=4))

        features = torch.randn(4, 3, 5, 5)
        cam = pseudoseg.grad_cam(Linear(), [torch.zeros(4, 1, 10, 10), features])
        expected = (weights * features).sum(1, keepdim=True).clamp_min(0)  # dz/dA is the weight over the pixels
        assert torch.allclose(cam, expected / expected.amax((2, 3), keepdim=True), atol=1e-6)

    def test_activation_map_is_detached_and_leaves_the_net_alone(self):
        net = built("pseudoseg", net="tiny").net
        maps = net.encode(batch_for("pseudoseg")["labelled"].image)
        before = {k: v.clone() for k, v in net.state_dict().items()}
        cam = pseudoseg.grad_cam(net, maps)
        assert not cam.requires_grad and net.training
        assert all(p.grad is None for p in net.parameters())
        assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
        assert cam.shape == (2, 1, 1, 1) and cam.min() >= 0 and cam.max() <= 1

    def test_attention_place_by_place(self):
        sgc = pseudoseg.SGC(channels=5, dim=4)
        maps, cam = [torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4)], torch.rand(2, 1, 4, 4)
        score = torch.zeros(2, 16)
        for b in range(2):
            column = torch.cat([m[b].flatten(1) for m in maps])  # (5, 16)
            q, k = (conv.weight.flatten(1) @ column for conv in (sgc.query, sgc.key))
            for i in range(16):
                attention = torch.softmax(torch.stack([q[:, i] @ k[:, j] / 2 for j in range(16)]), 0)
                score[b, i] = cam[b].flatten()[i] + attention @ cam[b].flatten()
        expected = (score - score.mean()) / (score.var(unbiased=False) + 1e-5).sqrt()
        assert torch.allclose(sgc(maps, cam).flatten(1), expected, atol=1e-4)

    def test_what_each_term_trains(self):
        method, batch = built("pseudoseg"), batch_for("pseudoseg")
        batch["unlabelled"].image.requires_grad_()
        terms = method.losses(batch, MIDDLE)
        assert all(moved(terms["sgc"], method.sgc.parameters()))
        assert not any(moved(terms["sgc"], method.net.parameters()))
        for term in ("sup", "strong"):
            assert all(moved(terms[term], method.net.parameters()))
            assert not any(moved(terms[term], method.sgc.parameters()))
        (weak,) = torch.autograd.grad(terms["strong"], batch["unlabelled"].image, allow_unused=True)
        assert weak is None

    def test_cut_pixels_are_grey_and_teach_nothing(self, monkeypatch):
        method, batch = built("pseudoseg", cutout=0.4), batch_for("pseudoseg")
        cut = cutout_masks(batch["unlabelled"].image, 0.4)
        fused = torch.rand(batch["unlabelled"].image[:, :1].shape)
        monkeypatch.setattr(pseudoseg, "cutout_masks", lambda like, side: cut)
        monkeypatch.setattr(pseudoseg, "fuse", lambda logits, coarse, temperature: fused)
        seen = batch["unlabelled"].strong[0] * ~cut + 0.5 * cut
        strong = method.losses(batch, MIDDLE)["strong"]
        logits = method.net(seen).logits
        kept = ~cut.expand_as(logits)
        assert strong.item() == pytest.approx(bce_by_hand(logits[kept], fused[kept]), rel=1e-5)


class TestGTASeg:
    @staticmethod
    def step(method, batch, progress, student_lr=0.01, assistant_lr=0.01):
        """One update with plain gradient descent; returns all weights before it."""
        before = {k: v.clone() for k, v in method.state_dict().items()}
        rates, groups = {"student": student_lr, "assistant": assistant_lr}, method.groups()
        method.update(batch, progress, Stepper({name: torch.optim.SGD(groups[name], lr=rates[name]) for name in rates}))
        return before

    def test_a_fifth_of_the_pixels_is_dropped_and_the_rest_weighted_by_confidence(self):
        logits = torch.randn(2, 1, 10, 10, requires_grad=True)
        labels, confidence = torch.randn(2, 1, 10, 10), 3 * torch.randn(2, 1, 10, 10)
        loss = gta_seg.assistant_loss(logits, labels, confidence, drop=0.2)
        sure = torch.maximum(torch.sigmoid(confidence), 1 - torch.sigmoid(confidence)).flatten()
        kept = sorted(range(200), key=lambda i: -sure[i])[:160]
        p = torch.sigmoid(logits.detach()).flatten().double()
        ce = [-math.log(p[i] if labels.flatten()[i] >= 0 else 1 - p[i]) for i in kept]
        weight = [1 + sure[i].item() for i in kept]
        by_hand = sum(w * e for w, e in zip(weight, ce, strict=True)) / sum(weight)
        assert loss.item() == pytest.approx(by_hand, rel=1e-5)
        loss.backward()
        assert (logits.grad == 0).sum() == 40
        assert sorted(kept) == logits.grad.flatten().nonzero().flatten().tolist()

    def test_exactly_a_fifth_is_dropped_when_confidence_is_saturated(self):
        logits = torch.zeros(1, 1, 10, 10, requires_grad=True)
        gta_seg.assistant_loss(logits, torch.ones(1, 1, 10, 10), torch.full((1, 1, 10, 10), 200.0), 0.2).backward()
        assert (logits.grad == 0).sum() == 20

    def test_representation_is_all_but_the_head(self):
        net = built("gta-seg").student
        names = {id(p): name for name, p in net.named_parameters()}
        left_out = set(names) - {id(p) for p in gta_seg.representation(net)}
        assert {names[i] for i in left_out} == {"head.weight", "head.bias"}

    def test_moving_averages_to_the_digit(self):
        method, progress = built("gta-seg", decay=0.9), Progress(60, 80, 10)
        assert method.decay(progress) == 0.9  # 59 steps after the warm-up of one
        with torch.no_grad():
            for p in [*method.assistant.parameters(), *method.teacher.parameters()]:
                p.add_(torch.randn_like(p))
        before = self.step(method, batch_for("gta-seg"), progress, student_lr=0.0)
        after = method.state_dict()
        for name in dict(method.student.named_parameters()):
            s, t = before[f"student.{name}"], before[f"teacher.{name}"]
            if not name.startswith("head."):  # from the assistant as it is after its own step
                s = 0.9 * s + 0.1 * after[f"assistant.{name}"]
            assert torch.allclose(after[f"student.{name}"], s, atol=1e-6), name
            assert torch.allclose(after[f"teacher.{name}"], 0.9 * t + 0.1 * s, atol=1e-6), name
            assert not torch.equal(after[f"assistant.{name}"], before[f"assistant.{name}"])

    def test_first_step_after_the_warm_up_copies(self):
        method, progress = built("gta-seg"), Progress(1, 80, 10)
        self.step(method, batch_for("gta-seg"), progress)
        for s, t in zip(method.student.parameters(), method.teacher.parameters(), strict=True):
            assert torch.equal(s, t)

    def test_the_decay_grows_as_a_plain_mean_to_the_published_one(self):
        method, steps = built("gta-seg", warmup=0.5), gta_seg.PUBLISHED_STEPS
        start = round(steps / 2)
        decays = [method.decay(Progress(start + k, steps, 10)) for k in (-start, -1, 0, 1, 2, 998, 999, 30_000)]
        assert decays == pytest.approx([0, 0, 0, 1 / 2, 2 / 3, 1 - 1 / 999, 0.999, 0.999])

    def test_the_decay_of_a_short_training_is_that_of_ten_steps(self):
        at = lambda decay: built("gta-seg", decay=decay).decay(Progress(250, 300, 10))
        assert [at(decay) for decay in (0.999, 0.95, 0.5)] == [0.9, 0.9, 0.5]
        assert at(0.9999) == pytest.approx(0.9999 ** (gta_seg.PUBLISHED_STEPS / 300))
        assert at(0.9999) > 0.9

    @pytest.mark.parametrize("steps", [2000, 28_960, 200_000])
    def test_a_tenth_of_any_training_is_forgotten_alike(self, steps):
        method = built("gta-seg")
        left = 1.0  # of what the average held at 60 % of training, at 70 %
        for step in range(round(0.6 * steps), round(0.7 * steps)):
            left *= method.decay(Progress(step, steps, 10))
        assert math.log(left) == pytest.approx(gta_seg.PUBLISHED_STEPS / 10 * math.log(0.999), rel=1e-6)

    def test_assistant_learns_from_unlabelled_pictures_alone(self):
        weights = []
        for seed in (0, 1):  # other labelled pictures and masks, the same unlabelled ones
            method, batch = built("gta-seg", cutmix=0.0), batch_for("gta-seg", seed=0)
            batch["labelled"] = batch_for("gta-seg", seed=seed)["labelled"]
            self.step(method, batch, MIDDLE)
            weights.append([torch.cat([p.flatten() for p in net.parameters()]) for net in method.children()])
        (student0, assistant0, _), (student1, assistant1, _) = weights
        assert torch.allclose(assistant0, assistant1, atol=1e-7) and not torch.allclose(student0, student1)

    def test_student_learns_from_labelled_pictures_alone(self):
        weights, gradients = [], []
        for seed in (0, 1):  # the same labelled pictures, other unlabelled ones; the assistant stands still
            method, batch = built("gta-seg"), batch_for("gta-seg", seed=0)
            batch["unlabelled"] = batch_for("gta-seg", seed=seed)["unlabelled"]
            self.step(method, batch, MIDDLE, assistant_lr=0.0)
            weights.append(torch.cat([p.flatten() for p in method.student.parameters()]))
            gradients.append(torch.cat([p.grad.flatten() for p in method.assistant.parameters()]))
        assert torch.allclose(*weights, atol=1e-7) and not torch.allclose(*gradients)

    def test_pseudo_labels_reach_the_students_representation_but_not_its_head(self):
        method, progress = built("gta-seg"), Progress(60, 80, 10)
        before = self.step(method, batch_for("gta-seg"), progress, student_lr=0.0)
        changed = {
            name for name, p in method.student.state_dict().items() if not torch.equal(p, before[f"student.{name}"])
        }
        assert changed == {name for name in method.student.state_dict() if not name.startswith("head.")}

    def test_warm_up_is_supervised_and_ends_with_three_equal_nets(self):
        method, batch = built("gta-seg", warmup=0.5), batch_for("gta-seg")
        batch["unlabelled"].image = torch.full_like(batch["unlabelled"].image, float("nan"))
        before = self.step(method, batch, Progress(39, 80, 10))
        after = method.state_dict()
        for name in method.student.state_dict():
            assert torch.equal(after[f"student.{name}"], after[f"teacher.{name}"])
            assert torch.equal(after[f"student.{name}"], after[f"assistant.{name}"])
            assert not torch.equal(after[f"student.{name}"], before[f"student.{name}"])
        terms = method.update(batch_for("gta-seg"), Progress(40, 80, 10), stepper(method))
        assert set(terms) == {"sup", "assistant"}

    def test_teacher_labels_in_evaluation_mode_and_collects_its_own_statistics(self, monkeypatch):
        method, batch = built("gta-seg", net="tiny", cutmix=0.0), batch_for("gta-seg")
        method.eval()
        with torch.no_grad():
            expected = method.teacher(batch["unlabelled"].image).logits
        method.train()
        calls = []
        keep = lambda logits, labels, confidence, drop: calls.append((labels, confidence)) or logits.mean()
        monkeypatch.setattr(gta_seg, "assistant_loss", keep)
        before = self.step(method, batch, MIDDLE)
        labels, confidence = calls[0]
        assert torch.equal(labels, expected) and not torch.equal(confidence, expected)
        name = "teacher.encoder.0.1.running_mean"
        assert not torch.equal(method.state_dict()[name], before[name])
        assert all(p.grad is None for p in method.teacher.parameters())

    def test_cutmix_pastes_picture_and_label_alike(self, monkeypatch):
        method, batch = built("gta-seg", cutmix=1.0), batch_for("gta-seg", 2, 4)
        labels = method.teacher(batch["unlabelled"].image).logits
        seen = []
        method.assistant.register_forward_pre_hook(lambda module, args: seen.append(args[0][2:]))
        keep = lambda logits, labels, confidence, drop: seen.append(labels) or logits.mean()
        monkeypatch.setattr(gta_seg, "assistant_loss", keep)
        self.step(method, batch, MIDDLE)
        images, mixed = seen
        box = (images != batch["unlabelled"].image).any(1, keepdim=True)
        assert 0.3 < box.float().mean() < 0.51
        assert torch.equal(images, torch.where(box, batch["unlabelled"].image.roll(1, 0), batch["unlabelled"].image))
        assert torch.allclose(mixed, torch.where(box, labels.roll(1, 0), labels))

    def test_the_teacher_is_reported(self):
        method, images = built("gta-seg"), batch_for("gta-seg")["labelled"].image
        with torch.no_grad():
            method.teacher.head.bias.fill_(100.0)
        assert (method.predict(images) > 0.99).all() and (method.predict(images, "student") < 0.99).any()


class TestCCVC:
    @pytest.mark.parametrize("threshold", [0.0, 0.8])
    def test_confident_conflicts_count_double_pixel_by_pixel(self, threshold):
        labelling, other = 2 * torch.randn(2, 2, 1, 6, 6)
        weight = conflict_weight(labelling, other, threshold, 2.0)
        p = torch.sigmoid(labelling).flatten().tolist()
        for i, (a, b) in enumerate(zip(labelling.flatten().tolist(), other.flatten().tolist(), strict=True)):
            conflict = (a >= 0) != (b >= 0) and max(p[i], 1 - p[i]) > threshold
            assert weight.flatten()[i] == (2 if conflict else 1)
        if threshold == 0:
            assert ((weight == 2) == ((labelling >= 0) != (other >= 0))).all()
        assert 1 in weight and 2 in weight

    def test_cross_terms_by_hand(self):
        method, batch = built("ccvc", drop=0.0, conflict=3.0), batch_for("ccvc")
        with torch.no_grad():  # make the branches disagree
            method.branch1.head.bias -= method.branch1(batch["unlabelled"].image).logits.median()
        terms = method.eval().losses(batch, MIDDLE)  # running statistics: the same for any batch
        z1, net = method.branch1(batch["unlabelled"].image).logits, method.branch2
        fine, coarse = net.encode(batch["unlabelled"].image)
        mapped = method.mapping(torch.cat([fine, net.up(coarse)], dim=1))
        z2 = net.head(net.decoder(mapped))
        y1, y2 = (z1 >= 0).float(), (z2 >= 0).float()
        weight = 1 + 2 * (y1 != y2)
        assert 0 < (y1 != y2).float().mean() < 1
        assert terms["con1"].item() == pytest.approx(bce_by_hand(z1, y2, weight) / 2, rel=1e-5)
        assert terms["con2"].item() == pytest.approx(bce_by_hand(z2, y1, weight) / 2, rel=1e-5)

    def test_no_gradient_crosses_and_the_mapping_belongs_to_branch_2(self):
        method = built("ccvc")
        terms = method.losses(batch_for("ccvc"), MIDDLE)
        second = [*method.branch2.parameters(), *method.mapping.parameters()]
        assert all(moved(terms["con1"], method.branch1.parameters())) and not any(moved(terms["con1"], second))
        assert any(moved(terms["con2"], second)) and not any(moved(terms["con2"], method.branch1.parameters()))
        last = lambda net: [*net.decoder.parameters(), *net.head.parameters()]
        before = [
            p for net in (method.branch1, method.branch2) for part in (net.encoder, net.up) for p in part.parameters()
        ]
        assert all(moved(terms["dis"], [*before, *method.mapping.parameters()]))
        assert not any(moved(terms["dis"], [*last(method.branch1), *last(method.branch2)]))

    def test_each_side_of_the_discrepancy_is_detached_in_turn(self):
        f1, f2 = torch.randn(2, 2, 5, 3, 3).unbind(0)
        f1, f2 = f1.clone().requires_grad_(), f2.clone().requires_grad_()
        ours = torch.autograd.grad(cosine_discrepancy(f1, f2), [f1, f2])
        whole = torch.autograd.grad(F.cosine_similarity(f1, f2, dim=1).mean(), [f1, f2])
        for a, b in zip(ours, whole, strict=True):
            assert torch.allclose(a, b / 2, atol=1e-7)

    def test_branch_2_is_evaluated_through_the_mapping(self):
        method, images = built("ccvc").eval(), batch_for("ccvc")["labelled"].image
        with torch.no_grad():
            for p in method.mapping.parameters():
                p.zero_()
            nothing = method.branch2.decoder(torch.zeros(2, 8, 16, 16))
        constant = torch.sigmoid(method.branch2.head(nothing))
        p1, p2, mean = (method.predict(images, view) for view in method.views)
        assert torch.allclose(p2, constant) and not torch.allclose(p1, method.branch2(images).logits.sigmoid())
        assert torch.allclose(mean, (p1 + p2) / 2)

    @pytest.mark.parametrize(
        ("net", "channels"), [("unet-s", 16), ("mobilenet-unet", 16 + 48), ("swin-unet-s", 2 * 32)]
    )
    def test_the_mapping_keeps_the_channels_that_meet_before_the_last_block(self, net, channels):
        method = built("ccvc", net, 64)
        assert method.mapping[0].weight.shape == (channels, channels, 1, 1)

    def test_whole_channels_are_dropped_before_the_last_block_in_training_alone(self):
        method, seen = built("ccvc", "tiny", 32), []
        method.branch2.decoder[-1].register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(2)))
        batch = batch_for("ccvc", 20, 20, 32)
        method.losses(batch, MIDDLE)
        with torch.no_grad():
            method.eval().predict(batch["labelled"].image, "branch2")
        shares = [(channels == 0).all(2).float().mean().item() for channels in seen]
        assert 0.4 < shares[0] < 0.75 and shares[1] < 0.1

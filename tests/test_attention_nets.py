"""What is particular to the networks of DALE's tables that have attention and no U-Net's shape."""

import hashlib
import math

import numpy as np
import pytest
import timm
import torch
from drawn import stepper
from torch import nn

from tutseg.data.captions import caption
from tutseg.errors import InputError
from tutseg.losses import bce_dice, edge_points
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.nets import build, convformer, languide, sanet, transfuse, transunet, xboundformer


def count(*parts: nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def on_paper(name: str, size: int) -> nn.Module:
    """A net without memory behind its parameters, to be counted."""
    with torch.device("meta"):
        return build(name, size)


class TestConvFormer:
    def test_published_parts(self):
        """The published network has one more channel in its head: two classes."""
        net = on_paper("convformer", 256)
        stem, blocks = net.encoder[:-12], net.encoder[-12:]
        assert (count(stem), count(blocks)) == (1_551_936, 113_320_032)
        assert count(net.decoder, net.head) + 128 + 1 == 738_050
        assert count(net) + 128 + 1 == 115_610_018

    def test_gaussian_against_loops(self):
        h, w, sigma = 3, 4, torch.tensor([0.05, 0.4])
        got = convformer.gaussian(h, w, sigma)
        for head, s in enumerate(sigma.tolist()):
            for i in range(h * w):
                weights = [
                    math.exp(-((i // w / h - j // w / h) ** 2 + (i % w / w - j % w / w) ** 2) / (2 * s * s))
                    for j in range(h * w)
                ]
                expected = torch.tensor(weights) / sum(weights)
                torch.testing.assert_close(got[head, i], expected)

    def test_attention_against_loops(self):
        """The cosine of each pair, within its head, times the Gaussian; and what is heard is the sum of values."""
        torch.manual_seed(0)
        layer, x = convformer.ConvAttention(8, 2).eval(), torch.randn(1, 8, 2, 3)
        layer.out = nn.Identity()
        attention, out = layer.attention(x), layer(x)
        sigma = 0.003 + 0.397 / (1 + torch.exp(-layer.width))
        near = convformer.gaussian(2, 3, sigma)
        q, k, v = (part(x)[0].flatten(1) for part in (layer.query, layer.key, layer.value))
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            for i in range(6):
                heard = torch.zeros(4)
                for j in range(6):
                    cosine = q[own, i] @ k[own, j] / (q[own, i].norm() * k[own, j].norm())
                    torch.testing.assert_close(attention[0, head, i, j], cosine * near[head, i, j])
                    heard += cosine * near[head, i, j] * v[own, j]
                torch.testing.assert_close(out[0, own].flatten(1)[:, i], heard)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


class TestTransFuse:
    def test_published_count(self):
        """At 192 x 256 pixels, with a class token that nothing reads."""
        net = on_paper("transfuse", 224)
        positions, embed = net.encoder["transformer"].pos_embed[0].shape
        assert count(net) + (12 * 16 - positions) * embed + embed == 26_248_725
        assert (positions, embed) == (14 * 14, 384) and count(net.encoder["cnn"]) == 8_170_304

    def test_fusion_by_hand(self):
        torch.manual_seed(0)
        fuse, g, t = transfuse.BiFusion(4, 6, 2).eval(), random(1, 4, 9, 9), random(1, 6, 9, 9)
        fuse.residual, fuse.product, fuse.from_g, fuse.from_t = (nn.Identity() for _ in range(4))
        fuse.from_t = nn.Conv2d(6, 4, 1)
        both, where, which = fuse(g, t).split([4, 4, 6], dim=1)
        torch.testing.assert_close(both, g * fuse.from_t(t))
        first, second = (fuse.which_channel[i] for i in (1, 3))
        hidden = (first.weight[:, :, 0, 0] @ t.mean((0, 2, 3)) + first.bias).clamp(0)
        share = 1 / (1 + torch.exp(-(second.weight[:, :, 0, 0] @ hidden + second.bias)))
        torch.testing.assert_close(which, t * share[None, :, None, None])
        seen = torch.stack([g[0].max(0).values, g[0].mean(0)])  # the centre's window of 7 x 7 is 1 to 7
        at = (fuse.where[0].weight[0] * seen[:, 1:8, 1:8]).sum() / math.sqrt(1 + 1e-5)
        torch.testing.assert_close(where[0, :, 4, 4], g[0, :, 4, 4] / (1 + torch.exp(-at)))

    def test_a_closed_gate_hides_the_skip(self):
        torch.manual_seed(0)
        rise, below = transfuse.Rise(4, 3, 5).eval(), random(1, 4, 6, 6)
        rise.gate[2].bias.data.fill_(-1e4)
        one, other = (rise(torch.cat([skip, below], dim=1)) for skip in (random(1, 5, 6, 6), torch.zeros(1, 5, 6, 6)))
        assert torch.equal(one, other)
        rise.gate[2].bias.data.fill_(1e4)
        skip = random(1, 5, 6, 6)
        x = torch.cat([skip, below], dim=1)
        torch.testing.assert_close(rise(x), torch.relu(rise.convs(x) + rise.beside(x)))

    def test_who_guesses_from_what(self):
        torch.manual_seed(0)
        net = build("transfuse-s", 64).eval()
        maps = net.encode(torch.rand(1, 3, 64, 64))
        before = net.decode(maps).heads
        for i, moved in enumerate([set(), set(), {"aux2"}, {"aux1", "aux2"}]):
            after = net.decode([m + 1 if i == j else m for j, m in enumerate(maps)]).heads
            assert {name for name in before if not torch.equal(before[name], after[name])} == moved
        assert net.decode(maps).deep == {"aux1": 0.6, "aux2": 0.4}


class TestXBoundFormer:
    def test_published_counts(self):
        """One layer a learner, and what a second would cost: the published counts of one and of two layers."""
        net = on_paper("xboundformer", 352)
        assert count(net) == 30_641_287 and count(net.encoder) == 24_849_856
        layers = [part for learner in net.learners for part in (learner.context, learner.points, learner.look)]
        assert count(net) + count(*layers) == 35_285_002

    def test_points_stress_the_map(self):
        torch.manual_seed(0)
        learner, x = xboundformer.BoundaryLearner(8, 2, 16).eval(), random(2, 8, 3, 5)
        stressed, points, v = learner(x)
        plain = learner.context(x.flatten(2).permute(2, 0, 1)).permute(1, 2, 0).unflatten(2, (3, 5))
        torch.testing.assert_close(stressed, plain * (1 + 1 / (1 + torch.exp(-points))))
        looked = learner.look(learner.query.expand(-1, 2, -1), stressed.flatten(2).permute(2, 0, 1))
        assert points.shape == (2, 1, 3, 5) and torch.equal(v, looked) and v.shape == (1, 2, 8)

    def test_scales_swap_their_embeddings(self):
        torch.manual_seed(0)
        cross, x, y = xboundformer.CrossScale(8, 2).eval(), random(1, 8, 4, 4), random(1, 8, 2, 2)
        v_x, v_y = random(2, 1, 1, 8)
        new_x, new_y = cross(x, y, v_x, v_y)
        assert torch.equal(cross(x, y, v_x + 1, v_y * 2)[0], cross(x, y, v_x, v_y * 2)[0])
        assert not torch.equal(cross(x, y, v_x, v_y[..., [1, 0, *range(2, 8)]])[0], new_x)
        assert torch.equal(cross(x, y, v_x, v_y * 2)[1], new_y)
        assert not torch.equal(cross(x, y, v_x[..., [1, 0, *range(2, 8)]], v_y)[1], new_y)

    def test_attention_by_hand(self):
        """What the other scale's embedding finds is a mean over places, whose weights are a softmax."""
        torch.manual_seed(0)
        cross, x, v = xboundformer.CrossScale(6, 1).eval(), random(1, 6, 3, 3), random(1, 1, 6)
        places = x[0].flatten(1).T
        w_q, w_k, w_v = cross.attention.in_proj_weight.chunk(3)
        heard = cross.hear(places)
        share = torch.softmax((w_k @ heard.T).T @ (w_q @ cross.ask(v)[0, 0]) / math.sqrt(6), dim=0)
        found = cross.attention.out_proj(share @ (heard @ w_v.T))
        expected = cross.norm(places * (1 + found)).T.reshape(x.shape)
        torch.testing.assert_close(cross.one(x, v), expected)

    def test_learns_the_points_too(self):
        """In supervised training the points' loss is a term of its own, which a net without such heads has not."""
        x, mask = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
        mask[:, :, 20:40, 10:30] = 1
        batch, progress = {"labelled": Views(x, mask)}, Progress(0, 1, 1)
        for method in ("supervised", "gce", "small-loss", "cirl"):
            terms = build_method(method, net="xboundformer-s", size=64).losses(batch, progress)
            assert set(terms) == {"sup", "edge"}
        assert set(build_method("supervised", net="unet-s", size=64).losses(batch, progress)) == {"sup"}
        for method in ("dale", "mw-net"):
            trained = build_method(method, net="xboundformer-s", size=64)
            assert "edge" in trained.update(batch, progress, stepper(trained))
        heads = {f"edge{s}": random(2, 1, 64 // s, 64 // s) for s in (8, 16, 32)}
        expected = 0.0
        for name, logits in heads.items():
            s = int(name[4:])
            for b in range(2):
                for i in range(64 // s):
                    for j in range(64 // s):
                        near = mask[b, 0, max(i * s - 1, 0) : i * s + s + 1, max(j * s - 1, 0) : j * s + s + 1]
                        holds = float(near.min() != near.max())
                        p = torch.sigmoid(logits[b, 0, i, j])
                        expected -= torch.log(p if holds else 1 - p) / logits.numel()
        torch.testing.assert_close(edge_points({**heads, "aux1": mask}, mask)["edge"], expected)


class TestLanGuide:
    def test_published_parts(self):
        """Without the two projection heads of 1,051,136 that learn nothing."""
        net = on_paper("languide", 224)
        assert count(net.encoder) == 27_818_592
        assert count(net.guides, net.decoder, net.last, net.head) == 14_357_953
        assert count(net) == 27_818_592 + 14_357_953

    def test_a_word_is_its_own_noise(self):
        """Drawn from its hash, in its place; case and punctuation do not count, and the rest is zero."""
        text = languide.embed_text("One lesion, LESION.", 96)
        for i, word in enumerate(("one", "lesion", "lesion")):
            seed = int(hashlib.sha256(word.encode()).hexdigest()[:16], 16)
            assert np.array_equal(text[i].numpy(), np.random.default_rng(seed).standard_normal(96).astype(np.float32))
        assert text.shape == (24, 96) and not text[3:].any()

    @pytest.mark.parametrize("text", ["", " - !", "word " * 25])
    def test_a_text_has_words(self, text):
        with pytest.raises(InputError, match=r"a caption of \d+ words: give 1 to 24"):
            languide.embed_text(text)

    def test_positions_by_hand(self):
        got = languide.positions(5, 6)
        for i in range(5):
            for k in range(3):
                angle = i / 10_000 ** (2 * k / 6)
                pair = torch.tensor([math.sin(angle), math.cos(angle)])
                torch.testing.assert_close(got[i, 0, 2 * k : 2 * k + 2], pair)

    def test_the_caption_is_said_of_every_picture(self):
        torch.manual_seed(0)
        net, x = build("languide-s", 64).eval(), torch.rand(3, 3, 64, 64)
        said = net(x).logits
        assert torch.equal(net(x, texts=[languide.CAPTION] * 3).logits, said)
        other = net(x, texts=[languide.CAPTION, "two lesions", languide.CAPTION]).logits
        assert torch.equal(other[[0, 2]], said[[0, 2]]) and not torch.equal(other[1], said[1])
        for guide in net.guides:
            guide.scale.data.zero_()
        assert torch.equal(net(x, texts=["two lesions"] * 3).logits, net(x).logits)

    @pytest.mark.slow
    def test_learns_to_listen(self):
        """Of two discs the caption tells which is meant; told of the other, it finds the other."""
        rng = torch.Generator().manual_seed(1)
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")

        def drawn(n: int) -> tuple[torch.Tensor, torch.Tensor]:
            """Pictures ``(n, 3, 64, 64)``, and of each the disc on the left and on the right, ``(n, 2, 64, 64)``."""
            y, r = (low + span * torch.rand(n, 2, 1, 1, generator=rng) for low, span in ((20, 24), (8, 5)))
            discs = ((columns - torch.tensor([16, 48])[:, None, None]) ** 2 + (rows - y) ** 2 < r**2).float()
            return 0.7 + 0.05 * torch.rand(n, 3, 64, 64, generator=rng) - 0.4 * discs.sum(1, keepdim=True), discs

        def guided(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            return net(images, texts=[caption(mask) for mask in masks[:, 0].numpy()]).logits

        torch.manual_seed(0)
        net = build("languide-s", 64)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        for _ in range(100):
            images, discs = drawn(8)
            mask = discs[torch.arange(8), torch.randint(2, (8,), generator=rng)][:, None]
            loss = bce_dice(guided(images, mask), mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        net.eval()
        images, discs = drawn(32)
        for mask in discs.split(1, dim=1):
            with torch.no_grad():
                found = (guided(images, mask) > 0).float()
            assert 2 * (found * mask).sum() / (found.sum() + mask.sum()) > 0.9


class TestTransUNet:
    def test_published_count(self):
        """The published network has two classes, and so one more 3x3 filter on 16 channels."""
        net = on_paper("transunet", 224)
        assert count(net) + 16 * 9 + 1 == 105_276_066
        with torch.device("meta"):
            theirs = timm.create_model("vit_base_r50_s16_224", num_classes=0, class_token=False, global_pool="")
        assert count(net.encoder) == count(theirs)

    def test_encoder_is_timms(self):
        """With timm's weights, its tokens; the skips are what its stages give."""
        torch.manual_seed(0)
        theirs = timm.create_model(
            "vit_base_r50_s16_224",
            img_size=64,
            embed_dim=48,
            depth=2,
            num_heads=3,
            num_classes=0,
            class_token=False,
            global_pool="",
        ).eval()
        ours = transunet.TransUNet(64, embed=48, depth=2, heads=3, ascent=(8, 8, 8, 8, 8)).eval()
        names = {
            "cnn": "patch_embed.backbone",
            "transformer.project": "patch_embed.proj",
            "transformer.position": "pos_embed",
            "transformer": "",
        }
        state = {}
        for name in ours.encoder.state_dict():
            start = next(start for start in names if name.startswith(start))
            state[name] = theirs.state_dict()[(names[start] + name.removeprefix(start)).lstrip(".")]
        ours.encoder.load_state_dict(state)
        x = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            *skips, tokens = ours.encode(x)
            x = ours.normalise(x)
            torch.testing.assert_close(tokens.flatten(2).transpose(1, 2), theirs(x))
            cnn = theirs.patch_embed.backbone
            x = cnn.stem.norm(cnn.stem.conv(x))
            torch.testing.assert_close(skips[0], x)
            x = cnn.stem.pool(x)
            for skip, stage in zip(skips[1:], cnn.stages, strict=False):
                x = stage(x)
                torch.testing.assert_close(skip, x)


class TestSANet:
    def test_published_count(self):
        net = on_paper("sanet", 352)
        assert count(net) == 23_899_497 and count(net.encoder) == 23_669_352

    def test_deep_maps_multiply_the_shallow_ones(self):
        """At the finest of the three grids; a place where the deepest is 0 is 0 everywhere."""
        net = sanet.SANet(4, layers=(1, 1, 1, 1), channels=(4, 4, 4, 4))
        net.reduce = nn.ModuleList(nn.Identity() for _ in range(3))
        maps = [torch.full((1, 4, 8 // s, 8 // s), value) for s, value in ((1, 2.0), (2, 3.0), (4, 5.0))]
        for got, expected in zip(net.join(maps).chunk(3, dim=1), (5.0, 15.0, 30.0), strict=True):
            torch.testing.assert_close(got, torch.full((1, 4, 8, 8), expected))
        maps[2][..., 0, 0] = 0
        assert not net.join(maps)[..., 0, 0].any() and net.join(maps)[..., 7, 7].all()


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([], "no lesion"),
        ([(10, 20, 70, 80)], "one small lesion, upper right"),
        ([(30, 70, 30, 70)], "one medium lesion, middle centre"),
        ([(40, 100, 0, 60)], "one large lesion, lower left"),
        ([(0, 10, 0, 10), (10, 20, 10, 20)], "one small lesion, upper left"),  # they touch at a corner
        ([(0, 10, 0, 10), (80, 99, 0, 10)], "two lesions, the largest small, lower left"),
        ([(y, y + 2, 0, 2) for y in range(0, 90, 15)], "many lesions, the largest small, upper left"),
    ],
)
def test_captions(boxes, said):
    mask = np.zeros((100, 100), np.uint8)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = 1
    assert caption(mask) == said and languide.embed_text(caption(mask), 8).any()

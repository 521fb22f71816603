"""One contract for every registered net, and what is particular to some."""

import subprocess
import sys

import pytest
import skimage.data
import timm
import torch
from safetensors.torch import save_file
from timm.layers import DropPath
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutseg import weights
from tutseg.errors import InputError
from tutseg.nets import CARDS, Output, about, build, lite0_unet, mobilenet_unet, net_table, swin_unet
from tutseg.nets.common import EncoderDecoder, load_encoder

# where a net has no small variant and the full one would take seconds, its mechanics are tested on a narrower one
NARROW = {"swin-unet-t": {"embed": 12}}
# a small variant stands for its net
OTHERS = {"prompt", "draw", "classify"}  # what gives these has a contract of its own
TESTED = [name for name, card in CARDS.items() if not OTHERS & {*card.gives} and f"{name}-s" not in CARDS]
# what is concatenated last is the finest skip and all that came up
U_SHAPED = ("unet-s", "unetpp-s", "mobilenet", "lite0", "swin-unet")
# where an encoder was trained on other statistics than ImageNet's
STATISTICS = {name: ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]) for name in ("lite0-unet", "lite0-unet-sdf")}


def make(name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    return build(name, size, **NARROW.get(name, {})).eval()


def images(n: int, size: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CARDS)
def test_parameters(name):
    """As many as the card says, and within 0.5 % of the published number, or its third digit."""
    card = CARDS[name]
    with torch.device("meta"):
        net = build(name, card.published_size)
    assert sum(p.numel() for p in net.parameters()) == card.parameters
    if card.published_millions is not None:
        assert card.parameters / 1e6 == pytest.approx(card.published_millions, rel=0.005, abs=0.0005)


@pytest.mark.parametrize("name", CARDS)
def test_size_must_fit(name):
    with pytest.raises(InputError, match=f"size 100 does not fit net {name}: use a multiple of"):
        build(name, 100)


@pytest.mark.parametrize("name", TESTED)
class TestContract:
    @pytest.mark.parametrize("size", [64, 96])
    @pytest.mark.parametrize("n", [1, 3])
    def test_shapes(self, name, size, n):
        out = make(name, size)(images(n, size), features=True)
        grid = size // CARDS[name].stride
        assert out.logits.shape == (n, 1, size, size)
        assert out.bottleneck.shape[0] == n and out.bottleneck.shape[2:] == (grid, grid)
        assert out.decoded.shape[0] == n and size % out.decoded.shape[2] == 0
        assert all(torch.isfinite(t).all() for t in (out.logits, out.bottleneck, out.decoded))

    def test_features_only_when_asked_for(self, name):
        net, x = make(name, 64), images(2, 64)
        plain, full = net(x), net(x, features=True)
        assert plain.features == () and plain.decoded is None
        assert torch.equal(plain.logits, full.logits)

    def test_two_halves(self, name):
        net, x = make(name, 64), images(2, 64)
        maps = net.encode(x)
        out = net.decode(maps)
        assert torch.equal(out.logits, net(x).logits)
        assert all(map(torch.equal, out.features, maps)) and torch.equal(out.bottleneck, maps[-1])
        heights = [m.shape[2] for m in maps]
        assert heights == sorted(heights, reverse=True) and all(m.shape[2] == m.shape[3] for m in maps)
        for i, one in enumerate(maps):  # the decoder uses every map it is given
            perturbed = [*maps[:i], one + torch.randn_like(one), *maps[i + 1 :]]
            assert not torch.equal(net.decode(perturbed).logits, out.logits), f"map {i} is not used"

    def test_the_last_block_sees_all_that_came_up(self, name):
        net = make(name, 64)
        maps = net.encode(images(2, 64))
        joined = net.join(maps)
        assert joined.shape[0] == 2 and joined.ndim == 4
        out = net.finish(joined)
        assert torch.equal(out.logits, net.decode(maps).logits) and out.features == ()
        assert not torch.equal(net.finish(joined + torch.randn_like(joined)).logits, out.logits)

    def test_gives_what_its_card_says(self, name):
        gives, net = set(CARDS[name].gives), make(name, 64)
        out = net(images(1, 64), features=True)
        assert ("encode" in gives) == (isinstance(net, EncoderDecoder) and len(out.features) > 0)
        assert ("decoded" in gives) == (out.decoded is not None and isinstance(net.head, nn.Module))
        assert set(out.heads) == gives - {"encode", "decoded"}
        assert set(out.deep) == {head for head in out.heads if head.startswith("aux")}
        assert all(out.heads[head].shape == out.logits.shape for head in out.deep)

    def test_deterministic(self, name):
        """The same seed gives the same net, which gives the same logits; another seed another net."""
        x = images(2, 64)
        first, second = make(name, 64), make(name, 64)
        assert torch.equal(first(x).logits, second(x).logits) and torch.equal(first(x).logits, first(x).logits)
        other = build(name, 64, **NARROW.get(name, {})).eval()
        assert not torch.equal(first(x).logits, other(x).logits)

    def test_pictures_do_not_mix(self, name):
        net, x = make(name, 64), images(3, 64)
        together = net(x).logits
        rounding = 1e-5 * max(1.0, together.abs().max().item())
        for i in range(3):
            torch.testing.assert_close(net(x[i : i + 1]).logits[0], together[i], rtol=1e-4, atol=rounding)

    def test_gradient_reaches_every_parameter(self, name):
        net = make(name, 64)
        out = net(images(2, 64))
        sum(said.square().mean() for said in (out.logits, *out.heads.values())).backward()
        idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert idle == []

    def test_forward_derivative_is_that_of_the_gradient(self, name):
        """What a method's virtual steps need of a net (`tutseg.methods.step.influence`)."""
        net, x = make(name, 64), images(1, 64)
        theta = {n: p.detach() for n, p in net.named_parameters()}
        towards = {n: torch.randn_like(p) for n, p in theta.items()}
        loss = lambda moved: functional_call(net, moved, x).logits.square().mean()
        with sdpa_kernel(SDPBackend.MATH):
            _, slope = torch.func.jvp(loss, (theta,), (towards,))
        loss(dict(net.named_parameters())).backward()
        grads = {n: p.grad for n, p in net.named_parameters() if p.grad is not None}
        expected = sum((grad * towards[n]).sum() for n, grad in grads.items())
        torch.testing.assert_close(slope, expected, rtol=1e-3, atol=1e-4)

    def test_trains(self, name):
        """In eight steps it sees which blocks of 8 pixels are bright, though it may say so at an eighth of the size."""
        net, x = make(name, 64).train(), nn.functional.interpolate(images(4, 8), scale_factor=8)
        y = (x.mean(dim=1, keepdim=True) > 0.5).float()
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
        losses = []
        for _ in range(8):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x).logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert min(losses[-2:]) < 0.9 * losses[0]

    def test_round_trip(self, name, tmp_path):
        net, x = make(name, 64), images(2, 64)
        torch.save(net.state_dict(), tmp_path / "net.pt")
        torch.manual_seed(99)
        other = build(name, 64, **NARROW.get(name, {})).eval()
        other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
        assert torch.equal(net(x).logits, other(x).logits)

    def test_normalises_itself(self, name):
        """Without the norm layer, given pictures normalised by hand, the logits are the same."""
        net, x = make(name, 64), images(2, 64)
        expected = net(x).logits
        mean, std = map(torch.tensor, STATISTICS.get(name, ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])))
        net.normalise = nn.Identity()
        got = net((x - mean[None, :, None, None]) / std[None, :, None, None]).logits
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in TESTED if name.startswith(U_SHAPED)])
def test_the_last_block_of_a_u_shape(name):
    """Two convolutions, which see the finest map as it is."""
    net = make(name, 64)
    maps = net.encode(images(2, 64))
    joined = net.join(maps)
    assert joined.shape[2:] == maps[0].shape[2:]
    assert any(torch.equal(part, maps[0]) for part in (joined[:, : maps[0].shape[1]], joined[:, -maps[0].shape[1] :]))
    own = {id(p) for part in (net.encoder, net.head) for p in part.parameters()}
    loss, names = net.finish(joined.detach()).logits.square().mean(), dict(net.named_parameters())
    found = torch.autograd.grad(loss, list(names.values()), allow_unused=True)
    last = [n for (n, p), g in zip(names.items(), found, strict=True) if g is not None and id(p) not in own]
    kinds = [net.get_submodule(n.rpartition(".")[0]) for n in last if n.endswith("weight")]
    assert sum(isinstance(kind, nn.Conv2d) for kind in kinds) == (0 if name.startswith("swin") else 2)
    assert last and all(n.startswith((f"decoder.{len(net.decoder) - 1}.", "norm", "final_expand")) for n in last)


@pytest.mark.parametrize(("size", "grid"), [(224, 7), (256, 8), (96, 3)])
def test_swin_bottleneck(size, grid):
    """768 channels as in DME-FD's discrepancy loss, also where the windows do not divide the grid."""
    net = build("swin-unet-t", size).eval()
    with torch.no_grad():
        out = net(images(1, size), features=True)
    assert out.bottleneck.shape == (1, 768, grid, grid) and out.logits.shape == (1, 1, size, size)
    # a layer norm with weight 1 and bias 0 has just been applied over the channels
    assert out.bottleneck.mean(dim=1).abs().max() < 1e-5
    assert out.bottleneck.var(dim=1, unbiased=False).sub(1).abs().max() < 1e-2


@pytest.mark.parametrize("name", ["mobilenet-unet", "lite0-unet"])
def test_a_second_head_leaves_the_first_as_it_was(name):
    """Of one seed, the mask is that of the net with one head; the distance comes from the same decoder."""
    x, alone, both = images(2, 64), make(name, 64), make(f"{name}-sdf", 64)
    out, half = both(x, features=True), torch.nn.functional.interpolate
    assert torch.equal(out.logits, alone(x).logits)
    by_hand = torch.tanh(half(both.sdf(out.decoded), scale_factor=2.0, mode="bilinear"))
    torch.testing.assert_close(out.heads["sdf"], by_hand)
    assert out.heads["sdf"].abs().max() <= 1 and both(x).heads.keys() == {"sdf"}


def test_the_loss_of_deep_supervision():
    """Of all parts of a split batch too; a further head that is no guess at the mask does not count."""
    logits = torch.arange(4.0).view(4, 1, 1, 1)
    heads = {"aux1": logits + 10, "sdf": logits + 100, "aux2": logits + 20}
    out = Output(logits, heads, deep={"aux1": 0.5, "aux2": 0.25})
    assert out.supervise(torch.sum) == 6 + 0.5 * 46 + 0.25 * 86
    first, rest = out.split([1, 3])
    assert first.supervise(torch.sum) == 0 + 0.5 * 10 + 0.25 * 20
    assert rest.supervise(torch.sum) == 6 + 0.5 * 36 + 0.25 * 66
    assert Output(logits, heads).supervise(torch.sum) == 6 and out.without_features().deep == out.deep


def test_swin_skips_are_what_a_stage_begins_with():
    net, x = build("swin-unet", 64, embed=12).eval(), images(1, 64)
    first = net.encoder.patch_embed(net.normalise(x))
    second = net.encoder.layers[1].downsample(net.encoder.layers[0](first))
    for skip, expected in zip(net.encode(x), (first, second), strict=False):
        torch.testing.assert_close(skip, expected.permute(0, 3, 1, 2))


def test_swin_shifts_every_second_window():
    net = build("swin-unet", 224, embed=12)
    shifts = [[b.shift_size[0] for b in stage.blocks] for stage in net.decoder]
    assert shifts == [[0, 3] * 3, [0, 3], [0, 3]]


def test_swin_drop_path_rises_over_the_encoder():
    net = build("swin-unet", 64, embed=12)
    rates = [m.drop_prob for m in net.encoder.modules() if isinstance(m, DropPath)][::2]
    assert rates == pytest.approx([0.1 * i / 11 for i in range(1, 12)])  # block 0 has none
    mirrored = [m.drop_prob for m in net.decoder.modules() if isinstance(m, DropPath)][::2]
    assert mirrored == pytest.approx([0.1 * i / 11 for i in (4, 5, 6, 7, 8, 9, 2, 3, 1)])


def test_patch_expand_against_loops():
    layer, x = swin_unet.PatchExpand(6, 3, 2), torch.rand(2, 4, 5, 6)
    got = layer(x)
    assert got.shape == (2, 8, 10, 3)
    for y, u in [(0, 0), (3, 7), (6, 1)]:
        block = layer.expand(x[:, y // 2, u // 2])  # one token, (2, 12): 2 x 2 tokens of 3, row by row
        part = 2 * (y % 2) + u % 2
        torch.testing.assert_close(got[:, y, u], layer.norm(block[:, 3 * part : 3 * part + 3]))


def in_hub(monkeypatch, path) -> None:
    """Every file of the Hub is found in its cache under `path`."""
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, name: str(path))


class TestPretrained:
    @pytest.mark.parametrize(
        ("net", "module", "one"),
        [
            ("mobilenet-unet", mobilenet_unet, "blocks.6.0.conv_pwl.weight"),
            ("mobilenet-unet-sdf", mobilenet_unet, "blocks.6.0.conv_pwl.weight"),
            ("swin-unet", swin_unet, "layers.2.blocks.5.mlp.fc1.weight"),
            ("swin-unet-t", swin_unet, "layers.3.downsample.reduction.weight"),
        ],
    )
    def test_loads_timm_weights(self, net, module, one, monkeypatch, tmp_path):
        """From a file as timm stores it, holding values of our own."""
        torch.manual_seed(5)
        source = {name: v.contiguous() for name, v in timm.create_model(module.ENCODER).state_dict().items()}
        save_file(source, tmp_path / "model.safetensors")
        in_hub(monkeypatch, tmp_path / "model.safetensors")
        torch.manual_seed(6)
        encoder = build(net, CARDS[net].published_size, pretrained=True).encoder.state_dict()
        assert one in encoder and all(torch.equal(v, source[name]) for name, v in encoder.items())

    def test_says_when_they_cannot_be_had(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise OSError("no network")

        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a: None)
        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", refuse)
        with pytest.raises(InputError, match=r"the pretrained file mobilenetv2 .* is not here: bring it into the"):
            build("mobilenet-unet", 64, pretrained=True)
        with pytest.raises(InputError, match=r"the pretrained file swin-tiny .* is not here"):
            build("swin-unet", 64, pretrained=True)

    @pytest.mark.parametrize("net", [name for name, card in CARDS.items() if card.weights])
    def test_names_its_file(self, net, monkeypatch):
        """The file on the card is the one that the net asks for."""
        asked = []

        def ask(name):
            asked.append(name)
            raise InputError("stop")

        monkeypatch.setattr(weights, "find", ask)
        with pytest.raises(InputError, match="stop"):
            build(net, 64, pretrained=True)
        assert asked == [CARDS[net].weights]

    @pytest.mark.parametrize("net", [name for name, card in CARDS.items() if not card.weights])
    def test_nets_without_any(self, net):
        with pytest.raises(InputError, match=f"no pretrained weights exist for {net}: .* use --net .*lite0-unet"):
            build(net, 64, pretrained=True)

    def test_all_tensors_or_none(self):
        whole = timm.create_model(mobilenet_unet.ENCODER, features_only=True)
        tensors = {name: v + 1 for name, v in whole.state_dict().items()}
        before = {name: v.clone() for name, v in whole.state_dict().items()}
        missing = {name: v for name, v in tensors.items() if name != "bn1.running_var"}
        narrow = tensors | {"conv_stem.weight": torch.zeros(16, 3, 3, 3)}
        for faulty, name in ((missing, "bn1.running_var"), (narrow, "conv_stem.weight")):
            with pytest.raises(InputError, match=rf"some-file: 1 of 306 tensors .* such as {name}:"):
                load_encoder(whole, faulty, "some-file")
        assert all(torch.equal(v, before[name]) for name, v in whole.state_dict().items())
        del tensors["bn1.num_batches_tracked"]
        load_encoder(whole, tensors | {"classifier.bias": torch.zeros(10)}, "some-file")
        after = whole.state_dict()
        assert after.pop("bn1.num_batches_tracked") == before["bn1.num_batches_tracked"]
        assert all(torch.equal(v, tensors[name]) for name, v in after.items())


def middle(picture, size: int = 224) -> torch.Tensor:
    """The middle square of a picture with 3 channels or none, ``(1, 3, size, size)`` in [0, 1]."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = torch.from_numpy(picture[top : top + side, left : left + side]).float() / 255
    square = square.reshape(1, side, side, -1).permute(0, 3, 1, 2).expand(1, 3, side, side)
    return nn.functional.interpolate(square, size=(size, size), mode="bilinear", antialias=True)


class TestLite0:
    @pytest.mark.parametrize(
        ("picture", "label", "least"), [("coffee", 967, 0.9), ("camera", 872, 0.92), ("chelsea", 285, 0.38)]
    )
    def test_recognises_pictures(self, picture, label, least):
        """An espresso, a tripod and an Egyptian cat: the net's encoder, then the classifier that the file also holds.

        The probabilities fall below these bounds with ImageNet's mean and standard deviation, with symmetric padding,
        and with one block left as it was drawn.
        """
        net, file = build("lite0-unet", 224, pretrained=True).eval(), lite0_unet.imagenet_tensors()
        norm = [file[f"bn2.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        with torch.no_grad():
            x = net.encode(middle(getattr(skimage.data, picture)()))[-1]
            x = nn.functional.batch_norm(nn.functional.conv2d(x, file["conv_head.weight"]), *norm, eps=1e-3)
            logits = file["classifier.weight"] @ x.clamp(0, 6).mean(dim=(0, 2, 3)) + file["classifier.bias"]
        assert logits.argmax() == label and logits.softmax(0)[label] > least

    def test_every_tensor_comes_from_the_file(self):
        stored = weights.read("efficientnet-lite0")
        torch.manual_seed(7)
        encoder = build("lite0-unet", 64, pretrained=True).encoder.state_dict()
        assert len(encoder) == len(stored) - 8  # the 1280-channel layer, its norm, and the classifier
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(encoder.values(), stored.values(), strict=False))

    @pytest.mark.parametrize("fault", ["missing", "shape", "order"])
    def test_another_network_is_refused(self, fault, monkeypatch):
        stored = dict(weights.read("efficientnet-lite0"))
        if fault == "missing":
            del stored["_bn0.bias"]
        elif fault == "shape":
            stored["_bn0.bias"] = torch.zeros(31)
        else:  # a mean in the place of a variance
            stored["_bn0.running_mean"] = stored.pop("_bn0.running_mean")
        monkeypatch.setattr(weights, "read", lambda name: stored)
        with pytest.raises(InputError, match="pretrained file efficientnet-lite0 holds another network"):
            build("lite0-unet", 64, pretrained=True)

    def test_decoder_is_light(self):
        net = build("lite0-unet", 64)
        encoder = sum(p.numel() for p in net.encoder.parameters())
        decoder = sum(p.numel() for p in [*net.decoder.parameters(), *net.head.parameters()])
        assert (encoder, decoder) == (2_958_848, 391_185)
        assert f"({encoder / 1e6:.2f} M)" in CARDS["lite0-unet"].source
        assert f"decoder of {decoder / 1e6:.2f} M" in CARDS["lite0-unet"].source


def test_table_needs_no_torch():
    code = "import sys, tutseg.nets as n; t = n.net_table(); assert 'torch' not in sys.modules; print(len(t))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) == len(CARDS)
    row = next(r for r in net_table() if r["name"] == "swin-unet")
    assert row == {
        "name": "swin-unet",
        "paper": "DME-FD",
        "millions": 41.38,
        "published": 41.38,
        "size": 224,
        "stride": 32,
        "gives": "encode, decoded",
        "source": "DME-FD's code; timm Swin-T",
        "weights": "swin-tiny",
    }


@pytest.mark.parametrize("name", CARDS)
def test_about(name):
    """Every net's file says of itself what it is; a line of code or of nothing would be no answer."""
    said = about(name)
    assert len(said) > 200 and "\n" in said


def test_unknown_net():
    with pytest.raises(InputError, match="did you mean swin-unet"):
        build("swinunet", 64)

"""Checkpoints of Segment Anything: read whole, by whatever size, or refused; without a file of gigabytes at hand.

A published file is stood in for by one of the same names and shapes whose tensors are all one zero, expanded.
"""

import hashlib
import json
import os
from itertools import product
from pathlib import Path

import pytest
import torch
from segment_anything import sam_model_registry
from torch import Tensor

from tutseg import weights
from tutseg.errors import InputError
from tutseg.nets import CARDS, build
from tutseg.nets.mobile_sam import MobileSam
from tutseg.nets.sam import Sam, load_sam, open_sam
from tutseg.weights.cards import CARDS as FILES

pytestmark = pytest.mark.filterwarnings("ignore:.*non-meta parameter")  # nets without memory, for their shapes
# SHA-256 over the sorted names and shapes of each published file
PUBLISHED = {"sam-b": "d0f5fb733a0ef4e0", "sam-l": "a1e56ebc3419f0ef", "sam-h": "3ac638b9e0ee9628"}


def shape_only(shapes: dict[str, tuple[int, ...]], path: Path) -> Path:
    """A file with tensors of these shapes that takes kilobytes."""
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, path)
    return path


def shapes_of_meta(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes as Meta's own builder makes them."""
    with torch.device("meta"):
        net = sam_model_registry[f"vit_{name[-1]}"]()
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items() if not key.startswith("pixel_")}


def shapes_of_mobile_sam() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published MobileSAM: its TinyViT layer by layer, the rest Meta's."""
    shapes = {name: shape for name, shape in shapes_of_meta("sam-b").items() if "image_encoder.blocks" not in name}
    del shapes["image_encoder.pos_embed"], shapes["image_encoder.patch_embed.proj.weight"]
    del shapes["image_encoder.patch_embed.proj.bias"]
    shapes["image_encoder.neck.0.weight"] = (256, 320, 1, 1)

    def conv(place: str, *shape: int) -> None:
        shapes[f"{place}.c.weight"] = shape
        shapes.update({f"{place}.bn.{part}": shape[:1] for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{place}.bn.num_batches_tracked"] = ()

    def linear(place: str, out: int, into: int) -> None:
        shapes.update({f"{place}.weight": (out, into), f"{place}.bias": (out,)})

    def norm(place: str, width: int) -> None:
        shapes.update({f"{place}.weight": (width,), f"{place}.bias": (width,)})

    conv("image_encoder.patch_embed.seq.0", 32, 3, 3, 3)
    conv("image_encoder.patch_embed.seq.2", 64, 32, 3, 3)
    widths, depths, heads, windows = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        layer = f"image_encoder.layers.{stage}"
        for block in (f"{layer}.blocks.{i}" for i in range(depth)):
            if stage == 0:
                conv(f"{block}.conv1", 4 * width, width, 1, 1)
                conv(f"{block}.conv2", 4 * width, 1, 3, 3)
                conv(f"{block}.conv3", width, 4 * width, 1, 1)
                continue
            shapes[f"{block}.attn.attention_biases"] = (heads[stage], windows[stage] ** 2)
            norm(f"{block}.attn.norm", width)
            linear(f"{block}.attn.qkv", 3 * width, width)
            linear(f"{block}.attn.proj", width, width)
            norm(f"{block}.mlp.norm", width)
            linear(f"{block}.mlp.fc1", 4 * width, width)
            linear(f"{block}.mlp.fc2", width, 4 * width)
            conv(f"{block}.local_conv", width, 1, 3, 3)
        if stage < 3:
            following = widths[stage + 1]
            conv(f"{layer}.downsample.conv1", following, width, 1, 1)
            conv(f"{layer}.downsample.conv2", following, 1, 3, 3)
            conv(f"{layer}.downsample.conv3", following, following, 1, 1)
    norm("image_encoder.norm_head", 320)
    linear("image_encoder.head", 1000, 320)
    return shapes


@pytest.fixture
def small(tmp_path) -> tuple[Path, dict[str, Tensor]]:
    """A ``sam-s`` of known values in a file."""
    torch.manual_seed(3)
    tensors = {name: torch.randn_like(tensor) for name, tensor in build("sam-s", 96).state_dict().items()}
    torch.save(tensors, tmp_path / "small.pth")
    return tmp_path / "small.pth", tensors


@pytest.mark.parametrize(("name", "size"), product(PUBLISHED, (1024, 256)))
def test_reads_the_variant_from_the_file_at_both_sizes(name, size, tmp_path):
    shapes = shapes_of_meta(name)
    listed = json.dumps(sorted([key, list(shape)] for key, shape in shapes.items()))
    assert hashlib.sha256(listed.encode()).hexdigest().startswith(PUBLISHED[name])
    assert len(shapes) == FILES[name].tensors
    path = shape_only(shapes, tmp_path / "sam.pth")
    assert path.stat().st_size < 400_000
    with torch.device("meta"):
        net = open_sam(path, size)
    assert type(net) is Sam and net.name == name and net.size == size
    own = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    grid = size // 16
    assert own == shapes | {"image_encoder.pos_embed": (1, grid, grid, shapes["image_encoder.pos_embed"][-1])}
    assert (
        sum(p.numel() for p in net.parameters()) - CARDS[name].parameters
        == (grid**2 - 64**2) * own["image_encoder.pos_embed"][-1]
    )
    print(hashlib.sha256(listed.encode()).hexdigest()[:16])


@pytest.mark.parametrize("size", [1024, 256])
def test_reads_mobile_sam(size, tmp_path):
    shapes = shapes_of_mobile_sam()
    assert len(shapes) == FILES["mobile-sam"].tensors
    idle = sum(
        torch.Size(shape).numel() for name, shape in shapes.items() if "head.weight" in name or "head.bias" in name
    )
    assert idle == 321_640
    with torch.device("meta"):
        net = open_sam(shape_only(shapes, tmp_path / "mobile.pt"), size)
    assert type(net) is MobileSam and sum(p.numel() for p in net.parameters()) == CARDS["mobile-sam"].parameters


def test_every_value_arrives(small):
    path, tensors = small
    net = open_sam(path, 96)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in net.state_dict().items())
    assert "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix" in tensors


def test_at_another_size_the_position_embedding_is_interpolated_and_nothing_else(small):
    path, tensors = small
    here = "image_encoder.pos_embed"
    ramp = torch.linspace(0, 1, 12)[None, :, None, None].expand(1, 12, 12, 96)
    torch.save(tensors | {here: ramp.clone()}, path)
    net = open_sam(path, 48)
    assert net.embed(torch.rand(1, 3, 48, 48)).shape == (1, 64, 6, 6)
    changed = [
        name
        for name, tensor in net.state_dict().items()
        if not torch.equal(tensor, tensors[name].reshape(-1)[: tensor.numel()].view_as(tensor))
    ]
    assert changed == [here]
    rows = net.state_dict()[here][0, :, 2, 5]
    middle = (ramp[0, ::2, 0, 0] + ramp[0, 1::2, 0, 0]) / 2  # half the grid: a token lies between two of the old
    torch.testing.assert_close(rows[1:-1], middle[1:-1], rtol=0.03, atol=0.01)


def test_a_trials_file_will_do(small, tmp_path):
    path, tensors = small
    torch.save({f"net.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "trial.pth")
    first, second = open_sam(path, 64), open_sam(tmp_path / "trial.pth", 64)
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_mobile_sam_answers_by_the_weights_it_has_now():
    """timm keeps the attention bias of the first forward pass in evaluation mode."""
    torch.manual_seed(0)
    net, x = build("mobile-sam", 64).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        net.embed(x)
        tensors = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        for name in tensors:
            if name.endswith("attention_biases"):
                tensors[name] = torch.randn_like(tensors[name])
        fresh = load_sam(build("mobile-sam", 64), tensors, "a", "b").eval().embed(x)
        assert torch.equal(load_sam(net, tensors, "a", "b").embed(x), fresh)
        assert not net.training and fresh.shape == (1, 256, 4, 4)


class Code:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestRefused:
    def refused(self, path: Path, why: str, size: int = 96) -> None:
        with pytest.raises(InputError, match=why) as error:
            open_sam(path, size)
        assert "\n" not in str(error.value)

    def test_code(self, tmp_path):
        torch.save({"image_encoder.pos_embed": Code(tmp_path / "made")}, tmp_path / "evil.pth")
        self.refused(tmp_path / "evil.pth", r"evil.pth holds code \(.*mkdir\), which was not run: fetch it again")
        assert not (tmp_path / "made").exists()

    def test_half_a_file(self, small):
        path, _ = small
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.refused(path, "small.pth is damaged, or no file of tensors")

    def test_half_the_tensors(self, small):
        path, tensors = small
        del tensors["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
        torch.save(tensors, path)
        self.refused(path, r"lacks 1 of 202 tensors, such as prompt_encoder.pe_layer.positional_encoding_gaussian_")

    def test_one_tensor_too_many_and_one_of_another_shape(self, small):
        path, tensors = small
        torch.save(tensors | {"image_encoder.head.bias": torch.zeros(3)}, path)
        self.refused(path, "belongs to another network .* such as image_encoder.head.bias")
        torch.save(tensors | {"mask_decoder.iou_token.weight": torch.zeros(1, 256)}, path)
        self.refused(path, "belongs to another network .* such as mask_decoder.iou_token.weight")

    def test_another_network(self, small):
        path, tensors = small
        torch.save({"encoder.weight": torch.zeros(3)}, path)
        self.refused(path, r"small.pth is no Segment Anything \(no image encoder\)")
        torch.save({name: tensor for name, tensor in tensors.items() if ".blocks.3." not in name}, path)
        self.refused(path, r"is no Segment Anything \(3 blocks of width 96\)")

    def test_a_size_that_does_not_fit(self, small):
        with pytest.raises(InputError, match="size 100 does not fit net sam-s: use a multiple of 8, such as 96 or 104"):
            open_sam(small[0], 100)

    def test_another_variants_file(self, tmp_path, monkeypatch):
        """Under the name of ViT-B lies ViT-L: refused by its hash, and where that is not looked at by what it holds."""
        monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path))
        path = shape_only(shapes_of_meta("sam-l"), tmp_path / FILES["sam-b"].file)
        with pytest.raises(InputError, match=r"sam_vit_b_01ec64.pth has .* bytes, not 375,042,383: delete it"):
            build("sam-b", 256, pretrained=True)
        with torch.device("meta"), pytest.raises(InputError, match="holds sam-l, not sam-b: give another"):
            load_sam(build("sam-b", 256), weights.tensors_of(path), "some.pth", "give another")

"""Promptable nets: what they answer, against Meta's own forward pass, and what they refuse to be told."""

import pytest
import torch
from segment_anything.modeling import Sam as MetasSam
from torch import Tensor

from tutseg.errors import InputError
from tutseg.nets import CARDS, build
from tutseg.nets.common import Promptable
from tutseg.nets.sam import Sam

SIZE = 64
KINDS = [
    (),
    ("click",),
    ("points",),
    ("boxes",),
    ("mask_logits",),
    ("tokens",),
    ("points", "boxes", "mask_logits", "tokens"),
]


@pytest.fixture
def sam() -> Sam:
    """``sam-s`` with parameters that are all at work, also those which begin at 0."""
    torch.manual_seed(0)
    net = build("sam-s", SIZE).eval()
    for parameter in net.parameters():
        parameter.data += 0.03 * torch.randn_like(parameter)
    return net


def images(n: int) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def prompts(n: int, *kinds: str) -> dict[str, Tensor]:
    """Prompts of these kinds, another set for each of `n` pictures."""
    draw = torch.Generator().manual_seed(2)
    points = torch.cat([torch.rand(n, 2, 2, generator=draw), torch.tensor([[[1.0], [0.0]]]).expand(n, -1, -1)], dim=2)
    corners = torch.rand(n, 2, 2, generator=draw).sort(dim=1).values
    every = {
        "points": points,
        "click": points[:, :1],
        "boxes": corners.flatten(1),
        "mask_logits": torch.randn(n, 1, SIZE, SIZE, generator=draw),
        "tokens": torch.randn(n, 2, 64, generator=draw),
    }
    return {"points" if kind == "click" else kind: every[kind] for kind in kinds}


def of(i: int, told: dict[str, Tensor]) -> dict[str, Tensor]:
    return {kind: prompt[i : i + 1] for kind, prompt in told.items()}


@pytest.mark.parametrize("kinds", KINDS)
@torch.no_grad()
def test_a_batch_gives_what_its_pictures_give_one_by_one(sam, kinds):
    embedding, told = sam.embed(images(3)), prompts(3, *kinds)
    together = sam.decode(embedding, **told)
    for i in range(3):
        alone = sam.decode(embedding[i : i + 1], **of(i, told))
        for ours, one in [(together.logits, alone.logits), *((together.heads[h], alone.heads[h]) for h in alone.heads)]:
            torch.testing.assert_close(ours[i : i + 1], one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kinds", [kinds for kinds in KINDS if "tokens" not in kinds])
@torch.no_grad()
def test_as_metas_own_forward_pass(kinds):
    """At the net's own size the package's whole `Sam` takes one picture at a time, in levels and pixels."""
    torch.manual_seed(0)
    net, x, told = build("sam-s", 96).eval(), torch.rand(2, 3, 96, 96), prompts(2, *kinds)
    for parameter in net.parameters():
        parameter.data += 0.03 * torch.randn_like(parameter)
    meta = MetasSam(net.image_encoder, net.prompt_encoder, net.mask_decoder).eval()
    meta.mask_threshold = 0.0
    if "mask_logits" in told:  # 2 x 2 pixels each, so that reducing them is no choice
        told["mask_logits"] = torch.randn(2, 1, 48, 48).repeat_interleave(2, 2).repeat_interleave(2, 3)
    out = net(x, **told)
    for i in range(2):
        asked = {"image": 255 * x[i], "original_size": (96, 96)}
        if "points" in told:
            points = told["points"][i : i + 1]
            asked |= {"point_coords": 96 * points[..., :2] - 0.5, "point_labels": points[..., 2]}
        if "boxes" in told:
            asked["boxes"] = 96 * told["boxes"][i : i + 1] - 0.5
        if "mask_logits" in told:
            asked["mask_inputs"] = told["mask_logits"][i : i + 1, :, ::2, ::2]
        first, three = (meta([asked], multimask_output=several)[0] for several in (False, True))
        masks = torch.cat([first["low_res_logits"], three["low_res_logits"]], dim=1)
        iou = torch.cat([first["iou_predictions"], three["iou_predictions"]], dim=1)
        torch.testing.assert_close(out.heads["masks"][i : i + 1], masks, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(out.heads["iou"][i : i + 1], iou, rtol=1e-4, atol=1e-4)
        given = first["masks"] if kinds != ("click",) else three["masks"][:, three["iou_predictions"][0].argmax()][None]
        assert ((out.logits[i : i + 1] > 0) == given).float().mean() > 0.999


@torch.no_grad()
def test_every_prompt_reaches_its_own_picture_alone(sam):
    embedding = sam.embed(images(3))
    for kind, prompt in prompts(3, "points", "boxes", "mask_logits", "tokens").items():
        told = sam.decode(embedding, **{kind: prompt}).logits
        other = prompt.clone()
        other[1] = prompt[2]
        moved = (sam.decode(embedding, **{kind: other}).logits - told).abs().flatten(1).amax(1) > 1e-4
        assert moved.tolist() == [False, True, False], kind


@torch.no_grad()
def test_a_click_is_x_then_y(sam):
    """The package's own code of a place, at the centre of pixel (12, 40)."""
    click = torch.tensor([[[12.5 / SIZE, 40.5 / SIZE, 1.0]]])
    sparse, _ = sam._encode(1, click, None, None)
    code = sam.prompt_encoder.get_dense_pe  # of a grid as fine as the pixels: [0, :, y, x]
    sam.prompt_encoder.image_embedding_size = (SIZE, SIZE)
    expected = code()[0, :, 40, 12] + sam.prompt_encoder.point_embeddings[1].weight[0]
    torch.testing.assert_close(sparse[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_a_lone_click_takes_the_likeliest_of_three_and_others_the_first(sam):
    embedding = sam.embed(images(4))
    for kinds in KINDS:
        out = sam.decode(embedding, **prompts(4, *kinds))
        place = 1 + out.heads["iou"][:, 1:].argmax(1) if kinds == ("click",) else torch.zeros(4, dtype=torch.long)
        chosen = torch.stack([masks[i] for masks, i in zip(out.heads["masks"], place, strict=True)])[:, None]
        assert torch.equal(out.logits, torch.nn.functional.interpolate(chosen, (SIZE, SIZE), mode="bilinear"))


@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_any_multiple_of_the_patch(size):
    net = build("sam-s", size).eval()
    out = net(torch.rand(2, 3, size, size))
    assert out.logits.shape == (2, 1, size, size) and net.embed(torch.rand(2, 3, size, size)).shape == (2, 64) + 2 * (
        size // 8,
    )
    assert out.heads["masks"].shape == (2, 4, size // 2, size // 2) and out.heads["iou"].shape == (2, 4)
    assert isinstance(net, Promptable) and set(CARDS["sam-s"].gives) == {"prompt", *out.heads}


def test_gradients_reach_every_parameter(sam):
    told = prompts(2, "points", "boxes", "mask_logits", "tokens")
    tokens = told["tokens"].requires_grad_()
    out = sam(images(2), **told)
    (out.logits.square().mean() + out.heads["masks"].square().mean() + out.heads["iou"].square().mean()).backward()
    idle = {n for n, p in sam.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert idle == {"prompt_encoder.not_a_point_embed.weight", "prompt_encoder.no_mask_embed.weight"}
    assert tokens.grad.abs().flatten(1).sum(1).gt(0).all()


WRONG = [
    (
        {"points": torch.tensor([[[0.5, 1.2, 1.0]]] * 2)},
        r"the click \(0.5, 1.2\) lies outside the picture: give shares",
    ),
    ({"points": torch.tensor([[[-0.1, 0.2, 1.0]]] * 2)}, r"the click \(-0.1, 0.2\) lies outside the picture"),
    ({"points": torch.tensor([[[0.5, 0.2, 2.0]]] * 2)}, "a click is neither on the thing nor beside it: give 1"),
    ({"points": torch.rand(2, 3)}, r"prompt points has the shape \(2, 3\): give \(2, N, 3\), one set for each picture"),
    ({"points": torch.tensor([[[float("nan"), 0, 1]]] * 2)}, "prompt points holds a number that is not finite"),
    ({"mask_logits": torch.ones(2, 1, SIZE, SIZE, dtype=torch.bool)}, "is no tensor of floats: .* logits, not true"),
    ({"boxes": [[0.1, 0.1, 0.5, 0.5]] * 2}, "prompt boxes is no tensor of floats"),
    ({"boxes": torch.tensor([[0.1, 0.1, 40, 50]] * 2)}, r"the box \(0.1, 0.1, 40, 50\) lies outside the picture"),
    ({"boxes": torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.3, 0.2, 0.3, 0.6]])}, r"the box \(0.3, 0.2, 0.3, 0.6\) has no"),
    ({"boxes": torch.tensor([[0.5, 0.5, 0.1, 0.9]] * 2)}, "has no area: give left, top, right, bottom"),
    ({"boxes": torch.rand(3, 4)}, r"prompt boxes has the shape \(3, 4\): give \(2, 4\)"),
    ({"mask_logits": torch.zeros(2, 1, 16, 16)}, r"prompt mask_logits has the shape .*: give \(2, 1, 64, 64\)"),
    ({"mask_logits": torch.full((2, 1, SIZE, SIZE), torch.inf)}, "prompt mask_logits holds a number that is not"),
    ({"tokens": torch.zeros(2, 1, 32)}, r"prompt tokens has the shape \(2, 1, 32\): give \(2, N, 64\)"),
]


@pytest.mark.parametrize(("told", "why"), WRONG)
def test_refuses_a_prompt_in_one_line(sam, told, why):
    with pytest.raises(InputError, match=why) as error:
        sam.decode(torch.zeros(2, 64, 8, 8), **told)
    assert "\n" not in str(error.value)


def test_refuses_pictures_of_another_size(sam):
    with pytest.raises(InputError, match=r"pictures of shape \(3, 96, 96\) do not fit a net built for 64 px: give"):
        sam(torch.zeros(1, 3, 96, 96))

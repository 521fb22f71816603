"""SAM-KD and its rivals with Segment Anything: each part against an independent truth, and who may learn from whom."""

import copy
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import TINY_SAM, drawn_batch, drawn_pictures, register_tiny, sam_file, stepper
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.files import file_hash
from tutseg.losses import bce_dice
from tutseg.methods import build_method
from tutseg.methods.base import Progress
from tutseg.methods.distillation import common
from tutseg.methods.distillation.common import box_of, clicks_in, surest_click
from tutseg.methods.distillation.sam_kd import SAMKD, distillation, fuse
from tutseg.methods.distillation.semisam import SemiSAM
from tutseg.nets import build
from tutseg.nets.adapters import Adapters, blocks_of
from tutseg.nets.sam import make_sam
from tutseg.training import learn
from tutseg.training.checkpoint import read_weights
from tutseg.training.fit import LeakingSet, TrainingSet, fit
from tutseg.training.run import load_run, run_trial
from tutseg.training.spec import experiments, read_spec, scales_of
from tutseg.training.trial import make_trial
from tutseg.weights.cards import CARDS

MIDDLE = Progress(50, 100, 10)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """A promptable net's weights, where a trial finds them by their hash."""
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))
    return sam_file(tmp_path / "weights")


def sam_kd(file: Path, **options) -> SAMKD:
    torch.manual_seed(0)
    return build_method("sam-kd", {"sam": file}, net="tiny-sdf", size=32, sam="tiny-sam", **options).train()


def semisam(file: Path, **options) -> SemiSAM:
    torch.manual_seed(0)
    return build_method("semisam", {"sam": file}, net="tiny", size=32, sam="tiny-sam", **options).train()


# ---- Eq. 2-3 and the fused prompt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 10.0])
def test_distillation_is_the_divergence_of_two_softmaxes(temperature):
    draw = torch.Generator().manual_seed(0)
    sam, main = (6 * torch.randn(2, 1, 5, 4, generator=draw) for _ in range(2))
    q, p = (torch.cat([torch.zeros_like(z), z], dim=1).double() / temperature for z in (sam, main))
    pixels = F.kl_div(p.log_softmax(1), q.log_softmax(1), reduction="sum", log_target=True) / sam.numel()
    assert distillation(sam, main, temperature, False).item() == pytest.approx(pixels.item(), rel=1e-5)
    assert distillation(sam, main, temperature).item() == pytest.approx(temperature**2 * pixels.item(), rel=1e-5)
    assert distillation(sam, main, temperature) > 0 and distillation(sam, sam, temperature) == 0


def test_distillation_at_a_high_temperature_is_a_squared_difference():
    """For logits far below T it is (z_s - z_m)^2 / 8 with T^2, and a hundred times less without at T = 10."""
    sam, main = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[0.0, 3.0]]]])
    assert distillation(sam, main, 100.0).item() == pytest.approx((4 + 16) / 2 / 8, rel=1e-3)
    ratio = distillation(sam, main, 10.0) / distillation(sam, main, 10.0, False)
    assert ratio.item() == pytest.approx(100)


def test_distillation_bears_the_largest_logits():
    sam, main = (torch.tensor(z, requires_grad=True) for z in ([300.0, -300.0, 300.0], [-300.0, 300.0, 300.0]))
    loss = distillation(sam, main, 1.0)
    loss.backward()
    assert sam.grad is None
    assert loss.item() == pytest.approx(200) and main.grad.tolist() == pytest.approx([-1 / 3, 1 / 3, 0])


def test_fused_prompt_is_made_of_logits():
    z, sdf = torch.tensor([2.0, -1.0, 4.0], requires_grad=True), torch.tensor([-0.5, 0.2, 1.0], requires_grad=True)
    as_logit = torch.logit(torch.sigmoid(-10 * sdf.detach().double())).float()  # of the mask that a distance stands for
    expected = {
        "mask": z.detach(),
        "sdf": as_logit,
        "mean": (z.detach() + as_logit) / 2,
        "union": [max(a, b) for a, b in zip(z.tolist(), as_logit.tolist(), strict=True)],
        "intersection": [min(a, b) for a, b in zip(z.tolist(), as_logit.tolist(), strict=True)],
    }
    for how, values in expected.items():
        prompt = fuse(z, sdf, 10, how)
        assert prompt.tolist() == pytest.approx(list(map(float, values)), rel=1e-3) and not prompt.requires_grad, how
    assert fuse(z, sdf, 10, "none") is None


# ---- prompts read off a guess ----------------------------------------------------------------------------------------


def test_clicks_and_boxes_of_masks_that_are_not_square():
    mask = torch.zeros(3, 1, 4, 10)
    mask[0, 0, 1:3, 6:9] = 1
    mask[1, 0, 3, 0] = 1
    clicks = clicks_in(mask, 50)
    assert clicks.shape == (3, 50, 3)
    for picture, chosen in zip(mask[:, 0], clicks, strict=True):
        at = {(int(y * 4), int(x * 10)) for x, y, _ in chosen.tolist()}
        assert all((on > 0) == (picture[int(y * 4), int(x * 10)] > 0) for x, y, on in chosen.tolist())
        wanted = {tuple(place) for place in picture.nonzero().tolist()}
        assert at == wanted if wanted else len(at) > 10  # every pixel of the lesion; anywhere where there is none
    assert clicks[2, :, 2].sum() == 0
    boxes = box_of(mask)
    for picture, box in zip(mask[:2, 0], boxes, strict=False):
        rows, columns = picture.nonzero().T.tolist()
        edges = [min(columns) / 10, min(rows) / 4, (max(columns) + 1) / 10, (max(rows) + 1) / 4]
        assert box.tolist() == pytest.approx(edges)
    assert boxes[2].tolist() == [0, 0, 1, 1]
    logits = torch.zeros(1, 1, 4, 10)
    logits[0, 0, 2, 7] = 3
    assert surest_click(logits).flatten().tolist() == pytest.approx([7.5 / 10, 2.5 / 4, 1])


# ---- adapters --------------------------------------------------------------------------------------------------------


def test_adapters_of_vit_b_are_as_many_as_published():
    """Two of 295,872 parameters for each of twelve blocks; none in the decoder, whose blocks have no plain ``attn``."""
    with torch.device("meta"):
        net = build("sam-b", 1024)
        adapters = Adapters(net)
    assert sum(p.numel() for p in adapters.parameters()) == 2 * 12 * 295_872 == 7_100_928
    assert blocks_of(net) == list(net.image_encoder.blocks)


def test_adapters_stand_where_medical_sam_adapter_has_them():
    """Against the sum written out: behind the attention with a skip, and half of one beside the MLP without."""
    torch.manual_seed(0)
    net, images = make_sam("tiny-sam", 32).eval(), torch.rand(2, 3, 32, 32)
    net.image_encoder.pos_embed.data.normal_()
    adapters, plain = Adapters(net), net.embed(images)
    with adapters.on(net):
        assert torch.equal(net.embed(images), plain)  # nothing learned yet
    for parameter in adapters.parameters():
        parameter.data.normal_(std=0.3)
    encoder = net.image_encoder
    block, behind, beside = encoder.blocks[1], adapters.behind[1], adapters.beside[1]  # attends to all tokens
    x = torch.randn(2, 4, 4, TINY_SAM.width)
    attended = block.attn(block.norm1(x))
    middle = x + attended + behind[2](F.gelu(behind[0](attended)))
    normed = block.norm2(middle)
    expected = middle + block.mlp(normed) + 0.5 * beside[2](F.gelu(beside[0](normed)))
    with adapters.on(net):
        torch.testing.assert_close(block(x), expected)
        assert not torch.allclose(net.embed(images), plain)
    assert torch.equal(net.embed(images), plain)  # and they are gone


# ---- who learns from whom --------------------------------------------------------------------------------------------


def learners(method: SAMKD, loss: Tensor) -> set[str]:
    """The parts of a method that a loss would move."""
    method.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_every_term_teaches_those_it_is_meant_for(file):
    method = sam_kd(file)
    for adapter in method.adapters.parameters():
        adapter.data += 0.1 * torch.randn_like(adapter)
    terms = method.losses(drawn_batch(3, 3, 32, 0), MIDDLE)
    assert all(term > 0 for term in terms.values())
    assert {name: learners(method, term) for name, term in terms.items()} == {
        "sup": {"net"},
        "sup_sdf": {"net"},
        "dtc": {"net"},
        "sam": {"psi", "adapters"},  # not the main network, whose guess is the prompt
        "kd": {"net"},  # SAM's side is frozen
        "teacher": {"teacher", "adapters"},
        "teacher_sdf": {"teacher", "adapters"},
        "taught": {"net"},
        "taught_sdf": {"net"},
    }


def test_terms_are_their_definitions(file):
    """Everything once more from the networks, by hand."""
    method, batch = sam_kd(file, kd=0.5, temperature=3.0, weight=0.2, consistency=0.4, k=6.0), drawn_batch(2, 3, 32, 0)
    terms = copy.deepcopy(method).losses(batch, Progress(99, 100, 10))
    ramp = np.exp(-5 * 0.01**2)
    x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
    with torch.no_grad():
        out = method.net(torch.cat([x, x_u]))
        z, sdf = out.logits, out.heads["sdf"]
        embedding = method.sam.embed(torch.cat([x, x_u]))  # adapters are still nothing
        prompt = (z - 6 * sdf) / 2
        answer = method.sam.decode(embedding, mask_logits=prompt, tokens=method.psi(embedding)).logits
        said = method.teacher(embedding, (32, 32))
        q, p = (torch.sigmoid(t[2:] / 3).double() for t in (answer, z))
        divergence = (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()).mean()
        pseudo = (said.logits[2:] > 0).float()
        expected = {
            "sup": bce_dice(z[:2], y),
            "dtc": 0.4 * ramp * (torch.sigmoid(-6 * sdf) - torch.sigmoid(z)).square().mean(),
            "sam": bce_dice(answer[:2], y),
            "kd": 0.5 * 9 * divergence,
            "teacher": bce_dice(said.logits[:2], y),
            "taught": 0.2 * ramp * bce_dice(z[2:], pseudo),
            "taught_sdf": 0.2 * ramp * 0.3 * (sdf[2:] - said.heads["sdf"][2:]).square().mean(),
        }
    assert {n: terms[n].item() for n in expected} == pytest.approx({n: t.item() for n, t in expected.items()}, rel=1e-4)


OFF = {
    "sdf": ({"sdf": False}, {"sup_sdf", "dtc", "teacher_sdf", "taught_sdf"}),
    "teacher": ({"teacher": False}, {"teacher", "teacher_sdf", "taught", "taught_sdf"}),
    "sam": ({"adapters": False, "tokens": "click"}, {"sam"}),
}


@pytest.mark.parametrize(("options", "gone"), OFF.values(), ids=OFF)
def test_a_part_switched_off_is_gone(file, options, gone):
    batch = drawn_batch(2, 2, 32, 0)
    whole, less = sam_kd(file), sam_kd(file, **options)
    terms = less.losses(batch, MIDDLE)
    assert set(whole.losses(batch, MIDDLE)) - set(terms) == gone
    assert sum(p.numel() for p in less.parameters()) <= sum(p.numel() for p in whole.parameters())
    if "sdf" in options:
        sum(terms.values()).backward()
        assert less.net.sdf.weight.grad is None and less.net.head.weight.grad is not None


@pytest.mark.parametrize(("tokens", "prompt"), itertools.product(["psi", "click", "box", "none"], ["mean", "none"]))
def test_sam_is_told_what_the_options_say(file, tokens, prompt, monkeypatch):
    method, told = sam_kd(file, tokens=tokens, prompt=prompt), []
    decode = method.sam.decode
    monkeypatch.setattr(method.sam, "decode", lambda z, **given: told.append(given) or decode(z, **given))
    method.losses(drawn_batch(2, 2, 32, 0), MIDDLE)
    kind = {"psi": {"tokens"}, "click": {"points"}, "box": {"boxes"}, "none": set()}[tokens]
    for given in told:
        assert {name for name, value in given.items() if value is not None} == kind | (
            {"mask_logits"} if prompt != "none" else set()
        )
    assert len(told) == 2


def test_without_kd_and_teacher_unlabelled_pictures_move_only_the_two_tasks_agreement(file):
    method = sam_kd(file, kd=0.0, teacher=False, consistency=0.0, adapters=False)
    terms = method.losses(drawn_batch(2, 2, 32, 0), MIDDLE)
    assert terms["kd"] == terms["dtc"] == 0 and set(terms) == {"sup", "sup_sdf", "dtc", "sam", "kd"}


# ---- the rivals ------------------------------------------------------------------------------------------------------


def test_a_mean_teacher_is_first_a_plain_mean_then_forgets():
    """By hand: after step t < 1 / (1 - decay) the teacher is the mean of the student after each step."""
    torch.manual_seed(0)
    method = build_method("mean-teacher", net="tiny", size=32, decay=0.75).train()
    step, students, by_hand = stepper(method, 1e-2), [], None
    for at in range(7):
        method.update(drawn_batch(2, 2, 32, 0, seed=at), Progress(at, 7, 2), step)
        students.append(method.student.head.weight.detach().clone())
        by_hand = torch.stack(students).mean(0) if at < 4 else 0.75 * by_hand + 0.25 * students[-1]
        torch.testing.assert_close(method.teacher.head.weight, by_hand)
    assert method.predict(drawn_batch(1, 0, 32, 0)["labelled"].image, "teacher").shape == (1, 1, 32, 32)


def test_weights_of_semisam_cross(file):
    method = semisam(file)
    start, end = (method.weights(Progress(step, 1000, 10)) for step in (0, 999))
    assert start["sam"] == pytest.approx(0.05) and end["agree"] == pytest.approx(0.1, rel=1e-3)
    assert start["agree"] < 0.01 * end["agree"] * 1.1 and end["sam"] < 0.01 * start["sam"] * 1.1


@pytest.mark.parametrize("prompt", ["clicks", "box", "mask"])
def test_semisam_prompts_from_the_student_or_as_a_named_leak_from_the_truth(file, prompt):
    batch = drawn_batch(2, 2, 32, 0)
    masks = [torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)]
    masks[0][:, :, 4:9, 5:20], masks[1][:, :, 15:30, 20:30] = 1, 1
    found = {}
    for leak, at in itertools.product((False, True), (0, 1)):
        method = semisam(file, prompt=prompt, prompts_from_truth=leak)
        known = batch | {"unlabelled": replace(batch["unlabelled"], mask=masks[at])}
        torch.manual_seed(1)
        terms = method.losses(known, MIDDLE)
        found[leak, at] = terms["sam"].item()
        assert not any(p.grad is not None or p.requires_grad for p in method.sam.parameters())
    assert found[False, 0] == found[False, 1] and found[True, 0] != found[True, 1]


def test_only_the_named_leak_is_handed_masks_of_unlabelled_pictures(file, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(learn, "fit", lambda method, train, *rest: seen.append(train) or fit(method, train, *rest))
    fields = {"net": "tiny", "size": 32, "steps": 2, "batch": 2, "labelled": 2, "data_options": {"n": 30, "size": 32}}
    fields |= {"method": "semisam", "inputs": {"sam": file_hash(file)}}
    for leak in (False, True):
        options = {"sam": "tiny-sam", "prompts_from_truth": leak}
        run_trial(make_trial(**fields, options=options), None, "cpu", tmp_path / str(leak))
    honest, leaking = seen
    assert type(honest) is TrainingSet and honest.unlabelled.masks is None
    assert type(leaking) is LeakingSet and leaking.unlabelled.masks is not None and leaking.unlabelled.truth is None
    assert TrainingSet(drawn_pictures(2, 1), drawn_pictures(2, 2)).unlabelled.masks is None


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_promptable_net_of_a_trial_and_of_a_file_is_borrowed_at_another_size(file, tmp_path):
    tensors = load_file(file)
    save_file({f"net.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "weights.safetensors")
    images = torch.rand(2, 3, 64, 64)
    one, other = (common.borrow("tiny-sam", 64, path) for path in (file, tmp_path / "weights.safetensors"))
    assert torch.equal(one.embed(images), other.embed(images)) and not one.training
    with pytest.raises(
        InputError, match="holds tiny-sam, not sam-s: pin the weights of a sam-s, or give another option sam"
    ):
        common.borrow("sam-s", 96, file)


def test_a_finished_run_does_without_sam(file, tmp_path):
    fields = {"size": 32, "steps": 3, "batch": 2, "labelled": 2, "data_options": {"n": 30, "size": 32}}
    trial = make_trial(
        method="sam-kd", net="tiny-sdf", inputs={"sam": file_hash(file)}, options={"sam": "tiny-sam"}, **fields
    )
    result = run_trial(trial, None, "cpu", tmp_path / "run")
    saved, _ = read_weights(tmp_path / "run/weights.safetensors")
    assert {name.split(".")[0] for name in saved} == {"net", "psi", "adapters", "teacher"}
    file.unlink()
    method, _ = load_run(tmp_path / "run")
    assert not hasattr(method, "sam") and result["scores"]["net"]
    assert method.predict(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)


@pytest.mark.parametrize(
    "name", ["table-1", "table-2", "table-3", "ablation", "isic2018-96", "isic2018-64", "isic2018-64-long"]
)
def test_every_spec_learns_from_the_books_own_teacher(name):
    path = experiments() / f"sam-kd/{name}.yaml"
    spec = read_spec(path, "lab" if scales_of(path) else "")
    taught = [trial for trial in spec.trials if "sam" in trial.inputs]
    assert {trial.method for trial in taught} == {"sam-kd", "semisam"}
    assert {trial.inputs["sam"] for trial in taught} == {CARDS["sam-s"].sha256}
    rivals = {trial.net for trial in spec.trials if trial.method in ("supervised", "dme-fd", "sam-kd")}
    assert len(rivals) == (3 if name == "table-3" else 1)  # else all on SAM-KD's own main network


def test_table_3_has_the_very_trials_of_table_1():
    one, three = (read_spec(experiments() / f"sam-kd/{name}.yaml", "paper") for name in ("table-1", "table-3"))
    own = {trial.id for trial in three.trials if trial.method == "sam-kd"}
    assert own and own <= {trial.id for trial in one.trials}


@pytest.mark.slow
def test_the_command_trains_the_main_network_of_the_paper(tutseg, tmp_path, monkeypatch):
    """``tutseg train sam-kd`` on drawn pictures with sam-s and the 2.9 M parameters of Table 3."""
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    (tmp_path / "weights").mkdir()
    torch.manual_seed(0)
    net: nn.Module = build("sam-s", 96)
    path = tmp_path / "weights/sam-s.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    small = ("--net", "mobilenet-unet-sdf", "--size", "64", "--steps", "3", "--batch", "2", "--labelled", "4")
    drawn = ("-d", "n=40", "-d", "size=64", "--device", "cpu", "--out", str(tmp_path / "run"))
    tutseg("train", "sam-kd", *small, *drawn, "--input", f"sam={file_hash(path)}")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert 0 <= result["scores"]["net"]["dice"]["per_image"]["mean"] <= 1 and "input sam" in result["provenance"]
    log = (tmp_path / "run/log.csv").read_text().splitlines()
    assert {"sup", "sam", "kd", "taught", "dtc"} <= set(log[0].split(",")) and len(log) == 4

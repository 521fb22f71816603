"""One of each kind of table, figure and explorer, from made-up numbers, for tests that look at them all."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from drawn import tiny_generator

from tutseg.data import open_source
from tutseg.data.loader import Pictures
from tutseg.methods.noisy_labels.dale import BELOW
from tutseg.nets import build
from tutseg.papers.claims import Pair, Verdict, load_claims
from tutseg.papers.verdicts import Decided, InSetup
from tutseg.report import (
    dale_tables,
    diagrams,
    fuzzy_regions,
    latent,
    lines,
    noise_experiment,
    omega,
    one_image_figures,
    photographs,
    statistical,
    stylegan,
)
from tutseg.report.explorers import FuzzyExplorer, GridExplorer, StepExplorer, ThresholdExplorer
from tutseg.report.forest import forest
from tutseg.report.groups import Group, in_groups
from tutseg.report.prompts import PromptExplorer, SoftExplorer
from tutseg.report.source import show
from tutseg.report.table import Table
from tutseg.report.tables import difference_table, score_table
from tutseg.training.evidence import Finished, View
from tutseg.training.one_image import VIEWS
from tutseg.training.trial import make_trial


def finished(method: str, seed: int, views: dict, name: str = "", **fields: object) -> Finished:
    """A trial's evidence; `views` is view -> score -> picture -> value."""
    made = {
        view: View({score: {"per_image": float(np.mean(list(images.values())))} for score, images in scores.items()},
                   {}, scores)
        for view, scores in views.items()
    }  # fmt: skip
    origin = {
        "data": "f0",
        "device": "cpu",
        "torch": "2",
        "code": "c0",
        "command": f"tutseg train {method} --seed {seed}",
    }
    trial = make_trial(method=method, data="synth", size=64, seed=seed, **fields)
    return Finished(trial, name, made, {"labelled": 5, "unlabelled": 200, "test": 40}, origin, "results/made/up")


def groups() -> list[Group]:
    """Three methods, three seeds, forty test images; cps is three points above supervised."""
    rng = np.random.default_rng(0)
    hard = rng.beta(8, 2, 40)
    items = []
    for method, level in (("supervised", 0.0), ("cps", 0.03), ("dme-fd", 0.05)):
        for seed, values in enumerate(np.clip(hard + level + rng.normal(0, 0.04, (3, 40)), 0, 1)):
            items.append(finished(method, seed, {"net": {"dice": {f"im{i}": float(v) for i, v in enumerate(values)}}}))
    return in_groups(items)


def one_image(changes: Sequence[dict] = ({},)) -> list[Finished]:
    """Four methods on six pictures with two seeds, under every view and with each change."""
    rng = np.random.default_rng(1)
    items = []
    for name in ("k-means-2", "sgscn", "s3-net-paper", "s3-net-meant"):
        for change in changes:
            for seed in (0, 1):
                dice, flips = (
                    rng.uniform(0.3, 0.9, 6),
                    {f"p{i}": float(f) for i, f in enumerate(rng.uniform(0.05, 0.5, 6))},
                )
                views = {
                    view: {"dice": {f"p{i}": float(d) + extra / 100 for i, d in enumerate(dice)}, "flips": flips}
                    for extra, view in enumerate(VIEWS)
                }
                items.append(finished("k-means", seed, views, name, change=change))
    return items


def decided() -> list[Decided]:
    """Five claims with verdicts, the last in two set-ups."""
    words = ("reproduced", "cannot be tested here", "not reproduced", "sign only", "inconclusive")
    made = []
    for claim, word, effect in zip(load_claims("dme-fd"), words, (0.04, 0.01, -0.03, 0.02, -0.005), strict=False):
        pair = Pair("Ours − CPS", 0.03, effect, effect - 0.015, effect + 0.02, 5, 439, None)
        setups = (InSetup("unet-s at 96 px", Verdict(word, "so it is", (pair,))),)
        setups += (InSetup("lite0-unet at 96 px", Verdict(word, "so it is", (pair,))),) * (word == "inconclusive")
        made.append(Decided(claim, word, "so it is", 0.03, setups))
    return made


def noise_figures() -> dict[str, object]:
    """DALE's: doubts over training, Dice over label noise, omega's histogram, convergence, fuzzy masks over tau."""
    rng, steps = np.random.default_rng(4), (30, 60, 90)
    doubts = [
        noise_experiment.Doubted(arm, noise, doubt, steps, level + rng.normal(0, 0.03, (3, 3)), (0, 1, 2))
        for noise in ("warp 0.02", "warp 0.05", "grow 0.06")
        for arm, doubt, level in (("DALE", "omega", 0.6), ("DALE", "loss", 0.8), ("supervised", "loss", 0.85))
    ]
    items = [
        finished("dale", seed, {"net": {"dice": {f"im{i}": float(v) for i, v in enumerate(rng.uniform(0.6, 0.8, 20))}}},
                 arm, noise=noise)
        for noise in ({}, {"warp": 0.05}, {"grow": 0.06}) for arm in ("supervised", "small loss", "DALE")
        for seed in range(3)
    ]  # fmt: skip
    shares = {f"omega<{bound}": np.full(5, i / (len(BELOW) - 1)) for i, bound in enumerate(BELOW)}
    along = {arm: [{30: 0.5, 60: 0.6 + level, 90: 0.7}] for arm, level in (("supervised", 0), ("DALE", 0.05))}
    return {
        "finding_curves": noise_experiment.finding_curves(doubts),
        "find_table": noise_experiment.find_table(doubts),
        "dice_over_noise": noise_experiment.dice_over_noise(noise_experiment.by_noise(items)),
        "omega_histogram": omega.omega_histogram({"rms": [shares]}),
        "convergence": dale_tables.convergence(along, {"supervised": 1, "DALE": 5}),
        "dice_over_tau": fuzzy_regions.dice_over_tau(fuzzy_regions.drawn(open_source("synth", n=6, size=64), 6)),
    }


@cache
def components() -> dict[str, object]:
    """Everything that a page can show, by name."""
    rng = np.random.default_rng(2)
    steps = np.arange(200)
    logs = {
        method: [
            {"step": steps, "sup1": np.exp(-steps / 60) + rng.normal(0, 0.05, 200) ** 2, "w_alpha": steps / 200,
             "fdl": 300 * np.exp(-steps / 20) + 0.1}
            for _ in range(3)
        ]
        for method in ("supervised", "cps", "dme-fd")
    }  # fmt: skip
    boxes = {
        "u": (0, 1, "unlabelled\npicture"), "w": (1, 0.4, "weak view\n$X_w$"), "s": (1, 1.6, "strong view\n$X_s$"),
        "f1": (2, 0, "branch 1\n$P_1^w$"), "f2": (2, 0.8, "branch 2\n$P_2^w$"),
        "g": (2, 1.6, "both branches\n$P_1^s, P_2^s$"),
        "m": (3, 0.4, "union of\n$P > \\tau$"), "l": (3, 1.6, "BCE + Dice\n$L_{DME}$"),
    }  # fmt: skip
    arrows = [
        ("u", "w", "flip"), ("u", "s", "recolour"), ("w", "f1", ""), ("w", "f2", ""), ("s", "g", ""),
        ("f1", "m", "Eq. 2"), ("f2", "m", "Eq. 3"), ("g", "l", ""), ("m", "l", "target, Eq. 4-5"),
    ]  # fmt: skip
    flow = {
        "x": (0, 1, "one picture\n$X$"), "e": (1, 1, "I-LKA\nblocks"), "d": (2, 0.4, "deformable\nconvolution"),
        "s": (3, 0.4, "soft map\n$S$"), "p": (2, 1.7, "second\nhead $Y'$"), "y": (4, 0.4, "labels\n$Y = \\arg\\max S$"),
        "a": (4, 1.7, "moved labels\n$Y^a = A\\cdot Y + t$"),
    }  # fmt: skip
    flows = [("x", "e", ""), ("e", "d", ""), ("e", "p", ""), ("d", "s", ""), ("s", "y", "Eq. 4, 5"), ("y", "a", ""),
             ("a", "p", "Eq. 6")]  # fmt: skip
    terms = {"sup1": "$L_{sup}$, branch 1", "fdl": r"$\beta L_{FDL}$", "w_alpha": r"$\alpha$"}
    frames = [rng.integers(0, 4, (10, 14)) for _ in range(4)]
    changes = (
        [{"angle": a} for a in (10, 30, 60)] + [{"scale": x} for x in (0.9, 1.1)] + [{"shear": 10}, {"hair": True}]
    )
    drawn = open_source("synth", n=24, size=64, annotators=3)
    some = [drawn[i] for i in range(6)]
    truth = np.stack([sample.mask for sample in some]) > 0
    guess = np.stack([sample.extra["annotators"][0] for sample in some]) > 0
    images = np.stack([sample.image for sample in some])
    branch = lambda: rng.normal(0, 1, (8, 128))
    near = {f"{loss}, step {step}": (branch(), branch()) for loss in ("CCVC", "FDL") for step in (1, 100, 200)}
    places = {name: rng.normal(0, 1, (300, 16)) for name in ("supervised", "cps", "dme-fd")}
    soft = [np.clip(t + rng.normal(0, 0.3, t.shape), 0, 1) for t in truth]
    wide = Table(
        ("method", *(f"a long head, number {i}" for i in range(9))),
        tuple((f"a method with a name, {i}", *("81.2 ± 0.4" for _ in range(9))) for i in range(3)),
        "A table wider than any telephone",
        note="How to read it.",
        origin="Made up.",
    )
    scene = [*open_source("synth-wild", kind="scenes", n=2, size=64, seed=1, without=("alone",))]
    draws = tiny_generator()
    features = dict(zip(("real", "drawn"), torch.randn(2, 40, 8), strict=True))
    some_ids = tuple(f"p{i}" for i in range(6))
    pool = Pictures(torch.from_numpy(images).permute(0, 3, 1, 2), some_ids, some_ids, "made up")
    return {
        "score_table": score_table(groups(), "Dice of three methods"),
        "difference_table": difference_table(groups(), "dme-fd"),
        "wide_table": wide,
        "source": show(statistical.cosine_matrix),
        "diagram": diagrams.diagram(boxes, arrows),
        "flow": diagrams.diagram(flow, flows),
        "curves": lines.curves(logs, terms),
        "agreement_curve": lines.agreement_curve(drawn),
        "gap_figure": lines.gap_figure(guess, truth),
        "violins": statistical.violins(groups()),
        "paired_differences": statistical.paired_differences(groups(), "dme-fd"),
        "intervals": statistical.intervals([("dme-fd − cps, 1%", 2.0, -1.0, 5.0), ("dme-fd − cct, 4%", -3.0, -5, -1)],
                                           "Dice points, 95 % interval"),
        "cosine_matrices": statistical.cosine_matrices(near),
        "tsne": statistical.tsne(places, {name: rng.uniform(0, 1, 300) for name in places}),
        "kimg_figure": stylegan.kimg_figure({1.0: {"net": 0.76, "training": 0.001, "blurred": 0.29},
                                             20.0: {"net": 0.2, "training": -0.001, "blurred": 0.3}}),
        "feature_map": stylegan.feature_map(features),
        "apart_table": stylegan.apart_table(features, "real"),
        "glide_tiles": latent.glide_tiles(draws, 0),
        "gliding": latent.gliding(draws, 0, 6),
        "neighbour_tiles": latent.neighbour_tiles(pool.take([0, 1]), pool.take(range(2, 6)), 2),
        "walk": latent.WalkExplorer(draws, range(4)),
        "psi": latent.psi_explorer(draws),
        "margin_figure": stylegan.margin_figure({"fine": {0: 23.0, 5: 48.0, 9: 96.0}, "naive": {0: 20.0, 9: 41.0}}),
        "robustness_figure": one_image_figures.robustness_figure(one_image(changes)),
        "evaluation_figure": one_image_figures.evaluation_figure(one_image()),
        "forest": forest(decided()),
        "contours": photographs.contours(images[:3], truth[:3], {"cps": guess[:3], "dme-fd": truth[:3]}),
        "pictures": photographs.pictures([*images[:3], *(s.extra["fuzziness"] for s in some[:3])],
                                         [s.id for s in some[:3]] + ["fuzziness"] * 3),
        "outlined": photographs.outlined(drawn, 12),
        "threshold": ThresholdExplorer(soft[:3], soft[:3][::-1], truth[:3], images[:3], [s.id for s in some[:3]]),
        "fuzzy": FuzzyExplorer({"entropy": soft[:3], "edges": soft[3:]}, [s.extra["fuzziness"] for s in some[:3]],
                               images[:3], [s.id for s in some[:3]]),
        "steps": StepExplorer([rng.integers(0, 5 - i, (12, 16)) for i in range(4)],
                              {"clusters": [5, 4, 3, 2], "loss": [0.0625, 1 / 3, 0.1875, 2e-4]}, steps=[0, 5, 10, 50]),
        "prompts": PromptExplorer(build("sam-s", 64, pretrained=True).eval(), scene[0].image, [s.mask for s in scene]),
        "soft": SoftExplorer(*rng.normal(0, 6, (2, 48, 48)), rng.uniform(-1, 1, (48, 48))),
        "grid": GridExplorer({"picture": ("a", "b"), "λ1": ("0.3", "1.2")}, frames,
                             {"clusters": range(4), "Dice": rng.random(4)}),
    } | noise_figures()  # fmt: skip

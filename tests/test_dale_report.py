"""DALE's pages: fuzzy masks against what a drawing knows, doubts over training, Dice under noise, features apart."""

import numpy as np
import pytest
import torch

from tutseg.data import open_source
from tutseg.files import csv_text
from tutseg.methods import build_method
from tutseg.report import dale_tables, fuzzy_regions, noise_experiment, omega
from tutseg.report.groups import in_groups
from tutseg.report.noise_experiment import Doubted
from tutseg.training.evidence import Finished, View
from tutseg.training.pictures import pictures_of
from tutseg.training.run import Run, run_trial
from tutseg.training.spec import experiments, read_spec, scales_of
from tutseg.training.trial import make_trial


def finished(arm: str, seed: int, dice: list[float], noise: dict) -> Finished:
    method = {"DALE": "dale", "small loss": "small-loss"}.get(arm, "supervised")
    images = {f"p{i}": value for i, value in enumerate(dice)}
    origin = {"data": "f0", "device": "cpu", "torch": "2", "code": "c0", "command": "tutseg"}
    view = View({"dice": {"per_image": float(np.mean(dice))}}, {}, {"dice": images})
    n = {"labelled": 5, "unlabelled": 0, "test": len(dice)}
    return Finished(make_trial(method=method, seed=seed, noise=noise), arm, {"net": view}, n, origin, "results/x/y")


@pytest.fixture(scope="module")
def drawings():
    return fuzzy_regions.drawn(open_source("synth", n=12, size=64), 12)


def test_a_perfect_m_scores_one_and_its_opposite_nothing():
    fuzzy = np.array([[True, True, False], [False, False, True]])
    assert fuzzy_regions.score_fuzziness(fuzzy * 1.0, fuzzy) == {"auc": 1, "dice": 1, "best": 1, "at": 0}
    assert fuzzy_regions.score_fuzziness(1.0 - fuzzy, fuzzy)["auc"] == 0
    by_hand = fuzzy_regions.dice_over(np.array([0.2, 0.5, 0.8]), np.array([False, True, True]), [0.1, 0.4, 0.6, 0.9])
    assert by_hand == pytest.approx([2 * 2 / 5, 1, 2 * 1 / 3, 0])


def test_edges_find_the_fuzzy_zone_and_the_printed_entropy_does_not(drawings):
    area = {name: each["auc"] for name, each in fuzzy_regions.fuzzy_scores(drawings).items()}
    assert area["ER"] > 0.7 and area["ER"] > area["AE"] > area["AE as printed"]
    table = fuzzy_regions.fuzzy_table(drawings)
    assert [row[0] for row in table.rows] == list(fuzzy_regions.RULES) and table.rows[2][1] == f"{area['ER']:.2f}"
    assert "ER best" in fuzzy_regions.dice_over_tau(drawings).alt


def test_the_explorer_of_fuzzy_masks_has_the_maps_that_are_scored(drawings):
    figure = fuzzy_regions.fuzzy_explorer(drawings, 3)
    numbers = figure.numbers(tau=0.5, criterion="edges (ER)", picture=drawings.ids[1])
    above, fuzzy = drawings.m("edge")[1] > 0.5, drawings.fuzzy[1]
    assert numbers["share called fuzzy"] == pytest.approx(above.mean())
    assert numbers["Dice of the two"] == pytest.approx(2 * (above & fuzzy).sum() / (above.sum() + fuzzy.sum()))


def doubts(omega_at: list[list[float]], loss_at: list[list[float]]) -> list[Doubted]:
    seeds = tuple(range(len(omega_at)))
    make = lambda name, values: Doubted("DALE", "warp 0.05", name, (30, 60), np.array(values), seeds)
    return [make("omega", omega_at), make("loss", loss_at)]


@pytest.mark.parametrize(
    ("last", "verdict"),
    [((0.60, 0.61, 0.62), "the paper's"), ((0.40, 0.39, 0.38), "the script's"), ((0.45, 0.52, 0.56), "undecided")],
)
def test_the_interval_over_seeds_decides_the_sign(last, verdict):
    found = doubts([[0.9, each] for each in last], [[0.8, 0.8]] * 3)
    assert noise_experiment.sign_verdicts(found) == {"warp 0.05": verdict}
    told = noise_experiment.finding_told(found)
    assert f"with warp 0.05 {verdict} ({np.mean(last):.2f} [" in told and told.endswith("in 1 of 1 settings.")
    assert noise_experiment.loss_finds_more(found) == (1, 1)
    row = noise_experiment.find_table(found).rows[0]
    assert row[3].startswith("0.90") and row[5] == f"{1 - np.mean(last):.2f}" and row[-1] == "3"
    assert row[6].startswith(f"{np.mean(last) - 0.8:+.2f} [")
    assert (
        f"omega rises (the script's sign) 0.10 to {1 - np.mean(last):.2f}" in noise_experiment.finding_curves(found).alt
    )


def test_one_seed_decides_nothing():
    assert noise_experiment.sign_verdicts(doubts([[0.9, 0.9]], [[0.8, 0.8]])) == {"warp 0.05": "undecided"}
    assert noise_experiment.finding_told([]).endswith("not been decided yet.")


def test_evidence_is_averaged_over_labels_and_kept_by_step(tmp_path, monkeypatch):
    items = [finished("DALE", seed, [0.8], {"warp": 0.05}) for seed in (0, 1)]
    monkeypatch.setattr(noise_experiment, "of_spec", lambda folder: (items, ""))
    rows = [
        {"trial": item.id, "step": step, "doubt": "omega", "region": region, "label": label,
         "auc": auc + seed / 100 if region == "outline" else 0.1}
        for seed, item in enumerate(items) for step in (30, 60) for region in ("outline", "picture")
        for label, auc in (("lesion", 0.6 + step / 1000), ("background", 0.4))
    ]  # fmt: skip
    assert noise_experiment.doubted_in(tmp_path) == []
    (tmp_path / "doubts.csv").write_text(csv_text(rows))
    (one,) = noise_experiment.doubted_in(tmp_path)
    assert (one.arm, one.noise, one.steps, one.seeds) == ("DALE", "warp 0.05", (30, 60), (0, 1))
    assert one.auc == pytest.approx(np.array([[0.515, 0.53], [0.525, 0.54]]))


@pytest.fixture
def arms():
    """Three seeds, four pictures: DALE is five points above small loss throughout, and as good as plain training."""
    rng, items = np.random.default_rng(0), []
    for noise, drop in (({"warp": 0.05}, 0.1), ({}, 0.0)):
        for seed in range(3):
            plain = 0.9 - drop + rng.normal(0, 0.001, 4)
            for arm, dice in (
                ("supervised", plain),
                ("small loss", plain - 0.05),
                ("DALE", plain + rng.normal(0, 1e-3, 4)),
            ):
                items.append(finished(arm, seed, dice.tolist(), noise))
    return noise_experiment.by_noise(items)


def test_dice_by_noise_and_what_a_method_is_worth(arms):
    assert list(arms) == ["no noise", "warp 0.05"]
    made = {(each.noise, each.other): each for each in noise_experiment.helps(arms)}
    assert {each.verdict for (_, other), each in made.items() if other == "small loss"} == {"higher"}
    assert made["warp 0.05", "small loss"].gain.mean() == pytest.approx(0.05, abs=2e-3)
    assert {each.verdict for (_, other), each in made.items() if other == "supervised"} == {"undecided"}
    assert "2 end higher, 0 lower, and 2 undecided" in noise_experiment.help_told(arms)
    assert noise_experiment.dice_table(arms).rows[1][2].startswith("75.0 ± ")
    assert "warp, small loss: 85.0 at 0, 75.0 at 0.05" in noise_experiment.dice_over_noise(arms).alt
    fewer = noise_experiment.by_noise([finished("supervised", 0, [0.99] * 4, {"warp": 0.02})])
    assert "at 0.02" not in noise_experiment.dice_over_noise(arms | fewer).alt
    assert noise_experiment.help_told({}).startswith("Too few seeds")


def test_the_explorer_of_noise_shows_the_outline_and_the_numbers(arms):
    pictures = pictures_of("synth", None, 64, {"n": 2, "size": 64})
    figure = noise_experiment.noise_explorer(arms, pictures)
    state = {"label noise": "warp 0.05", "trained by": "small loss"}
    numbers = figure.numbers(**state)
    assert numbers["Dice, %"] == pytest.approx(75, abs=0.2) and numbers["without noise, %"] == pytest.approx(
        85, abs=0.2
    )
    assert numbers["seeds"] == 3 and numbers["lower end"] < 75 < numbers["upper end"]
    clean, warped = (figure.panels(**state | {"label noise": noise}) for noise in arms)
    assert (clean["picture, given outline"] != warped["picture, given outline"]).any()


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """DALE after six steps, with snapshots."""
    trial = make_trial(
        method="dale", options={"patch": 8, "bins": 32}, data="synth", data_options={"n": 20, "size": 32}, labelled=1.0,
        net="unet-s", size=32, batch=4, steps=6, evaluations=2, noise={"warp": 0.06},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("dale")
    return omega.Watched(Run(folder, run_trial(trial, None, "cpu", folder, keep_snapshots=True)))


@pytest.mark.slow
def test_what_is_shown_of_a_run_is_what_it_recorded(watched):
    with np.load(watched.run.folder / "noise.npz") as noise:
        assert (noise["changed"] == watched.changed).all() and noise["ids"].tolist() == list(watched.pictures.ids)
        assert (noise["masks"] == (watched.pictures.masks[:, 0].numpy() > 0)).all()
    figure = omega.omega_explorer(watched, watched.most_wrong)
    assert figure.steps == [3, 6] and figure.numbers(frame=1)["step"] == 6
    first = figure.numbers(frame=0)
    assert first["by the script's sign"] == 1 - first["AUC of omega, all pictures"]
    assert watched.changed[watched.most_wrong].sum() == watched.changed.sum((1, 2)).max()
    assert [state["frame"] for state in figure.stills()] == [0, 1]  # fewer frames than panels
    tiles = omega.omega_tiles(watched, 2)
    assert len(tiles.rows) == 2 and f"{watched.changed[0].mean():.0%} of the labels wrong" in tiles.alt
    assert len(omega.suspect_tiles(watched, "omega", 5).rows[0]) == 5
    assert omega.by_chance(watched, 20) == pytest.approx(20 * np.mean([each.any() for each in watched.changed]))


def test_colours_have_the_sign_and_the_kind():
    falls, nothing, rises = omega.signed(np.array([[2.0, 0.0, -2.0]]))[0]
    assert tuple(falls) == (213, 94, 0) and tuple(nothing) == (120, 120, 120) and tuple(rises) == (0, 114, 178)
    shown = omega.wrongs(np.array([[1, 0, 1, 0]]), np.array([[True, True, False, False]]))[0]
    assert [tuple(each) for each in shown] == [(230, 159, 0), (204, 121, 167), (120, 120, 120), (48, 48, 48)]


def test_omega_as_published_moves_less_the_more_pixels_there_are():
    found = omega.published_omega("unet-s", {32: 8, 96: 8}, batch=4)
    assert found[32]["gradient"] > 2 * found[96]["gradient"] and found[32]["step"] > found[96]["step"]
    assert found[32]["alike"] < found[96]["alike"] and max(each["step"] for each in found.values()) <= 0.1 + 1e-6
    table = omega.published_table(found)
    assert table.rows[1][2] == f"{found[96]['step']:.3f}"


def test_the_histogram_says_the_shares_of_the_log():
    log = {f"omega<{bound}": np.full(3, i / 10) for i, bound in enumerate(omega.BELOW)}
    assert "0% below 0.5, 10% below 0.8" in omega.omega_histogram({"rms": [log]}).alt


def test_separation_knows_clouds_that_lie_apart_from_one_cloud():
    rng = np.random.default_rng(0)
    lesion = np.repeat([0.0, 1.0], 100)
    apart, mixed = rng.normal(0, 1, (200, 4)) + 8 * lesion[:, None], rng.normal(0, 1, (200, 4))
    found = omega.separation(apart, lesion)
    assert found["neighbours"] == 1 and found["silhouette"] > 0.7
    found = omega.separation(mixed, lesion)
    assert abs(found["neighbours"] - 0.5) < 0.15 and abs(found["silhouette"]) < 0.05


def test_regions_have_as_many_pixels_of_either_class():
    torch.manual_seed(0)
    method = build_method("dale", net="unet-s", size=32, patch=8, bins=32)
    pictures = pictures_of("synth", None, 32, {"n": 6, "size": 32})
    found = omega.region_features(method.net, method, pictures, each=50)
    assert list(found) == ["non-fuzzy", "fuzzy"]
    for features, lesion in found.values():
        assert len(features) == len(lesion) <= 100 and lesion.mean() == 0.5
    again = omega.region_features(method.net, method, pictures, each=50)
    assert all((again[name][0] == features).all() for name, (features, _) in found.items())


def test_every_row_of_tables_2_to_4_has_its_rival_of_equal_steps():
    for number, rows in ((1, 24), (2, 24), (3, 8), (4, 19)):
        path = experiments() / "dale" / f"table-{number}.yaml"
        for scale in scales_of(path):
            spec = read_spec(path, scale)
            steps = {}
            for name, trial in spec.named:
                steps.setdefault(name, set()).add(trial.steps)
            assert len(steps) == rows and all(len(each) == 1 for each in steps.values())
            twice = {name for name in steps if name.endswith("twice the steps")}
            (once,) = set.union(*(each for name, each in steps.items() if name not in twice))
            assert twice and all(steps[name] == {2 * once} for name in twice)


def test_backbones_are_compared_way_by_way_and_by_holm():
    """DALE lifts one backbone by 5 points and the other by nothing that its seeds agree on."""
    chance = np.random.default_rng(0)

    def group(name, gains):
        values = np.array(gains)[:, None] + picture + 0.002 * chance.standard_normal((len(gains), 60))
        return in_groups([finished(name, seed, list(each), {}) for seed, each in enumerate(values)])[0]

    picture = 0.5 + 0.3 * chance.random(60)
    found = {
        "unet-s": {"plain": group("unet-s", [0, 0, 0]), "DALE": group("unet-s, DALE", [0.05, 0.05, 0.05])},
        "emcad-s": {"plain": group("emcad-s", [0, 0, 0]), "DALE": group("emcad-s, DALE", [0.05, -0.05, 0.0])},
        "ege-unet": {"plain": group("ege-unet", [0, 0, 0])},
    }
    made = dale_tables.gains(found)
    assert set(made) == {"plain"} and {net: word for net, (_, word) in made["plain"].items()} == {
        "unet-s": "higher",
        "emcad-s": "undecided",
    }
    assert made["plain"]["unet-s"][0].mean() == pytest.approx(0.05, abs=0.001)
    rows = {row[0]: row for row in dale_tables.gain_table(found, "ph2", "x").rows}
    assert rows["unet-s"][1:3] == ("DALE", "+3.3")  # Table 2: 0.857 - 0.824
    assert rows["unet-s"][3].startswith("+5.0 (") and rows["ege-unet"][3] == "not yet"
    told = "DALE, beside plain training: higher on 1, lower on 0, undecided on 1 of 2 backbones"
    assert told in dale_tables.gains_told(found)
    assert "not known yet" in dale_tables.statistics_told(found)
    found["unet-s"][dale_tables.WHOLE] = group("unet-s, DALE, whole statistics", [0.08, 0.08, 0.08])
    found["emcad-s"][dale_tables.WHOLE] = group("emcad-s, DALE, whole statistics", [0.05, -0.04, 0.02])
    assert "+1.0 to +3.0 points" in dale_tables.statistics_told(found)
    rows = [row[:2] for row in dale_tables.gain_table(found, "ph2", "x").rows]
    assert rows[:2] == [("unet-s", "DALE"), ("unet-s", dale_tables.WHOLE)]
    assert "DALE, whole statistics, beside plain training: higher on 1" in dale_tables.gains_told(found)
    assert dale_tables.backbone_table(found, "x").rows[2][2] == "not yet"
    found["ege-unet"]["twice the steps"] = group("ege-unet, twice the steps", [0.02, 0.02, 0.02])
    found["unet-s"]["twice the steps"] = group("unet-s, twice the steps", [-0.01, -0.01, -0.01])
    assert "twice the steps -1.0 to +2.0. Had" in dale_tables.lengths_told(found)
    assert "not known yet" in dale_tables.lengths_told({})
    assert dale_tables.gain_table({}, "ph2", "x") is None and dale_tables.backbone_table({}, "x") is None

"""Drawn pictures: seeded, exact, switchable."""

import warnings

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import lab2rgb

from tutseg.data import draw_dermoscopy, draw_endoscopy, draw_lung, draw_scenes
from tutseg.data.draw_canvas import Canvas, lab_to_rgb
from tutseg.data.noise import LabelNoise, agreement
from tutseg.data.synth import KINDS, STYLES, Synth
from tutseg.errors import InputError

DRAWERS = {
    "dermoscopy": draw_dermoscopy,
    "lung-ct": draw_lung,
    "endoscopy": draw_endoscopy,
    "scenes": draw_scenes,
}
CLEAN = {"artefacts": (), "without": ("camera",)}


def same(a, b):
    assert a.id == b.id and a.group == b.group and a.label == b.label
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.mask, b.mask)
    assert a.extra.keys() == b.extra.keys()
    for key in a.extra:
        np.testing.assert_array_equal(a.extra[key], b.extra[key])


def difference(a, b):
    return np.abs(a.image.astype(int) - b.image.astype(int)).max(-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
def test_a_picture_depends_on_seed_and_index_alone(kind, style):
    options = {"size": 48, "kind": kind, "style": style, "annotators": 2}
    long, short = Synth(20, seed=4, **options), Synth(5, seed=4, **options)
    backwards = {i: short[i] for i in reversed(range(5))}
    for i in range(5):
        same(long[i], backwards[i])
    assert difference(long[1], long[2]).any()
    assert difference(long[1], Synth(5, seed=5, **options)[1]).any()
    assert len(set(long.ids)) == len(long) == 20 and long.ids == [s.id for s in long]
    assert long.groups == [long.ids[i - i % 2] if kind == "scenes" else long.ids[i] for i in range(20)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 45, 160])
def test_any_size(kind, size):
    sample = Synth(2, size=size, kind=kind, annotators=3)[1]
    assert sample.image.shape == (size, size, 3) and sample.image.dtype == np.uint8
    assert sample.mask.shape == (size, size) and sample.mask.dtype == np.uint8 and set(np.unique(sample.mask)) <= {0, 1}
    assert sample.extra["annotators"].shape == (3, size, size)
    fuzz = sample.extra["fuzziness"]
    assert fuzz.shape == (size, size) and fuzz.dtype == np.float32 and 0 <= fuzz.min() <= fuzz.max() <= 1


def test_another_size_is_the_same_picture():
    for i in range(8):
        small, large = (Synth(8, size=s, **CLEAN)[i] for s in (64, 192))
        shrunk = large.image.reshape(64, 3, 64, 3, 3).mean((1, 3))
        assert np.abs(shrunk - small.image).mean() < 6
        share = large.mask.reshape(64, 3, 64, 3).mean((1, 3))
        assert (np.abs(share - small.mask) > 0.5).mean() < 0.01


BELOW = {"endoscopy", "scenes"}  # a polyp folds the wall around its outline, a scene has lesions beside its mask


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in BELOW])
def test_only_the_lesion_changes_the_picture_inside_its_mask(kind):
    without = ("camera", "fringe", "crazy-paving") if kind == "dermoscopy" else ("camera", "texture")
    without = tuple(f for f in without if f in DRAWERS[kind].FEATURES)
    for i in range(12):
        drawn = Synth(12, size=64, kind=kind, artefacts=(), without=without)[i]
        bare = Synth(12, size=64, kind=kind, artefacts=(), without=(*without, "lesion"))[i]
        assert not bare.mask.any()
        changed = difference(drawn, bare) > 0
        if kind == "dermoscopy":
            assert not (changed & (drawn.mask == 0)).any()
            assert changed.sum() >= 0.97 * drawn.mask.sum() > 0
        else:  # a patch in the lungs fades in from its border
            near = ndimage.binary_dilation(drawn.mask, iterations=4) & drawn.extra["lungs"]
            assert not (changed & ~near).any()


def test_polyps_lie_on_their_masks():
    inside, outside = [], []
    for i in range(12):
        drawn = Synth(12, size=64, kind="endoscopy", **CLEAN)[i]
        bare = Synth(12, size=64, kind="endoscopy", artefacts=(), without=("camera", "lesion"))[i]
        change = difference(drawn, bare)
        inside.append(change[drawn.mask > 0].mean())
        outside.append(change[~ndimage.binary_dilation(drawn.mask, iterations=8)].mean())
    assert np.mean(inside) > 3 * np.mean(outside)


def test_a_scene_is_one_picture_with_two_targets():
    """Without camera and fringe the lesions are what changes; each target is a part of it, and they do not overlap."""
    options = {"size": 64, "kind": "scenes", "artefacts": (), "without": ("camera", "fringe", "alone")}
    drawn, bare = Synth(16, **options), Synth(16, **options | {"without": (*options["without"], "lesion")})
    for i in range(0, 16, 2):
        first, second = drawn[i], drawn[i + 1]
        assert first.group == second.group == first.id
        np.testing.assert_array_equal(first.image, second.image)
        changed = difference(first, bare[i]) > 0
        assert not (first.mask & second.mask).any() and not bare[i].mask.any()
        for target in (first.mask, second.mask):
            assert 10 < target.sum() < 0.2 * target.size and changed[target > 0].mean() > 0.9
    assert any(
        (difference(drawn[i], bare[i]) > 0).sum() > 1.1 * (drawn[i].mask + drawn[i + 1].mask).sum() for i in (0, 2, 4)
    )


def test_half_of_the_scenes_are_two_ordinary_pictures():
    scenes, ordinary = Synth(120, size=32, kind="scenes"), Synth(120, size=32)
    alone = [i for i in range(0, 120, 2) if difference(scenes[i], scenes[i + 1]).any()]
    assert 20 < len(alone) < 40
    for i in alone[:5]:
        for one, other in ((scenes[i], ordinary[i]), (scenes[i + 1], ordinary[i + 1])):
            np.testing.assert_array_equal(one.image, other.image)
            np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("kind, name", [(k, a) for k, d in DRAWERS.items() for a in d.ARTEFACTS])
def test_an_artefact_appears_alone_with_its_own_mask(kind, name):
    inside, outside = [], []
    for i in range(6):
        options = {"size": 64, "kind": kind, "seed": 3}
        plain = Synth(6, **options, **CLEAN)[i]
        drawn = Synth(6, **options, artefacts=(name,), without=("camera",))[i]
        assert set(drawn.extra) & set(DRAWERS[kind].ARTEFACTS) == {name}
        assert not set(plain.extra) & set(DRAWERS[kind].ARTEFACTS)
        cover, change = drawn.extra[name], difference(plain, drawn)
        assert cover.shape == (64, 64) and cover.dtype == bool
        inside += change[cover].tolist()
        outside += change[~cover].tolist()
    assert np.mean(inside) > 15
    assert np.mean(inside) > 4 * np.mean(outside)


@pytest.mark.parametrize("kind", KINDS)
def test_every_feature_can_be_left_out_and_matters(kind):
    options = {"n": 40, "size": 40, "kind": kind, "style": "synth-wild", "artefacts": ()}
    whole = Synth(**options)
    for feature in DRAWERS[kind].FEATURES:
        less = Synth(without=(feature,), **options)
        assert any(difference(whole[i], less[i]).any() for i in range(40)), feature


def test_leaving_a_texture_out_leaves_the_outline():
    for feature in ("texture", "network", "tones", "hair", "camera", "lighting"):
        for i in range(4):
            whole, less = Synth(4, size=48)[i], Synth(4, size=48, without=(feature,))[i]
            np.testing.assert_array_equal(whole.mask, less.mask)


def test_a_wide_fringe_is_fuzzy_and_a_sharp_border_is_not():
    fuzzy = np.mean([s.extra["fuzziness"].max() for s in Synth(20, size=48)])
    sharp = np.mean([s.extra["fuzziness"].max() for s in Synth(20, size=48, without=("fringe",))])
    assert sharp < 0.1 < 0.3 < fuzzy


def test_annotators_are_biased_as_asked():
    habits = (LabelNoise(), LabelNoise(grow=0.03), LabelNoise(grow=-0.03))
    for sample in Synth(10, size=64, annotators=habits, artefacts=()):
        true, wide, tight = sample.extra["annotators"]
        np.testing.assert_array_equal(true, sample.mask)
        assert (wide >= sample.mask).all() and (tight <= sample.mask).all()
        if 0.02 < sample.mask.mean() < 0.9:
            assert wide.sum() > sample.mask.sum() > tight.sum()


def test_annotators_disagree_where_the_border_is_fuzzy():
    samples = list(Synth(30, size=64, annotators=6))
    fuzz = np.stack([s.extra["fuzziness"] for s in samples])
    agree = np.stack([agreement(s.extra["annotators"])[0] for s in samples])
    clear, hazy, haziest = (agree[(fuzz >= lo) & (fuzz < hi)].mean() for lo, hi in ((0, 0.1), (0.1, 0.4), (0.4, 1.1)))
    assert clear > 0.95 and clear > hazy > haziest
    assert "annotators" not in Synth(1, size=32)[0].extra


def test_clinics_differ_in_colour_and_artefacts():
    warmth, artefacts = {}, {}
    for clinic in ("a", "b"):
        samples = list(Synth(40, size=48, clinic=clinic))
        warmth[clinic] = [float(np.mean(s.image[..., 0].astype(float) - s.image[..., 2])) for s in samples]
        artefacts[clinic] = {name for s in samples for name in s.extra}
    a, b = warmth["a"], warmth["b"]
    assert (np.mean(b) - np.mean(a)) / np.sqrt(np.var(a) / 40 + np.var(b) / 40) > 5
    assert "ruler" in artefacts["a"] and "corner" not in artefacts["a"]
    assert "corner" in artefacts["b"] and "ruler" not in artefacts["b"]


def test_labels_follow_the_drawing():
    labels = [s.label for s in Synth(60, size=32)]
    assert set(labels) == set(draw_dermoscopy.CLASSES)


def test_the_infection_lies_in_the_lungs_and_is_denser():
    infected = 0
    for sample in Synth(20, size=64, kind="lung-ct", **CLEAN):
        lungs = sample.extra["lungs"]
        assert not (sample.mask.astype(bool) & ~lungs).any()
        np.testing.assert_array_equal(
            sample.mask.astype(bool), sample.extra["ground-glass"] | sample.extra["consolidation"]
        )
        if sample.mask.sum() > 20 and (lungs & (sample.mask == 0)).sum() > 20:
            infected += 1
            grey = sample.image[..., 0]
            assert grey[sample.mask > 0].mean() > grey[lungs & (sample.mask == 0)].mean()
    assert infected > 10
    lungs = Synth(3, size=64, kind="lung-ct", target="lungs")[2]
    np.testing.assert_array_equal(lungs.mask, lungs.extra["lungs"])


def test_nothing_is_labelled_outside_the_frame():
    for kind in ("dermoscopy", "endoscopy"):
        for sample in Synth(15, size=48, kind=kind, artefacts=("corner",)):
            assert not (sample.mask.astype(bool) & sample.extra["corner"]).any()


def test_colours_against_scikit_image():
    rng = np.random.default_rng(0)
    lab = np.stack([rng.uniform(0, 100, 300), *rng.uniform(-60, 60, (2, 300))], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # colours out of gamut are clipped, as here
        expected = lab2rgb(lab)
    np.testing.assert_allclose([lab_to_rgb(colour) for colour in lab], expected, atol=1e-6)


def test_every_feature_has_its_own_chance():
    canvas = Canvas(32, 1, 2)
    first = {f: canvas.stream(f).random(4000) for f in ("hair", "ruler", "ink")}
    first["another picture"] = Canvas(32, 1, 3).stream("hair").random(4000)
    first["another seed"] = Canvas(32, 2, 2).stream("hair").random(4000)
    correlation = np.corrcoef(list(first.values()))
    assert np.abs(correlation - np.eye(5)).max() < 0.08
    np.testing.assert_array_equal(first["hair"], Canvas(200, 1, 2).stream("hair").random(4000))


def test_coherent_noise_has_its_slope():
    canvas = Canvas(128, 0, 0)
    rough, smooth = (canvas.noise(canvas.stream("x"), slope, 64) for slope in (0.5, 2.0))
    for field in (rough, smooth):
        assert abs(field.mean()) < 1e-4 and field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(rough)).mean() > 3 * np.abs(np.diff(smooth)).mean()


@pytest.mark.parametrize(
    "options, word",
    [
        ({"size": 16}, "size"),
        ({"n": 0}, "n 0"),
        ({"style": "syn"}, "style"),
        ({"clinic": "c"}, "clinic"),
        ({"kind": "retina"}, "kind"),
        ({"artefacts": ("hairs",)}, "hair"),
        ({"without": ("netwrk",)}, "network"),
        ({"target": "lungs"}, "target"),
        ({"kind": "lung-ct", "target": "heart"}, "lungs"),
    ],
)
def test_wrong_options_name_the_remedy(options, word):
    with pytest.raises(InputError, match=word):
        Synth(**{"n": 2, **options})

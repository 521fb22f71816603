"""The three tiers of a figure show the same: widgets, the page in a real browser, the small multiples."""

import re
from html import unescape

import numpy as np
import pytest
import torch
from chromium import Browser
from drawn import tiny_generator

from tutseg.errors import InputError
from tutseg.methods.distillation.sam_kd import distillation
from tutseg.nets import build
from tutseg.report.explorers import RULES, FuzzyExplorer, GridExplorer, StepExplorer, ThresholdExplorer
from tutseg.report.interactive import shown
from tutseg.report.latent import LATTICE, WalkExplorer
from tutseg.report.prompts import KINDS, PLACES, PromptExplorer, SoftExplorer
from tutseg.workflow.book import faulty_loads

ARROW_LEFT, ARROW_RIGHT = "\ue012", "\ue014"


def explorer(n: int = 3, size: int = 40) -> ThresholdExplorer:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:size, :size]
    truths, images, maps = [], [], ([], [])
    for i in range(n):
        inside = 6 + 3 * i - np.hypot(x - 18 - i, y - 20)
        truths.append((inside > 0).astype(np.uint8))
        images.append(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        for net in maps:
            net.append(1 / (1 + np.exp(-(inside + rng.normal(0, 3, inside.shape)) / 2)))
    return ThresholdExplorer(*maps, truths, images, [f"drawn-{i}" for i in range(n)])


def fuzzy() -> FuzzyExplorer:
    rng = np.random.default_rng(6)
    patches = lambda: [rng.random((4, 4)).repeat(5, 0).repeat(5, 1) for _ in range(3)]
    images = [rng.integers(0, 256, (20, 20, 3), dtype=np.uint8) for _ in range(3)]
    return FuzzyExplorer({"entropy": patches(), "edges": patches()}, patches(), images, ["a", "b", "c"])


def steps() -> StepExplorer:
    rng = np.random.default_rng(4)
    frames = [rng.integers(0, 5 - i, (12, 16)) for i in range(4)]
    numbers = {"clusters": [5, 4, 3, 2], "loss": [0.0625, 1 / 3, 0.1875, None]}
    still, moving = (rng.integers(0, 256, (n, 12, 16, 3), dtype=np.uint8) for n in (1, 4))
    return StepExplorer(frames, numbers, steps=[0, 5, 10, 50], beside={"picture": still, "chosen": moving})


def grid() -> GridExplorer:
    rng = np.random.default_rng(5)
    axes = {"picture": ("a", "b"), "λ1": ("0.3", "1.2"), "weight of L_S": ("0", "1", "3")}
    frames = [rng.integers(0, 4, (10, 14)) for _ in range(12)]
    return GridExplorer(axes, frames, {"clusters": range(12), "Dice": rng.random(12)})


def two_lesions(size: int = 48) -> tuple[np.ndarray, list[np.ndarray]]:
    """A picture of two dark discs, and the disc of each."""
    y, x = np.mgrid[:size, :size]
    discs = [np.hypot(x - 0.3 * size, y - 0.35 * size) < 7, np.hypot(x - 0.7 * size, y - 0.65 * size) < 9]
    picture = np.full((size, size, 3), (220, 180, 160), np.uint8)
    picture[discs[0] | discs[1]] = (90, 60, 50)
    return picture, discs


def prompts() -> PromptExplorer:
    picture, discs = two_lesions()
    return PromptExplorer(build("sam-s", len(picture), pretrained=True).eval(), picture, discs)


def soft() -> SoftExplorer:
    rng = np.random.default_rng(6)
    return SoftExplorer(*rng.normal(0, 6, (2, 12, 14)), rng.uniform(-1, 1, (12, 14)))


def walk() -> WalkExplorer:
    return WalkExplorer(tiny_generator(), [3, 1, 4, 5])


def by_hand(figure: ThresholdExplorer, at: int, tau: float, rule: str) -> tuple[float, float]:
    """Dice and missed share pixel by pixel, from the quantised maps."""
    results = []
    for target in range(2 if rule == "cross" else 1):
        both = labelled = lesion = 0
        for p, q, truth in zip(*(a.ravel().tolist() for a in (*figure.quantised[at], figure.truths[at])), strict=True):
            a, b = p / 255 > tau + 1e-9, q / 255 > tau + 1e-9
            label = {"union": a or b, "intersection": a and b, "net 1": a, "net 2": b, "cross": (b, a)[target]}[rule]
            both, labelled, lesion = both + (label and truth), labelled + label, lesion + truth
        results.append((2 * both / (labelled + lesion), 1 - both / lesion))
    return tuple(np.mean(results, axis=0))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("tau", [0.0, 0.2, 0.57, 0.85, 1.0])
def test_numbers_are_those_of_the_pixels(rule, tau):
    figure = explorer()
    expected = [by_hand(figure, at, tau, rule) for at in range(3)]
    assert [*figure.numbers(tau=tau, rule=rule, picture="drawn-1").values()] == pytest.approx(
        [*expected[1], *np.mean(expected, axis=0)]
    )


def test_maps_are_kept_to_a_step_of_255():
    figure = explorer()
    red, green, blue = np.moveaxis(figure.panels(tau=0.5, rule="net 1", picture="drawn-0")["pseudo-label"], -1, 0)
    labelled = ((red, green, blue) == np.array([0, 158, 115])[:, None, None]).all(0)
    assert labelled.sum() == (figure.truths[0] & (figure.quantised[0][0] > 127)).sum()


def test_an_empty_truth_has_no_missed_share():
    blank = np.zeros((4, 4))
    figure = ThresholdExplorer([blank], [blank], [blank], [np.zeros((4, 4, 3), np.uint8)], ["empty"])
    numbers = figure.numbers(tau=0.5, rule="union", picture="empty")
    assert list(numbers.values()) == [1.0, None, 1.0, None]


def test_refuses_what_does_not_belong_together():
    blank = np.zeros((4, 4))
    with pytest.raises(InputError, match="differ in number"):
        ThresholdExplorer([blank], [blank], [blank], [], ["a"])
    with pytest.raises(InputError, match="picture a: map, truth and image differ in size"):
        ThresholdExplorer([blank], [blank], [blank], [np.zeros((5, 4, 3), np.uint8)], ["a"])
    with pytest.raises(InputError, match="differ in length"):
        StepExplorer([blank.astype(int)], {"loss": [1, 2]})
    with pytest.raises(InputError, match="differ in length"):
        StepExplorer([blank.astype(int)] * 3, {"loss": [1, 2, 3]}, beside={"chosen": [blank.astype(int)] * 2})
    with pytest.raises(InputError, match="1 frames for 2 combinations"):
        GridExplorer({"λ": (0, 1)}, [blank.astype(int)], {"loss": [1, 2]})


def test_a_grid_finds_the_frame_of_a_combination():
    figure = grid()
    places = [
        figure.place(**{"picture": a, "λ1": b, "weight of L_S": c})
        for a in ("a", "b") for b in ("0.3", "1.2") for c in ("0", "1", "3")
    ]  # fmt: skip
    assert places == list(range(12))
    assert figure.numbers(**{"picture": "b", "λ1": "0.3", "weight of L_S": "3"})["clusters"] == 8


def test_a_prompt_is_what_the_net_is_told():
    figure = prompts()
    picture, (disc, other) = two_lesions()
    at = np.argwhere(disc)
    assert [*at.min(0), *at.max(0)] == [10, 8, 23, 21]  # its middle is pixel (17, 15), 30 % of 48 is pixel 14
    assert figure.told_box(30, 35) == [7, 9, 21, 23] and figure.told_box(5, 95) == [0, 38, 9, 48]
    moved = np.roll(disc, (2, 1), axis=(0, 1))
    assert np.array_equal(figure.told_mask(35, 40), moved)
    ask = {
        "click": {"points": torch.tensor([[[0.35, 0.4, 1.0]]])},
        "box": {"boxes": torch.tensor([[9, 12, 23, 26]]) / 48},
        "mask": {"mask_logits": torch.tensor(np.where(moved, 8.0, -8.0)).float()[None, None]},
    }
    images = torch.tensor(picture).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        for told, prompt in ask.items():
            said = (figure.net(images, **prompt).logits[0, 0] > 0).numpy()
            numbers = [*figure.numbers(told, 35, 40).values()]
            dice = [2 * (said & lesion).sum() / (said.sum() + lesion.sum()) for lesion in (disc, other)]
            assert said.any() and numbers[:2] == pytest.approx(dice, abs=6e-5)
            expected = 2 * (moved & disc).sum() / (moved.sum() + disc.sum()) if told == "mask" else None
            assert numbers[2] == (expected and pytest.approx(expected, abs=6e-5))


def test_a_kernel_asks_the_net_where_a_page_has_no_answer():
    figure = prompts()
    before = len(figure.known)
    assert before == len(KINDS) * len(PLACES) ** 2
    *inputs, picture, _ = figure.live().children
    inputs[1].value = 37
    assert ("click", 37, inputs[2].value) in figure.known and len(figure.known) == before + 1
    assert "across, % of the width 37" in unescape(picture.value)


def test_clicks_on_skin_are_told_from_those_on_a_lesion():
    figure = prompts()
    for (told, across, down), (mask, _) in figure.known.items():
        on = any(
            np.hypot(0.48 * across // 1 - x, 0.48 * down // 1 - y) < r for x, y, r in ((14.4, 16.8, 7), (33.6, 31.2, 9))
        )
        figure.known[told, across, down] = (np.full_like(mask, on or across == 5), 0.75 if on else 0.25)
    found = figure.clicks()
    off = [state for state, (_, iou) in figure.known.items() if state[0] == "click" and iou == 0.25]
    assert found == {"answered": sum(across == 5 for _, across, _ in off) / len(off), "skin": 0.25, "lesion": 0.75}


def test_a_scene_of_one_lesion_is_refused():
    picture, (disc, other) = two_lesions()
    for lesions in ([disc], [disc, other[1:]], [disc, disc & other]):
        with pytest.raises(InputError, match="wants two lesions of the picture's size"):
            PromptExplorer(None, picture, lesions)
    with pytest.raises(InputError, match="differ in size"):
        SoftExplorer(disc * 1.0, disc * 1.0, disc[1:] * 1.0)


@pytest.mark.parametrize(("temperature", "k"), [(1, "10"), (4.5, "1500"), (20, "1")])
def test_soft_labels_are_those_of_the_loss(temperature, k):
    figure = soft()
    sam, main, sdf = figure.maps()
    as_logits = [torch.from_numpy(z)[None, None] for z in (sam, main)]
    numbers = figure.numbers(temperature, k)
    for words, times in (("L_kd with T²", True), ("L_kd without T²", False)):
        assert numbers[words] == pytest.approx(float(distillation(*as_logits, temperature, times)), rel=1e-4)
    shown_mask = figure.panels(temperature, k)["mask of the distance"]
    assert ((shown_mask[..., 0] > 127) == (sdf <= 0)).mean() > 0.95
    assert sdf.min() < -0.9 and np.abs(sam).max() == 12


def test_numbers_are_rounded_as_a_browser_does():
    assert [shown(0.0625), shown(0.1875), shown(1 / 3), shown(None), shown(8.0, 0)] == [
        "0.063",
        "0.188",
        "0.333",
        "–",
        "8",
    ]


def printed(html: str) -> list[str]:
    return re.findall(r"<output>([^<]*)</output>", html)


@pytest.mark.parametrize("tau", [0.0, 0.37, 0.9, 1.0])
@pytest.mark.parametrize("criterion", ["both", "entropy", "edges"])
def test_a_fuzzy_mask_is_that_of_equation_6(tau, criterion):
    figure = fuzzy()
    first, second, truth = (levels.ravel() / 255 for levels in figure.levels[1])
    m = {"both": np.maximum(first, second), "entropy": first, "edges": second}[criterion]
    above = m > tau + 1e-9
    mask = figure.panels(tau=tau, criterion=criterion, picture="b")["fuzzy mask"][..., 0].ravel()
    assert mask / 255 == pytest.approx(np.where(above, 1, m))
    called, true, dice, _ = figure.numbers(tau=tau, criterion=criterion, picture="b").values()
    both, sizes = (above & (truth > 0.5)).sum(), above.sum() + (truth > 0.5).sum()
    assert (called, true) == (above.mean(), (truth > 0.5).mean()) and dice == pytest.approx(2 * both / sizes)
    with pytest.raises(InputError, match="criteria, truths and images differ in number"):
        FuzzyExplorer({"entropy": [mask]}, [mask], [mask], ["b"])


EVERY = {
    "threshold": explorer, "steps": steps, "grid": grid, "prompts": prompts, "soft": soft, "fuzzy": fuzzy, "walk": walk
}  # fmt: skip


@pytest.mark.parametrize("figure", [make() for make in EVERY.values()], ids=EVERY)
def test_widgets_and_small_multiples_show_the_numbers(figure):
    from ipywidgets import FloatSlider

    box = figure.live()
    *inputs, picture, readout = box.children
    stills = figure.stills()
    on_paper = printed(figure._stills_html())
    count = len(on_paper) // len(stills)
    for i, state in enumerate(stills):
        for control, each in zip(figure.controls, inputs, strict=True):
            each.value = state[control.name]
        expected = [figure._shown(words, value) for words, value in figure.numbers(**state).items()]
        assert printed(readout.value) == expected == on_paper[count * i : count * (i + 1)]
        assert figure.told(state) in unescape(picture.value) and 'src="data:image/png' in picture.value
    before = picture.value
    moved = inputs[0]
    if isinstance(moved, FloatSlider):
        moved.value = moved.min if moved.value > moved.min else moved.max
    else:
        moved.value = next(option for option in moved.options if option != moved.value)
    assert picture.value != before


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """All figures in one page, in a browser."""
    folder = tmp_path_factory.mktemp("page")
    text = "<!doctype html><meta charset=utf-8>" + "".join(make().to_html() for make in EVERY.values())
    (folder / "page.html").write_text(text)
    assert faulty_loads(folder) == []
    browser = Browser()
    browser.open(f"file://{folder}/page.html")
    browser.wait("document.querySelectorAll('[data-ready]').length === 7")
    yield browser
    browser.close()


READ = """const figure = document.querySelectorAll('.tutseg-figure')[%d];
return {controls: [...figure.querySelectorAll('.tutseg-control :is(input, select)')].map((each) => each.value),
  numbers: [...figure.querySelectorAll('.tutseg-readout output')].map((each) => each.textContent),
  panels: [...figure.querySelectorAll('canvas')].map((canvas) => [canvas.getAttribute('aria-label'),
    [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]])}"""


def assert_equal_to_python(page: Browser, at: int, figure) -> dict:
    """What the browser shows is what Python computes at the state that its controls are in."""
    seen = page.js(READ % at)
    state = {
        control.name: value if control.choices else float(value)
        for control, value in zip(figure.controls, seen["controls"], strict=True)
    }
    assert seen["numbers"] == [figure._shown(words, value) for words, value in figure.numbers(**state).items()]
    panels = figure.panels(**state)
    assert [title for title, _ in seen["panels"]] == [f"{title}; {figure.told(state)}" for title in panels]
    for (_, pixels), expected in zip(seen["panels"], panels.values(), strict=True):
        assert np.array_equal(np.reshape(pixels, (*expected.shape[:2], 4))[..., :3], expected)
    return state


@pytest.mark.slow
def test_mouse_and_keyboard_move_the_page_as_python_says(page):
    figure = explorer()
    state = assert_equal_to_python(page, 0, figure)
    assert state == figure.start()
    seen = set()
    for rule in RULES:
        page.keys("select[name=rule]", rule)
        for across in (0.1, 0.45, 0.8):
            page.click("input[name=tau]", across)
            state = assert_equal_to_python(page, 0, figure)
            seen.add((state["rule"], state["tau"]))
    assert len(seen) == 15
    page.keys("input[name=tau]", ARROW_LEFT * 3)
    moved = assert_equal_to_python(page, 0, figure)
    assert moved["tau"] == pytest.approx(state["tau"] - 0.03)
    page.keys("select[name=picture]", "drawn-2")
    assert assert_equal_to_python(page, 0, figure)["picture"] == "drawn-2"


@pytest.mark.slow
def test_steps_move_by_keyboard(page):
    figure = steps()
    for frame in range(4):
        assert assert_equal_to_python(page, 1, figure) == {"frame": frame}
        page.keys("input[name=frame]", ARROW_RIGHT)


@pytest.mark.slow
def test_menus_of_a_grid_choose_the_combination(page):
    figure = grid()
    assert assert_equal_to_python(page, 2, figure) == figure.start()
    for name, value in (("weight of L_S", "3"), ("picture", "b"), ("λ1", "1.2"), ("weight of L_S", "1")):
        page.keys(f".tutseg-figure:nth-of-type(3) select[name='{name}']", value)
        assert assert_equal_to_python(page, 2, figure)[name] == value


@pytest.mark.slow
def test_a_prompt_is_moved_by_its_sliders_and_by_pointing_at_the_picture(page):
    figure = prompts()
    assert assert_equal_to_python(page, 3, figure) == figure.start()
    for told in reversed(KINDS):
        page.keys("select[name=told]", told)
        for place, key in (("across", ARROW_RIGHT), ("down", ARROW_LEFT)):
            page.keys(f"input[name={place}]", 2 * key)
            assert assert_equal_to_python(page, 3, figure)["told"] == told
    page.click(".tutseg-pointed canvas", 0.8)  # half way down
    state = assert_equal_to_python(page, 3, figure)
    assert (state["across"], state["down"]) == (80, 50)


@pytest.mark.slow
def test_temperature_and_sharpness_move_in_the_page(page):
    figure = soft()
    for k in ("1500", "3", "10"):
        page.keys("select[name=k]", k)
        page.keys("input[name=T]", 3 * ARROW_LEFT)
        assert assert_equal_to_python(page, 4, figure)["k"] == k


@pytest.mark.slow
def test_a_threshold_moves_the_fuzzy_mask_as_python_says(page):
    figure, own = fuzzy(), ".tutseg-figure:nth-of-type(6) "
    assert assert_equal_to_python(page, 5, figure) == figure.start()
    for criterion, across in (("both", 0.2), ("entropy", 0.5), ("edges", 0.75)):
        page.keys(own + "select[name=criterion]", criterion)
        page.click(own + "input[name=tau]", across)
        assert assert_equal_to_python(page, 5, figure)["tau"] == pytest.approx(across, abs=0.06)
    page.keys(own + "select[name=picture]", "c")
    assert assert_equal_to_python(page, 5, figure)["picture"] == "c"


@pytest.mark.slow
def test_a_walk_is_led_by_its_sliders_and_by_pointing_at_the_picture(page):
    figure, own = walk(), ".tutseg-figure:nth-of-type(7) "
    assert assert_equal_to_python(page, 6, figure) == figure.start()
    page.keys(own + "input[name=across]", 3 * ARROW_RIGHT)
    page.keys(own + "input[name=down]", ARROW_RIGHT)
    step = 100 / (LATTICE - 1)
    assert assert_equal_to_python(page, 6, figure) == {"across": 3 * step, "down": step}
    page.click(own + ".tutseg-pointed canvas", 0.99)
    assert assert_equal_to_python(page, 6, figure) == {"across": 100, "down": 50}


@pytest.mark.slow
def test_paper_shows_small_multiples_and_screen_the_controls(page):
    shows = """return ['.tutseg-live', '.tutseg-stills'].map((part) =>
      getComputedStyle(document.querySelector(part)).display !== 'none')"""
    assert page.js(shows) == [True, False]
    page.cdp("Emulation.setEmulatedMedia", media="print")
    assert page.js(shows) == [False, True]
    page.cdp("Emulation.setEmulatedMedia", media="")


def test_without_javascript_the_small_multiples_stand():
    html = explorer().to_html()
    assert '<div class="tutseg-live" hidden></div><div class="tutseg-stills"><figure>' in html


@pytest.mark.slow
def test_every_control_has_a_name_and_fits_a_telephone(page):
    page.cdp("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
    unnamed = "return [...document.querySelectorAll('input, select')].filter((each) => !each.labels.length).length"
    assert page.js(unnamed) == 0
    assert page.js("return document.documentElement.scrollWidth") <= 400
    page.cdp("Emulation.clearDeviceMetricsOverride")

"""Figures and tables serve every reader: words for what is seen, the page's colours, names for rows and columns."""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from components import components, groups

from tutseg.report.figure import NARROW, PALETTE, WIDE, Figure
from tutseg.report.lines import gap_figure
from tutseg.report.photographs import Stored, Tiles, contours, pictures
from tutseg.report.shown import Shown
from tutseg.report.statistical import cosine_matrices, intervals, paired_differences, violins
from tutseg.report.table import Table

SVG = "{http://www.w3.org/2000/svg}"
# White and the ground of the book's dark theme.
GROUNDS = ("#ffffff", "#121212")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", PALETTE)
@pytest.mark.parametrize("ground", GROUNDS)
def test_the_palette_can_be_seen_on_light_and_dark(colour, ground):
    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3


def drawings(figure: Figure) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(f"<div>{figure.to_html()}</div>").iter(f"{SVG}svg"))


def assert_serves_every_reader(figure: Figure) -> None:
    """A name with numbers, the page's ink and no other black or white, words of 10 px at both widths."""
    wide, narrow = drawings(figure)
    assert wide.get("role") == narrow.get("role") == "img"
    assert wide.get("aria-label") == narrow.get("aria-label") == figure.alt and re.search(r"\d", figure.alt)
    # The narrow drawing stands at its own size on a telephone: 358 px beside the margins of 390.
    assert figure.wide.get_figwidth() <= WIDE and figure.narrow.get_figwidth() <= NARROW < 358 / 96 < WIDE
    for svg in (wide, narrow):
        texts = list(svg.iter(f"{SVG}text"))
        assert texts and all(re.findall(r"fill: ?([^;]+)", t.get("style", "")) in ([], ["currentColor"]) for t in texts)
        styles = [each.get("style") or "" for each in svg.iter()]
        painted = {colour for style in styles for colour in re.findall(r"#[0-9a-f]{6}", style)}
        assert any("currentColor" in style for style in styles)
        assert not painted & {"#000000", "#ffffff", "#010203", "#fdfcfb"}
        sizes = [re.search(r"([\d.]+)px", text.get("style")) for text in texts if text.get("style")]
        families = re.findall(r"font-family: ([^;\"]+)", ElementTree.tostring(svg, "unicode"))
        assert set(families) == {"'DejaVu Sans', sans-serif"}
        assert min(float(size[1]) for size in sizes) >= 7.5  # in points, of which a page shows each as 1.33 px


def test_a_line_figure_serves_every_reader():
    figure = intervals([("a − b", 2.0, -1.0, 5.0)], "Dice points")
    assert_serves_every_reader(figure)
    assert figure.alt == "Values with their intervals, Dice points. a − b: +2.0 (-1.0 to +5.0)."


def test_drawing_is_the_same_whatever_chance_did_before():
    before = np.random.get_state()[1].copy()
    first = violins(groups()).to_html()
    assert np.array_equal(np.random.get_state()[1], before)  # whoever draws does not move another's chance
    np.random.rand()
    assert violins(groups()).to_html() == first


@pytest.mark.slow
def test_everything_on_a_page_serves_every_reader():
    drawn = [each for each in components().values() if isinstance(each, Figure)]
    assert len(drawn) == 21
    for figure in drawn:
        assert_serves_every_reader(figure)
    for shown in components().values():
        html = shown.to_html() if isinstance(shown, Shown) else shown._repr_html_()
        words = shown.alt if isinstance(shown, Shown) else repr(shown)
        assert len(words) > 20 and "object at 0x" not in words and " title=" not in html


@pytest.mark.slow
def test_no_two_things_on_a_page_share_an_id():
    page = "".join(each.to_html() for each in components().values() if isinstance(each, Shown))
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 100
    asked = set(re.findall(r'(?:url\(|href=")#([^")]+)', page))
    assert asked == {name for name in ids if re.match(r"t[0-9a-f]{8}-", name)}


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes():
    code = (
        "from components import components; from tutseg.report.shown import Shown; import hashlib; "
        "print([hashlib.sha256(each.to_html().encode()).hexdigest() for each in components().values() "
        "if isinstance(each, Shown)])"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    seen = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1 and seen.pop().count(",") > 15


def test_the_alternative_text_holds_the_numbers():
    means = [100 * group.values.mean() for group in groups()]
    alt = violins(groups()).alt
    assert all(f"{group.name}: mean {mean:.1f}" in alt for group, mean in zip(groups(), means, strict=True))
    difference = 100 * (groups()[2].values - groups()[1].values)
    alt = paired_differences(groups(), "dme-fd").alt
    above = int((difference.mean(0) > 0).sum())
    assert f"dme-fd − cps: mean {difference.mean():+.1f} (" in alt and f"above zero in {above} of 40" in alt
    truth = np.zeros((1, 8, 8), bool)
    truth[0, :4] = True
    half = truth & (np.arange(8) < 4)
    sheet = contours(np.zeros((1, 8, 8, 3), np.uint8), truth, {"half": half, "none": ~truth})
    assert "half 0.67; none 0.00" in sheet.alt and [tile.words[-4:] for tile in sheet.rows[0][1:]] == ["0.67", "0.00"]
    assert "per picture: Dice 0.667, Jaccard 0.500, 0.00 points above" in gap_figure(half, truth).alt


def test_similarities_are_shown_on_a_scale_that_tells_them_apart():
    branch_1, branch_2 = np.eye(4), 0.2 * np.eye(4) + 1  # each similarity is 1 or 1.2 over the length of (1.2, 1, 1, 1)
    length = np.sqrt(1.2**2 + 3)
    figure = cosine_matrices({"weak": (branch_1, branch_2)})
    assert f"diagonal {1.2 / length:+.2f}, elsewhere {1 / length:+.2f}" in figure.alt
    (mesh,) = figure.wide.axes[0].collections
    strength = mesh.cmap(mesh.norm([0, 0.02, 0.1, 0.5, 1]))[:, 3]
    assert np.diff(strength).min() > 0.05 and strength[1] > 0.3 and mesh.norm(-0.3) == pytest.approx(1 - mesh.norm(0.3))


def test_pictures_keep_their_colours_and_have_words(tmp_path):
    tiles = pictures([np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 0.25)], ["a lesion", "a map"])
    html = tiles.to_html()
    alts = [unescape(alt) for alt in re.findall(r' alt="([^"]+)"', html)]
    assert alts == [tile.alt for tile in tiles.rows[0]] and alts[-1] == "a map: map from 0.25 to 0.25, mean 0.25"
    assert html.count('class="dark-light') == html.count("<img") == len(alts)  # the theme leaves that class alone
    tiles.savefig(tmp_path / "sheet.png", format="png")
    stored = Stored(tmp_path / "sheet.png", "Six tiles")
    assert isinstance(tiles, Tiles) and 'alt="Six tiles"' in stored.to_html() and repr(stored) == "Six tiles"


def test_a_table_names_its_columns_and_rows_and_folds_its_origin_away():
    table = Table(("a", "b", "c"), (("x", "y", "1"),), "About <b>", "Read it so.", "From there; by tutseg go.", keys=2)
    root = ElementTree.fromstring(table._repr_html_())
    assert [(cell.text, cell.get("scope")) for cell in root.iter("th")] == [
        ("a", "col"), ("b", "col"), ("c", "col"), ("x", "row"), ("y", "row")
    ]  # fmt: skip
    assert [cell.text for cell in root.iter("td")] == ["1"]
    (frame,) = (each for each in root.iter("div") if each.get("tabindex") == "0")
    assert frame.get("aria-label") == "About <b>" and "".join(root.find(".//caption").itertext()) == "About <b>"
    folded = "".join(root.find(".//details").itertext())
    assert "From there" in folded and "by tutseg go." in folded and "Read it so." not in folded

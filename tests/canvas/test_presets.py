"""Presets: what they make is what their rules ask for, in the encoded file."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.transform

from gossamer.canvas import check_picture, finish_cutout, load_presets, preset
from gossamer.canvas.presets import parse_presets
from gossamer.canvas.subject import subject_box
from gossamer.errors import InputError
from gossamer.image import Image, encode_image, read_image, rounded
from gossamer.settings import Recipe
from tests.canvas.bodies import disc

DOCS = Path(__file__).parents[2] / "docs"
SHOPS = ("amazon", "google-merchant", "ebay", "shopify", "etsy", "walmart")


@functools.cache
def product(side: int = 2200) -> Image:
    """Return a cut-out with real texture and a soft edge, large enough for every shop."""
    texture = skimage.transform.resize(skimage.data.coffee(), (side, side), order=1, preserve_range=True)
    return Image(texture.astype(np.uint8), disc(side, side, 0.46 * side, 4))


def test_the_ids_and_their_sources_are_there() -> None:
    assert tuple(load_presets()) == (*SHOPS, "passport")
    for one in load_presets().values():
        assert one.source.startswith("https://")
        assert one.date.year >= 2025
        assert isinstance(one.recipe(), Recipe)


@pytest.mark.long
@pytest.mark.parametrize("id", SHOPS)
def test_what_a_preset_makes_passes_its_rules(id: str) -> None:
    shop = preset(id)
    cutout = finish_cutout(product(), shop.recipe())
    assert cutout.report.warnings == ()
    data = cutout.encode("jpeg")
    assert check_picture(data, shop, cutout.alpha, cutout.recipe) == []
    assert check_picture(data, shop) == []  # by the file alone
    decoded = read_image(data)
    assert (decoded.pixels[cutout.alpha < 0.5 / 255] == 255).all()
    box = subject_box(cutout.alpha)
    share = max(box.width / decoded.width, box.height / decoded.height)
    assert share == pytest.approx(shop.settings["canvas"]["fill"] / 100, abs=0.005)


@pytest.mark.long
def test_white_is_255_after_jpeg_beside_the_subject_too() -> None:
    shop = preset("amazon")
    cutout = finish_cutout(product(), shop.recipe())
    data = cutout.encode("jpeg")
    decoded, clear = read_image(data).pixels, cutout.alpha < 0.5 / 255
    assert (decoded[clear] == 255).all()
    assert (read_image(encode_image(cutout.composite, None, "jpeg", quality=100)).pixels[clear] < 255).any()
    change = np.abs(decoded.astype(int) - rounded(cutout.composite, None, 8))
    assert change.mean() < 0.7
    assert np.percentile(change[~clear], 99.9) <= 6
    assert change.max() <= 10  # nothing that is seen
    for quality in (10, 95):
        coarse = encode_image(cutout.composite, None, "jpeg", quality=quality)
        assert any("JPEG darkens the white" in told for told in check_picture(coarse, shop, cutout.alpha))


@pytest.mark.long
def test_a_file_is_as_small_as_a_shop_wants_it_and_white_stays_white() -> None:
    for shop in load_presets().values():
        recipe = shop.recipe()
        assert recipe.output.max_kb == 1000 * shop.rules.max_mb
        assert (recipe.output.quality == 100) == (recipe.background.fill == "#ffffff")
    small = {"canvas": {"size": "500"}}
    whole = finish_cutout(product(600), preset("walmart").recipe(Recipe.of(small)))
    largest = len(whole.encode("jpeg"))
    errors = []
    for share in (0.9, 0.6):
        kb = int(share * largest / 1000)
        cutout = finish_cutout(product(600), preset("walmart").recipe(Recipe.of({**small, "output": {"max_kb": kb}})))
        data = cutout.encode("jpeg")
        assert 0.7 * 1000 * kb < len(data) <= 1000 * kb
        decoded = read_image(data).pixels
        assert (decoded[cutout.alpha < 0.5 / 255] == 255).all()
        errors.append(np.abs(decoded.astype(int) - rounded(cutout.composite, None, 8)).mean())
    assert errors[0] < errors[1] < 4
    # So small that nothing is left of it: then white is not kept, and that is told.
    tiny = finish_cutout(
        product(600), preset("walmart").recipe(Recipe.of({**small, "output": {"max_kb": largest // 8000}}))
    )
    data = tiny.encode("jpeg")
    assert len(data) <= largest // 8
    assert any("JPEG darkens the white" in told for told in check_picture(data, preset("walmart"), tiny.alpha))


@pytest.mark.parametrize(
    ("id", "settings", "words"),
    [
        ("amazon", {"background": {"fill": "#fefefe"}}, "100 % of the background is not pure white, and 254 of 255"),
        ("amazon", {"shadow": {"kind": "contact"}}, "is not pure white"),
        ("amazon", {"canvas": {"fill": 60}}, "fills 60 % of the picture, and should 85 to 100 %"),
        ("amazon", {"background": {"fill": "transparent"}}, "transparent, and must be white"),
        ("google-merchant", {"canvas": {"fill": 95}}, "should 75 to 90 %"),
        ("google-merchant", {"canvas": {"too_small": "enlarge"}}, "must not be enlarged"),
        ("google-merchant", {"canvas": {"size": "400"}}, "400 pixels of 500 at least"),
        ("google-merchant", {"canvas": {"size": "600"}}, "1500 pixels are advised"),
        ("shopify", {"canvas": {"size": "500x400"}}, "not 1:1"),
        ("walmart", {}, "500 pixels of 1500 at least"),
        ("ebay", {"canvas": {"size": "480"}}, "480 pixels of 500 at least"),
        ("etsy", {}, "2000 pixels are advised"),
    ],
)
def test_what_breaks_a_rule_is_told(id: str, settings: dict[str, dict[str, object]], words: str) -> None:
    shop = preset(id)
    # What is no question of size is seen in small as well.
    wanted = {**settings, "canvas": {"size": "500", **settings.get("canvas", {})}}
    cutout = finish_cutout(product(600), shop.recipe(Recipe.of(wanted)))
    format = "png" if settings.get("background", {}).get("fill") == "transparent" else "jpeg"
    told = check_picture(cutout.encode(format), shop, cutout.alpha, cutout.recipe)
    assert any(words in one for one in told), told
    assert all(one.startswith(shop.title) for one in told)


def test_haze_that_greys_the_white_is_cleared_or_told() -> None:
    hazy = product(600).alpha.copy()
    hazy[:60, :60] = 0.04
    hazy[:60, -60:] = 0.3  # as faint as a strand of hair may be
    source = Image(np.zeros((600, 600, 3), np.uint8), hazy)
    shop = preset("amazon")
    frame = {"crop": "frame", "size": "600", "fill": 100}
    kept = finish_cutout(source, shop.recipe(Recipe.of({"canvas": {**frame, "haze": 0}})))
    told = check_picture(kept.encode("png"), shop, kept.alpha)
    assert any("% of the background is not pure white" in one for one in told), told
    clear = finish_cutout(source, shop.recipe(Recipe.of({"canvas": frame})))
    assert (clear.alpha[:60, :60] == 0).all()
    assert np.array_equal(clear.alpha[100:], kept.alpha[100:])
    assert (clear.alpha[:60, -60:] == np.float32(0.3)).all()
    assert not any("pure white" in one for one in check_picture(clear.encode("png"), shop, clear.alpha))


def test_a_photograph_that_is_too_small_is_told_and_not_enlarged() -> None:
    small = finish_cutout(product(600), preset("amazon").recipe())
    told = [*small.report.warnings, *check_picture(small.encode("jpeg"), preset("amazon"), small.alpha)]
    assert any("not enlarged: the picture is" in one for one in told)
    assert any("pixels of 1600 at least" in one for one in told)
    assert not any("fills" in one for one in told)  # what it has, it fills as asked
    webp = check_picture(small.encode("webp"), preset("amazon"), small.alpha)
    assert any("the file is webp" in one for one in webp)


def test_a_passport_photograph_measures_35_by_45_mm() -> None:
    y, x = np.mgrid[:1600, :1200].astype(float)
    x -= 599.5
    person = ((x / 250) ** 2 + ((y - 550) / 350) ** 2 <= 1) | ((np.abs(x) < 140) & (y > 550) & (y < 1000))
    person |= (np.abs(x) < np.clip(150 + 3 * (y - 960), 0, 550)) & (y > 960)
    source = Image(np.full((1600, 1200, 3), 180, np.uint8), person.astype(np.float32))
    recipe = preset("passport").recipe(Recipe.of({"canvas": {"head": "200px 900px"}}))
    cutout = finish_cutout(source, recipe)
    height, width = cutout.alpha.shape
    assert cutout.dpi is not None
    assert width / cutout.dpi[0] * 25.4 == pytest.approx(35, abs=0.05)
    assert height / cutout.dpi[1] * 25.4 == pytest.approx(45, abs=0.1)
    crown = int(np.flatnonzero(cutout.alpha.max(1) > 0.5)[0])
    scale = width / 35  # pixels a millimetre
    assert 3 * scale < crown < 7 * scale
    assert check_picture(cutout.encode("jpeg"), preset("passport"), cutout.alpha, recipe) == []
    found = finish_cutout(source, preset("passport").recipe())
    again = int(np.flatnonzero(found.alpha.max(1) > 0.5)[0])
    assert again == pytest.approx(crown, abs=0.03 * height)


def test_the_page_has_today_s_table() -> None:
    page = (DOCS / "finishing.md").read_text("utf-8")
    made = runpy.run_path(str(DOCS / "make_presets.py"))["page"](page)
    assert made == page, "Type: python docs/make_presets.py"


def test_flags_win_over_a_preset() -> None:
    recipe = preset("Google_Merchant").recipe(Recipe.of({"canvas": {"fill": 80}}))
    assert (recipe.canvas.fill, recipe.canvas.size, recipe.output.srgb) == (80, "1500x1500", True)


def test_a_file_of_presets_that_is_wrong_says_where() -> None:
    good = (
        '[a]\ntitle="t"\nsource="s"\ndate=2026-01-01\nnote="n"\n[a.settings.canvas]\nfill=80\n[a.rules]\nwhite=true\n'
    )
    assert parse_presets(good)["a"].rules.white
    for text, words in (
        (good.replace("fill=80", "fill=800"), "canvas.fill cannot be 800"),
        (good.replace("white=true", "wite=true"), "no setting wite"),
        (good.replace("2026-01-01", '"soon"'), "date of the preset a"),
        (good.replace('note="n"\n', ""), "has not the fields"),
        ("[a", "not valid"),
    ):
        with pytest.raises(InputError, match=words):
            parse_presets(text)
    with pytest.raises(InputError, match="Did you mean amazon"):
        preset("amazn")


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(InputError, match="not a picture"):
        check_picture(b"nothing at all", preset("amazon"))

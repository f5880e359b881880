"""Backgrounds with known answers: how they are written, read, converted and put behind a subject."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import gossamer
from gossamer.colours import colour_names, read_colour
from gossamer.compositing import Backdrop, is_opaque, over, read_backdrop
from gossamer.errors import InputError
from gossamer.settings.recipe import Background


def backdrop(fill: object, icc_profile: bytes | None = None, **settings: object) -> Backdrop:
    return read_backdrop(Background(fill=str(fill), **settings), icc_profile)


def disc(height: int = 120, width: int = 160, soft: float = 6) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    radius = height / 4
    return np.clip((radius - np.hypot(x - width / 2, y - height / 2)) / soft + 0.5, 0, 1).astype(np.float32)


# -- colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("#fff", (255, 255, 255, 255)),
        ("#F00A", (255, 0, 0, 170)),
        ("#123456", (18, 52, 86, 255)),
        ("ffffff", (255, 255, 255, 255)),
        ("12345678", (18, 52, 86, 120)),
        ("255,255,255", (255, 255, 255, 255)),
        (" 1, 2 ,3 ", (1, 2, 3, 255)),
        ("1 2 3 51", (1, 2, 3, 51)),
        ("rgb(1, 2, 3)", (1, 2, 3, 255)),
        ("rgba(1,2,3,0.2)", (1, 2, 3, 51)),
        ("rgb(100% 0% 20% / 40%)", (255, 0, 51, 102)),
        ("hsl(120, 100%, 50%)", (0, 255, 0, 255)),
        ("white", (255, 255, 255, 255)),
        ("RebeccaPurple", (102, 51, 153, 255)),
        ("dark slate grey", (47, 79, 79, 255)),
    ],
)
def test_colours_as_people_write_them(text: str, numbers: tuple[int, ...]) -> None:
    assert read_colour(text) == pytest.approx([number / 255 for number in numbers])
    assert is_opaque(text) == (numbers[3] == 255)


@pytest.mark.parametrize("text", ["photo.jpg", "sky", "blur", "transparent", "12", "./white", "cafe", "face", "a,b,c"])
def test_what_does_not_look_like_a_colour_is_none(text: str) -> None:
    assert read_colour(text) is None


@pytest.mark.parametrize(
    "text", ["#ff", "#12345g", "256,0,0", "1,2,-3", "1.0,0.5,0", "rgb(1,2)", "rgb(a,b,c)", "hsl(1,2,3)"]
)
def test_what_looks_like_a_colour_and_is_none_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InputError, match="#rrggbb"):
        read_colour(text)
    with pytest.raises(InputError, match="#rrggbb"):
        gossamer.Recipe.of({"background": {"fill": text}})


def test_all_names_of_css_are_known() -> None:
    assert len(colour_names()) == 148
    assert {"aliceblue", "grey", "gray", "yellowgreen"} <= set(colour_names())


@pytest.mark.parametrize(("text", "proposal"), [("whit", "white"), ("gren", "green"), ("blurr", "blur")])
def test_a_misspelt_name_is_no_file(text: str, proposal: str) -> None:
    with pytest.raises(InputError, match=f"neither a colour nor.*{proposal}"):
        backdrop(text)


def test_a_file_wins_over_no_colour_and_a_path_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sky", "white"):
        PIL.Image.new("RGB", (4, 4), (0, 51, 255)).save(name, "PNG")
    image = np.zeros((4, 4, 3), np.float32)
    np.testing.assert_allclose(backdrop("sky").behind(image)[0, 0], [0, 0.2, 1], atol=1e-6)
    np.testing.assert_allclose(backdrop("./white").behind(image)[0, 0], [0, 0.2, 1], atol=1e-6)
    assert backdrop("white").behind(image).tolist() == [1, 1, 1]


def test_a_colour_that_is_transparent_in_part_stays_so() -> None:
    alpha = disc()
    red, picture = np.float32([1, 0, 0]), np.zeros((*alpha.shape, 3), np.float32)
    picture[...] = red
    recipe = gossamer.Recipe.of(
        {"background": {"fill": "#0000ff80"}, "foreground": {"method": "none"}, "matting": {"method": "none"}}
    )
    cutout = gossamer.refine(picture, alpha, recipe)
    half = 128 / 255
    np.testing.assert_allclose(cutout.composite_alpha, alpha + (1 - alpha) * half, atol=1e-6)
    # Both layers over any third one, by hand and by what was written.
    below = np.float32([0.3, 0.6, 0.9])
    by_hand = alpha[..., None] * red + (1 - alpha[..., None]) * (half * np.float32([0, 0, 1]) + (1 - half) * below)
    np.testing.assert_allclose(over(cutout.composite, cutout.composite_alpha, below), by_hand, atol=1e-5)
    assert cutout.to_pil().mode == "RGBA"
    with pytest.raises(InputError, match="JPEG"):
        cutout.encode("jpeg")


# -- pictures --------------------------------------------------------------------------------------------------------


def test_hidden_colours_of_a_background_never_show(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 60, 4), np.uint8)
    pixels[..., 3] = 0
    pixels[30:] = (90, 120, 200, 255)
    PIL.Image.fromarray(pixels).save(tmp_path / "sky.png")
    recipe = gossamer.Recipe.of({"background": {"fill": str(tmp_path / "sky.png")}})
    cutout = gossamer.refine(np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60)), recipe)
    assert (cutout.composite[:30] == 1).all()
    np.testing.assert_allclose(cutout.composite[30:] * 255, np.broadcast_to([90, 120, 200], (30, 60, 3)), atol=1e-3)
    assert "white shows there" in " ".join(cutout.report.warnings)
    half = pixels.copy()
    half[..., :3], half[..., 3] = 0, 128
    PIL.Image.fromarray(half).save(tmp_path / "half.png")
    np.testing.assert_allclose(backdrop(tmp_path / "half.png").behind(np.zeros((9, 9, 3))), 1 - 128 / 255, atol=1e-5)


def test_what_was_guessed_in_reading_a_background_is_told(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    frames = [PIL.Image.new("RGB", (20, 20), colour) for colour in ("lime", "blue")]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    image = np.zeros((8, 8, 3), np.uint8)
    for name, colour, word in (("red.jpg", [1, 0, 0], "CMYK"), ("moving.webp", [0, 1, 0], "frames")):
        recipe = gossamer.Recipe.of({"background": {"fill": str(tmp_path / name)}})
        cutout = gossamer.refine(image, np.zeros((8, 8)), recipe)
        assert word in " ".join(cutout.report.warnings)
        np.testing.assert_allclose(cutout.composite, np.broadcast_to(colour, (8, 8, 3)), atol=0.02)


def test_a_background_is_turned_upright_and_keeps_its_depth(tmp_path: Path) -> None:
    import tifffile

    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20] = 255  # white above, as stored
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: white on the right
    PIL.Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    behind = backdrop(tmp_path / "turned.png").behind(np.zeros((20, 40, 3)))
    assert behind[:, 21:].min() == 1
    assert behind[:, :19].max() == 0
    deep = np.full((10, 10, 3), 12345, np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb")
    np.testing.assert_allclose(backdrop(tmp_path / "deep.tif").behind(np.zeros((5, 5, 3))), 12345 / 65535, atol=1e-7)


@pytest.mark.parametrize("shape", [(7, 5), (300, 10), (10, 300), (1, 1)])
def test_a_background_of_any_size_covers(tmp_path: Path, shape: tuple[int, int]) -> None:
    PIL.Image.new("RGB", shape, (255, 0, 51)).save(tmp_path / "b.png")
    for size in ((1, 1), (3, 70), (70, 3)):
        behind = backdrop(tmp_path / "b.png").behind(np.zeros((*size, 3), np.uint8))
        np.testing.assert_allclose(behind, np.broadcast_to([1, 0, 0.2], (*size, 3)), atol=1e-6)


def test_a_wide_gamut_keeps_colours_right(tmp_path: Path) -> None:
    """sRGB's red is (219, 0, 0) in Adobe RGB (1998); a picture of that profile comes through untouched."""
    adobe = rgb_profile([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], 2.19921875)
    for text, numbers in (("red", [219, 0, 0]), ("white", [255, 255, 255]), ("black", [0, 0, 0])):
        np.testing.assert_allclose(backdrop(text, adobe).behind(np.zeros((2, 2, 3))) * 255, numbers, atol=0.6)
    PIL.Image.new("RGB", (8, 8), (219, 0, 0)).save(tmp_path / "adobe.png", icc_profile=adobe)
    PIL.Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "srgb.png")
    for name in ("adobe.png", "srgb.png"):
        behind = backdrop(tmp_path / name, adobe).behind(np.zeros((4, 4, 3)))
        np.testing.assert_allclose(behind * 255, np.broadcast_to([219, 0, 0], (4, 4, 3)), atol=0.6)
    back = backdrop(tmp_path / "adobe.png").behind(np.zeros((4, 4, 3)))
    np.testing.assert_allclose(back * 255, np.broadcast_to([255, 0, 0], (4, 4, 3)), atol=1.1)


def rgb_profile(primaries: list[tuple[float, float]], gamma: float) -> bytes:
    """Make an ICC profile of version 2: a matrix of D65 primaries, adapted to D50 by Bradford's method, and a gamma."""

    def xyz(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1, (1 - x - y) / y])

    matrix, white, d50 = np.stack([xyz(*one) for one in primaries], 1), xyz(0.3127, 0.3290), [0.9642, 1, 0.8249]
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    matrix = np.linalg.inv(cones) @ np.diag(cones @ d50 / (cones @ white)) @ cones @ matrix

    def numbers(values: object) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(256 * gamma), 0)
    tags = [(b"wtpt", numbers(d50)), *((name + b"TRC", curve) for name in (b"r", b"g", b"b"))]
    tags += [(name + b"XYZ", numbers(matrix[:, i])) for i, name in enumerate((b"r", b"g", b"b"))]
    tags += [(b"desc", b"desc\0\0\0\0\0\0\0\x05test\0" + bytes(79)), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI12s12s4s", start + len(body), b"", 0x02400000, b"mntrRGB XYZ ", b"", b"acsp")
    return head + bytes(28) + numbers(d50)[8:] + bytes(48) + table + body


def test_a_profile_that_cannot_be_used_is_told_before_the_work() -> None:
    with pytest.raises(InputError, match="colour profile"):
        backdrop("red", b"no profile" * 20)


# -- blur ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "blur_fusion", "none"])
def test_a_blurred_background_holds_nothing_of_the_subject(method: str) -> None:
    alpha, red, behind = disc(), np.float32([1, 0.1, 0]), np.float32([0.2, 0.4, 0.6])
    picture = alpha[..., None] * red + (1 - alpha[..., None]) * behind
    settings = {"background": {"fill": "blur", "blur": 3}, "foreground": {"method": method}}
    recipe = gossamer.Recipe.of({**settings, "matting": {"method": "none"}})
    composite = gossamer.refine(picture, alpha, recipe).composite
    # The colours of blur fusion are right to a step of 8 bits.
    most = 5e-3 if method == "blur_fusion" else 1e-3
    np.testing.assert_allclose(composite[alpha == 0], np.broadcast_to(behind, ((alpha == 0).sum(), 3)), atol=most)
    if method == "auto":
        truth = alpha[..., None] * red + (1 - alpha[..., None]) * behind
        np.testing.assert_allclose(composite, truth, atol=2e-3)


def test_a_blurred_background_is_the_true_one_blurred() -> None:
    """With both layers known: what is seen of it, a little beside the subject, is the blur of the whole background."""
    alpha = disc(240, 320)
    y, x = np.mgrid[:240, :320]
    behind = np.stack([0.5 + 0.4 * np.sin(x / 9), y / 240, x / 320], 2).astype(np.float32)
    front = np.broadcast_to(np.float32([1, 0, 0]), behind.shape)
    picture = alpha[..., None] * front + (1 - alpha[..., None]) * behind
    setting = backdrop("blur", blur=2.0)
    true, found, glowing = setting.behind(behind), setting.behind(picture, front, alpha), setting.behind(picture)
    seen = alpha < 1
    assert np.abs(found - true)[seen].mean() < 0.005
    assert np.abs(found - true)[seen].mean() < 0.2 * np.abs(glowing - true)[seen].mean()
    np.testing.assert_array_equal(setting.behind(picture, front, np.zeros_like(alpha)), glowing)


def test_what_the_picture_hides_is_not_blurred_into_anything() -> None:
    pixels = np.zeros((80, 100, 4), np.uint8)
    pixels[:, :50] = (0, 255, 0, 0)  # green, and hidden
    pixels[:, 50:] = (51, 102, 153, 255)
    recipe = gossamer.Recipe.of({"background": {"fill": "blur", "blur": 5}})
    composite = gossamer.refine(pixels, np.zeros((80, 100)), recipe).composite
    np.testing.assert_allclose(composite, np.broadcast_to([0.2, 0.4, 0.6], composite.shape), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (37, 41)])
@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_blur_of_anything_is_finite(shape: tuple[int, int], value: float) -> None:
    picture = np.full((*shape, 3), 128, np.uint8)
    recipe = gossamer.Recipe.of({"background": {"fill": "blur", "blur": 20}})
    composite = gossamer.refine(picture, np.full(shape, value, np.float32), recipe).composite
    assert composite.shape == picture.shape
    assert np.isfinite(composite).all()
    if value < 1:
        np.testing.assert_allclose(composite, 128 / 255, atol=1e-3)


# -- before the model ------------------------------------------------------------------------------------------------


def test_a_background_s_fault_is_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    recipe = gossamer.Recipe.of({"background": {"fill": str(tmp_path / "absent.png")}})
    pipeline = gossamer.Pipeline(recipe, model="absent.onnx")
    with pytest.raises(InputError, match="absent"):
        pipeline.run(picture)
    with pytest.raises(InputError, match="absent"):
        gossamer.refine(picture, np.zeros((8, 8)), recipe)
    session = gossamer.Session(picture, prompt_model="sam2.1-hiera-tiny")
    for cut in (session.cutout, session.cutouts):
        with pytest.raises(InputError, match="absent"):
            cut(gossamer.Prompt(boxes=[(1, 1, 5, 5)]), recipe=recipe)

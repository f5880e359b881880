"""One reader of masks: what pictures and arrays of masks of every kind mean, and what is said about guesses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

import gossamer
from gossamer import foreground, matting
from gossamer.arrays import as_mask, as_rgb
from gossamer.compositing import over
from gossamer.errors import InputError
from gossamer.evaluation import boundary_iou, evaluate_folder, evaluate_mask, read_opacity
from gossamer.image import read_image, read_mask

HEIGHT, WIDTH = 40, 60
TRUE = np.zeros((HEIGHT, WIDTH), bool)
TRUE[10:30, 20:45] = True
BYTES = TRUE.astype(np.uint8) * 255
OPAQUE = np.full_like(BYTES, 255)
ZERO = np.zeros_like(BYTES)
PLAIN = gossamer.Recipe.of({"matting": {"method": "none"}})
PHOTOGRAPH = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def painted(colour: tuple[int, int, int], on: int = 0) -> np.ndarray:
    return np.where(TRUE[..., None], np.uint8(colour), np.uint8(on))


def palette(numbers: np.ndarray, *colours: tuple[int, int, int]) -> PIL.Image.Image:
    picture = PIL.Image.new("P", (WIDTH, HEIGHT))
    picture.putdata(numbers.astype(np.uint8).ravel().tolist())
    picture.putpalette([value for colour in colours for value in colour])
    return picture


LABELS = TRUE.astype(np.uint8)
LABELS[12:20, 22:30] = 2
VOC = palette(LABELS, (0, 0, 0), (128, 0, 0), (0, 128, 0))
TAB = palette(LABELS, (31, 119, 180), (255, 127, 14), (44, 160, 44))
PICTURES = {
    "L": PIL.Image.fromarray(BYTES),
    "1": PIL.Image.fromarray(TRUE),
    "LA, opaque": PIL.Image.merge("LA", [PIL.Image.fromarray(BYTES), PIL.Image.fromarray(OPAQUE)]),
    "RGB": PIL.Image.fromarray(np.dstack([BYTES] * 3)),
    "RGBA, opaque": PIL.Image.fromarray(np.dstack([BYTES] * 3 + [OPAQUE])),
    "RGBA, opaque but for rounding": PIL.Image.fromarray(np.dstack([BYTES] * 3 + [OPAQUE - 2])),
    "I;16": PIL.Image.fromarray(BYTES.astype(np.uint16) * 257),
    "grey palette": palette(TRUE, (0, 0, 0), (255, 255, 255)),
    "inverted grey palette": palette(~TRUE, (255, 255, 255), (0, 0, 0)),
    "cut-out of one colour": PIL.Image.fromarray(np.dstack([ZERO, ZERO, ZERO, BYTES])),
    "paint on nothing": PIL.Image.fromarray(np.dstack([painted((200, 30, 30)), BYTES])),
}
GUESSED = {
    "0 and 1": (PIL.Image.fromarray(TRUE.astype(np.uint8)), "0 and 1"),
    "0 and 1, palette": (palette(TRUE, (0, 0, 0), (1, 1, 1)), "0 and 1"),
    "alpha of 0 and 1": (PIL.Image.fromarray(np.dstack([PHOTOGRAPH, TRUE.astype(np.uint8)])), "0 and 1"),
    "cut-out": (PIL.Image.fromarray(np.dstack([PHOTOGRAPH, BYTES])), "its alpha is taken"),
    "one colour on black": (PIL.Image.fromarray(painted((0, 0, 128))), "one colour on black"),
    "one colour on black, opaque": (PIL.Image.fromarray(np.dstack([painted((9, 200, 9)), OPAQUE])), "on black"),
    "one colour on white": (PIL.Image.fromarray(painted((200, 30, 30), on=255)), "one colour on white"),
    "labels": (VOC, "2 colours on black"),
    "labels, first not black": (TAB, "palette"),
}


@pytest.mark.parametrize("kind", [*PICTURES, *GUESSED])
def test_a_mask_is_read_alike_everywhere(kind: str, tmp_path: Path) -> None:
    """From a PIL picture, a file, its bytes and an open file; by the library, prompts and evaluation."""
    picture, told = GUESSED.get(kind) or (PICTURES[kind], "")
    path = tmp_path / "mask.png"
    picture.save(path)
    for source in (picture, path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        found = read_mask(source, (HEIGHT, WIDTH, 3))
        assert found.plane.dtype == np.float32
        assert np.array_equal(found.plane, TRUE), kind
        assert told in " ".join(found.warnings)
        assert bool(told) == bool(found.warnings)
    cutout = gossamer.refine(PHOTOGRAPH, path, PLAIN)
    assert np.array_equal(cutout.alpha, TRUE)
    assert told in " ".join(cutout.report.warnings)
    prompt, warnings = gossamer.Prompt(mask=path).in_pixels(WIDTH, HEIGHT)
    assert np.array_equal(prompt.mask, TRUE)
    assert told in " ".join(warnings)
    assert np.array_equal(read_opacity(path), TRUE)


@pytest.mark.long
def test_what_was_guessed_in_evaluating_is_told(tmp_path: Path) -> None:
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    GUESSED["0 and 1"][0].save(tmp_path / "truth" / "a.png")
    PIL.Image.fromarray(BYTES).save(tmp_path / "found" / "a.png")
    PIL.Image.fromarray(np.dstack([PHOTOGRAPH, BYTES])).save(tmp_path / "found" / "b.png")
    PIL.Image.fromarray(BYTES).save(tmp_path / "truth" / "b.png")
    result = evaluate_folder(tmp_path / "found", tmp_path / "truth", measures=["iou"])
    assert result.means == {"iou": 1}
    assert len(result.warnings) == 1  # cut-outs are what one evaluates
    assert "a.png: its numbers are 0 and 1" in result.warnings[0]


def test_soft_values_stay_exact(tmp_path: Path) -> None:
    soft = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for mode in ("L", "LA", "RGB", "RGBA"):
        PIL.Image.fromarray(soft).convert(mode).save(tmp_path / "soft.png")
        assert np.array_equal(read_mask(tmp_path / "soft.png").plane, soft / np.float32(255))
    paint = np.rint(soft[..., None] * np.array([0, 0.5, 1])).astype(np.uint8)
    PIL.Image.fromarray(paint).save(tmp_path / "paint.png")
    assert np.abs(read_mask(tmp_path / "paint.png").plane - soft / 255).max() < 0.01
    faint = np.uint8([[0, 1, 2, 3]])
    PIL.Image.fromarray(faint).save(tmp_path / "faint.png")
    assert np.array_equal(read_opacity(tmp_path / "faint.png"), faint / np.float32(255))


def test_a_mask_is_read_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(np.rot90(BYTES)).save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "mask.png").plane, TRUE)
    with PIL.Image.open(tmp_path / "mask.png") as lying:
        assert np.array_equal(read_mask(lying).plane, TRUE)
        with pytest.raises(InputError, match="lies on its side"):
            as_mask(lying)


def test_a_mask_of_the_picture_before_it_was_turned(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(PHOTOGRAPH).save(tmp_path / "photo.jpg", exif=exif)
    for source in (BYTES, PIL.Image.fromarray(BYTES)):
        with pytest.raises(InputError, match=r"mask is 60 x 40 pixels, but the picture is 40 x 60\. Turn the mask"):
            gossamer.refine(tmp_path / "photo.jpg", source)


@pytest.mark.parametrize(
    "array",
    [
        BYTES[..., None],
        BYTES[None],
        BYTES[None, ..., None],
        TRUE,
        TRUE.astype(np.uint8),
        TRUE.astype(np.int64),
        TRUE.astype(np.float64),
        BYTES.astype(np.int32),
        BYTES.astype(np.uint32) * 257,
        torch.from_numpy(TRUE),
        TRUE.tolist(),
        PICTURES["L"],
        PICTURES["1"],
        PICTURES["I;16"],
        PICTURES["L"].convert("I"),
        PIL.Image.fromarray(TRUE.astype(np.float32)),
    ],
    ids=lambda array: f"{type(array).__name__} {getattr(array, 'dtype', getattr(array, 'mode', ''))}",
)
def test_planes_of_every_kind_of_number(array: object) -> None:
    assert np.array_equal(as_mask(array, TRUE.shape), TRUE)
    assert np.array_equal(read_mask(array, TRUE.shape).plane, TRUE)


def test_arrays_with_channels_are_pictures() -> None:
    for array in (np.dstack([BYTES] * 3), np.dstack([BYTES, OPAQUE]), np.dstack([PHOTOGRAPH, BYTES])):
        assert np.array_equal(read_mask(array).plane, TRUE)
    assert np.array_equal(read_mask(np.dstack([TRUE] * 3)).plane, TRUE)
    assert np.array_equal(read_mask(painted((255, 0, 0)) / 255).plane, TRUE)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "There is no mask. Give"),
        (PHOTOGRAPH, "colour picture without alpha"),
        (np.dstack([PHOTOGRAPH, OPAQUE]), "colour picture"),
        (PHOTOGRAPH.astype("u2"), "colour picture without alpha"),
        (PHOTOGRAPH * np.uint16(40), "colour picture without alpha"),
        (PHOTOGRAPH.astype("i8") * 20, "colour picture without alpha"),
        (PHOTOGRAPH.astype("u4"), "colour picture without alpha"),
        (PHOTOGRAPH > 99, "colour picture without alpha"),
        ((PHOTOGRAPH > 99).astype(np.uint8), "colour picture without alpha"),
        (PHOTOGRAPH // 16, "look like labels"),
        (np.where(TRUE[..., None], np.uint8((253, 231, 37)), np.uint8((68, 1, 84))), "colour picture"),
        (LABELS, "look like labels"),
        (LABELS.astype(np.int64), "look like labels"),
        (BYTES.astype(np.uint16), "no number above 255, of 65535 for white"),
        (TRUE * np.uint16(1023), "no number above 1023, of 65535 for white"),
        (TRUE.astype(np.int64) - 1, "whole numbers from -1 to 0"),
        (BYTES.astype(np.float32), "from 0 to 255. Divide 8-bit values by 255"),
        (TRUE * 2.0 - 1, "from -1 to 1. Give floats in [0, 1]: clip or scale"),
        (np.full((HEIGHT, WIDTH), np.nan), "without NaN"),
        (TRUE.astype(complex), "holds complex128"),
        ([[1, 0], [1]], "is no mask"),
        (np.zeros(5), "shape (5,)"),
        (np.zeros((0, 5)), "no pixels"),
        (Path("nowhere.png"), "does not exist"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_mask_is_refused_with_a_remedy(source: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        gossamer.refine(PHOTOGRAPH, source)
    assert said in str(caught.value)
    assert caught.value.remedy
    with pytest.raises(InputError) as caught:
        as_mask(source)
    assert caught.value.remedy


def patches(count: int, size: int = 12) -> np.ndarray:
    """A map of so many touching instances, numbered from 1 in no order, on 0."""
    across = int(np.ceil(np.sqrt(count)))
    cells = np.zeros(across * across, np.int64)
    cells[:count] = np.random.default_rng(5).permutation(count) + 1
    labels = np.kron(cells.reshape(across, across), np.ones((size, size), np.int64))
    labels[::size] = 0
    return np.pad(labels, 20)


def disc(top: int, softness: float) -> np.ndarray:
    rows, columns = np.ogrid[:480, :480]
    inside = 150 - np.hypot(rows - 240.0, columns - 230.0)
    return np.rint(top / (1 + np.exp(np.clip(-inside / softness, -50, 50)))).astype(np.uint8)


@pytest.mark.parametrize("count", [32, 40, 100, 254])
def test_a_map_of_many_labels_is_no_grey(count: int, tmp_path: Path) -> None:
    labels = patches(count).astype(np.uint8)
    PIL.Image.fromarray(labels).save(tmp_path / "labels.png")
    for source in (
        labels,
        labels.astype(np.int64),
        labels[..., None],
        np.dstack([labels] * 3),
        tmp_path / "labels.png",
    ):
        with pytest.raises(InputError, match=f"every number up to {count}, each in an area of its own"):
            read_mask(source)
    with pytest.raises(InputError, match="look like labels"):
        as_mask(labels)
    assert np.array_equal(read_opacity(labels), labels / np.float32(255))
    assert np.array_equal(read_mask(labels / 255).plane, (labels / 255).astype(np.float32))


def test_a_deep_map_of_many_labels_is_no_grey(tmp_path: Path) -> None:
    labels = patches(5000, 5).astype(np.uint16)
    PIL.Image.fromarray(labels).save(tmp_path / "labels.png")
    for source in (labels, tmp_path / "labels.png"):
        with pytest.raises(InputError, match="every number up to 5000"):
            read_mask(source)


@pytest.mark.parametrize("top", [40, 100, 200, 254])
@pytest.mark.parametrize("softness", [0.3, 2.0, 10.0, 60.0])
def test_soft_masks_with_low_maxima_are_no_maps_of_labels(top: int, softness: float) -> None:
    soft = disc(top, softness)
    coarse = np.kron(soft[::8, ::8], np.ones((8, 8), np.uint8))
    steps = np.tile(np.repeat(np.arange(top + 1, dtype=np.uint8), 4), (50, 1))
    noise = np.random.default_rng(2).integers(0, top + 1, (300, 300), np.uint8)
    for mask in (soft, coarse, steps, steps.T, noise, soft // 2 + np.roll(soft, 90, 1) // 2):
        if mask.max() > 31:
            assert np.array_equal(read_mask(mask).plane, mask / np.float32(255))


def scene_of(ids: tuple[int, ...], ground: int = 0) -> np.ndarray:
    """A map of classes: things of these numbers, apart from each other and in front of each other."""
    labels = np.full((200, 300), ground, np.uint8)
    rng = np.random.default_rng(3)
    for turn in range(12):
        y, x = rng.integers(0, 160), rng.integers(0, 250)
        labels[y : y + 40, x : x + 50] = ids[turn % len(ids)]
    return labels


@pytest.mark.parametrize("ids", [(3, 7, 44), (17, 18, 62, 90), (24, 25, 26, 33), (100, 130, 200, 7), (36, 72, 110)])
@pytest.mark.parametrize("ground", [0, 11])
def test_a_map_of_scattered_labels_is_no_grey(ids: tuple[int, ...], ground: int, tmp_path: Path) -> None:
    labels = scene_of(ids, ground)
    PIL.Image.fromarray(labels).save(tmp_path / "labels.png")
    for source in (labels, labels.astype(np.int64), tmp_path / "labels.png", np.dstack([labels] * 3)):
        with pytest.raises(InputError, match="look like labels"):
            read_mask(source)
    with pytest.raises(InputError, match="look like labels"):
        as_mask(labels)
    assert np.array_equal(read_opacity(labels), labels / np.float32(255))


def test_two_shades_and_labels_beside_white_are_said() -> None:
    for labels in (scene_of((44, 62)), scene_of((2, 7, 255)), scene_of((1, 15, 20, 255), 3)):
        found = read_mask(labels)
        assert "look like labels" in found.warnings[0]
        assert np.array_equal(found.plane, labels / np.float32(255))


def test_masks_of_few_shades_are_no_maps_of_labels() -> None:
    rows, columns = np.ogrid[:240, :320]
    soft = np.clip((100 - np.hypot(rows - 120.0, columns - 150.0)) / 60 + 0.5, 0, 1)
    for top in (200, 255):
        for shades in (2, 3, 4, 8, 16):
            mask = (np.rint(soft * shades) / shades * top).astype(np.uint8)
            assert read_mask(mask).warnings == (), (top, shades)
    hard = np.where(soft > 0.5, np.uint8(255), np.uint8(0))
    trimap = np.select([soft > 0.8, soft > 0.2], [np.uint8(255), np.uint8(128)], np.uint8(0))
    ghost = np.where(soft > 0.5, np.uint8(128), np.uint8(0))
    compressed = io.BytesIO()
    PIL.Image.fromarray(hard).save(compressed, "JPEG", quality=60)
    noise = np.random.default_rng(2).choice(np.array([0, 40, 90, 130], np.uint8), (200, 200))
    for mask in (hard, trimap, ghost, noise, np.asarray(PIL.Image.open(compressed))):
        assert read_mask(mask).warnings == ()


def test_a_deep_file_that_is_dark_and_coloured_is_no_mask(tmp_path: Path) -> None:
    for scale in (1, 40):
        tifffile.imwrite(tmp_path / "dark.tif", PHOTOGRAPH * np.uint16(scale), photometric="rgb")
        with pytest.raises(InputError, match="colour picture without alpha"):
            read_mask(tmp_path / "dark.tif")
    for scale in (1, 40, 257):
        found = read_mask(painted((200, 30, 30)) * np.uint16(scale))
        assert np.array_equal(found.plane, TRUE)
        assert "one colour on black" in found.warnings[0]


def test_a_float_file_of_another_scale_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", BYTES.astype(np.float32))
    with pytest.raises(InputError, match="another scale"):
        read_mask(tmp_path / "mask.tif")
    with pytest.raises(InputError, match="another scale"):
        read_image(PIL.Image.fromarray(BYTES.astype(np.float32)))
    tifffile.imwrite(tmp_path / "mask.tif", TRUE.astype(np.float32))
    assert np.array_equal(read_mask(tmp_path / "mask.tif").plane, TRUE)


def test_whole_numbers_of_255_in_a_wide_mode_are_bytes() -> None:
    grey = PIL.Image.fromarray(PHOTOGRAPH).convert("L")
    found = read_image(grey.convert("I"))
    assert np.array_equal(found.rgb[..., 0], np.asarray(grey) / np.float32(255))
    assert "taken as of 255" in found.warnings[0]


def test_scribbles_say_nothing_where_they_are_transparent() -> None:
    marks = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    marks[5:8, 5:20], marks[20:22, 40:50] = 1, 0
    drawn = np.rint(marks * 255).astype(np.uint8)
    alpha = (marks != 0.5).astype(np.uint8) * 255
    layer = PIL.Image.fromarray(np.dstack([drawn] * 3 + [alpha]))
    found = read_mask(layer, scribbles=True)
    assert np.array_equal(found.plane, marks)
    assert "transparent" in found.warnings[0]
    trimap = read_mask(PIL.Image.fromarray(drawn), scribbles=True)
    assert np.abs(trimap.plane - marks).max() < 0.01
    assert not trimap.warnings
    red = PIL.Image.fromarray(np.dstack([np.full_like(drawn, 200), drawn * 0, drawn * 0, (marks == 1) * OPAQUE]))
    assert np.array_equal(read_mask(red, scribbles=True).plane, np.where(marks == 1, 1, 0.5))
    both = np.where((marks == 1)[..., None], np.uint8((0, 200, 0)), np.uint8((200, 0, 0)))
    with pytest.raises(InputError, match="several colours"):
        read_mask(PIL.Image.fromarray(np.dstack([both, alpha])), scribbles=True)


# -- numbers: one contract for pictures, masks, trimaps, alphas and foregrounds --------------------------------------


@pytest.mark.long
def test_what_a_cubic_resize_overshoots_is_cut_off_everywhere() -> None:
    rng = np.random.default_rng(3)
    picture = rng.random((HEIGHT, WIDTH, 3)).astype(np.float32) * 0.5 + 0.25
    picture[0, 0], picture[0, 1] = 1.0000001, -0.12
    mask = TRUE.astype(np.float32)
    mask[15, 25], mask[0, 0] = 1.2, -0.07
    good, sharp = np.clip(picture, 0, 1), np.clip(mask, 0, 1)
    trimap = matting.trimap_from_mask(sharp, band=3)
    for function in (
        lambda image, plane: as_rgb(image),
        lambda image, plane: as_mask(plane),
        lambda image, plane: read_image(image).rgb,
        lambda image, plane: gossamer.refine(image, plane, PLAIN).alpha,
        lambda image, plane: matting.matte_from_mask(image, plane),
        lambda image, plane: matting.guided_alpha(image, plane),
        lambda image, plane: matting.trimap_from_mask(plane),
        lambda image, plane: matting.closed_form_alpha(image, trimap),
        lambda image, plane: foreground.estimate_foreground(image, plane).foreground,
        lambda image, plane: foreground.soft_band(image, plane),
        lambda image, plane: foreground.blur_fusion(image, plane),
        lambda image, plane: over(image, plane, image[::-1]),
        lambda image, plane: over(image, plane, image[0, 0]),
        lambda image, plane: gossamer.Prompt(mask=plane).mask,
        lambda image, plane: np.float32(evaluate_mask(plane, TRUE, measures=["iou"]).values["iou"]),
    ):
        np.testing.assert_array_equal(function(picture, mask), function(good, sharp))


def test_bytes_are_taken_everywhere() -> None:
    trimap = np.full((HEIGHT, WIDTH), 128, np.uint8)
    trimap[12:28, 22:43], trimap[:6] = 255, 0
    floats, hints = PHOTOGRAPH / np.float32(255), np.float32([0, 0.5, 1])[np.searchsorted([0, 128, 255], trimap)]
    for solve in (matting.closed_form_alpha, matting.knn_alpha, matting.learning_based_alpha):
        np.testing.assert_allclose(solve(PHOTOGRAPH, trimap), solve(floats, hints), atol=1e-4)
    behind = PHOTOGRAPH[::-1]
    np.testing.assert_array_equal(over(PHOTOGRAPH, BYTES, behind), over(floats, TRUE, behind / np.float32(255)))
    np.testing.assert_array_equal(over(PHOTOGRAPH, BYTES, np.uint8([255, 0, 0])), over(floats, TRUE, (1, 0, 0)))
    assert boundary_iou(BYTES // 3, np.zeros_like(TRUE)) == 0
    assert boundary_iou(BYTES, TRUE) == 1


@pytest.mark.parametrize("scale", [255, 2.5])
def test_another_scale_is_refused_everywhere(scale: float) -> None:
    image, mask = np.full((HEIGHT, WIDTH, 3), 0.9 * scale, np.float32), TRUE * np.float32(scale)
    good = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    for refused in (
        lambda: as_rgb(image),
        lambda: as_mask(mask),
        lambda: read_image(image),
        lambda: gossamer.refine(good, mask),
        lambda: matting.closed_form_alpha(image, TRUE),
        lambda: matting.matte_from_mask(good, mask),
        lambda: over(good, mask, good),
        lambda: over(good, TRUE, image),
        lambda: over(good, TRUE, (255.0, 0.0, 0.0)),
        lambda: foreground.blur_fusion(good, mask),
        lambda: boundary_iou(mask, TRUE),
    ):
        with pytest.raises(InputError, match="values from"):
            refused()


# -- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_command_line_reads_and_tells(tmp_path: Path) -> None:
    PIL.Image.fromarray(PHOTOGRAPH).save(tmp_path / "photo.png")
    GUESSED["0 and 1"][0].save(tmp_path / "mask.png")
    command = [sys.executable, "-m", "gossamer", "refine", "photo.png", "mask.png", "out.png", "--json", "--force"]
    done = subprocess.run([*command, "--matting", "none"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["coverage"] == pytest.approx(TRUE.mean(), abs=1e-5)
    assert "0 and 1" in report["warnings"][0]
    assert "warning" in done.stderr
    # without options: what the library does without a recipe
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=200)
    alpha = np.asarray(PIL.Image.open(tmp_path / "out.png"))[..., 3]
    expected = gossamer.refine(PHOTOGRAPH, TRUE)
    stream = io.BytesIO(expected.encode("png"))
    assert np.array_equal(alpha, np.asarray(PIL.Image.open(stream))[..., 3])


def test_messages_call_a_mask_what_it_is() -> None:
    with pytest.raises(InputError, match=r"^The mask has floats of another scale"):
        read_mask(PIL.Image.fromarray(BYTES.astype(np.float32)))
    with pytest.raises(InputError, match=r"^The scribbles is not a picture"):
        read_mask(b"no picture", name="scribbles")
    told = read_mask(PIL.Image.fromarray(BYTES.astype(np.int32))).warnings
    assert [text.startswith("The mask: none of its numbers") for text in told] == [True]

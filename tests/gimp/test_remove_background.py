"""The plug-in in a real GIMP 3 on real photographs, pixel by pixel beside the library's own result."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import gossamer
from gossamer.hosts.gimp_files import FILES, RECORD, TRANSLATIONS
from gossamer.image import encode_image
from gossamer.matting.from_trimap import trimap_alpha
from gossamer.settings.parameters import parameters, recipe_from_flat
from gossamer.video import FrameCutter
from gossamer.video.clip import Frame
from tests.cached_weights import weights_home
from tests.canvas.test_photographed import scene
from tests.gimp.conftest import Cases, Desk, Library

# What lies upon the layer that it came from has no other background, canvas, cast shadow or file.
SHOWN = [
    parameter
    for parameter in parameters()
    if parameter.stage not in ("background", "canvas", "shadow", "output", "checks")
]


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, in steps of 1/255."""
    return float(np.abs(_unit(ours) - _unit(theirs)).max() * 255)


def _unit(array: np.ndarray) -> np.ndarray:
    return array / np.iinfo(array.dtype).max if array.dtype.kind == "u" else array.astype(np.float64)


def test_nothing_went_wrong_on_the_way(cases: Cases) -> None:
    assert "faults" not in cases.facts, "\n".join(cases.facts["faults"].values())


def test_it_is_registered_with_every_option(cases: Cases) -> None:
    arguments = cases["arguments"]
    assert arguments["menu"] == ["<Image>/Filters/Gossamer"]
    assert arguments["label"].replace("_", "") == "Remove Background…"
    names = [parameter.name.replace("_", "-") for parameter in SHOWN]
    assert list(arguments["defaults"]) == [
        *("run-mode", "image", "drawables", "subject", "model", "output"),
        *names,
        *("text", "marks", "strokes", "preset", "fetch"),
    ]
    assert arguments["defaults"]["subject"] == "balanced"
    assert arguments["defaults"]["model"] == "auto"
    assert arguments["defaults"]["output"] == "layer"
    assert arguments["defaults"]["fetch"] is False
    for parameter, name in zip(SHOWN, names, strict=True):
        assert arguments["defaults"][name] == parameter.default
        if parameter.minimum is not None:
            assert arguments["limits"][name] == [parameter.minimum, parameter.maximum]


def test_the_mask_is_the_library_s_alpha(cases: Cases, library: Library, cat: np.ndarray) -> None:
    expected = library(cat)
    assert cases["plain"]["status"] == "success"
    assert difference(cases.plane("plain", "mask"), expected.alpha) <= 0.51
    assert cases["plain"]["coverage"] == pytest.approx(expected.report.coverage, abs=1e-4)
    assert 0.1 < expected.report.coverage < 0.9
    assert np.array_equal(cases.plane("plain", "layer"), cat)
    (layer,) = cases["plain"]["stack"]
    assert layer["mask"] == [451, 300, 0, 0]
    assert layer["applied"] is True


def test_options_reach_the_library(cases: Cases, library: Library, cat: np.ndarray) -> None:
    plain = cases.plane("plain", "mask")
    mask = cases.plane("options", "mask")
    assert difference(mask, library(cat, matting="closed_form", matting_band=6).alpha) <= 1
    assert difference(mask, plain) > 50


def test_offsets_groups_and_selections_do_not_shift_or_cut_it(cases: Cases) -> None:
    plain = cases.plane("plain", "mask")
    for case in ("place", "place_layer"):
        assert np.array_equal(cases.plane(case, "mask"), plain)
    group, cat, below = cases["place"]["stack"]
    assert cat["mask"] == [451, 300, 170, -31]
    assert (cat["parent"], group["mask"], below["mask"]) == ("group", None, None)
    _, new, cat, _ = cases["place_layer"]["stack"]
    assert {**new, "name": "cat", "visible": False} == cat
    assert new["name"] == "cat cut-out"
    assert new["visible"] is True


def test_a_group_itself_can_be_cut_out(cases: Cases) -> None:
    assert cases["group"]["status"] == "success"
    assert cases.plane("group", "mask").std() > 30


def test_grey(cases: Cases, library: Library) -> None:
    source = cases.plane("grey", "source")
    assert np.ptp(source, axis=2).max() == 0
    expected = library(source)
    assert 0.1 < expected.report.coverage < 0.9
    assert difference(cases.plane("grey", "mask"), expected.alpha) <= 0.51
    assert difference(cases.plane("grey", "layer"), expected.foreground) <= 1


def test_indexed(cases: Cases, library: Library) -> None:
    source = cases.plane("indexed", "source")
    expected = library(source)
    assert difference(cases.plane("indexed", "mask"), expected.alpha) <= 0.51
    layer = cases.plane("indexed", "layer")
    palette = {tuple(colour) for colour in source.reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in layer.reshape(-1, 3).tolist()} <= palette
    solid = expected.alpha > 0.999
    assert np.mean(np.abs(_unit(layer) - expected.foreground)[solid]) * 255 < 4


@pytest.mark.parametrize(
    ("case", "precision", "step"),
    [
        ("u16", "u16-non-linear", 1 / 256),
        ("float_linear", "float-linear", 1 / 256),
        ("u32", "u32-linear", 1 / 256),
        ("half", "half-non-linear", 0.25),
        ("u8_linear", "u8-linear", 1),
    ],
)
def test_every_depth(cases: Cases, library: Library, cat16: np.ndarray, case: str, precision: str, step: float) -> None:
    assert cases[case]["precision"] == precision
    source = cases.plane(case, "source")
    if step < 0.1:
        assert difference(source, cat16) < step
    expected = library(source, matting="none" if case in ("u16", "float_linear") else "auto")
    assert difference(cases.plane(case, "mask"), expected.alpha) <= step
    light = expected.foreground > (0.5 if case == "u8_linear" else 0)  # 8 linear bits are coarse in the dark
    layer = cases.plane(case, "layer")
    assert np.abs(layer - expected.foreground)[light].max() * 255 <= step


def test_wide_gamut_colours_keep_their_numbers(cases: Cases, library: Library, cat: np.ndarray) -> None:
    assert np.array_equal(cases.plane("adobe", "source"), cat)
    layer = cases.plane("adobe", "layer")
    assert np.array_equal(layer[..., :3], cat)
    assert layer[..., 3].min() == 255
    assert difference(cases.plane("adobe", "mask"), library(cat).alpha) <= 0.51


def test_the_new_layer_has_the_subject_s_own_colours(cases: Cases, library: Library, cat: np.ndarray) -> None:
    expected = library(cat, foreground_radius=60)
    layer = cases.plane("new_layer", "layer")
    assert difference(layer[..., :3], expected.foreground) <= 0.51
    assert difference(layer[..., :3], cat) > 20
    assert layer[..., 3].min() == 255
    assert difference(cases.plane("new_layer", "mask"), expected.alpha) <= 0.51
    assert np.array_equal(cases.plane("new_layer", "original"), cat)
    new, original = cases["new_layer"]["stack"]
    assert (new["visible"], original["visible"]) == (True, False)
    assert (new["mask"], original["mask"]) == ([451, 300, 0, 0], None)
    assert cases["new_layer"]["layer"] == new["name"] == "Background cut-out"


def test_the_layer_s_own_alpha_counts_once(cases: Cases, library: Library, cat: np.ndarray) -> None:
    before = cases.plane("alpha", "before")
    assert len(np.unique(before[..., 3])) > 200
    matte = library(np.ascontiguousarray(before[..., :3])).alpha
    mask = cases.plane("alpha", "mask")
    assert difference(mask, matte) <= 0.51
    assert np.array_equal(cases.plane("alpha", "after"), before)
    whole = library(before).alpha  # what GIMP shows, alpha times mask, is what the library calls the alpha
    assert difference(_unit(mask) * _unit(before[..., 3]), whole) <= 1
    assert np.array_equal(cases.plane("alpha", "layer")[..., 3], before[..., 3])
    assert np.array_equal(cases.plane("alpha", "new_mask"), mask)


def test_a_mask_that_is_there_is_replaced_and_said_so(cases: Cases) -> None:
    plain = cases.plane("plain", "mask")
    assert np.array_equal(cases.plane("masked", "mask"), plain)
    assert np.array_equal(cases.plane("mask_selected", "mask"), plain)
    (layer,) = cases["masked"]["stack"]
    assert layer["applied"] is True
    assert "The mask that the layer had was replaced" in cases.output


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("locked", '"Background" is locked'),
        ("locked_group", '"group" is locked'),
        ("locked_group_layer", '"group" is locked'),
        ("none", "Select a layer: none is selected"),
        ("transparent", '"clear" is transparent all over'),
        ("empty_group", 'The group "hollow" is empty'),
        ("no_box", "Nothing is selected: draw a rectangle"),
        ("nothing_to_refine", "There is no edge to refine"),
        ("beside", "does not touch the layer"),
        ("missing", "The model BiRefNet is not on this machine ("),
        ("missing", "or give a script's call the argument fetch"),
        ("channel", "Select a layer"),
        ("floating", "Anchor the floating selection"),
        ("no_record", "gossamer gimp install"),
        ("bad_record", "worker.json cannot be used"),
        ("other_protocol", "do not fit together"),
        ("python_gone", "is gone: /nowhere/bin/python"),
        ("gossamer_gone", "The worker said:\n/usr/bin/python3: No module named gossamer"),
        ("breaks_off", "The worker ended in the middle of the work"),
        ("fu_band", "out of range"),
    ],
)
def test_errors_say_what_to_do_and_change_nothing(cases: Cases, case: str, words: str) -> None:
    fact = cases[case]
    assert fact["status"] in ("calling-error", "execution-error")
    assert words in fact["error"]
    for layer in fact.get("stack", []):
        assert layer["mask"] is None
        assert layer["visible"] is True
        assert "cut-out" not in layer["name"]


def test_a_locked_layer_can_still_be_cut_out_into_a_new_one(cases: Cases) -> None:
    new, original = cases["locked_layer"]["stack"]
    assert new["mask"] is not None
    assert original["mask"] is None


def test_script_fu_can_call_it(cases: Cases, library: Library, cat: np.ndarray) -> None:
    assert cases["fu"]["status"] == "success"
    with PIL.Image.open(cases.share / "fu.png") as saved:
        flat = np.asarray(saved)
    expected = library(cat)
    assert difference(flat[..., 3], expected.alpha) <= 1
    solid = expected.alpha > 0.5
    assert np.abs(_unit(flat[..., :3]) - expected.foreground)[solid].max() * 255 <= 2


def test_the_result_is_selected_and_a_second_run_replaces_it(cases: Cases) -> None:
    assert cases["new_layer"]["selected"] == ["Background cut-out"]
    assert cases["again"]["selected"] == ["Background cut-out"]
    assert [(layer["name"], layer["visible"]) for layer in cases["again"]["stack"]] == [
        ("Background cut-out", True),
        ("Background", False),
    ]
    for name in ("mask", "layer"):
        assert np.array_equal(cases.plane("again", name), cases.plane("new_layer", name))


def test_several_layers_are_each_cut_out(cases: Cases) -> None:
    assert cases["two"]["status"] == "success"
    assert [layer["name"] for layer in cases["two"]["stack"]] == ["two cut-out", "two", "one cut-out", "one"]
    assert sorted(cases["two"]["selected"]) == ["one cut-out", "two cut-out"]
    assert np.array_equal(cases.plane("two", "mask"), cases.plane("plain", "mask"))


@pytest.mark.parametrize("output", ["selection", "channel", "image"])
def test_the_matte_can_go_elsewhere(cases: Cases, library: Library, cat: np.ndarray, output: str) -> None:
    case = f"to_{output}"
    assert cases[case]["status"] == "success"
    assert difference(cases.plane(case, "plane"), cases.plane("plain", "mask")) <= 1.01
    (layer,) = cases[case]["stack"]
    assert layer["mask"] is None
    assert layer["visible"] is True
    if output == "image":
        assert difference(cases.plane(case, "colours"), library(cat).foreground) <= 0.51


@pytest.mark.parametrize(("case", "most"), [("partly", 255), ("partly_deep", 65535)])
def test_what_lies_beside_the_image_falls_away(cases: Cases, case: str, most: int) -> None:
    assert cases[case]["status"] == "success", cases[case].get("error")
    matte = cases.plane(case, "mask").astype(float)
    (across, down), (high, wide) = cases[case]["place"], matte.shape
    expected = np.zeros_like(matte)
    rows, columns = np.arange(high) + down, np.arange(wide) + across
    there = np.ix_((rows >= 0) & (rows < high), (columns >= 0) & (columns < wide))
    expected[max(down, 0) : high + min(down, 0), max(across, 0) : wide + min(across, 0)] = matte[there]
    assert 0.1 < expected.mean() / most < 0.9
    for plane in ("selection", "channel"):
        assert np.abs(cases.plane(case, plane) - expected).max() / most <= 1.01 / 255, plane


def test_a_channel_takes_the_place_of_the_former_unless_it_was_painted_on(cases: Cases) -> None:
    assert cases["partly"]["channels"] == ["Background cut-out #1", "Background cut-out"]


def test_masks_are_combined(cases: Cases) -> None:
    matte = cases.plane("plain", "mask").astype(int)
    there = np.zeros_like(matte)
    there[:, :200] = 255
    expected = {"add": np.minimum(there + matte, 255), "intersect": np.minimum(there, matte)}
    expected["subtract"] = np.maximum(there - matte, 0)
    for how, plane in expected.items():
        assert np.abs(cases.plane(f"mask-{how}", "mask") - plane).max() <= 1, how


def test_the_selection_says_what_the_subject_is(cases: Cases, library: Library, cat: np.ndarray) -> None:
    inside = np.zeros((300, 451), bool)
    inside[0:280, 100:350] = True  # of the layer, which lies at 30, 20
    limit = cases.plane("limit", "mask")
    whole = library(cat, matting="none").alpha
    assert limit[~inside].max() == 0
    assert difference(limit[inside], whole[inside]) <= 0.51
    assert np.array_equal(cases.plane("existing", "mask") == 255, inside)
    refined = cases.plane("refined", "mask") > 127  # of the mask that is there by then, not of the selection
    assert np.array_equal(refined[20:260, 90:120], np.arange(90, 120) >= 105 + np.zeros((240, 1)))
    assert cases["box"]["status"] == "success"


def test_marks_trimaps_and_strokes_say_what_belongs_to_it(cases: Cases, library: Library, cat: np.ndarray) -> None:
    assert "Mark the subject" in cases["no_marks"]["error"]
    assert "trimap" in cases["no_trimap"]["error"]
    assert "few words" in cases["no_words"]["error"]
    assert cases["no_reader"]["error"].startswith("No model that reads text is installed. Choose another subject")
    marked = cases.plane("marks", "mask")
    assert (marked[60:180, 150:210] == 255).all()
    assert (marked[240:290, :40] == 0).all()
    columns = np.arange(30, 30 + cat.shape[1])  # of the image, in which the channel lies
    trimap = np.where((columns >= 200) & (columns < 400), 1, np.where((columns >= 150) & (columns < 450), 0.5, 0))
    plane = np.tile(trimap.astype(np.float32), (cat.shape[0], 1))
    plane[cat.shape[0] - 20 :] = plane[:, cat.shape[1] - 30 :] = 0.5  # outside of the image, where no channel is
    assert difference(cases.plane("trimap", "mask"), trimap_alpha(cat, plane)) <= 0.51
    brushed, plain = cases.plane("strokes", "mask").astype(int), cases.plane("plain", "mask").astype(int)
    far = np.ones(plain.shape, bool)
    far[150 - 5 : 190 + 5, 20 - 5 : 80 + 5] = False
    assert np.array_equal(brushed[far], plain[far])
    assert np.abs(brushed - plain)[~far].max() > 10


def test_layers_that_are_more_than_pixels(cases: Cases) -> None:
    assert np.array_equal(cases.plane("filtered", "mask"), cases.plane("plain", "mask"))
    assert cases["filtered"]["filters"] == 1
    assert "The layer's filters are not part of the new layer" in cases.output
    kinds = {"vector": "VectorLayer", "link": "LinkLayer"} if cases["arguments"]["version"] >= [3, 2] else {}
    for kind, name in kinds.items():
        assert cases[kind]["status"] == "success", cases[kind].get("error")
        assert cases[kind]["kind"] == name
        mask, alpha = cases.plane(kind, "mask"), cases.plane(kind, "alpha")
        if kind == "link":
            assert 0.1 < mask.mean() / 255 < 0.9
        else:  # its own alpha is what there is
            assert np.array_equal(mask, alpha)
            assert 0.01 < alpha.mean() / 255 < 0.9


def test_two_layers_make_the_picture_again(cases: Cases, cat: np.ndarray) -> None:
    new, behind, original = cases["layers"]["stack"]
    assert [one["name"] for one in (new, behind)] == ["Background cut-out", "Background background"]
    assert (new["visible"], behind["visible"], original["visible"]) == (True, True, False)
    alpha = cases.plane("layers", "mask")[..., None] / 255
    again = alpha * cases.plane("layers", "front") + (1 - alpha) * cases.plane("layers", "behind")
    assert np.abs(again - cat).mean() < 2
    assert len(cases["layers"]["stack after"]) == 2  # what was behind goes with the result that it belonged to


@pytest.mark.parametrize(("case", "output"), [("shadow", "layer"), ("shadow_mask", "mask"), ("shadow_image", "image")])
def test_the_photographed_shadow_is_a_layer_below(cases: Cases, case: str, output: str) -> None:
    cut, shadow, *rest = cases[case]["stack"]
    assert cut["name"] == ("Background" if output == "mask" else "Background cut-out")
    assert shadow["name"] == "Background shadow"
    assert [one["name"] for one in rest] == (["Background"] if output == "layer" else [])
    assert {name: shadow[name] for name in ("mask", "offsets", "visible")} == {
        name: cut[name] for name in ("mask", "offsets", "visible")
    }
    image = np.round(scene()[0] * 255) / 255
    mask = cases.plane(case, "mask").astype(np.float32) / 255
    for colour in ("white", "#00b140"):
        settings = {"matting": "none", "foreground": "none", "foreground_shadow": "keep", "background": colour}
        expected = gossamer.refine(image, mask, recipe_from_flat(settings)).composite
        seen = cases.plane(case, colour)
        assert expected is not None
        # The user's own layer is mixed as they have it: in light, as GIMP does by itself.
        counted = mask == 0 if output == "mask" else mask >= 0
        assert np.abs(seen[..., :3] / 255 - expected)[counted].max() < 1.6 / 255
        assert seen[..., 3].min() == 255


def test_a_shadow_goes_with_the_result_that_it_belonged_to(cases: Cases) -> None:
    assert [one["name"] for one in cases["shadow"]["again"]] == [one["name"] for one in cases["shadow"]["stack"]]
    assert [one["name"] for one in cases["shadow"]["without"]] == ["Background cut-out", "Background"]
    assert len(cases["shadow_unknown"]["stack"]) == 2
    assert "The photograph's shadow was not kept: its background is not plain" in cases.output


def test_a_finished_picture_is_an_image_of_its_own(cases: Cases) -> None:
    picture = cases.plane("finished", "picture")
    assert picture.shape == (*picture.shape[:1], picture.shape[0], 3)  # as large as the small subject allows
    assert (picture[:3] == 255).all()
    assert cases["finished"]["layers"] == ["Background"]
    assert len(cases["finished"]["stack"]) == 2  # the image itself is as it was


def test_colours_are_decontaminated_by_an_amount(cases: Cases, cat: np.ndarray) -> None:
    assert np.array_equal(cases.plane("kept_colours", "layer"), cat)


def test_now_asks_nothing_and_takes_the_defaults(cases: Cases) -> None:
    assert cases["now"]["status"] == "success"
    new, original = cases["now"]["stack"]
    assert (new["name"], new["visible"], original["visible"]) == ("Background cut-out", True, False)
    assert new["mask"] is not None


def test_gimp_s_own_extraction_keeps_to_the_mask_that_is_there(cases: Cases) -> None:
    assert cases["extracted"]["status"] == "success"
    new, original = cases["extracted"]["stack"]
    assert (new["visible"], original["visible"]) == (True, False)
    assert new["offsets"] == original["offsets"] == [-40, 10]
    former, alpha, mask = (cases.plane("extracted", name) for name in ("former", "alpha", "mask"))
    assert np.array_equal(former, np.where(np.arange(451) < 225, 255, 0) + np.zeros((300, 1)))
    assert np.array_equal(alpha, former)
    rows, columns = np.arange(300) + 10, np.arange(451) - 40  # of the image; about the selection's edge GIMP decides
    inside = (rows[:, None] >= 40 + 9) & (rows[:, None] < 260 - 9) & (columns >= 60 + 9) & (columns < 360 - 9)
    outside = (rows[:, None] < 40 - 9) | (rows[:, None] >= 260 + 9) | (columns < 60 - 9) | (columns >= 360 + 9)
    assert mask[inside].min() == 255
    assert mask[outside].max() == 0


def test_layers_are_frames_that_are_cut_out_and_held_still(cases: Cases, cat: np.ndarray) -> None:
    assert cases["animation"]["status"] == "success", cases["animation"].get("error")
    assert cases["animation"]["kept"]
    names = [layer["name"] for layer in cases["animation"]["stack"]]
    assert names == ["three (replace)", "two (80ms) (replace)", "one (40ms) (replace)"]
    second = cat.copy()
    second[30:80, 20:80] = 255
    seen = [cat, second, np.ascontiguousarray(cat[:, ::-1])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        with FrameCutter(*cat.shape[:2], choice=gossamer.ModelChoice(model="u2netp", device="cpu")) as cutter:
            frames = [Frame(number, Fraction(number, 25), pixels) for number, pixels in enumerate(seen)]
            expected = list(cutter.cut(frames, 3))
    for number, one in enumerate(expected):
        found = cases.plane("animation", f"frame-{number}")
        assert difference(found[..., 3], one.matte) <= 0.51
        shows = one.matte > 0
        assert difference(found[..., :3][shows], one.rgb[shows]) <= 1
    assert 0.1 < expected[0].matte.mean() < 0.9


def test_an_animation_has_several_layers_and_nothing_is_fetched_for_it_unasked(cases: Cases) -> None:
    assert cases["no_animation"]["status"] == "calling-error"
    assert cases["no_animation"]["error"] == "An animation has a layer for each frame, and this image has one."
    assert cases["animation_missing"]["status"] == "execution-error"
    assert "BiRefNet is not on this machine" in cases["animation_missing"]["error"]
    assert cases["animation_missing"]["kept"]


def test_the_plug_in_leaves_no_files_behind(cases: Cases) -> None:
    assert cases.facts["files"] == sorted([*FILES, *TRANSLATIONS, RECORD])


def test_the_batch_line_of_the_readme(desk: Desk, cat: np.ndarray) -> None:
    (block,) = (block for block in readme_blocks() if "gimp-console" in block)
    (line,) = block.removeprefix("sh").strip().splitlines()
    photos = desk.share / "photos"
    photos.mkdir()
    for number in (1, 2):
        (photos / f"cat-{number}.jpg").write_bytes(encode_image(cat.astype(np.float32) / 255, None, "jpeg"))
    done = desk.box.run(["/bin/sh", "-c", line.replace("photos/", f"{photos}/")])
    assert "Traceback" not in done.stdout
    assert sorted(path.name for path in photos.glob("*.png")) == ["cat-1.jpg.cut-out.png", "cat-2.jpg.cut-out.png"]
    for path in photos.glob("*.png"):
        with PIL.Image.open(path) as picture:
            alpha = np.asarray(picture)[..., 3]
        assert 0.3 < alpha.mean() / 255 < 0.9
        assert alpha.min() == 0


def test_the_python_fu_of_the_readme(cases: Cases, desk: Desk) -> None:
    (block,) = (block for block in readme_blocks() if block.startswith("python") and "Gimp.get_pdb()" in block)
    before = (
        "from gi.repository import Gimp, Gio\n"
        f"path = Gio.File.new_for_path({str(desk.share / 'cat.png')!r})\n"
        "Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, path).select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 200, 300)\n"
    )
    after = (
        "mask, whole = image.get_layers()[0].get_mask(), (0, 0, 451, 300)\n"
        "data = mask.get_buffer().get(Gegl.Rectangle.new(*whole), 1.0, 'Y u8', Gegl.AbyssPolicy.NONE)\n"
        f"open({str(desk.share / 'python-fu.mask')!r}, 'wb').write(data)\n"
        "print('GIMP-TEST-OK')\n"
    )
    script = desk.share / "python-fu.py"
    gegl = "import gi\ngi.require_version('Gegl', '0.4')\nfrom gi.repository import Gegl\n"
    script.write_text(gegl + before + block.removeprefix("python") + after, encoding="utf-8")
    said = desk.box.batch(script).stdout
    assert re.search(r"^success 0\.\d+$", said, re.MULTILINE)
    mask = np.fromfile(desk.share / "python-fu.mask", np.uint8).reshape(300, 451)
    assert mask[:, 220:].max() == 0
    assert mask[:, :190].mean() > 50


def readme_blocks() -> list[str]:
    readme = (Path(gossamer.__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    return readme.split("```")[1::2]

"""GrabCut with and without a model that finds subjects by itself."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.errors import Cancelled, GossamerError, InputError
from gossamer.progress import Progress
from gossamer.prompting import grabcut
from gossamer.prompting.choice import load_prompt_model
from gossamer.prompting.grabcut import GrabCut
from gossamer.prompting.labels import Site, lacking
from gossamer.prompting.prompt import Prompt
from tests.cached_weights import weights_home
from tests.networks.test_onnx_runtime import graph

DISC = (150, 100, 40)  # x, y, radius


def scene(height: int = 200, width: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two discs of one colour on a mottled ground; returns the picture and the discs' masks."""
    noise = np.random.default_rng(5).normal(0, 0.04, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    one = (x - DISC[0]) ** 2 + (y - DISC[1]) ** 2 < DISC[2] ** 2
    other = (x - 40) ** 2 + (y - 40) ** 2 < 25**2
    picture = np.full((height, width, 3), (0.3, 0.5, 0.3)) + noise
    picture[one | other] = np.array((0.8, 0.3, 0.2)) + noise[one | other]
    return np.clip(picture, 0, 1).astype(np.float32), one, other


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return ((mask > 0.5) & truth).sum() / ((mask > 0.5) | truth).sum()


def test_a_box_and_nothing_else() -> None:
    picture, one, _ = scene()
    model = GrabCut()
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)]))
    assert len(found) == 1
    assert iou(found[0].mask, one) > 0.98
    assert found[0].box == (105, 55, 195, 145)
    assert 0.7 < found[0].score <= 1
    assert "no model is installed" in model.warnings[0]


def test_a_box_each_gives_a_subject_each() -> None:
    picture, one, other = scene()
    model = GrabCut()
    prompt = Prompt(boxes=[(105, 55, 195, 145), (10, 10, 70, 70)])
    found = model.predict(model.embed(picture), prompt)
    assert [round(iou(subject.mask, truth), 1) for subject, truth in zip(found, (one, other), strict=True)] == [1, 1]
    assert len(model.predict(model.embed(picture), prompt, every=False)) == 1


def test_scribbles_and_points_decide() -> None:
    picture, one, _ = scene()
    marks = np.full(one.shape, 0.5, np.float32)
    marks[90:110, 130:170], marks[30:50, 30:50], marks[180:, :] = 1, 0, 0
    model = GrabCut()
    mask = model.predict(model.embed(picture), Prompt(boxes=[(5, 5, 200, 195)], scribbles=marks))[0].mask
    assert mask[100, 150] == 1
    assert mask[30:50, 30:50].max() == 0
    points = Prompt(boxes=[(5, 5, 200, 195)], points=[(150, 100)], not_points=[(40, 40)])
    mask = model.predict(model.embed(picture), points)[0].mask
    assert mask[100, 150] == 1
    assert mask[40, 40] == 0


@pytest.mark.parametrize("hinted", [True, False])
def test_a_point_means_the_whole_thing_that_it_lies_on(hinted: bool) -> None:
    picture, one, other = scene()
    model = GrabCut((lambda rgb, progress: (rgb[..., 0] > 0.55).astype(np.float32)) if hinted else None)
    around = [(5, 5, 200, 195)]
    for unwanted, kept in (((40, 40), one), ((150, 100), other)):
        found = model.predict(model.embed(picture), Prompt(boxes=around, not_points=[unwanted]))
        assert iou(found[0].mask, kept) > 0.97
    found = model.predict(model.embed(picture), Prompt(points=[(150, 100)], not_points=[(40, 40)]))
    assert iou(found[0].mask, one) > 0.97
    # A point beside the box is meant as well.
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)], points=[(40, 40)]))
    assert iou(found[0].mask, one | other) > 0.95


def test_of_two_things_that_touch_the_rejected_one_goes() -> None:
    noise = np.random.default_rng(6).normal(0, 0.03, (220, 320, 3))
    y, x = np.mgrid[:220, :320]
    one = (x - 110) ** 2 + (y - 110) ** 2 < 60**2
    other = ((x - 210) ** 2 + (y - 120) ** 2 < 50**2) & ~one
    picture = np.full((220, 320, 3), (0.3, 0.45, 0.5))
    picture[one], picture[other] = (0.8, 0.3, 0.2), (0.75, 0.65, 0.2)
    picture[other & (y < 105)] = (0.35, 0.25, 0.1)  # itself of two colours
    picture = np.clip(picture + noise, 0, 1).astype(np.float32)
    both = (one | other).astype(np.float32)
    model = GrabCut(lambda rgb, progress: both)  # touching: one island to the model
    for prompt, kept in (
        (Prompt(points=[(110, 110)], not_points=[(215, 130), (205, 90)]), one),
        (Prompt(points=[(215, 130), (205, 90)], not_points=[(110, 110)]), other),
    ):
        assert iou(model.predict(model.embed(picture), prompt)[0].mask, kept) > 0.95


def _glued(*parts: tuple[np.ndarray, tuple[float, float, float]]) -> tuple[np.ndarray, GrabCut]:
    """Return a noisy picture of parts before grey, and a model to which they are one thing."""
    picture = np.full((220, 320, 3), (0.3, 0.45, 0.5))
    for part, colour in parts:
        picture[part] = colour
    noise = np.random.default_rng(6).normal(0, 0.03, picture.shape)
    seen = np.logical_or.reduce([part for part, _ in parts]).astype(np.float32)
    return np.clip(picture + noise, 0, 1).astype(np.float32), GrabCut(lambda rgb, progress: seen)


def test_a_point_on_a_part_of_the_subject_keeps_the_whole_of_it() -> None:
    y, x = np.mgrid[:220, :320]
    body = (x - 110) ** 2 + (y - 110) ** 2 < 60**2
    button = (x - 110) ** 2 + (y - 72) ** 2 < 14**2  # told from the body more sharply than the other thing is
    other = ((x - 210) ** 2 + (y - 120) ** 2 < 50**2) & ~body
    picture, model = _glued((body, (0.8, 0.3, 0.2)), (button, (0.05, 0.05, 0.3)), (other, (0.7, 0.5, 0.2)))
    for points in ([(90, 120)], [(110, 72)], [(110, 72), (90, 120)]):
        found = model.predict(model.embed(picture), Prompt(points=points, not_points=[(215, 125)]))
        assert iou(found[0].mask, body) > 0.95, points


def test_a_point_on_a_sliver_takes_no_limb_with_it() -> None:
    y, x = np.mgrid[:220, :320]
    toy = ((x - 130) ** 2 + (y - 140) ** 2 < 60**2) | (((x - 220) / 70) ** 2 + ((y - 110) / 16) ** 2 < 1)
    sliver = (np.abs(x - 225) < 30) & (np.abs(y - 130) < 9) & ~toy
    fur = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, toy.shape), (0, 0), 2)
    picture, model = _glued((toy, (0.55, 0.4, 0.3)), (sliver, (0.35, 0.47, 0.4)))
    picture[toy] += (0.15 * fur / fur.std())[toy][:, None].astype(np.float32)
    picture = np.clip(picture, 0, 1)
    found = model.predict(model.embed(picture), Prompt(points=[(130, 140)], not_points=[(225, 131)]))
    assert iou(found[0].mask, toy) > 0.95


def test_a_rough_mask() -> None:
    picture, one, other = scene()
    picture[other] = picture[-50:, :50].mean(axis=(0, 1))  # alone: GrabCut cannot tell like from like without a box
    rough = np.zeros(one.shape, np.float32)
    rough[70:135, 115:180] = 1
    model = GrabCut()
    assert iou(model.predict(model.embed(picture), Prompt(mask=rough))[0].mask, one) > 0.9


def test_the_salient_model_sees_the_crop_once() -> None:
    picture, one, _ = scene()
    seen: list[tuple[int, ...]] = []

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        seen.append(rgb.shape)
        return one[46:154, 96:204].astype(np.float32)

    model = GrabCut(salient, "scripted", "cpu")
    embedding = model.embed(picture)
    for _ in range(2):
        found = model.predict(embedding, Prompt(boxes=[(105, 55, 195, 145)]))
        assert iou(found[0].mask, one) > 0.98
        embedding = found.embedding
    assert seen == [(108, 108, 3)]
    assert model.warnings == ()
    assert model.id == "grabcut (scripted)"


def test_a_salient_model_that_is_wrong_is_left_out() -> None:
    """What it saw is a corner of the box: GrabCut ends elsewhere, and starts again from the box."""
    picture, one, _ = scene()

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        mask = np.full(rgb.shape[:2], 0.02, np.float32)
        mask[12:22, 12:22] = 0.6
        return mask

    model = GrabCut(salient, "scripted")
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)]))
    assert iou(found[0].mask, one) > 0.95
    assert any("scripted saw no subject" in warning for warning in found.warnings)


def test_points_choose_an_island_of_the_salient_mask() -> None:
    picture, one, other = scene()
    model = GrabCut(lambda rgb, progress: (one | other).astype(np.float32), "scripted")
    found = model.predict(model.embed(picture), Prompt(points=[(40, 40)]))
    mask = found[0].mask > 0.5
    assert mask[40, 40]
    assert (mask & other).sum() > 0.95 * other.sum()


def test_the_same_prompt_gives_the_same_mask() -> None:
    picture, _, _ = scene()
    model = GrabCut()
    masks = [model.predict(model.embed(picture), Prompt(boxes=[(100, 50, 200, 150)]))[0].mask for _ in range(2)]
    assert np.array_equal(*masks)


def test_each_cut_is_seeded_in_the_thread_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV has a generator a thread: seeded elsewhere, what one cut left of it decided the next."""
    seeded: list[int] = []
    cut, seed = cv2.grabCut, cv2.setRNGSeed

    def seeding(value: int) -> None:
        seeded.append(threading.get_ident())
        seed(value)

    def cutting(*given: Any) -> Any:
        assert seeded.pop() == threading.get_ident()
        return cut(*given)

    monkeypatch.setattr(cv2, "setRNGSeed", seeding)
    monkeypatch.setattr(cv2, "grabCut", cutting)
    picture, _, _ = scene()
    model = GrabCut()
    assert model.predict(model.embed(picture), Prompt(boxes=[(100, 50, 200, 150)]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3)])
def test_tiny_pictures_and_flat_ones(shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 0.5, np.float32)
    model = GrabCut()
    found = model.predict(model.embed(flat), Prompt(boxes=[(0, 0, shape[1], shape[0])]))
    assert all(subject.mask.shape == shape for subject in found)
    assert found.warnings


@pytest.mark.long
def test_a_large_picture_keeps_its_size() -> None:
    picture, one, _ = scene()
    large = np.repeat(np.repeat(picture, 5, axis=0), 5, axis=1)
    model = GrabCut()
    mask = model.predict(model.embed(large), Prompt(boxes=[(525, 275, 975, 725)]))[0].mask
    assert mask.shape == (1000, 1500)
    assert iou(mask, np.repeat(np.repeat(one, 5, axis=0), 5, axis=1)) > 0.97


def test_what_it_cannot_do() -> None:
    picture, _, _ = scene()
    model = GrabCut()
    embedding = model.embed(picture)
    with pytest.raises(InputError, match="does not read text"):
        model.predict(embedding, Prompt(text="disc"))

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        model.predict(embedding, Prompt(boxes=[(105, 55, 195, 145)]), progress=stop)


def two_tone() -> tuple[np.ndarray, np.ndarray]:
    """A disc, lighter in its left half, on a mottled ground, and its mask."""
    picture, one, _ = scene()
    left = one & (np.arange(picture.shape[1])[None] < DISC[0])
    picture[left] += (0.1, 0.2, 0)
    return picture.clip(0, 1), one


@pytest.mark.parametrize("with_background", [True, False])
def test_scribbles_alone_reach_the_edge_of_a_thing_and_not_its_colours_alone(with_background: bool) -> None:
    """The short mark lies in one half of the thing; a like-coloured thing elsewhere has no mark."""
    picture, one = two_tone()
    marks = np.full(one.shape, 0.5, np.float32)
    marks[95:105, 155:180] = 1
    if with_background:
        marks[5:9, 5:290], marks[190:194, 5:290] = 0, 0
    model = GrabCut()
    found = model.predict(model.embed(picture), Prompt(scribbles=marks))
    assert iou(found[0].mask, one) > 0.97
    assert any("mark also what does not belong" in warning for warning in found.warnings) is not with_background


def test_a_short_mark_in_a_loose_box_leaves_the_box_its_say() -> None:
    picture, one = two_tone()
    marks = np.full(one.shape, 0.5, np.float32)
    marks[95:105, 155:180] = 1
    model = GrabCut()
    found = model.predict(model.embed(picture), Prompt(boxes=[(80, 30, 260, 190)], scribbles=marks))
    assert iou(found[0].mask, one) > 0.97
    assert found[0].mask[:, 265:].max() == 0


def test_a_salient_model_that_saw_a_part_alone_is_left_out() -> None:
    """Sure of itself, and needing no change: but the box that somebody drew says that there is more."""
    picture, one = two_tone()
    left = one & (np.arange(picture.shape[1])[None] < DISC[0])

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        return left[46:154, 96:204].astype(np.float32)

    model = GrabCut(salient, "scripted")
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)]))
    assert iou(found[0].mask, one) > 0.97
    assert any("scripted saw no subject" in warning for warning in found.warnings)


def test_a_side_of_the_box_that_was_left_empty_outweighs_how_much_was_seen() -> None:
    """Four fifths of the disc were seen, of colours that the last fifth has none of."""
    picture, one, _ = scene()
    right = one & (np.arange(picture.shape[1])[None] >= 170)
    picture[right] = (0.25, 0.3, 0.8)

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        return (one & ~right)[46:154, 96:204].astype(np.float32)

    model = GrabCut(salient, "scripted")
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)]))
    assert iou(found[0].mask, one) > 0.97
    assert any("scripted saw no subject" in warning for warning in found.warnings)


def test_of_three_opinions_two_decide() -> None:
    """One keeps a spot that was hardly seen, one has a hole, and one takes a piece of the ground."""
    disc, image = scene()[1], np.zeros((200, 300, 3), np.uint8)
    spot, hole, ground = np.zeros_like(disc), np.zeros_like(disc), np.zeros_like(disc)
    spot[60:70, 182:190], hole[95:105, 145:155], ground[130:145, 105:125] = True, True, True
    hint = np.where(disc & ~hole, np.float32(1), np.where(spot, np.float32(0.3), np.float32(0)))
    site = Site(image, np.full(disc.shape, -1, np.int32), (105, 55, 195, 145), hint)
    agreed = grabcut._agreed(site, disc | ground, disc | spot, hint > 0.1)
    assert np.array_equal(agreed, disc)
    # A hint that is far from what grew from it has no vote, and a box that tells nothing none either.
    dim = Site(image, site.marked, site.box, hint * np.float32(0.4))
    assert np.array_equal(grabcut._agreed(dim, disc | ground, disc | spot, hint > 0.1), disc | spot)
    assert np.array_equal(grabcut._agreed(site, None, disc | spot, hint > 0.1), disc | spot)


def test_a_salient_model_counts_where_the_box_alone_cannot_tell() -> None:
    """A ground that has the thing's colours, up to the edge of the picture: from the box alone it is all one."""
    picture, one, _ = scene()
    ring = np.zeros_like(one)
    ring[20:180, 70:230] = True
    picture[ring & ~one] = (0.8, 0.35, 0.2)
    crop = (slice(46, 154), slice(96, 204))
    model = GrabCut(lambda rgb, progress: one[crop].astype(np.float32), "scripted")
    found = model.predict(model.embed(picture), Prompt(boxes=[(105, 55, 195, 145)]))
    assert iou(found[0].mask, one) > 0.9
    assert found.warnings == ()


def with_a_neighbour() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disc before a bar of a colour near its own, which goes from the disc to the right; both masks."""
    picture, one, _ = scene()
    noise = np.random.default_rng(6).normal(0, 0.02, picture.shape)
    bar = np.zeros_like(one)
    bar[105:135, 150:280] = True
    bar &= ~one
    picture[bar] = (np.array((0.75, 0.45, 0.2)) + noise[bar]).clip(0, 1)
    return picture.astype(np.float32), one, bar


@pytest.mark.parametrize("loose", [0, 6])
def test_what_goes_on_beyond_the_box_is_not_what_it_means(loose: int) -> None:
    """The salient model sees both as one thing, and is certain of both."""
    picture, one, bar = with_a_neighbour()
    left, top, right, bottom = 110 - loose, 60 - loose, 191 + loose, 141 + loose
    aside = round(0.1 * (right - left))
    crop = (slice(top - aside - 1, bottom + aside + 1), slice(left - aside - 1, right + aside + 1))

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        seen = (one | bar)[crop].astype(np.float32)
        seen = np.pad(seen, 2, mode="edge")
        return seen[: rgb.shape[0], : rgb.shape[1]]

    model = GrabCut(salient, "scripted")
    found = model.predict(model.embed(picture), Prompt(boxes=[(left, top, right, bottom)]))
    assert iou(found[0].mask, one) > 0.96
    assert found.warnings == ()


def test_what_was_not_seen_is_not_added_where_the_box_is_full() -> None:
    """A like-coloured thing in the box: what was seen fills it, so that nothing can be missing."""
    picture, one, _ = scene()
    y, x = np.mgrid[: one.shape[0], : one.shape[1]]
    other = (x - 184) ** 2 + (y - 68) ** 2 < 9**2
    picture[other] = (0.8, 0.3, 0.2)
    model = GrabCut(lambda rgb, progress: np.pad(one[59:142, 109:192], 8)[: rgb.shape[0], : rgb.shape[1]] * 1.0, "s")
    mask = model.predict(model.embed(picture), Prompt(boxes=[(111, 61, 190, 140)]))[0].mask
    assert mask[other & ~one].mean() < 0.1


def test_a_box_alone_learns_from_what_surrounds_it() -> None:
    """Half of the box has the colours around it, and they are near to the thing's own."""
    picture, one, _ = two_sided()
    model = GrabCut()
    assert iou(model.predict(model.embed(picture), Prompt(boxes=[(80, 30, 220, 170)]))[0].mask, one) > 0.97


def test_where_a_model_saw_something_else_the_corners_count_as_surroundings() -> None:
    """The grass beside the thing is nowhere outside the box, which three sides of the picture cut off."""
    y, x = np.mgrid[:160, :200]
    one = ((x - 100) / 100) ** 2 + ((y - 100) / 60) ** 2 < 1
    picture = np.full((160, 200, 3), (0.5, 0.6, 0.8))
    picture[y > 70] = (0.3, 0.55, 0.25)
    picture[one] = (0.75, 0.5, 0.25)
    picture[one & (y > 110)] = (0.35, 0.2, 0.15)
    picture += np.random.default_rng(7).normal(0, 0.03, picture.shape)
    model = GrabCut(lambda rgb, progress: np.zeros(rgb.shape[:2], np.float32))
    found = model.predict(model.embed(picture.clip(0, 1).astype(np.float32)), Prompt(boxes=[(0, 40, 200, 160)]))
    assert iou(found[0].mask, one) > 0.98


def two_sided() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disc before a ground of three stripes that go on all around."""
    picture, one, other = scene()
    noise = np.random.default_rng(7).normal(0, 0.03, picture.shape)
    stripes = np.array(((0.3, 0.5, 0.3), (0.6, 0.45, 0.3), (0.35, 0.35, 0.5)))
    ground = stripes[(np.mgrid[: one.shape[0], : one.shape[1]].sum(axis=0) // 25) % 3] + noise
    picture[~one] = ground[~one]
    return picture.clip(0, 1).astype(np.float32), one, other


def test_a_painted_blob_means_one_of_two_things_that_touch() -> None:
    """It is rough, and the salient model sees both things as one."""
    picture, one, _ = scene()
    y, x = np.mgrid[: one.shape[0], : one.shape[1]]
    beside = ((x - 235) ** 2 + (y - 100) ** 2 < 46**2) & ~one
    picture[beside] = (0.3, 0.4, 0.8)
    rough = ((x - 144) / 34) ** 2 + ((y - 104) / 30) ** 2 < 1
    both = (one | beside).astype(np.float32)

    def salient(rgb: np.ndarray, progress: Progress) -> np.ndarray:
        return both if rgb.shape == picture.shape else both[top : top + rgb.shape[0], left : left + rgb.shape[1]]

    whole = GrabCut(salient, "scripted")
    columns, rows = np.flatnonzero(rough.any(0)), np.flatnonzero(rough.any(1))
    left = int(columns[0] - 0.5 * (columns[-1] + 1 - columns[0]))
    top = int(rows[0] - 0.5 * (rows[-1] + 1 - rows[0]))
    mask = whole.predict(whole.embed(picture), Prompt(mask=rough.astype(np.float32)))[0].mask
    assert iou(mask, one) > 0.95


def test_a_blob_that_the_salient_model_did_not_see_is_believed() -> None:
    picture, one, _ = scene()
    rough = np.zeros(one.shape, np.float32)
    rough[70:135, 115:180] = 1
    model = GrabCut(lambda rgb, progress: np.zeros(rgb.shape[:2], np.float32), "scripted")
    assert iou(model.predict(model.embed(picture), Prompt(mask=rough))[0].mask, one) > 0.9


@pytest.mark.long
def test_a_blob_on_the_astronaut_comes_to_what_her_box_does(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import skimage.data

    from gossamer.segmentation.loading import load_model

    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    picture = skimage.data.astronaut().astype(np.float32) / 255
    network = load_model("u2netp", device="cpu")
    model = GrabCut(network.predict, network.id)
    boxed = model.predict(model.embed(picture), Prompt(boxes=[(19, 15, 512, 512)]))[0].mask > 0.5
    for change, side in ((cv2.erode, 51), (cv2.dilate, 31)):
        blob = change(boxed.astype(np.uint8), np.ones((side, side), np.uint8)).astype(np.float32)
        assert iou(blob, boxed) < 0.9
        assert iou(model.predict(model.embed(picture), Prompt(mask=blob))[0].mask, boxed) > 0.96


@pytest.mark.long
def test_a_blob_anywhere_on_the_astronaut_means_all_of_her(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paint that covers half of her, only her middle, or only her face, and reaches over the edge."""
    import cv2
    import skimage.data

    from gossamer.segmentation.loading import load_model

    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    picture = skimage.data.astronaut().astype(np.float32) / 255
    network = load_model("u2netp", device="cpu")
    model = GrabCut(network.predict, network.id)
    embedding = model.embed(picture)
    boxed = model.predict(embedding, Prompt(boxes=[(19, 15, 512, 512)]))[0].mask > 0.5
    for centre, axes in (((220, 280), (180, 260)), ((220, 330), (150, 200)), ((200, 400), (110, 90))):
        blob = cv2.ellipse(np.zeros(boxed.shape, np.uint8), centre, axes, 0, 0, 360, 1, -1).astype(np.float32)
        assert iou(blob, boxed) < 0.7
        assert iou(model.predict(embedding, Prompt(mask=blob))[0].mask, boxed) > 0.96


@pytest.mark.parametrize("grown", [-8, 10])
def test_a_blob_alone_is_right_in_its_depth_and_not_at_its_edge(grown: int) -> None:
    """Without a salient model: paint that reaches beyond the thing, or not to its edge."""
    import cv2

    picture, one, other = scene()
    picture[other] = picture[-50:, :50].mean(axis=(0, 1))
    side = np.ones((2 * abs(grown) + 1,) * 2, np.uint8)
    blob = (cv2.erode if grown < 0 else cv2.dilate)(one.astype(np.uint8), side).astype(np.float32)
    model = GrabCut()
    assert iou(model.predict(model.embed(picture), Prompt(mask=blob))[0].mask, one) > 0.98


def test_a_loose_box_lacks_nothing_and_a_part_lacks_its_side() -> None:
    assert lacking((10, 10, 110, 210), (15, 20, 105, 200), (300, 300)) == pytest.approx(0)
    assert lacking((10, 10, 110, 210), (15, 20, 75, 200), (300, 300)) == pytest.approx(0.3)
    # The border of the picture is always tight: its gap is no looseness.
    assert lacking((0, 0, 100, 200), (30, 0, 100, 200), (200, 100)) == pytest.approx(0.3)


def _patterns() -> dict[str, np.ndarray]:
    across = np.indices((420, 600)).sum(0)
    noise = np.random.default_rng(3).normal(128, 20, (420, 600, 3)).clip(0, 255).astype(np.uint8)
    stripes = np.repeat((across % 16 < 8)[..., None], 3, axis=2).astype(np.uint8) * 255
    return {"noise": noise, "stripes": stripes, "flat": np.full((420, 600, 3), 128, np.uint8)}


@pytest.mark.long
@pytest.mark.parametrize("name", _patterns())
def test_where_colours_tell_nothing_little_is_solved(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # At half a megapixel one cut of noise took a minute, and ten of stripes.
    rough = np.zeros((420, 600), np.float32)
    rough[80:350, 120:430] = 1
    sizes, usual = [], cv2.grabCut

    def grab_cut(image: np.ndarray, *rest: object) -> object:
        sizes.append(image.shape[0] * image.shape[1])
        return usual(image, *rest)

    monkeypatch.setattr(cv2, "grabCut", grab_cut)
    model = GrabCut()
    found = model.predict(model.embed(_patterns()[name]), Prompt(mask=rough))
    assert sizes
    assert max(sizes) <= 20_000
    mask = found[0].mask
    assert mask[190:240, 260:300].min() == 1  # the depth of what was painted
    assert mask[:5].max() == 0


def test_a_single_cut_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, going_on = threading.Event(), threading.Event()

    def cut(*_: object) -> None:
        entered.set()
        going_on.wait(20)

    def leave(_done: float, message: str) -> None:
        if entered.is_set():  # not by the number of threads: those that work is given to stay
            raise Cancelled

    monkeypatch.setattr(cv2, "grabCut", cut)
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 20:60] = 200
    model = GrabCut()
    try:
        with pytest.raises(Cancelled):
            model.predict(model.embed(picture), Prompt(boxes=[(15, 15, 65, 45)]), progress=leave)
        assert not going_on.is_set()
    finally:
        going_on.set()


@pytest.mark.parametrize("block", ["site_of", "enlarged", "_fill", "as_rgb"])
def test_no_block_keeps_who_wants_to_leave(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 megapixels each takes seconds."""
    entered, left = threading.Event(), threading.Event()
    picture = np.zeros((60, 80, 3), np.float32)
    picture[20:40, 30:50] = 1
    whole = getattr(grabcut, block)

    def endless(*given: object) -> object:
        entered.set()
        left.wait(20)  # a guard against a hang
        return whole(*given)

    monkeypatch.setattr(grabcut, block, endless)

    def stop(fraction: float, message: str) -> None:
        if entered.is_set():
            left.set()
            raise Cancelled

    model = GrabCut()
    with pytest.raises(Cancelled):
        model.predict(model.embed(picture, stop), Prompt(boxes=[(25, 15, 55, 45)]), progress=stop)


def test_grabcut_starts_from_the_model_that_was_named(tmp_path: Path) -> None:
    """It took the best that was installed whatever was named, and a name that there is none of went unheard."""
    weights = graph(tmp_path / "own.onnx", 1)
    named = load_prompt_model("grabcut", model=str(weights), architecture="u2net")
    assert named.id == "grabcut (own)"
    assert load_prompt_model("grabcut", model="none").id == "grabcut"
    image = np.zeros((60, 80, 3), np.float32)
    image[20:40, 30:60] = 1
    box = Prompt(boxes=((28, 18, 62, 42),))
    cutout = gossamer.open(image, model=str(weights), architecture="u2net").cutout(box)
    assert cutout.report.model == "grabcut (own)"
    assert np.abs(cutout.alpha - image[..., 0]).mean() < 0.02
    for unknown in ("nonsense", "nope.onnx", "u2net,"):
        with pytest.raises(GossamerError):
            gossamer.open(image, model=unknown).cutout(box)

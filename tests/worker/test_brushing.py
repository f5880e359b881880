"""The brush over hair: better where it went, and nothing changed anywhere else."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.canvas.presets import preset
from gossamer.errors import InputError
from gossamer.matting.from_trimap import trimap_alpha
from gossamer.progress import Progress
from gossamer.settings.parameters import recipe_from_flat
from gossamer.worker.brushing import brushed, solve_again
from gossamer.worker.cutter import Cutter
from gossamer.worker.inventory import Inventory
from gossamer.worker.pictures import OpenedPicture
from gossamer.worker.requests import BrushRequest, FinishRequest, OpenRequest, RefineRequest, SegmentRequest

SIZE = 320
_BAND = 5  # a little more than what alpha may change in around a stroke of so small a picture


def silent(fraction: float, message: str) -> None:
    pass


class Head:
    """A head with strands of hair of known alpha, and a mask that knows nothing of the strands."""

    def __init__(self) -> None:
        numbers = np.random.default_rng(7)
        large = np.zeros((4 * SIZE, 4 * SIZE), np.uint8)
        middle = (2 * SIZE, 2 * SIZE + 200)
        for angle in numbers.uniform(0, 2 * np.pi, 150):
            bend, reach = numbers.normal(0, 0.25), numbers.uniform(420, 560)
            turn = angle + bend * np.linspace(0, 1, 12)
            out = np.linspace(300, reach, 12)
            points = np.stack([middle[0] + out * np.cos(turn), middle[1] + out * np.sin(turn)], axis=1)
            cv2.polylines(large, [points.round().astype(np.int32)], False, 255, 5, cv2.LINE_AA)
        cv2.circle(large, middle, 320, 255, -1, cv2.LINE_AA)
        self.alpha = cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        across, down = np.meshgrid(np.linspace(0, 1, SIZE), np.linspace(0, 1, SIZE))
        self.front = np.stack([0.35 + 0.1 * down, 0.18 + 0.05 * across, 0.08 + 0 * down], axis=2).astype(np.float32)
        self.front += numbers.normal(0, 0.01, (SIZE, SIZE, 1)).astype(np.float32)
        self.behind = np.stack([0.75 - 0.2 * across, 0.8 - 0.1 * down, 0.9 + 0 * down], axis=2).astype(np.float32)
        mixed = self.alpha[..., None] * self.front + (1 - self.alpha[..., None]) * self.behind
        self.pixels = (np.clip(mixed, 0, 1) * 255).round().astype(np.uint8)
        self.mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.circle(self.mask, (SIZE // 2, SIZE // 2 + 50), 78, 1, -1, cv2.LINE_AA)
        self.stroke = np.zeros((SIZE, SIZE), np.uint8)
        cv2.ellipse(self.stroke, (SIZE // 2, SIZE // 2 + 50), (105, 105), 0, 185, 290, 255, 46)

    def opened(self, mask: np.ndarray | None = None) -> OpenedPicture:
        """Return it as a client opened it, with its mask, or another."""
        request = OpenRequest.of({"width": SIZE, "height": SIZE, "existing_alpha": "keep"})
        picture = OpenedPicture(request, bytearray(self.pixels.tobytes()))
        plane = bytearray(((self.mask if mask is None else mask) * 255).astype(np.uint8).tobytes())
        Cutter(Inventory()).segment(picture, SegmentRequest.of({"picture": 1, "source": "mask"}), plane, silent)
        return picture

    @property
    def reach(self) -> np.ndarray:
        """Where alpha may change."""
        return cv2.distanceTransform((self.stroke == 0).astype(np.uint8), cv2.DIST_L2, 5) <= _BAND


@pytest.fixture(scope="module")
def head() -> Head:
    return Head()


@pytest.fixture(scope="module")
def cutter() -> Cutter:
    return Cutter(Inventory())


def refined(cutter: Cutter, picture: OpenedPicture, **wish: Any) -> Any:
    return cutter.refine(picture, RefineRequest.of({"picture": 1, "options": {"matting": "none"}, **wish}), silent)


def test_hair_below_the_stroke_is_found_and_the_rest_is_left(head: Head) -> None:
    patch = solve_again(head.pixels, head.mask, head.stroke, 0, 0, Progress.of(None))
    assert patch is not None
    after = brushed(head.mask, [patch])
    below = head.stroke > 0
    before_sad, after_sad = (np.abs(alpha - head.alpha)[below].sum() for alpha in (head.mask, after))
    assert after_sad < 0.25 * before_sad
    assert np.array_equal(after[~head.reach], head.mask[~head.reach])


def test_a_matte_of_a_smaller_preview_will_do(head: Head) -> None:
    small = cv2.resize(head.mask, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA)
    patch = solve_again(head.pixels, small, head.stroke, 0, 0, Progress.of(None))
    assert patch is not None
    below = head.stroke > 0
    assert (
        np.abs(brushed(head.mask, [patch]) - head.alpha)[below].sum()
        < 0.3 * np.abs(head.mask - head.alpha)[below].sum()
    )


def test_a_stroke_where_nothing_tells_is_refused(head: Head, cutter: Cutter) -> None:
    assert solve_again(head.pixels, head.mask * 0, head.stroke, 0, 0, Progress.of(None)) is None
    assert solve_again(head.pixels, head.mask, head.stroke * 0, 0, 0, Progress.of(None)) is None
    picture = head.opened()
    with pytest.raises(InputError, match="lies outside"):
        cutter.brush(
            picture,
            BrushRequest.of({"picture": 1, "region": [SIZE - 10, 0, 20, 1]}),
            bytearray(20),
            silent,
        )


def test_preview_and_result_show_it_until_it_is_taken_back(head: Head, cutter: Cutter) -> None:
    picture = head.opened()
    plain = refined(cutter, picture).alpha
    rough = refined(cutter, picture, scale=0.5).alpha
    rows, columns = (np.flatnonzero(head.stroke.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    part = head.stroke[top : rows[-1] + 1, left : columns[-1] + 1]
    region = [left, top, part.shape[1], part.shape[0]]
    cutter.brush(picture, BrushRequest.of({"picture": 1, "region": region}), bytearray(part.tobytes()), silent)
    exact, preview = refined(cutter, picture).alpha, refined(cutter, picture, scale=0.5).alpha
    below = head.stroke > 0
    assert np.array_equal(exact[~head.reach], plain[~head.reach])
    assert np.array_equal(preview[~head.reach], rough[~head.reach])
    truth = head.alpha * 255
    assert np.abs(exact[below] - truth[below]).sum() < 0.25 * np.abs(plain[below] - truth[below]).sum()
    assert np.abs(preview[below].astype(int) - exact[below]).mean() < 2  # as fine as the result, though computed small
    inside = refined(cutter, picture, region=region)
    assert np.array_equal(inside.alpha, exact[top : top + region[3], left : left + region[2]])
    cutter.brush(picture, BrushRequest.of({"picture": 1}), bytearray(), silent)
    assert np.array_equal(refined(cutter, picture).alpha, plain)


def test_two_layers_are_the_picture_again(head: Head, cutter: Cutter) -> None:
    answer = refined(cutter, head.opened(head.alpha), foreground=True, background=True)
    alpha, front, behind = (
        np.concatenate([*plane]).reshape(plane.shape).astype(np.float32) / 255
        for plane in (answer.alpha, answer.foreground, answer.background)
    )
    again = alpha[..., None] * front + (1 - alpha[..., None]) * behind
    assert np.abs(again * 255 - head.pixels).mean() < 2
    hidden = np.zeros((SIZE, SIZE), bool)
    hidden[150:260, 120:200] = True  # within the head: a smooth background is filled in as it goes on
    assert np.abs(behind - head.behind)[hidden].mean() < 0.06


def test_a_trimap_is_solved_as_it_says(head: Head, cutter: Cutter) -> None:
    trimap = np.full((SIZE, SIZE), 128, np.uint8)
    trimap[head.alpha > 0.999], trimap[head.alpha < 0.001] = 255, 0
    picture = head.opened()
    wish = SegmentRequest.of({"picture": 1, "source": "trimap"})
    cutter.segment(picture, wish, bytearray(trimap.tobytes()), silent)
    alpha = refined(cutter, picture, options={}).alpha  # nothing is solved a second time
    expected = trimap_alpha(head.pixels, trimap.astype(np.float32) / 255)
    assert np.abs(alpha / 255 - expected).max() <= 0.51 / 255


def test_a_finished_picture_is_the_library_s(head: Head, cutter: Cutter) -> None:
    options = {"matting": "closed_form", "matting_band": 8}
    wish = FinishRequest.of({"picture": 1, "options": options, "preset": "google-merchant"})
    finished, report = cutter.finish(head.opened(), wish, silent)
    pixels = np.concatenate([*finished])
    recipe = preset("google-merchant").recipe(recipe_from_flat(options))
    expected = gossamer.refine(head.pixels, (head.mask * 255).astype(np.uint8), recipe)
    assert expected.composite is not None
    assert pixels.shape == finished.shape == expected.composite.shape
    assert np.abs(pixels / 255 - expected.composite).max() <= 0.51 / 255
    assert (pixels[:5] == 255).all()
    assert report["coverage"] == pytest.approx(expected.report.coverage, abs=1e-4)
    with pytest.raises(InputError, match="no preset"):
        cutter.finish(head.opened(), FinishRequest.of({"picture": 1, "preset": "no-shop"}), silent)


def test_words_are_refused_where_no_model_reads(head: Head, cutter: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inventory, "reads_text", lambda self: False)
    wish = SegmentRequest.of({"picture": 1, "source": "text", "text": "the head"})
    with pytest.raises(InputError, match="No model that reads text is installed"):
        cutter.segment(head.opened(), wish, bytearray(), silent)

"""Reading and writing a large picture shows how far it is, and is left at once; nothing is left behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.cutout import Cutout, Report
from gossamer.errors import Cancelled
from gossamer.files import write_bytes
from gossamer.image import encode_image, limits, read_image
from tests.own_threads import wait_for_own_threads

LARGE = 1500


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (LARGE, LARGE, 3), np.uint8)


def cutout(picture: np.ndarray) -> Cutout:
    alpha = np.ones(picture.shape[:2], np.float32)
    return Cutout(
        picture, alpha, Report(), gossamer.Recipe.of({"background": {"fill": "white"}}), picture / np.float32(255)
    )


class Leaving:
    """A progress callback that leaves at a fraction, and knows when."""

    def __init__(self, at: float) -> None:
        self.at, self.heard = at, 0.0

    def __call__(self, fraction: float, message: str) -> None:
        self.heard = max(self.heard, fraction)
        if fraction >= self.at:
            raise Cancelled


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_encoding_tells_how_far_it_is_and_gives_the_same(picture: np.ndarray, format: str) -> None:
    told: list[tuple[float, str]] = []
    small = picture[:200, :300]
    heard = encode_image(small, None, format, progress=lambda *news: told.append(news))
    unheard = encode_image(small, None, format)
    assert np.array_equal(read_image(heard).pixels, read_image(unheard).pixels)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert told[0][1] == "Encoding the picture"


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_an_encoding_that_was_left_does_not_run_on(
    picture: np.ndarray, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounded: list[int] = []
    from gossamer.image import write

    work = write._round_rows

    def counted(*given: object) -> None:
        rounded.append(1)
        time.sleep(0.02)  # so that the one who waits hears of it
        work(*given)  # type: ignore[arg-type]

    if format == "png":
        monkeypatch.setattr(write, "_round_rows", counted)
    with pytest.raises(Cancelled):
        encode_image(picture, None, format, bit_depth=16, progress=Leaving(0.1 if format == "png" else 0.3))
    wait_for_own_threads()
    assert len(rounded) < 15  # of 21 strips


def test_a_picture_that_is_read_can_be_left_while_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def endless(data: bytes, label: str) -> None:
        begun.set()
        end.wait(20)

    monkeypatch.setattr("gossamer.image.read.decode", endless)

    def leave(fraction: float, message: str) -> None:
        assert message == "Reading the picture"
        if begun.is_set():
            raise Cancelled

    for read in (read_image, gossamer.open):
        begun.clear()
        with pytest.raises(Cancelled):
            read(b"a picture", progress=leave)  # type: ignore[operator]
    end.set()
    wait_for_own_threads()


def test_a_limit_on_pixels_holds_in_the_thread_that_reads(picture: np.ndarray) -> None:
    data = encode_image(picture[:100, :100], None, "png")
    with limits.at_most(5000), pytest.raises(gossamer.InputError, match="5,000"):
        read_image(data, lambda fraction, message: None)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_a_file_is_saved_with_progress_or_not_at_all(picture: np.ndarray, name: str, tmp_path: Path) -> None:
    result = cutout(picture[:300, :400])
    told: list[float] = []
    result.save(tmp_path / name, progress=lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0
    (tmp_path / name).rename(tmp_path / "whole")
    for at in (0.05, 0.9, 1.0):
        with pytest.raises(Cancelled):
            result.save(tmp_path / name, progress=Leaving(at))
        assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    wait_for_own_threads()


def test_a_file_that_was_left_in_its_middle_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    data = bytes(9 << 20)
    with pytest.raises(Cancelled):
        write_bytes(path, data, force=True, progress=Leaving(0.4))
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("x.png", b"old")]
    write_bytes(path, data, force=True, progress=lambda fraction, message: None)
    assert path.read_bytes() == data


def test_the_best_quality_within_a_size_can_be_left(picture: np.ndarray) -> None:
    recipe = gossamer.Recipe.of({"background": {"fill": "white"}, "output": {"max_kb": 20}})
    alpha = np.ones((120, 160), np.float32)
    result = Cutout(picture[:120, :160], alpha, Report(), recipe, picture[:120, :160] / np.float32(255))
    assert len(result.encode("jpeg", progress=lambda fraction, message: None)) <= 20_000
    with pytest.raises(Cancelled):
        result.encode("jpeg", progress=Leaving(0.0))
    wait_for_own_threads()

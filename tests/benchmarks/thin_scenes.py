"""Scenes with an exact alpha, made for measuring edges: thin, furry, smooth and soft things over photographs.

A thing is drawn three times too large and averaged down, coloured with another photograph or a plain metal, and laid
over a background. The mask that comes with it is what a network would give: the alpha at the network's size, blurred,
displaced, compressed, with its contrast raised and bits of the thin parts missing, enlarged again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
OVER = 3  # drawn so many times too large


class Scene(NamedTuple):
    """A picture (H, W, 3), its exact alpha and the mask of a pretended network, all float32 in [0, 1]."""

    name: str
    image: Array
    alpha: Array
    mask: Array


class _Sheet:
    """A canvas in units of the picture's height, on which strokes are drawn antialiased."""

    def __init__(self, height: int, width: int, random: np.random.Generator) -> None:
        self.size, self.random = (height, width), random
        self._big = np.zeros((height * OVER, width * OVER), np.uint8)
        self.aspect = width / height

    def _at(self, points: NDArray[np.floating]) -> NDArray[np.int32]:
        return np.round(points * self.size[0] * OVER * 16).astype(np.int32)

    def stroke(self, points: NDArray[np.floating], width: float, value: int = 255) -> None:
        """Draw a polyline through (x, y) points; its width is a share of the height."""
        thick = max(round(width * self.size[0] * OVER), 1)
        cv2.polylines(self._big, [self._at(points)], False, value, thick, cv2.LINE_8, 4)

    def fill(self, points: NDArray[np.floating], value: int = 255) -> None:
        cv2.fillPoly(self._big, [self._at(points)], value, cv2.LINE_8, 4)

    def disc(self, x: float, y: float, radius: float, value: int = 255) -> None:
        turn = np.linspace(0, 2 * np.pi, 200)
        self.fill(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1), value)

    def ring(self, x: float, y: float, radius: float, width: float, value: int = 255) -> None:
        turn = np.linspace(0, 2 * np.pi, 200)
        self.stroke(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1), width, value)

    def alpha(self) -> Array:
        height, width = self.size
        return cv2.resize(self._big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _bend(start: NDArray[np.floating], end: NDArray[np.floating], by: float, count: int = 24) -> NDArray[np.floating]:
    """Return a bow from start to end that bulges sideways by a share of its length."""
    t = np.linspace(0, 1, count)[:, None]
    aside = np.array([-(end - start)[1], (end - start)[0]])
    return start + t * (end - start) + np.sin(np.pi * t) * by * aside


def wheel(sheet: _Sheet) -> None:
    for x in (0.32 * sheet.aspect, 0.72 * sheet.aspect):
        sheet.ring(x, 0.6, 0.26, 0.012)
        sheet.disc(x, 0.6, 0.02)
        turn = sheet.random.uniform(0, 1)
        for angle in np.linspace(0, 2 * np.pi, 28, endpoint=False) + turn:
            end = np.array([x + 0.26 * math.cos(angle), 0.6 + 0.26 * math.sin(angle)])
            sheet.stroke(np.stack([np.array([x, 0.6]), end]), 0.0016)
    frame = np.array([(0.32, 0.6), (0.45, 0.25), (0.66, 0.25), (0.5, 0.62), (0.32, 0.6)]) * (sheet.aspect, 1)
    sheet.stroke(frame, 0.014)
    sheet.stroke(np.array([(0.45, 0.27), (0.5, 0.62)]) * (sheet.aspect, 1), 0.012)
    sheet.stroke(_bend(np.array([0.66 * sheet.aspect, 0.2]), np.array([0.7 * sheet.aspect, 0.5]), 0.2), 0.003)


def whisk(sheet: _Sheet) -> None:
    top, bottom = np.array([0.5 * sheet.aspect, 0.5]), np.array([0.5 * sheet.aspect, 0.93])
    sheet.stroke(np.array([(0.5 * sheet.aspect, 0.05), (0.5 * sheet.aspect, 0.5)]), 0.05)
    for by in np.linspace(-0.75, 0.75, 9):
        sheet.stroke(_bend(top, bottom, by * sheet.random.uniform(0.8, 1.1), 40), 0.004)


def rigging(sheet: _Sheet) -> None:
    hull = np.array([(0.2, 0.8), (0.8, 0.8), (0.72, 0.92), (0.28, 0.92)]) * (sheet.aspect, 1)
    sheet.fill(hull)
    for x in (0.42, 0.6):
        sheet.stroke(np.array([(x, 0.08), (x, 0.82)]) * (sheet.aspect, 1), 0.009)
        for foot in np.linspace(0.22, 0.78, 7):
            width = sheet.random.uniform(0.0012, 0.003)
            sheet.stroke(np.array([(x, sheet.random.uniform(0.1, 0.4)), (foot, 0.8)]) * (sheet.aspect, 1), width)
    sheet.stroke(np.array([(0.42, 0.6), (0.66, 0.63)]) * (sheet.aspect, 1), 0.006)


def mesh(sheet: _Sheet) -> None:
    left, right, top, bottom = 0.25 * sheet.aspect, 0.75 * sheet.aspect, 0.2, 0.85
    sheet.stroke(np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]), 0.02)
    step = 0.035
    for shift in np.arange(-1, 1.5, step):
        for sign in (1, -1):
            t = np.linspace(0, 1, 200)
            line = np.stack([left + t * (right - left), top + shift + sign * t * (right - left)], 1)
            line = line[(line[:, 1] > top) & (line[:, 1] < bottom)]
            if len(line) > 1:
                sheet.stroke(line, 0.004)


def grass(sheet: _Sheet) -> None:
    for _ in range(260):
        foot = np.array([sheet.random.uniform(0.05, 0.95) * sheet.aspect, 1.0])
        tip = foot + np.array([sheet.random.uniform(-0.15, 0.15), -sheet.random.uniform(0.2, 0.65)])
        bow = _bend(foot, tip, sheet.random.uniform(-0.2, 0.2))
        width = sheet.random.uniform(0.004, 0.01)
        half = (np.linspace(1, 0, len(bow)) ** 0.7 * width / 2)[:, None] * (1, 0)
        sheet.fill(np.concatenate([bow - half, (bow + half)[::-1]]))


def lace(sheet: _Sheet) -> None:
    sheet.fill(np.array([(0.2, 0.1), (0.8, 0.1), (0.8, 0.62), (0.2, 0.62)]) * (sheet.aspect, 1))
    for row in range(5):
        for column in range(14):
            x = (0.23 + 0.54 * (column + 0.5 * (row % 2)) / 14) * sheet.aspect
            sheet.disc(x, 0.4 + 0.045 * row, 0.016, 0)
            sheet.ring(x, 0.4 + 0.045 * row, 0.009, 0.003)
    for column in range(16):
        sheet.ring((0.22 + 0.56 * column / 15) * sheet.aspect, 0.62, 0.017, 0.005)


def _head(sheet: _Sheet, hairs: int, reach: tuple[float, float], width: tuple[float, float], wild: float) -> None:
    x, y, radius = 0.5 * sheet.aspect, 0.55, 0.24
    sheet.disc(x, y, radius)
    for angle in sheet.random.uniform(0, 2 * np.pi, hairs):
        out = np.array([math.cos(angle), math.sin(angle)])
        foot = np.array([x, y]) + radius * 0.95 * out
        aside = np.array([-out[1], out[0]]) * sheet.random.normal(0, wild)
        tip = foot + (out + aside) * sheet.random.uniform(*reach)
        sheet.stroke(_bend(foot, tip, sheet.random.normal(0, wild)), sheet.random.uniform(*width))


def fur(sheet: _Sheet) -> None:
    _head(sheet, 1500, (0.02, 0.07), (0.001, 0.0025), 0.25)


def hair(sheet: _Sheet) -> None:
    _head(sheet, 500, (0.05, 0.22), (0.0007, 0.0018), 0.35)


def whiskers(sheet: _Sheet) -> None:
    _head(sheet, 60, (0.1, 0.25), (0.0012, 0.003), 0.2)


def ropes(sheet: _Sheet) -> None:
    for _ in range(14):
        ends = sheet.random.uniform((0.02, 0.02), (0.98, 0.98), (2, 2)) * (sheet.aspect, 1)
        sheet.stroke(_bend(ends[0], ends[1], sheet.random.uniform(-0.2, 0.2)), sheet.random.uniform(0.002, 0.012))
    sheet.disc(0.5 * sheet.aspect, 0.5, 0.13)


def smooth(sheet: _Sheet) -> None:
    turn = np.linspace(0, 2 * np.pi, 400)
    radius = 0.3 + sum(
        sheet.random.uniform(-0.05, 0.05) * np.cos(k * turn + sheet.random.uniform(0, 6)) for k in (2, 3, 5)
    )
    sheet.fill(np.stack([0.5 * sheet.aspect + radius * np.cos(turn), 0.5 + radius * np.sin(turn)], 1))


def corners(sheet: _Sheet) -> None:
    for _ in range(4):
        x, y = sheet.random.uniform(0.25, 0.75, 2) * (sheet.aspect, 1)
        angle = np.sort(sheet.random.uniform(0, 2 * np.pi, 7))
        sheet.fill(np.stack([x + 0.2 * np.cos(angle), y + 0.2 * np.sin(angle)], 1))


def _clouds(shape: tuple[int, int], random: np.random.Generator) -> Array:
    total = np.zeros(shape, np.float32)
    for octave in range(2, 7):
        grain = random.standard_normal((2**octave, 2**octave)).astype(np.float32)
        total += cv2.resize(grain, shape[::-1], interpolation=cv2.INTER_CUBIC) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


THINGS: dict[str, Callable[[_Sheet], None]] = {
    each.__name__: each
    for each in (wheel, whisk, rigging, mesh, grass, lace, fur, hair, whiskers, ropes, smooth, corners)
}
SOFT = ("glass", "smoke")


def network_mask(
    alpha: Array, side: int, random: np.random.Generator, *, gaps: float = 0.3, hard: float = 1.6
) -> Array:
    """Return what a network of `side` pixels would have made of `alpha`."""
    height, width = alpha.shape
    small = cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA)
    move = np.float32([[1, 0, random.uniform(-0.7, 0.7)], [0, 1, random.uniform(-0.7, 0.7)]])
    small = cv2.warpAffine(small, move, (side, side), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.GaussianBlur(small, (0, 0), random.uniform(0.6, 1.0))
    small = np.clip((small - (0.45 if hard > 1 else 0.5)) * hard + 0.5, 0, 1)
    if gaps:
        thin = np.clip(small - cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8)), 0, 1)
        away = _clouds((side, side), random)
        lost = np.clip((np.quantile(away, gaps) - away) * 20, 0, 1)
        small = small - thin * lost * random.uniform(0.5, 1)
    coded = cv2.imencode(".jpg", np.round(small * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    small = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def _spread(photo: Array, height: int, width: int) -> Array:
    """Mirror a photograph over a larger area: native sharpness at every size."""
    rows = np.pad(np.arange(photo.shape[0]), (0, max(height - photo.shape[0], 0)), mode="symmetric")[:height]
    columns = np.pad(np.arange(photo.shape[1]), (0, max(width - photo.shape[1], 0)), mode="symmetric")[:width]
    return np.ascontiguousarray(photo[rows][:, columns])


def scene(name: str, photos: list[Array], seed: int, megapixels: float, side: int) -> Scene:
    """Make one scene: `name` is a key of THINGS or one of SOFT, `side` the pretended network's."""
    random = np.random.default_rng(seed)
    aspect = random.choice([4 / 3, 3 / 2, 2 / 3, 1.0])
    height = round(math.sqrt(megapixels * 1e6 / aspect))
    width = round(height * aspect)
    behind, before = random.choice(len(photos), 2, replace=False)
    background = _spread(photos[behind], height, width)
    if random.random() < 0.5:  # out of focus, as it often is
        background = cv2.GaussianBlur(background, (0, 0), height / 300)
    gaps = 0.3
    if name in SOFT:
        sheet = _Sheet(height, width, random)
        smooth(sheet)
        shape, clouds = sheet.alpha(), _clouds((height, width), random)
        if name == "glass":
            wall = shape - cv2.erode(shape, np.ones((2 * (height // 60) + 1,) * 2, np.uint8))
            alpha = np.maximum(shape * (0.2 + 0.4 * clouds), wall * 0.85).astype(np.float32)
        else:
            alpha = (cv2.GaussianBlur(shape, (0, 0), height / 15) * clouds).astype(np.float32)
        solid = None
        if random.random() < 0.5:  # a label on the bottle, a hand in the smoke
            part = _Sheet(height, width, random)
            part.disc(sheet.aspect * random.uniform(0.4, 0.6), random.uniform(0.4, 0.6), 0.12)
            solid = part.alpha()
            alpha = np.maximum(alpha, solid)
        colour = np.float32(random.uniform(0.6, 0.95)) * np.ones((height, width, 3), np.float32)
        if solid is not None:
            colour[solid > 0.5] = random.uniform(0.05, 0.9, 3)
        gaps = 0
    else:
        sheet = _Sheet(height, width, random)
        THINGS[name](sheet)
        alpha = sheet.alpha()
        if random.random() < 0.6:
            colour = _spread(photos[before], height, width)
            colour = np.clip(cv2.GaussianBlur(colour, (0, 0), 2) + np.float32(random.uniform(-0.1, 0.1)), 0, 1)
        else:
            tone = random.uniform(0.05, 0.9, 3).astype(np.float32)
            shade = 0.6 + 0.6 * _clouds((height, width), random)[..., None]
            colour = np.clip(tone * shade, 0, 1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5)
    image = alpha[..., None] * colour + (1 - alpha[..., None]) * background
    image = np.clip(image + random.normal(0, 0.008, image.shape), 0, 1)
    image = (np.round(image * 255) / 255).astype(np.float32)
    mask = network_mask(alpha, side, random, gaps=gaps, hard=1.0 if name in SOFT else 1.6)
    return Scene(f"{name} {seed}", image, np.clip(alpha, 0, 1), mask)

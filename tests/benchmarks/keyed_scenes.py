"""Keying on eighteen exact scenes: screens of two greens, folds, green in the subject; with hair, motion and glass.

Type ``python tests/benchmarks/keyed_scenes.py``: the error of alpha in levels of 255 of the mask, of the matting key
without and with it, and of auto. The first six were used to choose how it is done, the others were not; the last six
have things of a green of their own that lie over the screen, apart from the subject or across its foot.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from thin_scenes import Array, _clouds

from gossamer.matting.auto import auto_alpha
from gossamer.matting.key import key_alpha

SHAPE = 520, 640
SCENES = (
    ("half", "none", "hair"),
    ("floor", "none", "motion"),
    ("fold", "none", "hair"),
    ("half", "clothes", "hair"),
    ("floor", "leaf", "glass"),
    ("plain", "leaf", "hair"),
    ("half", "none", "motion"),
    ("floor", "none", "hair"),
    ("fold", "none", "glass"),
    ("half", "leaf", "hair"),
    ("plain", "clothes", "motion"),
    ("plain", "leaf", "glass"),
    ("plain", "foliage", "hair"),
    ("half", "foliage", "motion"),
    ("fold", "foliage", "glass"),
    ("floor", "foliage", "hair"),
    ("plain", "apron", "hair"),
    ("fold", "apron", "glass"),
)
"""The screen, what is green in the subject, and what is fine or soft at its edge."""


class Keyed(NamedTuple):
    """A picture before a screen, its exact alpha, and a mask as a network gives it."""

    name: str
    image: Array
    alpha: Array
    mask: Array


def _person(random: np.random.Generator, hairs: int) -> tuple[Array, tuple[float, float, float]]:
    """Return the alpha of head and shoulders with single hairs, and where the head is: x, y, radius."""
    height, width = SHAPE
    big = np.zeros((3 * height, 3 * width), np.uint8)
    x, y, radius = width * random.uniform(0.4, 0.6), height * random.uniform(0.4, 0.5), height * 0.2
    head = int(x * 3), int(y * 3)
    cv2.ellipse(big, head, (int(radius * 0.85 * 3), int(radius * 3)), 0, 0, 360, 255, -1, cv2.LINE_AA)
    body = int(radius * 1.5 * 3), int(height * 0.38 * 3)
    cv2.ellipse(big, (head[0], int(height * 3 * 1.05)), body, 0, 0, 360, 255, -1, cv2.LINE_AA)
    for _ in range(hairs):
        turn = random.uniform(np.pi, 2 * np.pi)
        length = random.uniform(0.2, 0.7) * radius
        lean = turn + random.normal(0, 0.4)
        root = np.array([x + 0.8 * radius * np.cos(turn), y + 0.95 * radius * np.sin(turn)])
        tip = root + length * np.array([np.cos(lean), np.sin(lean)])
        middle = (root + tip) / 2 + random.normal(0, 0.1 * radius, 2)
        t = np.linspace(0, 1, 14)[:, None]
        points = ((1 - t) ** 2 * root + 2 * t * (1 - t) * middle + t * t * tip) * 3
        cv2.polylines(big, [points.astype(np.int32)], False, 255, int(random.integers(1, 4)), cv2.LINE_AA)
    small = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255, (x, y, radius)


def _screen(kind: str, random: np.random.Generator) -> Array:
    height, width = SHAPE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.float32([0.13, 0.6, 0.2]) + random.uniform(-0.04, 0.04, 3).astype(np.float32)
    light = 1 + 0.12 * (x / width - 0.5) - 0.1 * (y / height - 0.5) + 0.06 * (_clouds(SHAPE, random) - 0.5)
    if kind == "half":
        slant = random.uniform(-0.5, 0.5)
        side = (x - width * random.uniform(0.35, 0.65)) + slant * (y - height / 2) > 0
        light = light * (1 - 0.2 * cv2.GaussianBlur(side.astype(np.float32), (0, 0), 0.8))
    if kind == "fold":
        for _ in range(3):
            slant = random.uniform(-0.6, 0.6)
            away = np.abs((x - width * random.uniform(0.1, 0.9)) + slant * (y - height / 2))
            wide = random.uniform(0.004, 0.015) * width
            light = light * (1 - random.uniform(0.12, 0.25) * np.exp(-((away / wide) ** 2)))
    if kind == "floor":
        floor = (y > height * random.uniform(0.6, 0.75)).astype(np.float32)
        floor = cv2.GaussianBlur(floor, (0, 0), 0.8)[..., None]
        other = base * np.float32([1.5, 0.82, 0.9]) * np.float32(random.uniform(0.75, 1.1))
        return ((base * (1 - floor) + other * floor) * light[..., None]).astype(np.float32)
    return (base * light[..., None]).astype(np.float32)


def _bump(x: float, y: float, wide: float, high: float, power: int) -> Array:
    """Return something that is 1 in an ellipse and fades out around it, (H, W, 1)."""
    rows, columns = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(np.float32)
    return np.exp(-((((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2) ** power))[..., None].astype(np.float32)


def _over_the_screen(
    green: str, head: tuple[float, float, float], alpha: Array, colour: Array, random: np.random.Generator
) -> tuple[Array, Array]:
    """Return alpha and colours with dull green things before the screen: leaves all around, or a wide apron."""
    x, y, radius = head
    over = np.zeros(SHAPE, np.float32)
    if green == "foliage":
        for _ in range(8):
            turn, far = random.uniform(0, 2 * np.pi), random.uniform(1.6, 2.3) * radius
            middle = int(x + far * np.cos(turn)), int(y + far * np.sin(turn))
            size = int(random.uniform(0.3, 0.5) * radius), int(0.17 * radius)
            cv2.ellipse(over, middle, size, float(random.uniform(0, 180)), 0, 360, 1.0, -1)
    else:
        over = (_bump(x, 0.95 * SHAPE[0], 1.6 * radius, 0.7 * radius, 4)[..., 0] > 0.5).astype(np.float32)
    over = cv2.GaussianBlur(over, (0, 0), 0.7)
    tint = np.float32([[0.27, 0.42, 0.12], [0.22, 0.4, 0.25]][green == "apron"])
    lit = tint * (0.75 + 0.5 * _clouds(SHAPE, random)[..., None])
    return np.maximum(alpha, over), colour * (1 - over[..., None]) + lit * over[..., None]


def keyed(number: int) -> Keyed:
    """Make one of the scenes."""
    screen, green, edge = SCENES[number]
    random = np.random.default_rng(7000 + number)
    height, width = SHAPE
    behind = _screen(screen, random)
    alpha, (x, y, radius) = _person(random, 160 if edge == "hair" else 30)
    tone = np.float32(random.uniform(0.1, 0.75, 3))
    tone[1] = min(tone[1], max(tone[0], tone[2]))
    colour = np.clip(tone * (0.7 + 0.6 * _clouds(SHAPE, random)[..., None]), 0, 1).astype(np.float32)
    skin = _bump(x, y, 0.5 * radius, 0.6 * radius, 3)
    colour = colour * (1 - skin) + np.float32([0.78, 0.58, 0.48]) * skin
    if green == "clothes":
        shirt = _bump(x, height * 0.9, radius, 0.9 * radius, 4)
        cloth = np.float32([0.25, 0.42, 0.24]) * (0.8 + 0.4 * _clouds(SHAPE, random)[..., None])
        colour = colour * (1 - shirt) + cloth * shirt
    if green == "leaf":  # some reach out of the subject
        leaves = np.zeros(SHAPE, np.float32)
        for _ in range(5):
            turn = random.uniform(0, 2 * np.pi)
            middle = int(x + 1.3 * radius * np.cos(turn)), int(height * 0.75 + 0.9 * radius * np.sin(turn))
            size = int(0.55 * radius), int(0.2 * radius)
            cv2.ellipse(leaves, middle, size, float(random.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
        tint = np.float32([0.33, 0.5, 0.1]) * (0.7 + 0.6 * _clouds(SHAPE, random)[..., None])
        colour = colour * (1 - leaves[..., None]) + tint * leaves[..., None]
        alpha = np.maximum(alpha, leaves)
    if green in ("foliage", "apron"):
        alpha, colour = _over_the_screen(green, (x, y, radius), alpha, colour, random)
    if edge == "motion":
        kernel = np.zeros((15, 15), np.float32)
        cv2.line(kernel, (0, 7 + int(random.integers(-4, 5))), (14, 7), 1.0, 1)
        alpha = cv2.filter2D(alpha, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    pane = np.zeros(SHAPE, np.float32)
    if edge == "glass":
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        out = ((columns - width * 0.15) / (0.09 * width)) ** 2 + ((rows - height * 0.5) / (0.22 * height)) ** 2
        pane = np.where(out < 1, 0.22 + 0.5 * np.clip((out - 0.8) / 0.2, 0, 1), 0).astype(np.float32)
        pane = cv2.GaussianBlur(pane, (0, 0), 0.7)
        colour = np.where((pane > alpha)[..., None], np.float32([0.75, 0.75, 0.78]), colour)
        alpha = np.maximum(alpha, pane)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5)
    image = alpha[..., None] * colour + (1 - alpha[..., None]) * behind
    image = image + random.normal(0, random.uniform(0.006, 0.015), image.shape)
    image = np.round(np.clip(image, 0, 1) * 255) / 255
    mask = cv2.resize(alpha, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
    mask = cv2.GaussianBlur(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), (0, 0), 2)
    mask = np.clip((mask - 0.5) * 1.6 + 0.5, 0, 1)
    mask = np.maximum(mask, 0.35 * cv2.GaussianBlur((pane > 0).astype(np.float32), (0, 0), 3))
    name = f"{number + 1:2} {screen}, green: {green}, {edge}"
    return Keyed(name, image.astype(np.float32), alpha.astype(np.float32), mask.astype(np.float32))


def main() -> None:
    """Print a row a scene and the means of each six."""
    rows = []
    for number in range(len(SCENES)):
        scene = keyed(number)
        found = (
            scene.mask,
            key_alpha(scene.image),
            *(method(scene.image, scene.mask) for method in (key_alpha, auto_alpha)),
        )
        rows.append([255 * float(np.abs(one - scene.alpha).mean()) for one in found])
        print(f"{scene.name:32}", *(f"{one:6.2f}" for one in rows[-1]), flush=True)
    for name, part in (("chosen by", rows[:6]), ("kept aside", rows[6:12]), ("green over the screen", rows[12:])):
        print(f"{name:32}", *(f"{one:6.2f}" for one in np.mean(part, axis=0)))


if __name__ == "__main__":
    main()

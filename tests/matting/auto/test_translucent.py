"""Glass in a mask, told from what a model doubts and from what it saw too small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gossamer.matting.auto import auto_alpha
from gossamer.matting.auto.mixtures import Mixtures
from gossamer.matting.auto.translucent import translucency
from gossamer.matting.signed_distance import unit_length
from tests.matting.auto.test_auto import HEIGHT, WIDTH, composite, disc, drawn, mottled, sad, through_network


def test_a_mesh_that_a_network_saw_too_small_is_no_glass():
    """Either is grey nearly everywhere; a mesh is so unevenly, for what is left of its wires."""
    shape = drawn(disc)
    unit = unit_length(shape.shape)
    glass = shape * np.float32(0.4)
    even = Mixtures(composite(glass), unit)
    assert translucency(through_network(glass, 100), even, unit)[HEIGHT // 2, WIDTH // 2] == 1

    def net(big: np.ndarray, size: int) -> None:
        for place in range(size // 6, 5 * size // 6, 48):
            cv2.line(big, (size // 6 + place, size // 6), (size // 6 + place, 5 * size // 6), 255, 16)
            cv2.line(big, (size // 3, place), (size, place), 255, 16)

    seen = through_network(drawn(net), 120)
    assert ((seen > 0.12) & (seen < 0.88))[100:200, 150:250].mean() > 0.9
    assert translucency(seen, even, unit).max() < 0.2


VIOLET = (0.45, 0.4, 0.7)


def labelled() -> tuple[np.ndarray, np.ndarray]:
    """What is glass of a thing that is half of it, and what is opaque: a lid, a label."""
    glass, solid = np.zeros((2, HEIGHT, WIDTH), np.float32)
    glass[60:260, 130:270] = 1
    solid[35:110, 125:275] = 1
    solid[170:260, 130:230] = 1
    return np.maximum(glass, solid), solid


def test_glass_stays_soft_beside_a_lid_and_a_label_of_its_own_colour():
    """They speak for all of the jar; but it ends as sharply as they do, and they begin at edges of the picture."""
    body, solid = labelled()
    truth = np.maximum(body * np.float32(0.5), solid)
    colour, back = np.float32((0.6, 0.4, 0.8)), mottled((0.5, 0.5, 0.5), 2)
    own = np.where(solid[..., None] > 0, np.float32(0.75) * colour, colour)
    back[:, 200:240] = 0.7 * colour + 0.02 * back[:, 200:240]
    image = np.clip(truth[..., None] * own + (1 - truth[..., None]) * back, 0, 1).astype(np.float32)
    mask = through_network(truth, 300)
    alpha = auto_alpha(image, mask)
    inside = (cv2.erode(body - solid, np.ones((15, 15))) > 0) & (solid == 0)
    assert np.abs(alpha - truth)[inside].max() < 0.02
    assert sad(alpha, truth) < sad(mask, truth)


def jar(
    colour: tuple[float, float, float], opacity: np.ndarray | float, clear: float = 0.5
) -> tuple[np.ndarray, Mixtures]:
    """A mask of a jar half as opaque, and a picture of it, so clear; lid and label have another colour."""
    body, solid = labelled()
    mask = through_network(np.maximum(body * np.float32(0.5) * opacity, solid).astype(np.float32), 300)
    own = np.where(solid[..., None] > 0, np.float32(colour), np.float32(VIOLET))
    truth = np.maximum(body * np.float32(1 - clear), solid)[..., None]
    image = truth * own + (1 - truth) * mottled((0.15, 0.4, 0.5), 2)
    return mask, Mixtures(image.astype(np.float32), unit_length(body.shape))


def test_a_doubt_fades_out_or_begins_at_no_edge_of_the_picture():
    unit = unit_length((HEIGHT, WIDTH))
    other = (0.3, 0.5, 0.2)
    mask, picture = jar(other, 1.0)
    assert translucency(mask, picture, unit)[140, 200] == 1
    assert translucency(mask, jar(VIOLET, 1.0, clear=0.0)[1], unit).max() < 0.2
    body, _ = labelled()
    mask, picture = jar(other, cv2.GaussianBlur(body, (0, 0), 6))
    assert translucency(mask, picture, unit).max() < 0.2


def test_glass_that_is_hardly_told_from_its_lid_is_told_by_what_is_seen_through_it():
    """For a tenth of its border there is no edge in the picture; but it changes as what is behind it does."""
    unit = unit_length((HEIGHT, WIDTH))
    body, solid = labelled()
    mask = through_network(np.maximum(body * np.float32(0.5), solid), 300)
    back = mottled((0.15, 0.4, 0.5), 2)
    back[np.arange(HEIGHT) // 25 % 2 == 0] += np.float32(0.2)
    own = np.where(solid[..., None] > 0, np.float32((0.3, 0.5, 0.2)), np.float32(VIOLET))

    def told(opacity: float) -> float:
        truth = np.maximum(body * np.float32(opacity), solid)[..., None]
        image = truth * own + (1 - truth) * back
        image[35:110, 150:230] = image[111:112, 150:230]
        return float(translucency(mask, Mixtures(image.astype(np.float32), unit), unit)[140, 200])

    assert told(0.5) == 1
    assert told(1.0) < 0.3


@pytest.mark.parametrize(
    ("colour", "wall"), [((0.05, 0.15, 0.03), 0.85), ((0.95, 0.9, 0.6), 0.2), ((0.05, 0.5, 0.4), 0.5)]
)
def test_what_is_darker_or_brighter_than_glass_could_be_is_opaque(colour, wall):
    """A model doubts it as evenly and sharply as glass; but half of a bright wall's light would come through that."""
    body, solid = labelled()
    unit = unit_length(body.shape)
    mask = through_network(np.maximum(body * np.float32(0.4), solid), 300)
    own = np.where(solid[..., None] > 0, np.float32((0.7, 0.3, 0.3)), np.float32(colour))
    for opacity, found in ((1.0, 0.0), (0.4, 1.0)):
        truth = np.maximum(body * np.float32(opacity), solid)[..., None]
        image = truth * own + (1 - truth) * mottled((wall, wall, wall), 2)
        clear = translucency(mask, Mixtures(np.clip(image, 0, 1).astype(np.float32), unit), unit)
        assert clear[140, 200] == found


def test_a_doubt_fades_into_what_a_model_is_sure_of():
    body, _ = labelled()
    fading = 1 - np.float32(0.5) * np.clip((np.arange(WIDTH, dtype=np.float32) - 190) / 30, 0, 1)
    unit = unit_length(body.shape)
    mask = through_network(body * fading, 300)
    assert ((mask > 0.45) & (mask < 0.55)).sum() > 5000
    assert translucency(mask, Mixtures(composite(body * np.float32(0.5)), unit), unit).max() < 0.2


def test_lace_that_a_network_saw_as_an_even_grey_is_resolved_by_the_picture():
    def lace(big: np.ndarray, size: int) -> None:
        cv2.rectangle(big, (size // 3, size // 6), (size, 5 * size // 6), 255, -1)
        for y in range(size // 6 + 24, 4 * size // 6, 32):
            for x in range(size // 3 + 24, size - 24, 32):
                cv2.circle(big, (x, y), 13, 0, -1)

    truth = drawn(lace)
    mask = through_network(truth, 60)
    unit = unit_length(truth.shape)
    assert (
        translucency(mask, Mixtures(composite(truth), unit), unit)[HEIGHT // 3 : HEIGHT // 2, WIDTH // 2].mean() > 0.9
    )
    assert sad(auto_alpha(composite(truth), mask), truth) < 0.7 * sad(mask, truth)

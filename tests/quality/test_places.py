"""The places of an edge that are worth looking at: where the photograph speaks against it, else where it is soft."""

from __future__ import annotations

import numpy as np

from gossamer.quality.places import worst_places
from gossamer.quality.view import look

SIDE = 64


def _inside(place, row, column) -> bool:
    return place.top <= row < place.top + place.side and place.left <= column < place.left + place.side


def _square(height=600, width=800) -> np.ndarray:
    alpha = np.zeros((height, width), np.float32)
    alpha[150:450, 200:600] = 1
    return alpha


def test_the_softest_part_of_the_edge_comes_first() -> None:
    alpha = _square()
    ramp = np.linspace(1, 0, 40, dtype=np.float32)
    alpha[300:340, 600:640] = ramp  # a tuft of hair at the right side
    places = worst_places(look(alpha, None, None), count=3, side=SIDE)
    assert _inside(places[0], 320, 615)
    assert len(places) == 3
    for one in places:
        assert 0 <= one.top <= 600 - SIDE
        assert 0 <= one.left <= 800 - SIDE
        for other in places:
            assert one is other or abs(one.top - other.top) >= SIDE or abs(one.left - other.left) >= SIDE


def test_what_the_photograph_does_not_show_comes_before_what_is_soft() -> None:
    rng = np.random.default_rng(1)
    photo = np.full((600, 800, 3), 0.2, np.float32)
    photo[150:450, 200:700] = 0.8  # the subject goes on to 700, the mask ends at 600
    photo += rng.normal(0, 0.002, photo.shape).astype(np.float32)
    alpha = _square()
    alpha[300:340, 160:200] = np.linspace(0, 1, 40, dtype=np.float32)  # hair, which the photograph shows as well
    photo[300:340, 160:200] = (0.2 + 0.6 * alpha[300:340, 160:200])[..., None]
    places = worst_places(look(alpha, None, photo), count=1, side=SIDE)
    assert 600 - SIDE <= places[0].left < 600
    assert 150 - SIDE < places[0].top < 450


def test_places_are_in_the_pixels_of_a_large_picture() -> None:
    alpha = np.kron(_square(), np.ones((4, 4), np.float32))
    alpha[1200:1360, 2400:2560] = np.linspace(1, 0, 160, dtype=np.float32)
    (place,) = worst_places(look(alpha, None, None), count=1, side=192)
    assert _inside(place, 1280, 2460)
    assert place.side == 192


def test_without_an_edge_there_is_nothing_to_see() -> None:
    for value in (0.0, 1.0):
        assert worst_places(look(np.full((50, 70), value, np.float32), None, None)) == []
    small = np.zeros((20, 9), np.float32)
    small[5:15] = 1
    assert [place.side for place in worst_places(look(small, None, None), count=1)] == [9]

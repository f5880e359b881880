"""A trimap to a matte, by every method that takes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gossamer.errors import InputError
from gossamer.matting import closed_form_alpha, trimap_alpha
from tests.matting.tiny_vitmatte import write_model


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A soft red disc over green; returns the picture, its alpha and a trimap."""
    rows, columns = np.mgrid[:60, :60]
    alpha = np.clip((20 - np.hypot(rows - 30, columns - 30)) / 6 + 0.5, 0, 1).astype(np.float32)
    front, back = np.array((0.9, 0.2, 0.1)), np.array((0.1, 0.7, 0.3))
    picture = alpha[..., None] * front + (1 - alpha[..., None]) * back
    trimap = np.where(alpha >= 1, 1, np.where(alpha <= 0, 0, 0.5)).astype(np.float32)
    return picture.astype(np.float32), alpha, trimap


@pytest.mark.parametrize("method", ["closed_form", "knn", "learning_based"])
def test_a_known_alpha_is_recovered(method: str) -> None:
    picture, alpha, trimap = scene()
    found = trimap_alpha(picture, trimap, method)
    assert np.abs(found - alpha).mean() < 0.01
    assert (found[trimap == 1] == 1).all()
    assert (found[trimap == 0] == 0).all()


def test_eight_bits_say_the_same() -> None:
    picture, _, trimap = scene()
    grey = np.array((0, 128, 255), np.uint8)[(2 * trimap).astype(int)]
    assert (trimap_alpha(picture, grey) == closed_form_alpha(picture, trimap)).all()


@pytest.mark.long
def test_vitmatte_keeps_what_is_certain(tmp_path: Path) -> None:
    picture, _, trimap = scene()
    found = trimap_alpha(picture, trimap, "vitmatte", model=str(write_model(tmp_path / "tiny")), device="cpu")
    assert (found[trimap == 1] == 1).all()
    assert (found[trimap == 0] == 0).all()


def test_bad_input_is_told() -> None:
    picture, _, trimap = scene()
    with pytest.raises(InputError, match="There is no method for trimaps 'guided'"):
        trimap_alpha(picture, trimap, "guided")
    with pytest.raises(InputError, match="trimap"):
        trimap_alpha(picture, trimap[:30])

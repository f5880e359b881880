"""The published weights on a picture with a known answer, on a machine with network.

``pytest -m true_weights`` fetches some 1 GB (SAM 3, which is gated, only where HF_TOKEN is set: 3.4 GB).
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from gossamer.prompting.grounded_sam2 import load_grounded_sam2
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam3 import load_sam3
from tests.prompting.tiny_models import HAS_SAM3

pytestmark = pytest.mark.true_weights


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    rows, columns = np.mgrid[:480, :640]
    return np.hypot(rows - 240, columns - 400) < 120


@pytest.fixture(scope="module")
def image(disc: np.ndarray) -> np.ndarray:
    """A red disc and a blue square on grey."""
    picture = np.full((480, 640, 3), 170, np.uint8)
    picture[150:330, 60:220] = (40, 70, 200)
    picture[disc] = (200, 30, 30)
    return picture


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_grounded_sam2_finds_a_red_circle(image: np.ndarray, disc: np.ndarray) -> None:
    model = load_grounded_sam2("grounding-dino-tiny", "sam2.1-hiera-tiny")
    embedding = model.embed(image)
    [found] = model.predict(embedding, Prompt(text="red circle"), every=False)
    assert overlap(found.mask > 0.5, disc) > 0.95
    assert "circle" in found.label
    for prompt in (Prompt(boxes=[(275, 115, 525, 365)]), Prompt(points=[(400, 240)], not_points=[(140, 240)])):
        [place] = model.predict(embedding, prompt)
        assert overlap(place.mask > 0.5, disc) > 0.95


@pytest.mark.skipif(not HAS_SAM3 or not os.environ.get("HF_TOKEN"), reason="needs transformers 5 and HF_TOKEN")
def test_sam3_finds_a_red_circle(image: np.ndarray, disc: np.ndarray) -> None:
    model = load_sam3()
    found = model.predict(model.embed(image), Prompt(text="red circle"), every=False)
    assert overlap(found[0].mask > 0.5, disc) > 0.95

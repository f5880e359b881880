"""The authors' steps on tensors beside the same steps on the processor, for every model of the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gossamer.segmentation.postprocessing import postprocess
from gossamer.segmentation.preprocessing import preprocess
from gossamer.segmentation.tensors import fed, feeds, read_masks
from gossamer.weights.catalogue import load_catalogue

CARDS = {card.architecture: card for card in reversed(load_catalogue().values()) if feeds(card.input, card.output)}
SHAPES = [(375, 500), (61, 1300), (9, 7), (1100, 1024)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return soft blobs with noise, sharp edges and plain parts: (H, W, 3) uint8."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / draw.uniform(5, 90) + y / draw.uniform(5, 90)) for _ in range(3)]
    found = np.stack(waves, axis=-1) * 90 + 128 + draw.normal(0, 6, (height, width, 3))
    found[height // 3 : height // 2, width // 4 : width // 2] = draw.integers(0, 256, 3)
    return np.clip(found, 0, 255).astype(np.uint8)


def test_only_modnets_area_is_left_to_the_processor() -> None:
    left = {card.architecture for card in load_catalogue().values() if not feeds(card.input, card.output)}
    assert left == {"modnet"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CARDS, ids=str)
def test_pictures_are_fed_as_on_the_processor(kind: str, shape: tuple[int, int]) -> None:
    spec = CARDS[kind].input
    pictures = [picture(*shape, seed) for seed in (0, 1)]
    expected = np.concatenate([preprocess(each, spec) for each in pictures])
    found = fed(torch.from_numpy(np.stack(pictures)), spec).numpy()
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    steps = np.abs(found - expected) * np.asarray(spec.std, np.float32)[:, None, None] * 255
    if spec.resize in ("bilinear_antialias", "lanczos"):
        assert steps.max() <= 1e-3, "not Pillow's own numbers"
    elif spec.quantize == "truncate":
        # A sum that is a whole number but for its rounding may be cut off to the one below.
        assert steps.max() <= 1.001
        assert steps.mean() <= 1e-3, steps.mean()
    else:
        assert steps.max() <= 0.01


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CARDS, ids=str)
def test_masks_are_read_as_on_the_processor(kind: str, shape: tuple[int, int]) -> None:
    card = CARDS[kind]
    sides = (card.input.size or (512, 512))[::-1]
    y, x = np.mgrid[: sides[0], : sides[1]] / np.float32(90)
    maps = np.stack([np.sin(x + 1) * np.cos(y), np.sin(2 * x) * 0.3, x * 0 + 0.1]).astype(np.float32)
    if card.output.activation == "none":
        maps = np.clip(maps * 0.5 + 0.5, 0, 1) * np.float32([0.9, 1, 0.3])[:, None, None]
    seen = np.concatenate([preprocess(picture(*shape, seed), card.input) for seed in range(3)])
    seen = np.broadcast_to(seen, (3, 3, *seen.shape[2:])).copy() if seen.shape[2:] == sides else None
    expected = [
        postprocess(one, card.output, *shape, fed=card.input, seen=None if seen is None else seen[number])
        for number, one in enumerate(maps.copy())
    ]
    there = None if seen is None else torch.from_numpy(seen)
    found = read_masks(torch.from_numpy(maps), there, card.output, shape, card.input).numpy()
    assert np.abs(found - np.stack(expected)).max() <= 1e-4


@pytest.mark.parametrize("name", ["u2net", "isnet-general-use"])
def test_what_is_nothing_stays_nothing(name: str) -> None:
    """Unsure everywhere, unsure of a picture of noise, and flat: each picture by itself, within one batch."""
    card = load_catalogue()[name]
    width, height = card.input.size
    draw = np.random.default_rng(3)
    noise = preprocess(draw.integers(0, 256, (height, width, 3), np.uint8), card.input)[0]
    photograph = preprocess(picture(height, width), card.input)[0]
    unsure = draw.uniform(0.2, 0.8, (height, width)).astype(np.float32)
    maps = np.stack([unsure * 0.2, unsure, unsure, np.full_like(unsure, 0.75)])
    seen = np.stack([photograph, noise, photograph, photograph])
    found = read_masks(torch.from_numpy(maps), torch.from_numpy(seen), card.output, (50, 40), card.input).numpy()
    expected = [
        postprocess(one, card.output, 50, 40, fed=card.input, seen=each)
        for one, each in zip(maps.copy(), seen, strict=True)
    ]
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-4)
    assert [bool(each.any()) for each in found] == [False, False, True, True]

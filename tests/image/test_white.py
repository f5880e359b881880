"""White that is still white after JPEG, as libjpeg decodes it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
import skimage.filters
from PIL import Image

from gossamer.errors import Cancelled
from gossamer.image import encode_image
from gossamer.image.white import FINEST, white_kept
from gossamer.progress import Progress

SILENT = Progress(None)


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as file:
        return np.asarray(file.convert("RGB"))


def ragged(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph's colours over white, by an alpha with soft, hard and hair-thin edges, and that alpha."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(float)
    noise = skimage.filters.gaussian(np.random.default_rng(5).standard_normal(shape), 3)
    alpha = np.clip((0.42 - np.hypot(y / height - 0.6, x / width - 0.6) + 2 * noise) * 12, 0, 1)
    alpha[:, ::23] = np.maximum(alpha[:, ::23], 0.6 * (y[:, ::23] > height / 3))
    alpha[4:5, 2:3] = alpha[60:61, 9:12] = 1  # single pixels, with white all around
    colours = skimage.data.coffee()[:height, :width]
    return np.rint(colours * alpha[..., None] + 255 * (1 - alpha[..., None])).astype(np.uint8), alpha


@pytest.mark.long
@pytest.mark.parametrize("shape", [(96, 120), (203, 245), (7, 90), (5, 3)])
def test_every_clear_pixel_is_decoded_as_white(shape: tuple[int, int]) -> None:
    pixels, alpha = ragged(shape)
    clear = alpha < 0.5 / 255
    kept = white_kept(pixels, clear, progress=SILENT)
    file = decoded(encode_image(kept.ycbcr, None, "jpeg", quality=FINEST, ycbcr=True))
    assert (file[clear] == 255).all()
    change = np.abs(file.astype(int) - pixels)
    assert change[~kept.beside].max(initial=0) <= 6  # what JPEG does anyhow
    assert change[kept.beside & ~clear].mean() < 4
    assert np.array_equal(white_kept(pixels, clear, progress=SILENT).ycbcr, kept.ycbcr)  # the same file every time
    if clear.sum() > 1000:
        plain = decoded(encode_image(pixels, None, "jpeg", quality=FINEST))
        assert np.count_nonzero(plain[clear].min(1) < 255) > 100
        coarse = encode_image(kept.coarser(70), None, "jpeg", quality=FINEST, ycbcr=True)
        assert (decoded(coarse)[clear] == 255).all()
        assert len(coarse) < 0.97 * len(encode_image(pixels, None, "jpeg", quality=FINEST))


def test_a_picture_without_white_or_without_a_subject_stays() -> None:
    colours = skimage.data.coffee()[:64, :64]
    for pixels, clear in ((colours, False), (np.full_like(colours, 255), True)):
        kept = white_kept(pixels, np.full((64, 64), clear), progress=SILENT)
        assert not kept.beside.any()
        assert np.array_equal(kept.ycbcr, np.asarray(Image.fromarray(pixels).convert("YCbCr")))


def test_it_can_be_cancelled() -> None:
    def leave(*_: object) -> None:
        raise Cancelled

    pixels, alpha = ragged((200, 240))
    with pytest.raises(Cancelled):
        white_kept(pixels, alpha == 0, progress=Progress(leave))
    with pytest.raises(ValueError, match="YCbCr"):
        encode_image(pixels, None, "png", ycbcr=True)

"""Colours of grey, CMYK and Lab pictures brought to sRGB through their profile, by LittleCMS."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["grey_table", "inks_to_srgb", "to_srgb"]


def inks_to_srgb(pixels: NDArray[np.uint8], icc: bytes | None, notes: list[str]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) sRGB colours of CMYK, (H, W, 4)."""
    from PIL import Image

    return np.asarray(to_srgb(Image.fromarray(np.ascontiguousarray(pixels), "CMYK"), icc, notes))


def grey_table(icc: bytes | None, notes: list[str]) -> bytes:
    """Return the sRGB of each of 256 greys.

    Worked out once without lcms's short cuts (wrong by 10 of 255 in the darks of some profiles); green for all three
    keeps greys neutral to the last bit.
    """
    from PIL import Image

    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    return to_srgb(ramp, icc, notes, exact=True).getchannel("G").tobytes()


def to_srgb(picture: Pillow.Image, icc: bytes | None, notes: list[str], *, exact: bool = False) -> Pillow.Image:
    """Convert CMYK, Lab or grey to sRGB through the profile `icc`, or plainly where that is not possible."""
    from PIL import ImageCms

    try:
        if icc is None and picture.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif icc is None:
            raise ValueError("no profile")
        else:
            source = ImageCms.getOpenProfile(io.BytesIO(icc)).profile
        converted = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(source),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if exact else ImageCms.Flags.NONE),
        )
        assert converted is not None  # noqa: S101 - None only for inPlace
        return converted
    except (ValueError, OSError, TypeError, ImageCms.PyCMSError):
        why = "has no colour profile" if icc is None else "has a colour profile that cannot be used"
        notes.append(f"it {why}: its {picture.mode} colours are converted to RGB by a plain formula")
        return picture.convert("RGB")

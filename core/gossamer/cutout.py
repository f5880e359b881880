"""The result: a foreground with its alpha, what happened on the way, and how to save it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.errors import InputError, OutputError
from gossamer.image import Metadata, best_within, check_output, encode_image, format_of, rounded, write_bytes
from gossamer.image.white import FINEST, white_kept
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.recipe import Foreground, Matting, Recipe

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["Ahead", "Cutout", "Origin", "Report"]

_NOTHING = 0.001  # of the picture
_CLEAR = 0.5 / 255  # of alpha: what 8 bits round to nothing


@dataclass(frozen=True)
class Report:
    """What was done.

    Attributes
    ----------
    model : str
        Id of the model, or "" when the mask was given.
    device : str
        Where the model really ran.
    seconds : dict of str to float
        Wall-clock seconds of each stage.
    coverage : float
        Mean of the alpha: the part of the picture that is foreground, in [0, 1].
    warnings : tuple of str
        What the user should know.
    disagreement : float or None
        Of several models that were combined: mean of the largest difference between their masks, in [0, 1].
    engine : str
        What ran the model, and in which precision, such as ``"torch bfloat16"``; "" where that is not known.
    resolution : int
        Side in pixels at which the model saw the picture, where that is not the size that its authors chose; else 0.
    """

    model: str = ""
    device: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    coverage: float = 0.0
    warnings: tuple[str, ...] = ()
    disagreement: float | None = None
    engine: str = ""
    resolution: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain types, ready for JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class Ahead:
    """What was made of a picture while it lay on a card with its mask: it counts for that mask and those settings.

    Attributes
    ----------
    mask : (H, W) float32
    alpha : (H, W) float32
        Of the guided filter; else the mask.
    colours : (H, W, 3) uint8 or float32, or None
        The subject's own, by that alpha.
    matting : Matting
    foreground : Foreground
    """

    mask: Array
    alpha: Array
    colours: NDArray[Any] | None
    matting: Matting
    foreground: Foreground


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a mask is from, and what happened on the way to it.

    Attributes
    ----------
    model, device, seconds, warnings, engine, resolution
        As for :class:`Report`, as far as the mask is concerned.
    disagreement : (H, W) float32 or None
        As for :class:`Cutout`.
    ahead : Ahead or None
        What was made beyond the mask.
    """

    model: str = ""
    device: str = "cpu"
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    disagreement: Array | None = None
    engine: str = ""
    resolution: int = 0
    ahead: Ahead | None = None

    def report(self, alpha: Array, seconds: dict[str, float], warnings: Iterable[str]) -> Report:
        """Return the report of a cut-out, `seconds` and `warnings` being those of the stages after the mask."""
        import cv2

        coverage = float(cv2.mean(alpha)[0])
        # The mean in float64: of 50 million float32 it would be off in the fourth digit.
        apart = None if self.disagreement is None else round(float(self.disagreement.mean(dtype="f8")), 6)
        told = [*self.warnings, *warnings]
        if coverage < _NOTHING:
            told.append("Almost nothing was found to be foreground: is there a subject in the picture?")
        elif coverage > 1 - _NOTHING:
            told.append("Almost everything was found to be foreground: is there a background in the picture?")
        return Report(
            model=self.model,
            device=self.device,
            seconds={**self.seconds, **seconds},
            coverage=round(coverage, 6),
            warnings=tuple(dict.fromkeys(told)),
            disagreement=apart,
            engine=self.engine,
            resolution=self.resolution,
        )


@dataclass(frozen=True, eq=False)
class Cutout:
    """A subject, cut out.

    Attributes
    ----------
    pixels : (H, W, 3) uint8 or float32
        The subject's own colours, straight (not premultiplied), defined everywhere: floats in [0, 1], or bytes
        where the picture has bytes and its colours are left alone, or it has more than two megapixels and nothing
        but a file needs to be made of it.
    alpha : (H, W) float32
        1 = foreground, 0 = background.
    report : Report
        What was done.
    recipe : Recipe
        The settings used.
    composite : (H, W, 3) float32 or None
        The subject over the background and the shadow that the recipe asks for; None without them.
    icc_profile : bytes or None
        The colour profile of the numbers, as in the source.
    bit_depth : int
        8, 16 or 32, as in the source.
    dpi : tuple of float or None
        The source's resolution.
    composite_alpha : (H, W) float32 or None
        Of `composite`, where it is transparent: a colour that is so in part, a shadow without a background.
    disagreement : (H, W) float32 or None
        Of several models that were combined: where their masks differ, and by how much.
    metadata : Metadata or None
        What of the photograph's EXIF and XMP goes into files.
    shadow : (H, W) float32 or None
        The photograph's own shadow where it was to be kept: the alpha of a black layer beneath the subject, which
        `composite` has already.
    """

    pixels: NDArray[Any]
    alpha: Array
    report: Report
    recipe: Recipe
    composite: Array | None = None
    icc_profile: bytes | None = None
    bit_depth: int = 8
    dpi: tuple[float, float] | None = None
    disagreement: Array | None = None
    composite_alpha: Array | None = None
    metadata: Metadata | None = None
    shadow: Array | None = None

    @cached_property
    def foreground(self) -> Array:
        """The subject's own colours, (H, W, 3) float32 in [0, 1]; made of `pixels` when first asked for, and kept."""
        return unit_float(self.pixels)

    def to_pil(self) -> PIL.Image.Image:
        """Return an 8-bit PIL image: RGBA with straight alpha, or RGB over the recipe's background."""
        import PIL.Image

        rgb, alpha = self._planes()
        picture = PIL.Image.fromarray(rounded(rgb, alpha, 8))
        if self.icc_profile:
            picture.info["icc_profile"] = self.icc_profile
        return picture

    def encode(
        self, format: str, *, mask_only: bool = False, progress: ProgressCallback | Progress | None = None
    ) -> bytes:
        """Return the encoded picture.

        Parameters
        ----------
        format : {"png", "webp", "tiff", "jpeg"}
            JPEG has no transparency: it takes a recipe with a background, or `mask_only`. At the quality 100 a
            background of pure white stays pure white beside the subject, too, also where the recipe's largest size
            makes the rest coarser.
        mask_only : bool
            Encode the alpha as a grey picture.
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

        Raises
        ------
        InputError
            JPEG was asked for and the background is transparent.
        OutputError
            The format cannot hold a picture of this size, or the file would be larger than the recipe's ``output``
            allows.
        """
        if mask_only:
            return encode_image(None, self.alpha, format, bit_depth=self.bit_depth, dpi=self.dpi, progress=progress)
        if format == "jpeg" and (self.composite is None or self.composite_alpha is not None):
            raise InputError(
                "JPEG cannot hold a transparent background.",
                "Write .png, .webp or .tiff, or give a background.",
            )
        output = self.recipe.output
        most = 1000 * output.max_kb if format == "jpeg" else 0
        if most and progress is not None:  # several are made, nobody knows how many: nothing but a chance to cancel
            steps = Progress.of(progress)
            progress = Progress(lambda *_: steps.tick())
        if format == "jpeg" and output.quality == FINEST:
            return self._finest(most, None if progress is None else Progress.of(progress))
        if most:
            return best_within(lambda quality: self._encoded(format, progress, quality=quality), output.quality, most)
        data = self._encoded(format, progress, quality=output.quality)
        if output.max_kb and len(data) > 1000 * output.max_kb:
            raise OutputError(
                f"The picture takes {len(data) / 1000:.0f} kB as {format}, more than {output.max_kb}.",
                "Write JPEG, give a smaller canvas, or allow a larger file.",
            )
        return data

    def apart(self) -> Cutout:
        """Return the cut-out alone, over nothing: its photographed shadow is in :attr:`shadow` then, not beneath it."""
        return replace(self, composite=None, composite_alpha=None)

    def encode_shadow(self, format: str, *, progress: ProgressCallback | Progress | None = None) -> bytes:
        """Return the photograph's shadow as a picture of its own, to lie beneath the cut-out: black, with its alpha.

        Parameters
        ----------
        format : {"png", "webp", "tiff"}
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

        Raises
        ------
        InputError
            JPEG was asked for, or there is no shadow.
        OutputError
            The format cannot hold a picture of this size.
        """
        if format == "jpeg":
            raise InputError("JPEG cannot hold a shadow's alpha.", "Choose PNG, WebP or TIFF.")
        if self.shadow is None:
            raise InputError("This cut-out has no shadow of its photograph.", "Ask for it: foreground.shadow = keep.")
        return encode_image(
            np.zeros((*self.shadow.shape, 3), np.uint8),
            self.shadow,
            format,
            bit_depth=min(self.bit_depth, 16),
            icc_profile=self.icc_profile,
            dpi=self.dpi,
            progress=progress,
        )

    def _finest(self, most: int, progress: Progress | None) -> bytes:
        """Return a JPEG file of the best quality, in which white stays white, of `most` bytes at most (0: any size)."""
        steps = Progress(None) if progress is None else progress
        kept = white_kept(rounded(self._planes()[0], None, 8), self.alpha < _CLEAR, progress=steps)
        last = None if progress is None else steps.part(0.5, 1.0)

        def encoded(quality: int) -> bytes:
            ycbcr = kept.ycbcr if quality == FINEST else kept.coarser(quality)
            return self._encoded("jpeg", last, quality=FINEST, ycbcr=ycbcr)

        if not most:
            return encoded(FINEST)
        try:
            return best_within(encoded, FINEST, most)
        except OutputError:  # without the finest tables there is room for less: a check tells what that does to white
            return best_within(lambda quality: self._encoded("jpeg", last, quality=quality), FINEST, most)

    def _encoded(
        self,
        format: str,
        progress: ProgressCallback | Progress | None,
        *,
        quality: int,
        ycbcr: NDArray[Any] | None = None,
    ) -> bytes:
        """Return the picture in a format; `ycbcr` are its colours as JPEG holds them, where they are not its own."""
        rgb, alpha = self._planes()
        return encode_image(
            rgb if ycbcr is None else ycbcr,
            alpha,
            format,
            bit_depth=self.bit_depth,
            icc_profile=self.icc_profile,
            dpi=self.dpi,
            quality=quality,
            metadata=self.metadata,
            ycbcr=ycbcr is not None,
            progress=progress,
        )

    def _planes(self) -> tuple[NDArray[Any], Array | None]:
        return (self.pixels, self.alpha) if self.composite is None else (self.composite, self.composite_alpha)

    def save(
        self,
        path: str | Path,
        *,
        force: bool = False,
        mask_only: bool = False,
        progress: ProgressCallback | Progress | None = None,
    ) -> None:
        """Write the picture; its format follows the suffix of `path` (.png, .webp, .tif, .tiff, .jpg, .jpeg).

        Parameters
        ----------
        path : str or Path
            Written atomically: it is either whole or not there.
        force : bool
            Replace an existing file.
        mask_only : bool
            Write the alpha as a grey picture.
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work; nothing is left.

        Raises
        ------
        OutputExists
            `path` exists and `force` is false.
        OutputError
            The folder is missing or not writable, the disk is full, or the suffix is unknown.
        InputError
            JPEG was asked for and the background is transparent.
        """
        check_output(path, force=force)
        steps = None if progress is None else Progress.of(progress)
        part = None if steps is None else steps.part(0.0, 0.9)
        data = self.encode(format_of(path), mask_only=mask_only, progress=part)
        write_bytes(path, data, force=force, progress=None if steps is None else steps.part(0.9, 1.0))

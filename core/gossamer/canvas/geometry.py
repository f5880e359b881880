"""From box, margins, ratio, size and fill to a layout: how large the canvas is, and where on it the photograph lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from gossamer.canvas.subject import SIDES, Box
from gossamer.errors import InputError
from gossamer.lengths import MM_PER_INCH, Length, read_aspect, read_margin, read_size
from gossamer.settings.canvas import Canvas

__all__ = ["Content", "Layout", "lay_out"]

_PRINT = 300  # dots per inch of a size in millimetres
_MOST = 300_000_000  # pixels: as many as are read
_LARGEST_SIDE = 65_535
_UNLIKE = 0.01  # between two ratios that are said to be one
_ENLARGED = 1.001


class Content(NamedTuple):
    """What the canvas is made around.

    Attributes
    ----------
    box : Box
        In the photograph's pixels.
    by_height : bool
        Whether only its height counts for its size: a head's.
    mass : tuple of float or None
        Its centre of mass (x, y), where it is aligned by that.
    cut : tuple of str
        The sides at which the photograph cuts it off.
    """

    box: Box
    by_height: bool = False
    mass: tuple[float, float] | None = None
    cut: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A canvas, and where the photograph lies on it.

    Attributes
    ----------
    width, height : int
        The canvas, in pixels.
    scale : float
        Pixels of the canvas for one of the photograph.
    left, top : float
        Where the photograph's corner is on the canvas; outside of it where it is cropped.
    warnings : tuple of str
        What the user should know.
    dpi : float or None
        Dots per inch that give the size in millimetres that was asked for; None where none was.
    """

    width: int
    height: int
    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0
    warnings: tuple[str, ...] = ()
    dpi: float | None = None

    def placed(self, box: Box) -> Box:
        """Return where a box of the photograph is on the canvas."""
        return Box(
            self.left + box.left * self.scale,
            self.top + box.top * self.scale,
            self.left + box.right * self.scale,
            self.top + box.bottom * self.scale,
        )


class _Room(NamedTuple):
    """Margins as lengths, and how much of each side what is between them may take."""

    top: Length
    right: Length
    bottom: Length
    left: Length
    fill: float

    def free(self, width: float, height: float) -> Box:
        """Return what they leave free of a canvas."""
        return Box(
            self.left.of(width),
            self.top.of(height),
            width - self.right.of(width),
            height - self.bottom.of(height),
        )


def lay_out(content: Content, settings: Canvas) -> Layout:
    """Return the layout that settings ask for.

    Parameters
    ----------
    content : Content
    settings : Canvas

    Raises
    ------
    InputError
        The margins leave no room on the canvas, it would be too large, or size and aspect ratio contradict each other.
    """
    sides = dict(zip(SIDES, read_margin(settings.margin), strict=True))
    if settings.align == "auto":
        sides |= {side: Length() for side in content.cut}
    room = _Room(**sides, fill=settings.fill / 100)
    size = read_size(settings.size)
    if size is None:
        width, height = _around(content, room, read_aspect(settings.aspect))
        _check_size(width, height)
        scale = 1.0
        warnings: list[str] = []
    else:
        # Millimetres at the resolution of the settings: the photograph's own is of its sensor, not of the print.
        whole = size.in_pixels(settings.dpi or _PRINT)
        aspect = read_aspect(settings.aspect)
        if aspect is not None and abs(whole[0] / whole[1] / aspect - 1) > _UNLIKE:
            raise InputError(
                f"A canvas of {whole[0]} x {whole[1]} has not the ratio {settings.aspect}.",
                "Give canvas size or canvas aspect, not both.",
            )
        _check_size(*whole)
        scale = _scale(content, room, *whole)
        whole, scale, warnings = _settle_size(content, room, whole, scale, settings.too_small)
        width, height = whole
    left, top = _corner(content, room, settings, width, height, scale)
    dpi = width / size.width * MM_PER_INCH if size is not None and size.in_mm else None
    layout = Layout(width, height, scale, left, top, tuple(warnings), dpi)
    return _exact(layout) if scale == 1 else layout


def _exact(layout: Layout) -> Layout:
    """Return a layout that moves the photograph by whole pixels: they stay what they are."""
    return replace(layout, left=float(round(layout.left)), top=float(round(layout.top)))


def _around(content: Content, room: _Room, aspect: float | None) -> tuple[int, int]:
    """Return the canvas around what keeps its own pixels."""
    box = content.box
    width = (box.width + room.left.px + room.right.px) / (1 - room.left.share - room.right.share)
    height = (box.height + room.top.px + room.bottom.px) / (1 - room.top.share - room.bottom.share)
    if room.fill:
        if not content.by_height:
            width = max(width, box.width / room.fill)
        height = max(height, box.height / room.fill)
    if aspect is not None:
        if content.by_height:
            width = height * aspect
        else:
            # Where a ratio needs more room anyhow, fill is reached along the other side alone.
            width, height = max(width, height * aspect), max(height, width / aspect)
    return max(1, round(width)), max(1, round(height))


def _check_size(width: int, height: int) -> None:
    if width * height > _MOST or max(width, height) > _LARGEST_SIDE:
        raise InputError(
            f"The canvas would be {width} x {height} pixels.", "Give a smaller size, smaller margins or more fill."
        )


def _scale(content: Content, room: _Room, width: int, height: int) -> float:
    """Return the largest scale at which the content has room."""
    free = room.free(width, height)
    if free.width < 1 or free.height < 1:
        raise InputError(
            f"The margins leave no room on a canvas of {width} x {height} pixels.",
            "Give smaller margins or a larger size.",
        )
    across, down = free.width, free.height
    if room.fill:
        across, down = min(across, room.fill * width), min(down, room.fill * height)
    if content.by_height:
        return down / content.box.height
    return min(across / content.box.width, down / content.box.height)


def _settle_size(
    content: Content, room: _Room, whole: tuple[int, int], scale: float, too_small: str
) -> tuple[tuple[int, int], float, list[str]]:
    """Return the canvas, the scale and warnings where the content would have to be enlarged."""
    if scale <= _ENLARGED:
        return whole, min(scale, 1.0), []
    wanted = f"{whole[0]} x {whole[1]}"
    if too_small == "enlarge":
        return whole, scale, [f"The subject is enlarged {scale:.1f} times for a canvas of {wanted}: it looks soft."]
    if too_small == "keep":
        told = (
            f"The subject has too few pixels for a canvas of {wanted} and is not enlarged: it has more room around it."
        )
        return whole, 1.0, [told]
    smaller = max(1, round(whole[0] / scale)), max(1, round(whole[1] / scale))
    again = min(1.0, _scale(content, room, *smaller))
    told = (
        f"The subject has too few pixels for a canvas of {wanted} and is not enlarged: "
        f"the picture is {smaller[0]} x {smaller[1]}."
    )
    # Rounding takes up to half a pixel: not worth resampling for.
    return smaller, 1.0 if again > 1 - 1 / max(smaller) else again, [told]


def _corner(
    content: Content, room: _Room, settings: Canvas, width: int, height: int, scale: float
) -> tuple[float, float]:
    """Return where the photograph's corner comes to lie."""
    box, free = content.box, room.free(width, height)
    size = box.width * scale, box.height * scale
    x = free.left + (free.width - size[0]) / 2
    y = free.top + (free.height - size[1]) / 2
    if settings.align == "bottom":
        y = free.bottom - size[1]
    elif settings.align == "mass" and content.mass is not None:
        x += size[0] / 2 - (content.mass[0] - box.left) * scale
        y += size[1] / 2 - (content.mass[1] - box.top) * scale
        x = _between(x, free.left, free.right - size[0])
        y = _between(y, free.top, free.bottom - size[1])
    elif settings.align == "auto":
        # What the photograph cuts off must not float: its cut lies at the picture's own edge.
        if ("left" in content.cut) != ("right" in content.cut):
            x = 0.0 if "left" in content.cut else width - size[0]
        if ("top" in content.cut) != ("bottom" in content.cut):
            y = 0.0 if "top" in content.cut else height - size[1]
    return x - box.left * scale, y - box.top * scale


def _between(value: float, low: float, high: float) -> float:
    return (low + high) / 2 if high < low else min(max(value, low), high)

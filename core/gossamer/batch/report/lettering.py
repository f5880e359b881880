"""Names drawn into a picture: in a font of the system that has their letters, shortened in the middle to fit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gossamer.spelling import visible

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["Lettering"]

# Of Linux, macOS and Windows: those with most scripts first; Pillow finds them by name, and has one of its own.
_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "YuGothM.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "DejaVuSans.ttf",
    "arial.ttf",
    "LiberationSans-Regular.ttf",
)
_NOWHERE = "\uffff"  # no letter: what a font draws for those that it has not
_GAP = "…"


class Lettering:
    """Writes single lines.

    Parameters
    ----------
    size : int
        Height of the letters in pixels.
    """

    def __init__(self, size: int) -> None:
        from PIL import ImageFont

        self._fonts: list[Any] = []
        for name in ("DejaVuSans.ttf", *_FONTS):
            try:
                self._fonts.append(ImageFont.truetype(name, size))
            except OSError:  # this system has it not
                continue
        self._fonts.append(ImageFont.load_default(size))
        self._font_for = lru_cache(maxsize=4096)(self._found)

    def draw(
        self, pen: ImageDraw, place: tuple[int, int], text: str, colour: str, width: int, *, right: bool = False
    ) -> None:
        """Write a text from its top left corner, or to its top right one, no wider than so many pixels.

        Letters that no font of this system has are written as escapes, and so is what would turn the order of others.
        """
        if not text:
            return
        text, font = self._font_for(visible(text))
        if font.getlength(text) > width:
            keep = max(int(len(text) * width / font.getlength(text)) - 1, 2)
            while keep > 2 and font.getlength(_shortened(text, keep)) > width:
                keep -= 1
            text = _shortened(text, keep)
        pen.text(place, text, fill=colour, font=font, anchor="ra" if right else "la")

    def _found(self, text: str) -> tuple[str, Any]:
        """Return the text as it can be written, and the first font that has all of its letters."""
        others = {letter for letter in text if not letter.isascii()}
        for font in self._fonts:
            if not others or all(_has(font, letter) for letter in others):
                return text, font
        return text.encode("ascii", "backslashreplace").decode("ascii"), self._fonts[0]


def _shortened(text: str, keep: int) -> str:
    """Return so many letters of a text, of its beginning and its end."""
    end = keep // 2
    return f"{text[: keep - end]}{_GAP}{text[len(text) - end :]}"


def _has(font: Any, letter: str) -> bool:
    mask, none = font.getmask(letter), font.getmask(_NOWHERE)
    return letter.isspace() or mask.size != none.size or bytes(mask) != bytes(none)

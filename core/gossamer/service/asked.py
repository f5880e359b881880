"""What a client of remove.bg's API, version 1.0, asks for, in our words.

Source: its published reference, https://www.remove.bg/api.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.canvas.subject import Box, subject_box
from gossamer.colours import read_colour
from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.image import Image
from gossamer.progress import Progress
from gossamer.resampling import area
from gossamer.service.answers import Answer, answer
from gossamer.service.fields import Sent, decoded
from gossamer.service.refusals import Malformed
from gossamer.service.wish import UPLOADED, Format, Wish
from gossamer.service.work import Workshop
from gossamer.settings import Finding, ModelChoice, Recipe
from gossamer.settings.canvas import Canvas

__all__ = ["ADDRESSES", "CHANNELS", "FORMATS", "LEVELS", "SHADOWS", "SIZES", "TYPES", "Asked", "coded", "text_of"]

ADDRESSES = {"image_url": "image_file", "bg_image_url": "bg_image_file"}
"""The fields that are addresses of pictures, and those whose places the pictures take."""
# Of these fields each choice, the default first.
SIZES = {
    "preview": 0.25,
    "small": 0.25,
    "regular": 0.25,
    "medium": 1.5,
    "hd": 4.0,
    "4k": 10.0,
    "full": 25.0,
    "auto": 25.0,
    "50MP": 50.0,
}
"""Million pixels of a result at most."""
TYPES = (
    *("auto", "person", "product", "animal", "car", "car_interior", "car_part", "transportation", "graphics"),
    *("graphic", "other"),
)
LEVELS = ("1", "none", "2", "latest")
CHANNELS = ("rgba", "alpha")
SHADOWS = {"none": "none", "auto": "contact", "drop": "drop", "3D": "contact", "car": "contact"}
FORMATS: dict[str, Format | None] = {"auto": None, "png": "png", "jpg": "jpeg", "webp": "webp", "zip": "zip"}
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_LARGEST_PX, _LARGEST_SHARE = 500, 0.5
_NOTHING = 0.001  # of the picture
_NO_SUBJECT = "Could not identify foreground in image.", "", "unknown_foreground"
_MIDDLE = 0.5, 0.5
_ORIGINAL = "original"


class Asked:
    """What a client of remove.bg asks for; done with a workshop it is the answer, and where the subject is.

    Parameters
    ----------
    sent : Sent
        Addresses in it have been fetched.
    model : str
        The service's own.

    Attributes
    ----------
    wish : Wish
    mask_only : bool
        Its channels are alpha.
    type : str
        What it says that the subject is, nothing here tells one kind from another; "" where it does not want to hear.
    moves : bool
        Whether the result shows the subject elsewhere than the picture does.
    """

    def __init__(self, sent: Sent, model: str) -> None:
        self._sent = sent
        self._factor = 1.0
        self._found: dict[str, int] = {}
        picture = self._picture()
        self.type = self._choice("type", TYPES)
        self.type = "other" if self.type == "auto" else self.type
        if self._choice("type_level", LEVELS) == "none":
            self.type = ""
        self._flag("semitransparency")  # what is half transparent always stays so here
        self.mask_only = self._choice("channels", CHANNELS) == "alpha"
        self._pixels = SIZES[self._choice("size", tuple(SIZES))] * 1e6
        self._format = FORMATS[self._choice("format", tuple(FORMATS))]
        self._roi = self._region()
        self._scale, self._place = self._placing()
        crop = self._flag("crop")
        self._margins = self._margin() if crop else []
        self.moves = crop or self._scale is not None or self._place is not None
        # What the photograph's edge cuts off has margins here as well: theirs are promised for every side.
        canvas = {"crop": "subject", "align": "centre"} if crop else {}
        recipe = Recipe.of({"background": {"fill": self._fill()}, "canvas": canvas, "shadow": self._shadow()})
        behind = sent.files.get("bg_image_file")
        if behind is not None:
            if recipe.background.fill != "transparent":
                raise coded("bg_color and bg_image_file are both given.", "Give one.", "multiple_backgrounds")
            recipe = recipe.model_copy(update={"background": recipe.background.model_copy(update={"fill": UPLOADED})})
        if self._format == "jpeg" and recipe.background.fill == "transparent" and not self.mask_only:
            recipe = Recipe.of({**recipe.model_dump(exclude_unset=True), "background": {"fill": "#ffffff"}})
        choice = ModelChoice.of(model=model)
        self.wish = Wish(picture, recipe, choice, Finding(), None, self._format or "png", behind)

    def __call__(self, shop: Workshop, steps: Progress) -> tuple[Answer, dict[str, int]]:
        """Make it; the subject's box is that in the picture, at the result's scale, also where it moves."""
        framed = self.framed if self.moves else None
        cutout = shop.cut(self.wish, steps, region=self.region, prepared=self.prepared, framed=framed)
        if cutout.report.coverage < _NOTHING:
            raise coded(*_NO_SUBJECT)
        made = answer(cutout, self.format(cutout), part="mask" if self.mask_only else "cutout", colour="color.jpg")
        return made, self._found or _box(cutout.alpha)

    def format(self, cutout: Cutout) -> Format:
        """Return the format: for ``auto`` PNG where something is transparent, else JPEG."""
        opaque = cutout.composite is not None and cutout.composite_alpha is None
        return self._format or ("jpeg" if opaque and not self.mask_only else "png")

    def prepared(self, image: Image, wish: Wish) -> tuple[Image, Wish]:
        """Return a picture of the size asked for, and where its subject is to stand."""
        self._factor = min(1.0, math.sqrt(self._pixels / (image.width * image.height)))
        if self._factor < 1:
            size = (max(1, int(image.height * self._factor)), max(1, int(image.width * self._factor)))
            image = _smaller(image, *size)
        if self._scale is not None or self._place is not None:
            canvas: dict[str, Any] = {"crop": "subject", "size": f"{image.width}x{image.height}", "align": "centre"}
            if self._scale is not None:
                canvas |= {"fill": self._scale, "too_small": "enlarge"}
            wish = replace(wish, recipe=wish.recipe.model_copy(update={"canvas": Canvas(**canvas)}))
        return image, wish

    def framed(self, alpha: Array, canvas: Canvas) -> Canvas:
        """Return the canvas whose margins put the subject where it was asked for."""
        if alpha.mean() < _NOTHING:
            raise coded(*_NO_SUBJECT)
        self._found = _box(alpha)
        box = subject_box(alpha)
        if self._scale is None and self._place is None:
            sides = (box.height, box.width) * 2
            margins = [
                min(px, _LARGEST_PX) if share is None else min(share, _LARGEST_SHARE) * side
                for (px, share), side in zip(self._margins, sides, strict=True)
            ]
        else:
            margins = self._beside(box, *alpha.shape)
        return canvas.model_copy(update={"margin": " ".join(f"{each:.3f}px" for each in margins)})

    def _beside(self, box: Box, height: int, width: int) -> list[float]:
        """Return the room above, right of, below and left of the subject on a canvas of the picture's size."""
        whole = min(width / box.width, height / box.height)
        scale = min(whole, 1.0) if self._scale is None else whole * self._scale / 100
        room = max(width - scale * box.width, 0.0), max(height - scale * box.height, 0.0)
        if self._place == _ORIGINAL:  # its middle stays, as far as there is room
            middles = (box.left + box.right) / 2, (box.top + box.bottom) / 2
            corner = (middles[0] - scale * box.width / 2, middles[1] - scale * box.height / 2)
            left, top = (min(max(each, 0.0), free) for each, free in zip(corner, room, strict=True))
        else:
            across, down = _MIDDLE if self._place is None or isinstance(self._place, str) else self._place
            left, top = across * room[0], down * room[1]
        return [top, room[0] - left, room[1] - top, left]

    @property
    def region(self) -> Any:
        """Where the subject is, or None."""
        if self._roi is None:
            return None

        def region(width: int, height: int) -> tuple[int, int, int, int]:
            sides = (width, height, width, height)
            ends = [
                share * side if share is not None else px * self._factor
                for (px, share), side in zip(self._roi or (), sides, strict=True)
            ]
            left, right = sorted((ends[0], ends[2]))
            top, bottom = sorted((ends[1], ends[3]))
            box = max(0, int(left)), max(0, int(top)), min(width, math.ceil(right)), min(height, math.ceil(bottom))
            if box[2] - box[0] < 1 or box[3] - box[1] < 1:
                raise coded("The roi lies outside the picture.", 'Give "x1 y1 x2 y2".', "invalid_roi")
            return box

        return region

    def _picture(self) -> bytes:
        sent = self._sent
        given = [name for name in ("image_file_b64", "image_url") if text_of(sent.one(name))]
        given += ["image_file"] if sent.files.get("image_file") else []
        if not given:
            raise coded("No image given.", "Give image_file or image_file_b64.", "missing_source")
        if len(given) > 1:
            raise coded("Multiple image sources given.", "Give one.", "multiple_sources")
        if given == ["image_file_b64"]:
            return decoded(sent.one("image_file_b64"), "image_file_b64")
        return sent.files["image_file"]

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = text_of(self._sent.one(name)).lower() or ("preview" if name == "size" else choices[0])
        for choice in choices:
            if value == choice.lower():
                return choice
        raise coded(f"{name} cannot be {value[:40]!r}.", f"Choose one of: {', '.join(choices)}.", f"invalid_{name}")

    def _flag(self, name: str) -> bool:
        text = text_of(self._sent.one(name)).lower()
        if text not in (*_YES, *_NO):
            raise coded(f"{name} cannot be {text[:40]!r}.", "Give true or false.", f"invalid_{name}")
        return text in _YES

    def _fill(self) -> str:
        text = text_of(self._sent.one("bg_color"))
        if not text:
            return "transparent"
        if re.fullmatch(r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", text):
            text = f"#{text}"
        try:
            known = read_colour(text)
        except InputError:
            known = None
        if known is None:
            raise coded("bg_color is no colour.", "Give e.g. 81d4fa, fff or green.", "invalid_bg_color")
        return text

    def _shadow(self) -> dict[str, Any]:
        kind = self._choice("shadow_type", tuple(SHADOWS))
        if kind == "none" and self._flag("add_shadow"):
            kind = "auto"
        opacity = text_of(self._sent.one("shadow_opacity"))
        return {"kind": SHADOWS[kind], **({"opacity": _number(opacity, "shadow_opacity", 100)} if opacity else {})}

    def _region(self) -> list[tuple[float, float | None]] | None:
        text = text_of(self._sent.one("roi"))
        if not text:
            return None
        lengths = _lengths(text, "roi", "x1 y1 x2 y2")
        if len(lengths) != 4:
            raise coded("roi has not four numbers.", 'Give "x1 y1 x2 y2".', "invalid_roi")
        return lengths

    def _margin(self) -> list[tuple[float, float | None]]:
        """Return the crop's margins above, right, below and left: in pixels, or as shares of the subject."""
        given = _lengths(text_of(self._sent.one("crop_margin")) or "0", "crop_margin", "10px, 5% or up to four of them")
        if len(given) not in (1, 2, 4):
            raise coded("crop_margin has not 1, 2 or 4 values.", "Give e.g. 10% 20px.", "invalid_crop_margin")
        return (given * 4)[:4]

    def _placing(self) -> tuple[float | None, tuple[float, float] | str | None]:
        """Return how much of the picture the subject fills, and where it stands in the rest; None where it stays."""
        scale, position = text_of(self._sent.one("scale")).lower(), text_of(self._sent.one("position")).lower()
        fill = None
        if scale not in ("", _ORIGINAL):
            fill = _number(scale.removesuffix("%"), "scale")
            if not scale.endswith("%") or not 10 <= fill <= 100:
                raise coded("scale is not from 10% to 100%.", "Give e.g. 80%, or original.", "invalid_scale")
        if position in ("", _ORIGINAL):
            return fill, _ORIGINAL if position and fill is not None else None
        if position == "center":
            return fill, _MIDDLE
        shares = [share for _, share in _lengths(position, "position", "center, 20% or 20% 80%")]
        across, down = shares[0], shares[-1]
        if len(shares) > 2 or across is None or down is None or max(across, down) > 1:
            raise coded("position is not from 0% to 100%.", "Give center, 20% or 20% 80%.", "invalid_position")
        return fill, (across, down)


def coded(message: str, remedy: str, code: str) -> Malformed:
    """Return an error with its code in remove.bg's words."""
    error = Malformed(message, remedy)
    error.code = code  # type: ignore[attr-defined]
    return error


def text_of(value: Any) -> str:
    """Return what a form's field says; JSON may have numbers and truths in their place."""
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value).strip()


def _number(text: str, name: str, most: float = 1e6) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise coded(f"{name} is no number from 0 to {most:g}.", "Give e.g. 80.", f"invalid_{name}")
    return number


def _lengths(text: str, name: str, form: str) -> list[tuple[float, float | None]]:
    """Return lengths: pixels, or None of them and a share."""
    found: list[tuple[float, float | None]] = []
    for part in re.split(r"[\s,]+", text.strip()):
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(px|%)?", part)
        if match is None:
            raise coded(f"{name} cannot be read.", f"Give {form}.", f"invalid_{name}")
        number = float(match[1])
        found.append((number, number / 100 if match[2] == "%" else None))
    return found


def _smaller(image: Image, height: int, width: int) -> Image:
    import cv2

    if image.pixels.dtype == np.uint8:
        pixels = np.asarray(cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_AREA))
    else:
        pixels = np.clip(area(image.pixels, height, width), 0, 1)
    alpha = None if image.alpha is None else np.clip(area(image.alpha, height, width), 0, 1)
    for plane in (pixels, alpha):
        if plane is not None:
            plane.flags.writeable = False
    return replace(image, pixels=pixels, alpha=alpha)


def _box(alpha: Array) -> dict[str, int]:
    """Return where the subject is in a picture."""
    rows, columns = (np.flatnonzero((alpha > 0.02).any(axis)) for axis in (1, 0))
    if not len(rows):
        return {}
    top, left = int(rows[0]), int(columns[0])
    return {"top": top, "left": left, "width": int(columns[-1]) - left + 1, "height": int(rows[-1]) - top + 1}

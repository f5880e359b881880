"""What the numbers of a picture mean where no ICC profile says it: primaries and curves, as formats name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ADOBE_RGB",
    "SRGB",
    "Colour",
    "Curve",
    "Primaries",
    "by_chromaticities",
    "by_cicp",
    "by_tables",
    "gamma",
    "png_chunks",
]


class Primaries(NamedTuple):
    """Chromaticities x and y of white, red, green and blue (CIE 1931)."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    def matrix(self) -> NDArray[np.float64]:
        """Return the (3, 3) matrix from linear RGB to XYZ, in which white has Y = 1.

        Raises
        ------
        ValueError
            If these are not the corners of a triangle around white.
        """
        corners = np.array([[x, y, 1 - x - y] for x, y in self[1:]], np.float64).T
        x, y = self.white
        if not 0 < y <= 1 or not 0 <= x <= 1 or np.abs(corners).max() > 4 or abs(np.linalg.det(corners)) < 1e-4:
            raise ValueError("these chromaticities are no colours")
        shares = np.linalg.solve(corners, [x / y, 1.0, (1 - x - y) / y])
        if shares.min() <= 0:
            raise ValueError("white lies outside the primaries")
        return corners * shares

    def near(self, other: Primaries, tolerance: float = 0.002) -> bool:
        """Return whether all chromaticities are those of `other`, as rounded as files hold them."""
        return bool(np.abs(np.subtract(self, other)).max() <= tolerance)


@dataclass(frozen=True)
class Curve:
    """How a number of the file, 0 to 1, becomes light.

    Attributes
    ----------
    kind : str
        ``power``: light = number ** power. ``parametric``: ICC's type 3 with `values` (g, a, b, c, d): light is
        (a number + b) ** g, or c number where the number is below d. ``table``: `tables` of uint16, one or three.
        ``linear``, ``log``, ``pq`` and ``hlg``: too far from what screens show for 8 bits and for a network that
        has seen pictures in sRGB, so pictures are brought to sRGB's curve.
    """

    kind: str
    values: tuple[float, ...] = ()
    tables: tuple[bytes, ...] = ()


_SRGB_CURVE = Curve("parametric", (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
_SMPTE_240M = Curve("parametric", (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 4 * 0.022821585529445))
_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
_BT709 = Primaries(_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_SMPTE_170M = Primaries(_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))


@dataclass(frozen=True)
class Colour:
    """A colour space.

    Attributes
    ----------
    name : str
        As notes and profiles call it.
    source : str
        What told it, for notes: "its EXIF", "its cICP chunk" and so on.
    """

    primaries: Primaries
    curve: Curve
    name: str
    source: str = "the file"

    @property
    def is_srgb(self) -> bool:
        """Whether it is sRGB, or so near that files which say it mean sRGB."""
        power = self.curve.kind == "power" and abs(self.curve.values[0] - 2.2) < 0.02
        return (power or self.curve == _SRGB_CURVE) and self.primaries.near(_BT709)

    @property
    def fits_profile(self) -> bool:
        """Whether the numbers can stay as they are, with an ICC profile."""
        return self.curve.kind in ("power", "parametric", "table")

    def told_by(self, source: str) -> Colour:
        """Return the same with another `source`."""
        return replace(self, source=source)

    def shown(self, rgb: NDArray[np.float32]) -> Colour:
        """Bring `rgb`, (H, W, 3) float32 in [0, 1], from its curve to sRGB's, in place; return its new space.

        The primaries stay. Linear light is encoded anew; the brightness of PQ and HLG (HDR), of which
        203 cd/m² are white, is mapped to that of paper by the curve of ITU-R BT.2390, from the picture's own peak.

        References
        ----------
        ITU-R BT.2100 (PQ and HLG), BT.2408 (white at 203 cd/m²), BT.2390-11 section 5.4 (the knee); the knee acts
        on the largest of red, green and blue, which keeps hues.
        """
        step = max(1, (1 << 18) // max(1, rgb.shape[1]))
        strips = [rgb[top : top + step] for top in range(0, rgb.shape[0], step)]
        hdr = self.curve.kind in ("pq", "hlg")
        luma = self.primaries.matrix()[1]
        peak = max(float(_nits(strip, self.curve.kind, luma).max()) for strip in strips) if hdr else 0.0
        for strip in strips:
            if hdr:
                light = _nits(strip, self.curve.kind, luma)
                _knee(light, peak)
                light /= _WHITE
            elif self.curve.kind == "log":
                light = np.where(strip > 0, 10.0 ** (self.curve.values[0] * (strip - 1.0)), 0.0)
            else:
                light = np.array(strip, np.float64)
            strip[...] = _srgb_encoded(light)
        return Colour(self.primaries, _SRGB_CURVE, f"{_primaries_name(self.primaries)} with sRGB's curve", self.source)


SRGB = Colour(_BT709, _SRGB_CURVE, "sRGB")
ADOBE_RGB = Colour(
    Primaries(_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    Curve("power", (563 / 256,)),
    "Adobe RGB (1998)",
)


def gamma(power: float) -> Curve:
    """Return the curve number ** `power`; from 0.8 to 1.25 it is taken as linear.

    Raises
    ------
    ValueError
        If `power` is no sensible one.
    """
    if not 0.1 < power < 10:
        raise ValueError("no sensible gamma")
    return Curve("linear") if 0.8 < power < 1.25 else Curve("power", (power,))


def by_chromaticities(primaries: Primaries | None, curve: Curve | None, source: str) -> Colour:
    """Return the space of these primaries and this curve, each of sRGB where None.

    Raises
    ------
    ValueError
        If the chromaticities are no colours.
    """
    space = Colour(primaries or _BT709, curve or _SRGB_CURVE, "", source)
    space.primaries.matrix()
    near = [name for name, known in (("sRGB", SRGB), ("Adobe RGB (1998)", ADOBE_RGB)) if _same(space, known)]
    kind = {"linear": " in linear light", "table": " with a curve of its own"}.get(space.curve.kind, "")
    if space.curve.kind == "power":
        kind = f" of gamma {space.curve.values[0]:.4g}"
    return replace(space, name=near[0] if near else _primaries_name(space.primaries) + kind)


def png_chunks(curve: object, primaries: object) -> str:
    """Return what PNG's chunks are called that gave a curve or primaries; not both are None."""
    kinds = [kind for kind, given in (("gAMA", curve), ("cHRM", primaries)) if given is not None]
    return f"its {' and '.join(kinds)} chunk{'s' if len(kinds) > 1 else ''}"


def _same(one: Colour, other: Colour) -> bool:
    if other is SRGB:
        return one.is_srgb
    powers = [each.curve.values[0] if each.curve.kind == "power" else 0.0 for each in (one, other)]
    return one.primaries.near(other.primaries) and abs(powers[0] - powers[1]) < 0.01


def by_tables(primaries: Primaries | None, tables: list[NDArray[np.uint16]], source: str) -> Colour:
    """Return the space whose curve is a table (TIFF's TransferFunction) or three, of light from 0 to 65535.

    Raises
    ------
    ValueError
        If they are no rising curves.
    """
    few = []
    for table in tables:
        light = table.astype(np.float64)
        if len(light) < 2 or light[-1] <= light[0] or np.any(np.diff(light) < 0):
            raise ValueError("no rising curve")
        places = np.linspace(0, len(light) - 1, min(len(light), 4096))
        few.append(np.interp(places, np.arange(len(light)), light))
    ramps = [np.linspace(0, 1, len(each)) for each in few]

    def within(curve: Any) -> bool:
        pairs = zip(few, ramps, strict=True)
        return all(bool(np.abs(each / 65535 - curve(ramp)).max() < 0.003) for each, ramp in pairs)

    if within(_srgb_light):
        return by_chromaticities(primaries, None, source)
    if within(lambda ramp: ramp):
        return by_chromaticities(primaries, Curve("linear"), source)
    packed = tuple(np.round(each).astype(">u2").tobytes() for each in few)
    return by_chromaticities(primaries, Curve("table", tables=packed), source)


# -- numbers of ITU-T H.273 (CICP), which PNG, AVIF, HEIC and video use --------------------------------------

_CICP_PRIMARIES = {
    1: ("sRGB", _BT709),
    4: ("BT.470 M", Primaries(_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08))),
    5: ("BT.470 BG", Primaries(_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06))),
    6: ("SMPTE 170M", _SMPTE_170M),
    7: ("SMPTE 170M", _SMPTE_170M),
    8: ("film", Primaries(_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049))),
    9: ("BT.2020", Primaries(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    10: ("XYZ", Primaries((1 / 3, 1 / 3), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))),
    11: ("DCI-P3", Primaries((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    12: ("Display P3", Primaries(_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    22: ("EBU 3213", Primaries(_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077))),
}
# The curves of BT.709, BT.601 and BT.2020 are those of cameras; pictures that name them are shown with sRGB's,
# by browsers too, and encoders write 1 where they mean sRGB.
_CICP_CURVES = {
    **dict.fromkeys((1, 2, 6, 11, 12, 13, 14, 15), _SRGB_CURVE),
    4: Curve("power", (2.2,)),
    5: Curve("power", (2.8,)),
    7: _SMPTE_240M,
    8: Curve("linear"),
    9: Curve("log", (2.0,)),
    10: Curve("log", (2.5,)),
    16: Curve("pq"),
    17: Curve("power", (2.6,)),
    18: Curve("hlg"),
}
_CICP_UNKNOWN = 2


def by_cicp(primaries: int, transfer: int, source: str) -> Colour | None:
    """Return the space that two code points of ITU-T H.273 name; None where both say "unspecified".

    Raises
    ------
    ValueError
        If one of them is reserved.
    """
    if primaries == transfer == _CICP_UNKNOWN:
        return None
    try:
        curve = _CICP_CURVES[transfer]
        name, known = ("sRGB", _BT709) if primaries == _CICP_UNKNOWN else _CICP_PRIMARIES[primaries]
    except KeyError as error:
        raise ValueError(f"{primaries}/{transfer} names no colour space") from error
    said = {"pq": " PQ", "hlg": " HLG", "linear": " in linear light", "log": " in logarithms of light"}
    if curve.kind == "power":
        said["power"] = f" of gamma {curve.values[0]:.4g}"
    return Colour(known, curve, name + said.get(curve.kind, ""), source)


def _primaries_name(primaries: Primaries) -> str:
    known = [name for name, each in _CICP_PRIMARIES.values() if each.near(primaries)]
    if primaries.near(ADOBE_RGB.primaries):
        known.insert(0, "Adobe RGB primaries")
    return known[0] if known else "RGB of its own primaries"


# -- light -------------------------------------------------------------------------------------------------

_WHITE = 203.0  # cd/m²: what HDR calls paper white
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_PEAK = 1000.0  # cd/m²: the screen that HLG's system gamma of 1.2 is for


def _srgb_encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = np.clip(light, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _srgb_light(number: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(number <= 0.04045, number / 12.92, ((number + 0.055) / 1.055) ** 2.4)


def _nits(number: NDArray[np.float32], kind: str, luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of a screen in cd/m², of (H, W, 3) numbers of PQ or HLG."""
    value = number.astype(np.float64)
    if kind == "pq":
        root = value ** (1 / _M2)
        return np.asarray(10000.0 * (np.maximum(root - _C1, 0.0) / (_C2 - _C3 * root)) ** (1 / _M1))
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    bright = np.maximum(scene @ luma, 0.0)[..., None]
    return np.asarray(_HLG_PEAK * bright**0.2 * scene)


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (nits / 10000.0) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _knee(nits: NDArray[np.float64], peak: float) -> None:
    """Bring light of up to `peak` cd/m² to at most white, in place; what is dim stays as it is."""
    if peak <= _WHITE:
        return
    top = float(_pq(np.array(peak)))
    limit = float(_pq(np.array(_WHITE))) / top
    start = 1.5 * limit - 0.5
    most = nits.max(axis=-1)
    code = _pq(most) / top
    t = np.clip((code - start) / (1 - start), 0.0, 1.0)
    bent = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * (1 - start) + (3 * t**2 - 2 * t**3) * limit
    root = (np.where(code > start, bent, code) * top) ** (1 / _M2)
    wanted = 10000.0 * (np.maximum(root - _C1, 0.0) / (_C2 - _C3 * root)) ** (1 / _M1)
    nits *= np.divide(wanted, most, out=np.ones_like(most), where=(most > 0) & (code > start))[..., None]

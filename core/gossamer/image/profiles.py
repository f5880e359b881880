"""ICC profiles made of primaries and a curve, for pictures whose colours are told by something else."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gossamer.image.colour import Colour, Curve

__all__ = ["icc_profile"]

_D50 = np.array([0xF6D6, 0x10000, 0xD32D], np.int64)  # of 65536: the white of all profiles
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def icc_profile(colour: Colour) -> bytes:
    """Return an ICC profile, version 4.3, of RGB in `colour`: the same bytes for the same colours.

    Parameters
    ----------
    colour : Colour
        One with ``fits_profile``.

    References
    ----------
    ICC.1:2022 (profile version 4.4), sections 8.3 (matrix profiles) and E (adaptation of white by Bradford's
    matrix).
    """
    to_xyz = colour.primaries.matrix()
    x, y = colour.primaries.white
    cone = _BRADFORD @ (_D50 / 65536)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cone / (_BRADFORD @ [x / y, 1.0, (1 - x - y) / y])) @ _BRADFORD
    columns = np.round(adapt @ to_xyz * 65536).astype(np.int64)
    columns[:, 1] += _D50 - columns.sum(axis=1)  # so that equal numbers are neutral to the last bit
    tables = colour.curve.tables or (b"",)
    curves = [_curve(colour.curve, table) for table in tables]
    name = "Compatible with Adobe RGB (1998)" if colour.name == "Adobe RGB (1998)" else colour.name
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + np.round(adapt * 65536).astype(">i4").tobytes(),
        b"rXYZ": _xyz(columns[:, 0]),
        b"gXYZ": _xyz(columns[:, 1]),
        b"bXYZ": _xyz(columns[:, 2]),
        b"rTRC": curves[0],
        b"gTRC": curves[1 % len(curves)],
        b"bTRC": curves[2 % len(curves)],
    }
    places: dict[bytes, int] = {}
    start, body = 128 + 4 + 12 * len(tags), b""
    table = struct.pack(">I", len(tags))
    for key, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += key + struct.pack(">II", places[value], len(value))
    header = struct.pack(">I4s4s4s4s4s", start + len(body), b"", b"\x04\x30\0\0", b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _D50.astype(">i4").tobytes()
    return header.ljust(128, b"\0") + table + body


def _xyz(value: NDArray[np.int64]) -> bytes:
    return b"XYZ " + bytes(4) + value.astype(">i4").tobytes()


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded


def _curve(curve: Curve, table: bytes) -> bytes:
    if curve.kind == "table":
        return b"curv" + bytes(4) + struct.pack(">I", len(table) // 2) + table
    kind = 3 if curve.kind == "parametric" else 0
    values = np.round(np.array(curve.values) * 65536).astype(">i4").tobytes()
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + values

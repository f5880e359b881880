"""OpenEXR files of any kind, written as its file layout says."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_KINDS = {np.dtype(np.uint32): 0, np.dtype(np.float16): 1, np.dtype(np.float32): 2}
NONE, ZIPS = 0, 2


def _attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
    return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value


def _deflated(raw: bytes) -> bytes:
    halves = np.frombuffer(raw[::2] + raw[1::2], np.uint8).astype(np.int16)
    steps = np.concatenate([halves[:1], np.diff(halves) + 128]).astype(np.uint8)
    packed = zlib.compress(steps.tobytes())
    return packed if len(packed) < len(raw) else raw


def exr_bytes(
    channels: dict[str, np.ndarray],
    *,
    compression: int = ZIPS,
    more: dict[tuple[bytes, bytes], bytes] | None = None,
    window: tuple[int, int, int, int] | None = None,
    at: tuple[int, int] = (0, 0),
    flags: int = 0,
) -> bytes:
    """Return a file of scan lines.

    Parameters
    ----------
    channels : dict of str to (H, W) float16, float32 or uint32
    compression : int
    more : dict of (bytes, bytes) to bytes
        Attributes, by name and kind.
    window : (int, int, int, int), optional
        What is shown: its left, top, right and bottom pixel; what there is data for where it is not given.
    at : (int, int)
        Left and top pixel of what there is data for.
    flags : int
        Beside the version.
    """
    ordered = sorted(channels.items())
    height, width = ordered[0][1].shape
    lists = b"".join(name.encode() + b"\0" + struct.pack("<iiii", _KINDS[one.dtype], 0, 1, 1) for name, one in ordered)
    left, top = at
    data = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    shown = struct.pack("<4i", *window) if window else data
    header = b"v/1\x01" + struct.pack("<I", 2 | flags)
    header += _attribute(b"channels", b"chlist", lists + b"\0")
    header += _attribute(b"compression", b"compression", bytes([compression]))
    header += _attribute(b"dataWindow", b"box2i", data) + _attribute(b"displayWindow", b"box2i", shown)
    header += _attribute(b"lineOrder", b"lineOrder", b"\0")
    header += _attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
    header += _attribute(b"screenWindowCenter", b"v2f", bytes(8))
    header += _attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1))
    header += b"".join(_attribute(name, kind, value) for (name, kind), value in (more or {}).items()) + b"\0"
    lines = []
    for row in range(height):
        raw = b"".join(np.ascontiguousarray(one[row]).tobytes() for _, one in ordered)
        packed = _deflated(raw) if compression == ZIPS else raw
        lines.append(struct.pack("<ii", top + row, len(packed)) + packed)
    places = np.cumsum([len(header) + 8 * height] + [len(line) for line in lines[:-1]])
    return header + places.astype("<u8").tobytes() + b"".join(lines)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes of bytes, a byte a pixel, row by row: standard library only, for GIMP's own Python has no numpy.

What takes a step a pixel would take seconds; slices, tables and very long whole numbers are as fast as need be.
"""

_LIGHT = bytes(255 if value >= 230 else 0 for value in range(256))
_DARK = bytes(255 if value <= 25 else 0 for value in range(256))
_SEEN = bytes(255 if value >= 128 else 0 for value in range(256))


def marked(values, opacity):
    """Return what marks say: 255 where they are white, 0 where black, 128 where between, or hardly there."""
    bright = int.from_bytes(values.translate(_LIGHT), "big")
    dark = int.from_bytes(values.translate(_DARK), "big")
    said = (bright | dark) & int.from_bytes(opacity.translate(_SEEN), "big")  # all bits of a byte, or none
    between = int.from_bytes(b"\x80" * len(values), "big")
    return ((bright & said) | (between & ~said)).to_bytes(len(values), "big")


def put_in(plane, width, boxes, parts):
    """Write the bytes of boxes (left, top, width, height), one after the other, into a plane that is `width` wide."""
    taken = 0
    for left, top, wide, high in boxes:
        for start in range(top * width + left, (top + high) * width + left, width):
            plane[start : start + wide] = parts[taken : taken + wide]
            taken += wide


def cut_out(plane, width, box):
    """Return the bytes of a box of a plane that is `width` wide."""
    left, top, wide, high = box
    if wide == width:
        return plane[top * width : (top + high) * width]
    starts = range(top * width + left, (top + high) * width + left, width)
    return b"".join([plane[start : start + wide] for start in starts])
